// SPDX-License-Identifier: Apache-2.0
/* The uprobe probe: each call of a function, or each return from it, counted by stack in the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/text.h"
#include "base/units.h"
#include "object/debugfile.h"
#include "probe/features.h"
#include "probe/probe.h"
#include "stack/process.h"

#define PLACES_PER_CPU 8 /* programs that may be preempted in the middle of a stack */

static const struct metric metric_calls = {
	.name = "sonde_uprobe_calls",
	.unit = "{call}",
	.help = "Calls of a function, or returns from it, by stack",
	.kind = POINT_STACK,
	.shape = SHAPE_FUNCTIONS,
};

static const struct metric *const metrics[] = {&metric_calls, NULL};

static const struct hook hooks[] = {
	{"uprobe, uretprobe", "perf event, uprobe_multi", "everything"},
	{"sched_process_exec", "tp_btf, raw_tp", "COMMAND"},
	{"task_newtask", "tp_btf, raw_tp", "children (--follow, COMMAND)"},
	{NULL},
};

struct uprobe {
	struct probe probe;
	struct uprobe_options options;
	struct unit unit;
	int fd;		 /* of the file; -1: none */
	uint64_t offset; /* in it */
	bool guard;	 /* preemption is disabled */
};

/* --- the file and the place in it */

/* The first process that was named, and has begun; else sonde itself. */
static pid_t whose_files(const struct uprobe *u)
{
	const struct target *t = u->probe.context->loader->target;

	return t->count ? t->pids[0] : getpid();
}

static int open_mapped(const struct process *p, int dir, const char *name)
{
	struct stat st;
	const char *base;
	size_t len;
	int fd = -ENOENT;

	for (size_t i = 0; i < p->count && fd == -ENOENT; i++) {
		base = maps__base_name(p->mappings[i].path, &len);
		if (p->mappings[i].kind == MAPPED_FILE && len == strlen(name) && !memcmp(base, name, len))
			fd = process__locate(&p->mappings[i], dir, &st);
	}
	return fd;
}

/* A file that a process has mapped, by the last part of its path. A descriptor or -errno. */
static int open_by_name(pid_t pid, const char *name)
{
	struct process p = {.key.tgid = (uint64_t)pid};
	struct strings strings;
	char path[32];
	int dir, found, fd;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	strings__init(&strings);
	found = process__read(&p, dir, &strings);
	if (!found)
		found = open_mapped(&p, dir, name);
	fd = found < 0 ? found : safefile__reopen(found);
	if (found >= 0)
		close(found);
	process__free_mappings(&p);
	strings__free(&strings);
	close(dir);
	return fd;
}

static int open_file(struct uprobe *u)
{
	const char *file = u->options.file;
	pid_t pid = whose_files(u);
	struct stat st;

	u->fd = strchr(file, '/') ? safefile__open(AT_FDCWD, file, &st) : open_by_name(pid, file);
	if (u->fd >= 0)
		return 0;
	if (strchr(file, '/'))
		msg__error("cannot probe %s: %s", file, strerror(-u->fd));
	else if (u->fd == -ENOENT)
		msg__error("process %d has no file of the name %s mapped: give its path", pid, file);
	else
		msg__error("cannot open the %s of process %d: %s", file, pid, strerror(-u->fd));
	return -EBADRQC;
}

/* Why not, in one line. */
static int refuse(const struct uprobe *u, int err, const struct function_place *place)
{
	const struct uprobe_options *o = &u->options;

	if (err == -ENOENT)
		msg__error("%s has no function %s, nor have its debug files", o->file, o->function);
	else if (place->is_resolver)
		msg__error("%s: %s is chosen at run time (IFUNC), its symbol only chooses", o->file,
			   o->function);
	else if (err == -ENOTUNIQ)
		msg__error("%s has several functions %s: none of them can be meant", o->file, o->function);
	else if (err)
		msg__error("cannot look for %s in %s: %s", o->function, o->file,
			   err == -ENOEXEC ? "no ELF file" : strerror(-err));
	else if (o->at_return && place->is_go)
		msg__error("%s is a Go program: it moves its stacks, and a uretprobe would end it", o->file);
	else if (o->offset && o->offset >= place->bytes)
		msg__error("%s: %s has %llu bytes", o->file, o->function, (unsigned long long)place->bytes);
	else
		return 0;
	return -EBADRQC;
}

