// SPDX-License-Identifier: Apache-2.0
/* What cgroups have of memory and how much they wait for it, from the kernel's own files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "probe/cgroup.h"
#include "probe/memory.h"

#define CGROUPS_MAX 4096
#define PROC_LIMIT  65536

/* --- metrics */

#define CGROUP_ROWS .shape = SHAPE_ROWS, .table = "cgroups", .labels = {"cgroup_path"}
#define GAUGE_BYTES .unit = "By", .kind = POINT_GAUGE

const struct metric metric_cgroup_used = {
	.name = "container.memory.usage",
	.help = "Memory that is charged to a cgroup and those below it, page cache included",
	.title = "memory of cgroups",
	.columns = "*value:used",
	GAUGE_BYTES,
	CGROUP_ROWS,
};

const struct metric metric_cgroup_working_set = {
	.name = "container.memory.working_set",
	.help = "Used memory without file pages that were not used lately",
	.columns = "value:working_set",
	GAUGE_BYTES,
	CGROUP_ROWS,
};

const struct metric metric_cgroup_anon = {
	.name = "container.memory.rss",
	.help = "Anonymous memory of a cgroup",
	.columns = "value:anon",
	GAUGE_BYTES,
	CGROUP_ROWS,
};

const struct metric metric_cgroup_file = {
	.name = "sonde_cgroup_memory_file",
	.help = "Page cache of a cgroup, shared memory included",
	.columns = "value:file",
	GAUGE_BYTES,
	CGROUP_ROWS,
};

const struct metric metric_cgroup_limit = {
	.name = "sonde_cgroup_memory_limit",
	.help = "Smallest limit of a cgroup and its ancestors, if there is one",
	.columns = "value:limit",
	GAUGE_BYTES,
	CGROUP_ROWS,
};

const struct metric metric_cgroup_refaults = {
	.name = "sonde_cgroup_memory_refaults",
	.unit = "{page}",
	.help = "Pages that were fetched again soon after they had to go: more than 0 means too little "
		"memory",
	.kind = POINT_COUNTER,
	.columns = "value:refaults",
	CGROUP_ROWS,
};

const struct metric metric_cgroup_kills = {
	.name = "sonde_cgroup_memory_kills",
	.unit = "{process}",
	.help = "Processes of a cgroup that were killed because memory had run out",
	.kind = POINT_COUNTER,
	.columns = "value:kills",
	CGROUP_ROWS,
};

#define PRESSURE_ROWS .shape = SHAPE_ROWS, .table = "pressure", .labels = {"cgroup_path", "resource"}

const struct metric metric_pressure_some = {
	.name = "sonde_pressure_some",
	.unit = "ns",
	.help = "Time in which at least one task waited for the resource (PSI); no cgroup: the machine",
	.title = "pressure",
	.kind = POINT_COUNTER,
	.columns = "*value:some_waited",
	PRESSURE_ROWS,
};

const struct metric metric_pressure_some_avg = {
	.name = "sonde_pressure_some_avg10",
	.unit = "%",
	.help = "The same as a share of the last ten seconds, as the kernel averages it",
	.kind = POINT_GAUGE,
	.columns = "value:avg10",
	PRESSURE_ROWS,
};

const struct metric metric_pressure_full = {
	.name = "sonde_pressure_full",
	.unit = "ns",
	.help = "Time in which all tasks that could have worked waited for the resource",
	.kind = POINT_COUNTER,
	.columns = "value:all_waited",
	PRESSURE_ROWS,
};

const struct metric metric_pressure_full_avg = {
	.name = "sonde_pressure_full_avg10",
	.unit = "%",
	.help = "The same as a share of the last ten seconds",
	.kind = POINT_GAUGE,
	.columns = "value:avg10",
	PRESSURE_ROWS,
};

/* --- differences */

enum count_of {
	COUNT_REFAULTS,
	COUNT_KILLS,
	COUNT_SOME,				  /* + enum pressure_of */
	COUNT_FULL = COUNT_SOME + PRESSURE_COUNT, /* likewise */
};

/* What the counter of a cgroup has gained since it was last asked about. What was not there then is new, and
 * so is all that it has. */
