// SPDX-License-Identifier: Apache-2.0
/* The syscalls probe: its programs, how they are hooked in, and the calls that are open. */
#include "probe/syscalls.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/msg.h"
#include "probe/canary.h"
#include "probe/iterator.h"

#define CELLS_TOGETHER 8192  /* some hundred calls, each with some dozens of durations */
#define CELLS_BY_KEY   32768 /* of many processes or cgroups */

static const struct hook hooks[] = {
	{"sys_enter, sys_exit",
	 "syscalls/sys_enter_NAME for up to four names; tp_btf, raw_tp; raw_syscalls/sys_enter where these "
	 "miss calls",
	 "everything"},
	{"iter/task", "plain", "calls that are open at an interval's end"},
	{"sched_process_exec", "tp_btf, raw_tp",
	 "COMMAND; targets by name or user after an exec; --by pid, comm"},
	{"task_newtask", "tp_btf, raw_tp", "children (--follow, COMMAND)"},
	{"task_rename", "tp_btf, raw_tp", "--comm and --by pid, comm after a rename"},
	{"cgroup_attach_task", "tp_btf, raw_tp", "threads moved between cgroups (--cgroup, --by cgroup)"},
	{NULL},
};

/* --- the object */

static bool by_event(const struct tracer *t)
{
	return ((const struct syscalls *)t)->hook == HOOK_EVENT;
}

#define CALLS_FEW 4

static bool few_calls(const struct tracer *t)
{
	const char *calls = ((const struct syscalls *)t)->options.calls;
	int commas = 0;

	for (const char *c = calls; c && *c; c++)
		commas += *c == ',';
	return calls && commas < CALLS_FEW;
}

static bool wants_event(const struct tracer *t)
{
	return by_event(t) || few_calls(t);
}

static bool with_stacks(const struct tracer *t)
{
	return ((const struct syscalls *)t)->options.stacks;
}

static bool wants_begin(const struct tracer *t, int attempt)
{
	(void)attempt;
	return !by_event(t);
}

static bool wants_end(const struct tracer *t, int attempt)
{
	(void)attempt;
	return !by_event(t) && !with_stacks(t);
}

static bool wants_end_stack(const struct tracer *t, int attempt)
{
	(void)attempt;
	return !by_event(t) && with_stacks(t);
}

static bool wants_begin_event(const struct tracer *t, int attempt)
{
	(void)attempt;
	return wants_event(t);
}

static bool wants_end_event(const struct tracer *t, int attempt)
{
	(void)attempt;
	return wants_event(t) && !with_stacks(t);
}

static bool wants_end_event_stack(const struct tracer *t, int attempt)
{
	(void)attempt;
	return wants_event(t) && with_stacks(t);
}

static const struct tracer_program programs[] = {
	{"on_begin", wants_begin},	   {"on_end", wants_end},
	{"on_end_stack", wants_end_stack}, {"on_begin_event", wants_begin_event},
	{"on_end_event", wants_end_event}, {"on_end_event_stack", wants_end_event_stack},
	{"open_calls", tracer__always},	   {NULL},
};

/* Attempts: with and without typed casts, and without reads of user memory (lockdown). */
#define ATTEMPTS	    4
#define HAS_CASTS(attempt)  (!((attempt)&1))
#define HAS_TABLES(attempt) (!((attempt)&2))

/* Few processes that alone can be meant: everybody else's calls cost a comparison. */
static void name_own(const struct loader *l, struct syscalls_config *config)
{
	const struct target_filter *filter = &l->target->filter;

	if (!(filter->conditions & TARGET_MARKED) || filter->follow || l->pid_namespace ||
	    l->target->count > CALL_OWN)
		return;
	config->own_are_threads = !!(filter->conditions & TARGET_THREADS);
	for (size_t i = 0; i < l->target->count; i++)
		config->own[config->own_count++] = (uint32_t)l->target->pids[i];
}

