// SPDX-License-Identifier: Apache-2.0
/* Control groups: what each of them, with all below it, has used. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probe/resources.h"

#define CGROUPS_MAX 2000
#define DEVICES_MAX 64

static void read_io(struct cgroup_reading *c, const struct cgroup_files *files)
{
	struct cgroup_io devices[DEVICES_MAX];
	size_t count = 0;

	c->has_io = !cgroup_files__io(files, c->path, devices, DEVICES_MAX, &count);
	for (size_t i = 0; c->has_io && i < count; i++) {
		c->read_bytes += devices[i].read_bytes == CGROUP_UNKNOWN ? 0 : devices[i].read_bytes;
		c->written_bytes += devices[i].written_bytes == CGROUP_UNKNOWN ? 0 : devices[i].written_bytes;
	}
}

static void read_one(struct cgroup_reading *c, const struct cgroup_files *files)
{
	c->has_cpu = !cgroup_files__cpu(files, c->path, &c->cpu);
	c->has_memory = !cgroup_files__memory(files, c->path, &c->memory);
	c->has_pids = !cgroup_files__pids(files, c->path, &c->pids);
	read_io(c, files);
	for (int i = 0; i < PRESSURE_COUNT; i++)
		c->has_pressure[i] = !cgroup_files__pressure(files, c->path, i, &c->pressure[i]);
}

int cgroups__read(struct cgroups_reading *r, const struct cgroup_files *files, const char *below)
{
	struct cgroup_list list = {0};
	int err = cgroup_files__list(files, below, CGROUPS_MAX, &list);

	memset(r, 0, sizeof(*r));
	if (err) /* it is gone, or nothing is mounted: then there are none */
		return err == -ENOMEM ? err : 0;
	r->at = calloc(list.count + 1, sizeof(*r->at));
	r->truncated = list.truncated;
	for (size_t i = 0; r->at && i < list.count; i++) {
		struct cgroup_reading *c = &r->at[r->count++];

		c->path = list.at[i].path;
		c->id = list.at[i].id;
		list.at[i].path = NULL;
		read_one(c, files);
	}
	cgroup_list__free(&list);
	return r->at ? 0 : -ENOMEM;
}

void cgroups__free(struct cgroups_reading *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->at[i].path);
	free(r->at);
	memset(r, 0, sizeof(*r));
}

/* --- points */

/* Many come and go, most stay in their order. */
static const struct cgroup_reading *find_before(const struct cgroups_reading *r, size_t *hint,
						const char *path)
{
	for (size_t i = 0; i < r->count; i++) {
		size_t at = (*hint + i) % r->count;

		if (!strcmp(r->at[at].path, path)) {
			*hint = at + 1;
			return &r->at[at];
		}
	}
	return NULL;
}

static uint64_t delta(uint64_t before, uint64_t now)
{
	return before == CGROUP_UNKNOWN || now == CGROUP_UNKNOWN ? 0 : proc__delta(before, now);
}

static void emit_known(struct emitter *e, const struct metric *m, const char *const labels[4], uint64_t value)
{
	if (value < CGROUP_NO_LIMIT)
		emit__gauge(e, m, labels, (double)value);
}

static void emit_cpu(struct emitter *e, const struct cgroup_reading *b, const struct cgroup_reading *n)
{
	const char *const labels[4] = {n->path};
	uint64_t used = delta(b->cpu.usage, n->cpu.usage);

	emit__gauge(e, &resource_cgroup_cpus, labels, e->seconds > 0 ? (double)used / 1e9 / e->seconds : 0);
	emit__counter(e, &resource_cgroup_cpu_time, LABELS(n->path, "user"), delta(b->cpu.user, n->cpu.user));
	emit__counter(e, &resource_cgroup_cpu_time, LABELS(n->path, "system"),
		      delta(b->cpu.system, n->cpu.system));
	if (n->cpu.throttled != CGROUP_UNKNOWN && n->cpu.periods != CGROUP_UNKNOWN) {
		emit__counter(e, &resource_cgroup_throttled, labels,
			      delta(b->cpu.throttled, n->cpu.throttled));
		emit__counter(e, &resource_cgroup_periods, LABELS(n->path, "all"),
			      delta(b->cpu.periods, n->cpu.periods));
		emit__counter(e, &resource_cgroup_periods, LABELS(n->path, "throttled"),
			      delta(b->cpu.throttled_periods, n->cpu.throttled_periods));
	}
	if (n->cpu.quota < CGROUP_NO_LIMIT && n->cpu.period && n->cpu.period < CGROUP_NO_LIMIT)
		emit__gauge(e, &resource_cgroup_cpu_limit, labels,
			    (double)n->cpu.quota / (double)n->cpu.period);
}