static uint64_t gain(struct memory *m, const char *path, int which, uint64_t now)
{
	uint64_t key = hash__bytes(path, strlen(path), (uint64_t)which), before;
	uint64_t *counted = table__add(&m->before, &key, NULL);

	if (!counted || now == CGROUP_UNKNOWN)
		return 0;
	before = *counted;
	*counted = now;
	return now >= before ? now - before : now;
}

/* --- which cgroups */

static const struct target *target_of(const struct memory *m)
{
	return m->tracer.probe.context->loader->target;
}

static void add_one(struct cgroup_list *list, char *path, uint64_t id)
{
	struct cgroup_entry *more;

	for (size_t i = 0; path && i < list->count; i++)
		if (!strcmp(list->at[i].path, path)) {
			free(path);
			return;
		}
	more = path ? reallocarray(list->at, list->count + 1, sizeof(*more)) : NULL;
	if (!more) {
		free(path);
		return;
	}
	list->at = more;
	list->at[list->count++] = (struct cgroup_entry){path, id};
}

/* Those of processes that were named, as they are at the beginning: at the end they may be gone. */
static void find_cgroups(struct memory *m)
{
	const struct target *t = target_of(m);
	enum cgroup_hierarchy of_memory = m->files.root[CGROUP_V1_MEMORY] ? CGROUP_V1_MEMORY : CGROUP_V2;

	for (size_t i = 0; i < t->count; i++) {
		add_one(&m->memory_of, cgroup__of_process(of_memory, (uint32_t)t->pids[i]), 0);
		add_one(&m->pressure_of, cgroup__of_process(CGROUP_V2, (uint32_t)t->pids[i]), 0);
	}
}

/* All of the machine, or those of the cgroup that is the target: 1; no such list: 0; or -errno. */
static int list_cgroups(const struct memory *m, struct cgroup_list *list)
{
	const struct target_filter *filter = &target_of(m)->filter;
	char *below = NULL;
	int err;

	*list = (struct cgroup_list){0};
	if (filter->conditions & ~TARGET_CGROUP)
		return 0;
	below = filter->conditions ? cgroup__path(filter->cgroup) : strdup("/");
	if (!below)
		return 0; /* it has gone */
	err = cgroup_files__list(&m->files, below, CGROUPS_MAX, list);
	free(below);
	return err ? err : 1;
}

/* --- points */

static int emit_bytes(struct point *p, const struct metric *metric, uint64_t bytes, struct point_stream *out)
{
	if (bytes >= CGROUP_NO_LIMIT)
		return 0;
	p->metric = metric;
	p->gauge = (double)bytes;
	return out->emit(out, p);
}

static int emit_count(struct point *p, const struct metric *metric, uint64_t count, struct point_stream *out)
{
	p->metric = metric;
	p->counter = count;
	return out->emit(out, p);
}

static uint64_t known(uint64_t n)
{
	return n == CGROUP_UNKNOWN ? 0 : n;
}

static int emit_memory(struct memory *m, const struct cgroup_entry *c, struct point_stream *out)
{
	struct point p = {.who.cgroup = c->id, .label = {c->path}};
	uint64_t refaults, kills, working_set;
	struct cgroup_memory now;
	char *whose;
	int err;

	if (cgroup_files__memory(&m->files, c->path, &now))
		return 0;
	refaults = gain(m, c->path, COUNT_REFAULTS, known(now.refault_anon) + known(now.refault_file));
	kills = gain(m, c->path, COUNT_KILLS, now.oom_kills);
	if (!out)
		return 0;
	working_set = now.current;
	if (now.current != CGROUP_UNKNOWN)
		working_set -=
			known(now.inactive_file) < now.current ? known(now.inactive_file) : now.current;
	err = emit_bytes(&p, &metric_cgroup_used, now.current, out);
	if (!err)
		err = emit_bytes(&p, &metric_cgroup_working_set, working_set, out);
	if (!err)
		err = emit_bytes(&p, &metric_cgroup_anon, now.anon, out);
	if (!err)
		err = emit_bytes(&p, &metric_cgroup_file, now.file, out);
	if (!err)
		err = emit_bytes(&p, &metric_cgroup_limit,
				 cgroup_files__memory_limit(&m->files, c->path, &whose), out);
	free(whose);
	if (!err)
		err = emit_count(&p, &metric_cgroup_refaults, refaults, out);
	return err || now.oom_kills == CGROUP_UNKNOWN ? err
						      : emit_count(&p, &metric_cgroup_kills, kills, out);
}