static int find_function(struct uprobe *u)
{
	const struct uprobe_options *o = &u->options;
	struct debug_places places = {.directory = "/usr/lib/debug", .path = o->file};
	struct symbol_request request = {
		.source = SYMBOLS_ELF, .modules_fd = -1, .debug_file = debugfile__locate, .context = &places};
	struct function_place place;
	int err = open_file(u);

	if (err)
		return err;
	request.fd = u->fd;
	err = helper__function(stacks__helper(u->probe.context->stacks), &request, o->function, &place);
	u->offset = place.offset + o->offset;
	return refuse(u, err, &place);
}

/* --- life */

static int uprobe__prepare(void *context, struct unit *u, int attempt)
{
	const struct target_filter *filter = &u->loader->target->filter;
	bool marked = filter->conditions & TARGET_MARKED, kernel = false;
	const struct uprobe *up = context;
	/* lockdown=confidentiality, the second attempt: user memory cannot be read */
	bool at_entry = !attempt && !up->options.at_return && !up->options.offset;
	uint32_t places = up->options.places;
	int err;

	if (!places)
		places = (uint32_t)u->loader->cpus * (up->guard ? 1 : PLACES_PER_CPU);
	if (attempt)
		unit__without_tables(u);
	err = unit__set(u, "preempt_guard", &up->guard, sizeof(up->guard));
	if (!err)
		err = unit__set(u, "place_count", &places, sizeof(places));
	if (!err || err == -ENOENT) /* the plain variant claims none */
		err = unit__set(u, "stack_kernel", &kernel, sizeof(kernel));
	if (!err)
		err = unit__set(u, "stack_at_entry", &at_entry, sizeof(at_entry));
	if (!err)
		err = unit__resize(u, "claimed_places", places);
	if (!err)
		err = unit__autoload(u, "on_hit", true);
	/* Perf events of uprobes need it, whatever perf_event_paranoid says. */
	if (!err && !loader__has_capability(CAP_SYS_ADMIN))
		unit__use_uprobe_multi(u, "on_hit");
	if (!err)
		err = unit__autoload(u, "on_exec", marked);
	if (!err)
		err = unit__autoload(u, "on_leader_exit", marked);
	return err ? err : unit__autoload(u, "on_newtask", marked && filter->follow);
}

/* Programs that can be preempted need a stack of their own: where the kernel gives them one that others find,
 * and no means against it, there is no probe. */
static int load(struct uprobe *u)
{
	struct features features;
	int err = features__ask(&features);

	u->guard = features.preempt_guard;
	if (!err && features.stack_per_cpu && !features.preempt_guard)
		err = -EOPNOTSUPP;
	if (!err)
		err = unit__load(&u->unit, u->probe.context->loader, "uprobe", 2, uprobe__prepare, u);
	return err ? loader__explain("load the program of the probe", err, u->unit.why_not) : 0;
}

static void uprobe__detach(struct probe *probe)
{
	unit__detach(&((struct uprobe *)probe)->unit);
}

static void uprobe__close(struct probe *probe)
{
	struct uprobe *u = (struct uprobe *)probe;

	if (!u)
		return;
	unit__close(&u->unit);
	fd__close(&u->fd);
	free(u);
}

static struct probe *uprobe__open(struct probe_context *context, const void *options)
{
	struct uprobe *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return NULL;
	u->probe.type = &probe_uprobe;
	u->probe.context = context;
	u->options = *(const struct uprobe_options *)options;
	u->fd = -1;
	err = find_function(u);
	if (!err)
		err = load(u);
	if (!err)
		return &u->probe;
	uprobe__close(&u->probe);
	errno = -err;
	return NULL;
}