static void emit_memory(struct emitter *e, const struct cgroup_reading *b, const struct cgroup_reading *n)
{
	const struct cgroup_memory *m = &n->memory;
	const char *const labels[4] = {n->path};
	uint64_t major = delta(b->memory.major_faults, m->major_faults);

	emit_known(e, &resource_cgroup_memory, labels, m->current);
	if (m->current != CGROUP_UNKNOWN && m->inactive_file != CGROUP_UNKNOWN)
		emit__gauge(e, &resource_cgroup_working_set, labels,
			    (double)proc__delta(m->inactive_file, m->current));
	emit_known(e, &resource_cgroup_rss, labels, m->anon);
	emit_known(e, &resource_cgroup_memory_limit, labels, m->limit);
	emit_known(e, &resource_cgroup_swap, labels, m->swap);
	if (m->faults != CGROUP_UNKNOWN) {
		emit__counter(e, &resource_cgroup_faults, LABELS(n->path, "major"), major);
		emit__counter(e, &resource_cgroup_faults, LABELS(n->path, "minor"),
			      proc__delta(major, delta(b->memory.faults, m->faults)));
	}
	if (m->oom_kills != CGROUP_UNKNOWN)
		emit__counter(e, &resource_cgroup_oom_kills, labels,
			      delta(b->memory.oom_kills, m->oom_kills));
}

static void emit_one(struct emitter *e, const struct cgroup_reading *b, const struct cgroup_reading *n)
{
	e->who = (struct who){.cgroup = n->id};
	if (b->has_cpu && n->has_cpu)
		emit_cpu(e, b, n);
	if (b->has_memory && n->has_memory)
		emit_memory(e, b, n);
	if (b->has_io && n->has_io) {
		emit__counter(e, &resource_cgroup_io, LABELS(n->path, "read"),
			      proc__delta(b->read_bytes, n->read_bytes));
		emit__counter(e, &resource_cgroup_io, LABELS(n->path, "write"),
			      proc__delta(b->written_bytes, n->written_bytes));
	}
	if (n->has_pids)
		emit_known(e, &resource_cgroup_threads, LABELS(n->path), n->pids.current);
	for (int i = 0; i < PRESSURE_COUNT; i++)
		if (b->has_pressure[i] && n->has_pressure[i] && strcmp(n->path, "/")) /* the node's own */
			pressure__emit(e, n->path, i, &b->pressure[i], &n->pressure[i]);
	e->who = (struct who){0};
}

/* One that was made meanwhile began with nothing. */
void cgroups__emit(struct emitter *e, const struct cgroups_reading *before, const struct cgroups_reading *now)
{
	struct cgroup_reading nothing;
	size_t hint = 0;

	for (size_t i = 0; i < now->count; i++) {
		const struct cgroup_reading *n = &now->at[i], *b = find_before(before, &hint, n->path);

		if (!b || b->id != n->id) {
			nothing = *n;
			memset(&nothing.cpu, 0, sizeof(nothing.cpu));
			memset(&nothing.memory, 0, sizeof(nothing.memory));
			memset(nothing.pressure, 0, sizeof(nothing.pressure));
			for (int of = 0; of < PRESSURE_COUNT; of++)
				nothing.pressure[of].has_full = n->pressure[of].has_full;
			nothing.read_bytes = nothing.written_bytes = 0;
			b = &nothing;
		}
		emit_one(e, b, n);
	}
}
