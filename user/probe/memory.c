// SPDX-License-Identifier: Apache-2.0
/* The memory probe: faults, stalls, growth and what the page cache had, from its object. */
#include "probe/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/msg.h"
#include "base/units.h"
#include "probe/features.h"
#include "probe/iterator.h"

#define CELLS_MAX 32768 /* two or three kinds a process, and the buckets of its stalls */

#define ROWS .shape = SHAPE_ROWS, .table = "memory", .labels = {"cgroup_path"}

static const struct metric metric_minor = {
	.name = "sonde_memory_minor_faults",
	.unit = "{fault}",
	.help = "Page faults that needed no I/O",
	.kind = POINT_COUNTER,
	.columns = "*value:minor",
	ROWS,
};

static const struct metric metric_major = {
	.name = "sonde_memory_major_faults",
	.unit = "{fault}",
	.help = "Page faults that needed I/O",
	.kind = POINT_COUNTER,
	.columns = "value:major",
	ROWS,
};

static const struct metric metric_blocked = {
	.name = "sonde_memory_fault_blocked",
	.unit = "ns",
	.help = "Time that threads were blocked in page faults, each time from the switch away from the CPU "
		"to "
		"the switch back",
	.kind = POINT_HIST,
	.columns = "total:in_faults p99 max",
	ROWS,
};

static const struct metric metric_reclaim = {
	.name = "sonde_memory_reclaim",
	.unit = "ns",
	.help = "Time that threads spent making room for what they asked for: direct reclaim",
	.kind = POINT_HIST,
	.columns = "count:reclaims total:in_them",
	ROWS,
};

static const struct metric metric_compaction = {
	.name = "sonde_memory_compaction",
	.unit = "ns",
	.help = "Time that threads spent moving pages for room in one piece: direct compaction",
	.kind = POINT_HIST,
	.columns = "total:compaction",
	ROWS,
};

static const struct metric metric_cache = {
	.name = "sonde_memory_cache_hit_ratio",
	.unit = "%",
	.help = "Share of what was read from files that the page cache had",
	.kind = POINT_GAUGE,
	.columns = "value:cache_hits",
	ROWS,
};

static const struct metric metric_cache_read = {
	.name = "sonde_memory_cache_read",
	.unit = "By",
	.help = "Bytes that reads of files asked for (whole pages), or where the kernel does not tell, that "
		"all "
		"read calls returned",
	.kind = POINT_COUNTER,
	.columns = "value:read",
	ROWS,
};

static const struct metric metric_cache_fetched = {
	.name = "sonde_memory_cache_fetched",
	.unit = "By",
	.help = "Bytes that were brought into the page cache for reads",
	.kind = POINT_COUNTER,
	.columns = "value:fetched",
	ROWS,
};

static const struct metric metric_resident = {
	.name = "process.memory.usage",
	.unit = "By",
	.help = "Resident memory at the end of the interval (--by pid)",
	.kind = POINT_GAUGE,
	.columns = "value:resident",
	ROWS,
};

static const struct metric metric_growth = {
	.name = "sonde_memory_growth",
	.unit = "By",
	.help = "Memory that was allocated in page faults, and for user space in system calls, by stack "
		"(--stacks)",
	.kind = POINT_STACK,
	.shape = SHAPE_STACKS,
	.columns = "times",
};

static const struct metric *const own_metrics[] = {
	&metric_minor,
	&metric_major,
	&metric_blocked,
	&metric_resident,
	&metric_reclaim,
	&metric_cache,
	&metric_compaction,
	&metric_cache_read,
	&metric_cache_fetched,
	&metric_growth,
	&metric_memory_event,
	&metric_cgroup_used,
	&metric_cgroup_working_set,
	&metric_cgroup_anon,
	&metric_cgroup_file,
	&metric_cgroup_limit,
	&metric_cgroup_refaults,
	&metric_cgroup_kills,
	&metric_pressure_some,
	&metric_pressure_full,
	&metric_pressure_some_avg,
	&metric_pressure_full_avg,
	NULL,
};