static int emit_share(struct point *p, const struct metric *metric, double percent, struct point_stream *out)
{
	p->metric = metric;
	p->gauge = percent;
	return out->emit(out, p);
}

/* `path` "": the machine. Who has not waited is left out if `quiet` may be. */
static int emit_pressure(struct memory *m, const char *path, uint64_t id, enum pressure_of of, bool quiet,
			 struct point_stream *out)
{
	struct point p = {.who.cgroup = id, .label = {path, pressure__words[of]}};
	struct pressure now;
	uint64_t some, full;
	int err = *path ? cgroup_files__pressure(&m->files, path, of, &now) : pressure__of_node(of, &now);

	if (err)
		return 0; /* PSI is off, or the cgroup has gone */
	some = gain(m, path, COUNT_SOME + (int)of, now.some.total);
	full = gain(m, path, COUNT_FULL + (int)of, now.full.total);
	if (!out || (quiet && !some && now.some.avg10 == 0))
		return 0;
	err = emit_count(&p, &metric_pressure_some, some, out);
	if (!err)
		err = emit_share(&p, &metric_pressure_some_avg, now.some.avg10, out);
	if (!err && now.has_full)
		err = emit_count(&p, &metric_pressure_full, full, out);
	if (!err && now.has_full)
		err = emit_share(&p, &metric_pressure_full_avg, now.full.avg10, out);
	return err;
}

static int emit_pressures(struct memory *m, const char *path, uint64_t id, bool quiet,
			  struct point_stream *out)
{
	int err = 0;

	for (int of = 0; of < PRESSURE_COUNT && !err; of++)
		err = emit_pressure(m, path, id, (enum pressure_of)of, quiet, out);
	return err;
}

/* `out` NULL: only what differences begin with is read. */
static int read_all(struct memory *m, struct point_stream *out)
{
	struct cgroup_list all;
	int listed = list_cgroups(m, &all), err = listed < 0 ? listed : emit_pressures(m, "", 0, false, out);

	for (size_t i = 0; i < all.count && !err; i++)
		err = emit_memory(m, &all.at[i], out);
	for (size_t i = 0; i < all.count && !err; i++) /* the root's is the machine's */
		if (all.at[i].id && strcmp(all.at[i].path, "/"))
			err = emit_pressures(m, all.at[i].path, all.at[i].id, i > 0, out);
	for (size_t i = 0; i < m->memory_of.count && !err; i++)
		err = emit_memory(m, &m->memory_of.at[i], out);
	for (size_t i = 0; i < m->pressure_of.count && !err; i++)
		if (strcmp(m->pressure_of.at[i].path, "/"))
			err = emit_pressures(m, m->pressure_of.at[i].path, 0, false, out);
	cgroup_list__free(&all);
	return err;
}

int memory__begin_files(struct memory *m)
{
	table__init(&m->before, sizeof(uint64_t), sizeof(uint64_t));
	if (cgroup_files__open(&m->files)) /* then no cgroups are told */
		return 0;
	find_cgroups(m);
	return read_all(m, NULL);
}

int memory__emit_files(struct memory *m, struct point_stream *out)
{
	return read_all(m, out);
}

void memory__close_files(struct memory *m)
{
	cgroup_list__free(&m->memory_of);
	cgroup_list__free(&m->pressure_of);
	cgroup_files__close(&m->files);
	table__free(&m->before);
}

/* --- processes */

/* The 22nd field, in clock ticks; the name before it may hold anything. */
static uint64_t start_of(const char *stat)
{
	const char *at = strrchr(stat, ')');

	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

bool memory__resident(const struct who *who, uint64_t *bytes)
{
	const uint64_t tick_ns = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
	struct buf b = {0};
	char path[32];
	const char *at = NULL;

	snprintf(path, sizeof(path), "/proc/%u/stat", who->tgid);
	if (!buf__read_file(&b, path, PROC_LIMIT) && start_of(buf__text(&b)) == who->start_ns / tick_ns) {
		buf__clear(&b);
		snprintf(path, sizeof(path), "/proc/%u/status", who->tgid);
		if (!buf__read_file(&b, path, PROC_LIMIT))
			at = strstr(buf__text(&b), "\nVmRSS:");
		if (at)
			*bytes = strtoull(at + 7, NULL, 10) * 1024;
	}
	buf__free(&b);
	return at;
}
