// SPDX-License-Identifier: Apache-2.0
/*
 * The resources probe: the numbers that the kernel keeps anyway, read at the beginning and at each end of an
 * interval. It has no programs: nothing is asked in between.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/units.h"
#include "probe/cgroup.h"
#include "probe/resources.h"

#define FILE_LIMIT (16u << 20)

struct reading {
	uint64_t at_ns;
	struct node_reading node;
	struct cgroups_reading cgroups;
	struct processes_reading processes;
};

struct resources {
	struct probe probe;
	struct cgroup_files files;
	char *cgroup; /* owned; NULL: not asked for */
	bool node, processes;
	struct reading before;
};

static const struct hook hooks[] = {
	{"/proc", "files", "everything"},
	{"/sys/fs/cgroup", "version 2, version 1", "cgroups"},
	{"/proc/pressure", "files", "pressure (CONFIG_PSI)"},
	{NULL},
};

/* --- for all parts */

int resources__read(struct buf *b, const char *path)
{
	buf__clear(b);
	return buf__read_file(b, path, FILE_LIMIT);
}

uint64_t resources__ticks_to_ns(uint64_t ticks)
{
	uint64_t ns;

	return __builtin_mul_overflow(ticks, 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK), &ns) ? UINT64_MAX
												  : ns;
}

static void emit(struct emitter *e, struct point *p, const char *const labels[4])
{
	p->who = e->who;
	for (int i = 0; labels && i < 4; i++)
		p->label[i] = labels[i];
	if (!e->err)
		e->err = e->out->emit(e->out, p);
}

void emit__counter(struct emitter *e, const struct metric *m, const char *const labels[4], uint64_t value)
{
	struct point p = {.metric = m, .counter = value};

	emit(e, &p, labels);
}

void emit__gauge(struct emitter *e, const struct metric *m, const char *const labels[4], double value)
{
	struct point p = {.metric = m, .gauge = value};

	emit(e, &p, labels);
}

/* --- readings */

static void reading__free(struct reading *r)
{
	node__free(&r->node);
	cgroups__free(&r->cgroups);
	processes__free(&r->processes);
}

static int reading__take(const struct resources *r, struct reading *now)
{
	int err = 0;

	memset(now, 0, sizeof(*now));
	now->at_ns = units__now_ns();
	if (r->node)
		err = node__read(&now->node);
	if (!err && r->cgroup)
		err = cgroups__read(&now->cgroups, &r->files, r->cgroup);
	if (!err && r->processes)
		err = processes__read(&now->processes, r->probe.context->loader->target);
	if (err)
		reading__free(now);
	return err;
}

static void put_headline(const struct resources *r, const struct reading *now, struct drain *d)
{
	if (d->headline.len)
		return;
	if (r->node) {
		node__headline(&d->headline, &r->before.node, &now->node);
	} else if (r->processes) {
		units__count(&d->headline, now->processes.count);
		buf__puts(&d->headline, now->processes.count == 1 ? " process" : " processes");
	} else {
		units__count(&d->headline, now->cgroups.count);
		buf__puts(&d->headline, now->cgroups.count == 1 ? " cgroup" : " cgroups");
	}
}

static int resources__drain(struct probe *probe, struct point_stream *out, struct drain *d)
{
	struct resources *r = (struct resources *)probe;
	struct emitter e = {.out = out};
	struct reading now;
	int err = reading__take(r, &now);

	if (err)
		return err;
	e.seconds = (double)(now.at_ns - r->before.at_ns) / 1e9;
	if (r->node) {
		node__emit(&e, &r->before.node, &now.node);
		mounts__emit(&e);
	}
	if (r->cgroup)
		cgroups__emit(&e, &r->before.cgroups, &now.cgroups);
	if (r->processes)
		processes__emit(&e, &r->before.processes, &now.processes);
	if (now.cgroups.truncated)
		buf__printf(&d->note, "only the first %zu cgroups were read\n", now.cgroups.count);
	put_headline(r, &now, d);
	reading__free(&r->before);
	r->before = now;
	return e.err;
}

/* --- life */

static void resources__close(struct probe *probe)
{
	struct resources *r = (struct resources *)probe;

	if (!r)
		return;
	reading__free(&r->before);
	cgroup_files__close(&r->files);
	free(r->cgroup);
	free(r);
}

/* The machine and its cgroups; or the cgroups that were named; or the processes. */
static int choose(struct resources *r, const struct target_filter *filter)
{
	uint32_t about_processes = TARGET_MARKED | TARGET_COMM | TARGET_UID;

	r->processes = filter->conditions & about_processes;
	r->node = !filter->conditions;
	if (filter->conditions & TARGET_THREADS) {
		msg__error("-t: resources are those of whole processes: -p");
		return -EBADRQC;
	}
	if (r->processes && filter->conditions & TARGET_CGROUP) {
		msg__error("resources are those of processes or those of a cgroup: name one of the two");
		return -EBADRQC;
	}
	if (r->processes)
		return 0;
	r->cgroup = r->node ? strdup("/") : cgroup__path(filter->cgroup);
	if (!r->cgroup) {
		msg__error("cannot find the cgroup's directory: %s", strerror(errno));
		return -errno;
	}
	return cgroup_files__open(&r->files);
}

static struct probe *resources__open(struct probe_context *context, const void *options)
{
	struct resources *r = calloc(1, sizeof(*r));
	int err;

	(void)options;
	if (!r)
		return NULL;
	r->probe.type = &probe_resources;
	r->probe.context = context;
	err = choose(r, &context->loader->target->filter);
	if (!err)
		return &r->probe;
	resources__close(&r->probe);
	errno = -err;
	return NULL;
}

static int resources__attach(struct probe *probe)
{
	(void)probe;
	return 0;
}

static void resources__detach(struct probe *probe)
{
	(void)probe;
}

static int resources__begin(struct probe *probe, uint64_t start_ns)
{
	struct resources *r = (struct resources *)probe;

	(void)start_ns;
	return reading__take(r, &r->before);
}

static const struct unit *resources__unit(const struct probe *probe)
{
	(void)probe;
	return NULL;
}

const struct probe_type probe_resources = {
	.name = "resources",
	.summary = "CPU, memory, disks, network, file systems, pressure: as the kernel counts them",
	.metrics = resources__metrics,
	.hooks = hooks,
	.open = resources__open,
	.attach = resources__attach,
	.begin = resources__begin,
	.detach = resources__detach,
	.drain = resources__drain,
	.unit = resources__unit,
	.close = resources__close,
};