static int explain(const struct uprobe *u, int err)
{
	if (err == -EACCES || err == -EPERM)
		msg__error("uprobes are not permitted: they need CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON "
			   "since 6.6");
	else
		msg__error("cannot probe %s in %s: %s", u->options.function, u->options.file,
			   err == -EIO || err == -EINVAL
				   ? "the kernel cannot, on this file system or at this "
				     "instruction"
				   : strerror(-err));
	return err;
}

/* One process alone is probed alone: a breakpoint costs whoever meets it. */
static pid_t whom(const struct target *t)
{
	const uint32_t conditions = t->filter.conditions;

	return (conditions & TARGET_MARKED) && !(conditions & TARGET_THREADS) && !t->filter.follow &&
			       t->count == 1
		       ? t->pids[0]
		       : -1;
}

static int uprobe__attach(struct probe *probe)
{
	struct uprobe *u = (struct uprobe *)probe;
	const struct target *t = u->unit.loader->target;
	bool marked = t->filter.conditions & TARGET_MARKED;
	char byte;
	int err = 0;

	if (marked)
		err = unit__attach(&u->unit, "on_exec");
	if (!err && marked)
		err = unit__attach(&u->unit, "on_leader_exit");
	if (!err && marked && t->filter.follow)
		err = unit__attach(&u->unit, "on_newtask");
	if (err)
		msg__error("cannot attach to processes' exec and fork: %s (see `sonde check`)",
			   strerror(-err));
	/* The page is in memory then: a kernel that had to read it from ext4 would warn (6.18). */
	if (!err && pread(u->fd, &byte, 1, (off_t)u->offset) != 1)
		err = explain(u, errno ? -errno : -EIO);
	if (err)
		return err;
	err = unit__attach_uprobe(&u->unit, "on_hit", whom(t), u->fd, u->offset, u->options.at_return);
	return err ? explain(u, err) : 0;
}

static int uprobe__begin(struct probe *probe, uint64_t start_ns)
{
	struct uprobe *u = (struct uprobe *)probe;

	__atomic_store_n(&u->unit.control->cut, start_ns, __ATOMIC_RELEASE);
	return 0;
}

static void uprobe__cut(struct probe *probe, uint64_t at_ns, bool last)
{
	struct uprobe *u = (struct uprobe *)probe;

	if (last)
		__atomic_store_n(&u->unit.control->stop_ns, at_ns, __ATOMIC_RELEASE);
}

static int uprobe__drain(struct probe *probe, struct point_stream *out, struct drain *d)
{
	struct uprobe *u = (struct uprobe *)probe;
	struct point p = {.metric = &metric_calls};
	uint64_t calls;
	int err = probe__emit_counts(probe, &u->unit, &p, out, d, &calls);

	if (d->headline.len)
		return err;
	units__count(&d->headline, calls);
	buf__puts(&d->headline, u->options.at_return ? " returns of " : " calls of ");
	text__puts(&d->headline, u->options.function, TEXT_TERMINAL);
	if (u->options.offset)
		buf__printf(&d->headline, "+%#llx", (unsigned long long)u->options.offset);
	return err;
}

static const struct unit *uprobe__unit(const struct probe *probe)
{
	return &((const struct uprobe *)probe)->unit;
}

const struct probe_type probe_uprobe = {
	.name = "uprobe",
	.summary = "calls of a function, or returns from it, by stack",
	.metrics = metrics,
	.hooks = hooks,
	.open = uprobe__open,
	.attach = uprobe__attach,
	.begin = uprobe__begin,
	.cut = uprobe__cut,
	.detach = uprobe__detach,
	.drain = uprobe__drain,
	.unit = uprobe__unit,
	.close = uprobe__close,
};