static int prepare(struct tracer *t, struct unit *u, int attempt)
{
	const struct syscalls *s = (const struct syscalls *)t;
	const struct syscalls_options *o = &s->options;
	unsigned cells = t->by == BY_NONE && !o->stacks ? CELLS_TOGETHER : CELLS_BY_KEY;
	bool casts = HAS_CASTS(attempt), kernel = false;
	struct syscalls_config config = {
		.slow_ns = o->slow_ns,
		.stacks_ns = o->slow_ns,
		.canary = s->mark,
		.filtered = o->calls != NULL,
		.guard = s->hook == HOOK_GUARDED,
	};
	int err;

	call__flags(o->calls, config.native, config.compat);
	name_own(u->loader, &config);
	if (!HAS_TABLES(attempt))
		unit__without_tables(u);
	if (!u->image->raw)
		unit__set(u, "casts", &casts, sizeof(casts));
	unit__set(u, "stack_kernel", &kernel, sizeof(kernel)); /* the hook's own */
	err = unit__set(u, "config", &config, sizeof(config));
	if (!err)
		err = unit__resize(u, "cells_a", cells);
	return err ? err : unit__resize(u, "cells_b", cells);
}

static const struct tracer_type type = {
	.image = "syscalls",
	.what = "the programs on system calls",
	.part = PART_SYSCALLS,
	.attempts = ATTEMPTS,
	.programs = programs,
	.prepare = prepare,
	.event = syscalls__event,
};

static void set(struct tracer *t, const void *options)
{
	struct syscalls *s = (struct syscalls *)t;

	s->options = *(const struct syscalls_options *)options;
	s->hook = s->options.by_event ? HOOK_EVENT : HOOK_RAW;
	if (getrandom(&s->mark, sizeof(s->mark), GRND_NONBLOCK) != sizeof(s->mark))
		s->mark = (uintptr_t)s ^ (uint64_t)getpid() << 32;
}

static struct probe *syscalls__open(struct probe_context *context, const void *options)
{
	const struct syscalls_options *o = options;

	return (struct probe *)tracer__open(sizeof(struct syscalls), &type, &probe_syscalls, context, o->by,
					    set, options);
}

/* --- 32-bit programs */

static bool is_32bit(const char *pid)
{
	unsigned char head[EI_NIDENT] = {0};
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%.16s/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || read(fd, head, sizeof(head)) != sizeof(head))
		head[EI_CLASS] = ELFCLASSNONE;
	if (fd >= 0)
		close(fd);
	return head[EI_CLASS] == ELFCLASS32;
}

static bool any_32bit(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	bool any = false;

	while (proc && !any && (e = readdir(proc)))
		any = e->d_name[0] >= '1' && e->d_name[0] <= '9' && is_32bit(e->d_name);
	if (proc)
		closedir(proc);
	return any;
}

/* --- hooks */

static int attach_events(struct syscalls *s, const char *begin, const char *end)
{
	struct unit *u = &s->tracer.unit;
	int err = unit__attach_tracepoint(u, "on_begin_event", begin);

	return err ? err
		   : unit__attach_tracepoint(u, s->options.stacks ? "on_end_event_stack" : "on_end_event",
					     end);
}

static int attach_calls(struct syscalls *s)
{
	char begin[96], end[96];
	int err = 0;

	for (const char *call = s->options.calls; !err && *call; call += *call == ',') {
		int len = (int)strcspn(call, ",");

		snprintf(begin, sizeof(begin), "syscalls/sys_enter_%.*s", len, call);
		snprintf(end, sizeof(end), "syscalls/sys_exit_%.*s", len, call);
		err = attach_events(s, begin, end);
		call += len;
	}
	return err;
}

static int attach_iterator(struct syscalls *s)
{
	struct bpf_program *p = bpf_object__find_program_by_name(s->tracer.unit.object, "open_calls");

	s->open_link = bpf_program__attach_iter(p, NULL);
	return s->open_link ? 0 : -errno;
}

/* The programs on raw tracepoints are loaded beside those that may take their place. */
static void choose_attached(struct syscalls *s)
{
	static const char *const raw[] = {"on_begin", "on_end", "on_end_stack"};

	for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++)
		bpf_program__set_autoattach(bpf_object__find_program_by_name(s->tracer.unit.object, raw[i]),
					    s->hook != HOOK_CALLS);
}

static int attach(struct syscalls *s)
{
	const char *program = NULL;
	int err;

	choose_attached(s);
	err = unit__attach_all(&s->tracer.unit, &program);
	if (!err && s->hook == HOOK_EVENT)
		err = attach_events(s, "raw_syscalls/sys_enter", "raw_syscalls/sys_exit");
	if (!err && s->hook == HOOK_CALLS)
		err = attach_calls(s);
	if (!err && !s->open_link) {
		program = "the iterator";
		err = attach_iterator(s);
	}
	if (err && s->hook != HOOK_EVENT && s->hook != HOOK_CALLS)
		msg__error("cannot attach %s of the system calls: %s (see `sonde check`)", program,
			   strerror(-err));
	return err;
}