static const struct hook hooks[] = {
	{"iter/task", "tp_btf, raw_tp", "everything"},
	{"sched_process_exit, sched_switch", "tp_btf, raw_tp",
	 "faults of threads that ended, time in faults"},
	{"/proc/kallsyms", "addresses", "time in faults inside system calls"},
	{"mm_vmscan_direct_reclaim, mm_vmscan_memcg_reclaim", "tp_btf, raw_tp", "reclaim"},
	{"mm_compaction", "tp_btf, raw_tp", "compaction"},
	{"signal_generate, mark_victim", "tp_btf, raw_tp", "kills when memory has run out"},
	{"mm_filemap_get_pages, mm_filemap_add_to_page_cache",
	 "tp_btf, raw_tp (6.10), the thread's account of reads",
	 "cache hits by pages: the account knows pipes and sockets, too"},
	{"mm_page_alloc", "tp_btf, raw_tp", "growth by stack (--stacks)"},
	{"cgroup files, /proc/pressure", "v2, v1", "memory and pressure of cgroups"},
	{NULL},
};

/* --- load */

/* Best first: bpf_rdonly_cast() is there (6.2); memory may be copied (not under lockdown=confidentiality). */
static const struct attempt {
	bool casts, reads;
} attempts[] = {{true, true}, {true, false}, {false, true}, {false, false}};
#define ATTEMPTS (int)(sizeof(attempts) / sizeof(attempts[0]))

static bool wants_compaction(const struct tracer *t, int attempt)
{
	(void)attempt;
	return ((const struct memory *)t)->has_compaction;
}

static bool wants_pages(const struct tracer *t, int attempt)
{
	(void)attempt;
	return ((const struct memory *)t)->cache_by == CACHE_BY_PAGES;
}

static bool wants_growth(const struct tracer *t, int attempt)
{
	(void)attempt;
	return ((const struct memory *)t)->options.stacks;
}

static const struct tracer_program programs[] = {
	{"sweep", tracer__always},
	{"on_switch", tracer__always},
	{"on_exit", tracer__always},
	{"on_direct_reclaim", tracer__always},
	{"on_direct_reclaim_end", tracer__always},
	{"on_cgroup_reclaim", tracer__always},
	{"on_cgroup_reclaim_end", tracer__always},
	{"on_compaction", wants_compaction},
	{"on_compaction_end", wants_compaction},
	{"on_signal", tracer__always},
	{"on_victim", tracer__always},
	{"on_page_added", wants_pages},
	{"on_get_pages", wants_pages},
	{"on_page_alloc", wants_growth},
	{NULL},
};

static int memory__prepare(struct tracer *t, struct unit *u, int attempt)
{
	const struct memory *m = (const struct memory *)t;
	const struct attempt raw = {.reads = true}, *with = u->image->raw ? &raw : &attempts[attempt];
	const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	const uint32_t cache_by = m->cache_by;
	int err = 0;

	if (u->image->raw && attempt + 1 < ATTEMPTS) /* it has one way only */
		return -EOPNOTSUPP;
	if (!with->reads)
		unit__without_tables(u);
	if (!u->image->raw)
		err = unit__set(u, "casts", &with->casts, sizeof(with->casts));
	if (!err)
		err = unit__set(u, "kernel_reads", &with->reads, sizeof(with->reads));
	if (!err)
		err = unit__set(u, "cache_by", &cache_by, sizeof(cache_by));
	if (!err)
		err = unit__set(u, "slow_ns", &m->options.slow_ns, sizeof(m->options.slow_ns));
	if (!err)
		err = unit__set(u, "page_bytes", &page_bytes, sizeof(page_bytes));
	if (!err)
		err = unit__set(u, "fault_text", m->fault_text, sizeof(m->fault_text));
	if (!err)
		err = unit__resize(u, "cells_a", CELLS_MAX);
	return err ? err : unit__resize(u, "cells_b", CELLS_MAX);
}

static void memory__free(struct tracer *t)
{
	memory__close_files((struct memory *)t);
}

static const struct tracer_type type = {
	.image = "memory",
	.what = "the programs on memory",
	.part = PART_MEMORY,
	.attempts = ATTEMPTS,
	.programs = programs,
	.prepare = memory__prepare,
	.event = memory__event,
	.free = memory__free,
};

static void memory__set(struct tracer *t, const void *options)
{
	static const char *const points[] = {"mm_filemap_get_pages", "mm_compaction_begin"};
	struct memory *m = (struct memory *)t;
	int arguments[2] = {-1, -1};

	m->options = *(const struct memory_options *)options;
	features__tracepoints(points, arguments, 2);
	m->cache_by = arguments[0] == 3 ? CACHE_BY_PAGES : CACHE_BY_BYTES;
	m->has_compaction = arguments[1] >= 0;
	features__function_text("handle_mm_fault", m->fault_text);
}

static struct probe *memory__open(struct probe_context *context, const void *options)
{
	const struct memory_options *o = options;
	struct tracer *t = tracer__open(sizeof(struct memory), &type, &probe_memory, context, o->by,
					memory__set, options);

	if (!t)
		return NULL;
	return &t->probe;
}

/* --- counts */

/* One pass over all threads; what it counts comes with the next cells. */
static int sweep(struct memory *m)
{
	struct bpf_program *p = bpf_object__find_program_by_name(m->tracer.unit.object, "sweep");
	struct bpf_link *link = bpf_program__attach_iter(p, NULL);
	int err = link ? iterator__run(link, 0, NULL, NULL) : -errno;

	bpf_link__destroy(link);
	return err;
}

static int memory__begin(struct probe *probe, uint64_t start_ns)
{
	struct memory *m = (struct memory *)probe;
	int err = tracer__begin(probe, start_ns);

	if (!err)
		err = sweep(m);
	return err ? err : memory__begin_files(m);
}

/* Whoever ends from here on is not seen any more: all are counted first. */
static void memory__detach(struct probe *probe)
{
	sweep((struct memory *)probe);
	tracer__detach(probe);
}

/* Of one key, over all kinds: */
struct totals {
	uint64_t minor, major, in_faults, reclaims;
};

static int emit_counter(struct point *p, const struct metric *metric, uint64_t value,
			struct point_stream *out)
{
	p->metric = metric;
	p->counter = value;
	return out->emit(out, p);
}

static int emit_gauge(struct point *p, const struct metric *metric, double value, struct point_stream *out)
{
	p->metric = metric;
	p->gauge = value;
	return out->emit(out, p);
}

static int emit_faults(struct point *p, const struct cell_row *row, struct totals *sum,
		       struct point_stream *out)
{
	int err = emit_counter(p, &metric_minor, row->count, out);

	sum->minor += row->count;
	sum->major += row->ns;
	return err ? err : emit_counter(p, &metric_major, row->ns, out);
}

static int emit_cache(struct point *p, const struct cell_row *row, struct point_stream *out)
{
	uint64_t unit = row->key.kind == MEMORY_CACHE_PAGES ? (uint64_t)sysconf(_SC_PAGESIZE) : 1;
	uint64_t missed = row->ns < row->count ? row->ns : row->count;
	int err = emit_counter(p, &metric_cache_read, row->count * unit, out);

	if (!err)
		err = emit_counter(p, &metric_cache_fetched, row->ns * unit, out);
	if (err || !row->count)
		return err;
	return emit_gauge(p, &metric_cache, 100.0 * (double)(row->count - missed) / (double)row->count, out);
}

static const struct metric *count_times(uint32_t kind, const struct hist *h, struct totals *sum)
{
	if (kind == MEMORY_BLOCKED) {
		sum->in_faults += h->sum;
		return &metric_blocked;
	}
	if (kind == MEMORY_COMPACTION)
		return &metric_compaction;
	sum->reclaims += h->count;
	return &metric_reclaim;
}

/* Rows of one kind and key. */
static int emit_rows(struct memory *m, const struct cell_row *rows, size_t count, struct totals *sum,
		     struct point_stream *out)
{
	struct point p = {0};
	struct hist h;
	char *path;
	int err;

	tracer__who(&m->tracer, rows->key.a, rows->key.b, &p.who, &path);
	p.label[0] = path;
	if (rows->key.kind == MEMORY_FAULTS) {
		err = emit_faults(&p, rows, sum, out);
	} else if (rows->key.kind == MEMORY_CACHE_PAGES || rows->key.kind == MEMORY_CACHE_BYTES) {
		err = emit_cache(&p, rows, out);
	} else {
		cells__hist(rows, count, &h);
		p.metric = count_times(rows->key.kind, &h, sum);
		p.hist = &h;
		err = out->emit(out, &p);
	}
	free(path);
	return err;
}