/* Tracepoints of single calls are not there for 32-bit code, and some calls have none. */
static int prefer_calls(struct syscalls *s)
{
	if (!few_calls(&s->tracer) || any_32bit())
		return 0;
	unit__detach(&s->tracer.unit);
	s->hook = HOOK_CALLS;
	if (!attach(s))
		return 0;
	unit__detach(&s->tracer.unit);
	s->hook = HOOK_RAW;
	return attach(s);
}

/* Whether all of some known calls came, both begin and end. */
static bool canary_lives(struct syscalls *s)
{
	int fd = unit__map_fd(&s->tracer.unit, "canaries");
	uint64_t calls = canary__sing(s->mark), came;

	for (uint32_t which = 0; calls && which < 2; which++)
		if (!bpf_map_lookup_elem(fd, &which, &came) && came != calls)
			return false;
	return true;
}

static int with_hook(struct syscalls *s, enum call_hook hook)
{
	int err;

	bpf_link__destroy(s->open_link);
	s->open_link = NULL;
	s->hook = hook;
	err = tracer__reload(&s->tracer);
	return err ? err : attach(s);
}

/* The kernel leaves out runs of the programs on raw tracepoints. */
static int avoid_raw(struct syscalls *s)
{
	int why = with_hook(s, HOOK_EVENT), err = why ? with_hook(s, HOOK_GUARDED) : 0;

	if (why && !err)
		msg__note("this kernel leaves out programs on system calls now and then, and its classic "
			  "tracepoints cannot be had (%s): what was left out is counted as lost",
			  strerror(-why));
	return err;
}

static int syscalls__attach(struct probe *probe)
{
	struct syscalls *s = (struct syscalls *)probe;
	int err = attach(s);

	if (err && s->hook == HOOK_EVENT)
		msg__error("cannot attach to classic tracepoints: %s (see `sonde check`)", strerror(-err));
	if (!err && s->hook == HOOK_RAW)
		err = canary_lives(s) ? prefer_calls(s) : avoid_raw(s);
	if (!err)
		unit__forget_recursions(&s->tracer.unit);
	return err;
}

static int syscalls__begin(struct probe *probe, uint64_t start_ns)
{
	/* what began before is told apart by it */
	__atomic_store_n(&((struct tracer *)probe)->unit.control->previous_cut, start_ns, __ATOMIC_RELAXED);
	return tracer__begin(probe, start_ns);
}

static void syscalls__close(struct probe *probe)
{
	if (probe)
		bpf_link__destroy(((struct syscalls *)probe)->open_link);
	tracer__close(probe);
}

/* --- calls that are open */

struct calls {
	struct open_call *at;
	size_t count, capacity;
};

static int add_call(void *context, const void *record)
{
	struct calls *calls = context;
	size_t capacity = calls->capacity ? 2 * calls->capacity : 256;
	struct open_call *at = calls->at;

	if (calls->count == calls->capacity) {
		at = reallocarray(at, capacity, sizeof(*at));
		if (!at)
			return -ENOMEM;
		calls->at = at;
		calls->capacity = capacity;
	}
	at[calls->count++] = *(const struct open_call *)record;
	return 0;
}

int syscalls__open_calls(struct syscalls *s, struct open_call **calls, size_t *count)
{
	struct calls all = {0};
	int err = iterator__run(s->open_link, sizeof(struct open_call), add_call, &all);

	*calls = all.at;
	*count = all.count;
	return err;
}

const struct probe_type probe_syscalls = {
	.name = "syscalls",
	.summary = "system calls: how often, how long, with which errors, and who makes the slow ones",
	.metrics = syscalls__metrics,
	.hooks = hooks,
	.open = syscalls__open,
	.attach = syscalls__attach,
	.begin = syscalls__begin,
	.cut = tracer__cut,
	.detach = tracer__detach,
	.record = tracer__record,
	.drain = syscalls__drain,
	.unit = tracer__unit,
	.close = syscalls__close,
};