/* --- growth */

static int by_bytes(const void *a, const void *b)
{
	const struct cell_row *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return x->key.a < y->key.a ? -1 : x->key.a > y->key.a;
}

static int emit_growth(struct memory *m, struct cell_row *rows, size_t count, struct point_stream *out,
		       struct drain *d)
{
	struct stacks *stacks = m->tracer.probe.context->stacks;
	struct point p = {.metric = &metric_growth};
	struct stack_view view;
	int err = count ? stacks__resolve(stacks) : 0;

	count = probe__join_stacks(stacks, rows, count);
	if (count)
		qsort(rows, count, sizeof(*rows), by_bytes);
	for (size_t i = 0; !err && i < count; i++) {
		if (!probe__view(stacks, rows[i].key.a, &view))
			d->lost_stacks += rows[i].count;
		probe__fill_sample(&p.sample, &p.who, &view, d, rows[i].count);
		p.sample.value = rows[i].ns;
		p.sample.occurrences = rows[i].count;
		err = out->emit(out, &p);
	}
	return err;
}

/* --- the interval's end */

static void headline(const struct memory *m, const struct totals *sum, struct drain *d)
{
	if (d->headline.len)
		return;
	units__count(&d->headline, sum->minor);
	buf__puts(&d->headline, " minor faults, ");
	units__count(&d->headline, sum->major);
	buf__puts(&d->headline, " major");
	if (sum->in_faults) {
		buf__puts(&d->headline, ", ");
		units__duration(&d->headline, sum->in_faults);
		buf__puts(&d->headline, " in faults");
	}
	if (sum->reclaims) {
		buf__puts(&d->headline, ", ");
		units__count(&d->headline, sum->reclaims);
		buf__puts(&d->headline, " reclaims");
	}
	if (m->kills)
		buf__printf(&d->headline, ", %llu killed for want of memory", (unsigned long long)m->kills);
}

static int emit_resident(const struct cell_row *row, struct memory *m, struct point_stream *out)
{
	struct point p = {0};
	uint64_t bytes;
	char *path;
	int err = 0;

	tracer__who(&m->tracer, row->key.a, row->key.b, &p.who, &path);
	free(path);
	if (memory__resident(&p.who, &bytes))
		err = emit_gauge(&p, &metric_resident, (double)bytes, out);
	return err;
}

static int memory__drain(struct probe *probe, struct point_stream *out, struct drain *d)
{
	struct memory *m = (struct memory *)probe;
	struct totals sum = {0};
	struct cell_row *rows;
	size_t count, stacks = 0;
	int err = d->last ? 0 : sweep(m), taken;

	taken = tracer__take(&m->tracer, &rows, &count, d);
	err = err ? err : taken;
	while (stacks < count && rows[stacks].key.kind == MEMORY_GROWTH)
		stacks++;
	for (size_t i = stacks, end; !err && i < count; i = end) {
		end = cells__end(rows, count, i);
		err = emit_rows(m, rows + i, end - i, &sum, out);
		if (!err && m->tracer.by == BY_PID && rows[i].key.kind == MEMORY_FAULTS)
			err = emit_resident(&rows[i], m, out);
	}
	headline(m, &sum, d);
	m->kills = 0;
	if (!err)
		err = emit_growth(m, rows, stacks, out, d);
	free(rows);
	return err ? err : memory__emit_files(m, out);
}

const struct probe_type probe_memory = {
	.name = "memory",
	.summary = "page faults, growth, reclaim, kills, page cache, and what cgroups use and wait for",
	.metrics = own_metrics,
	.hooks = hooks,
	.open = memory__open,
	.attach = tracer__attach,
	.begin = memory__begin,
	.cut = tracer__cut,
	.detach = memory__detach,
	.record = tracer__record,
	.drain = memory__drain,
	.unit = tracer__unit,
	.close = tracer__close,
};
