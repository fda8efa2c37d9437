// SPDX-License-Identifier: Apache-2.0
/* The block probe: requests to block devices, with their time in the queue and in the device. */
#include "sonde/block.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "probe/block_device.h"
#include "probe/features.h"
#include "probe/tracer.h"

#define TABLE "requests"
#define LABELS                                       \
	{                                            \
		"device", "operation", "cgroup_path" \
	}

static const struct metric metric_size = {
	.name = "sonde_block_size",
	.unit = "By",
	.help = "Size of requests to block devices that ended, by device and operation",
	.kind = POINT_HIST,
	.shape = SHAPE_ROWS,
	.labels = LABELS,
	.table = TABLE,
	.columns = "count:requests total:bytes",
};

static const struct metric metric_device_time = {
	.name = "sonde_block_device_time",
	.unit = "ns",
	.help = "From the issue of a request to its completion: the device's own time",
	.kind = POINT_HIST,
	.shape = SHAPE_ROWS,
	.labels = LABELS,
	.table = TABLE,
	.columns = "p50:device_p50 p99 max",
};

static const struct metric metric_queue_time = {
	.name = "sonde_block_queue_time",
	.unit = "ns",
	.help = "From the submission of a request to its issue, the wait for a free one included",
	.kind = POINT_HIST,
	.shape = SHAPE_ROWS,
	.labels = LABELS,
	.table = TABLE,
	.columns = "p99:queue_p99",
};

static const struct metric metric_sequential = {
	.name = "sonde_block_sequential",
	.unit = "%",
	.help = "Share of requests that begin where the last one of the same process on this device ended",
	.kind = POINT_GAUGE,
	.shape = SHAPE_ROWS,
	.labels = LABELS,
	.table = TABLE,
	.columns = "value:seq",
};

static const struct metric metric_in_flight = {
	.name = "sonde_block_in_flight",
	.unit = "1",
	.help = "Requests on their way at once, on average: the time of those that ended by the interval",
	.kind = POINT_GAUGE,
	.shape = SHAPE_ROWS,
	.labels = LABELS,
	.table = TABLE,
	.columns = "*value:in_flight",
};

static const struct metric metric_errors = {
	.name = "sonde_block_errors",
	.unit = "{request}",
	.help = "Requests that failed, by error",
	.kind = POINT_COUNTER,
	.shape = SHAPE_ROWS,
	.labels = {"device", "operation", "cgroup_path", "error"},
	.table = TABLE,
	.columns = "value:errors",
	.spread = true,
};

static const struct metric metric_slow = {
	.name = "sonde_block_slow",
	.unit = "ns",
	.help = "A request that took long, with its queue and device time",
	.kind = POINT_EVENT,
};

static const struct metric *const metrics[] = {
	&metric_size,	   &metric_device_time, &metric_queue_time, &metric_sequential,
	&metric_in_flight, &metric_errors,	&metric_slow,	    NULL};

static const struct hook hooks[] = {
	{"block_bio_queue", "tp_btf, raw_tp", "everything"},
	{"block_bio_complete", "tp_btf, raw_tp", "everything"},
	{"block_rq_issue", "tp_btf, raw_tp", "device times"},
	{"block_rq_complete", "tp_btf, raw_tp", "everything but devices without requests"},
	{"block_split", "tp_btf, raw_tp", "requests that are larger than the device takes"},
	{"sched_process_exec, task_rename, task_newtask, cgroup_attach_task", "tp_btf, raw_tp",
	 "targets and names that change"},
	{NULL},
};

struct block {
	struct tracer tracer;
	uint64_t slow_ns;
	bool queue_first, split_queue_first, issue_queue_first; /* arguments of the tracepoints */
	struct block_devices devices;
};

/* --- what is done, in words */

struct words {
	char text[40];
};

static struct words operation(unsigned what)
{
	static const char *const names[BLOCK_OPS] = {
		[BLOCK_READ] = "read",	     [BLOCK_WRITE] = "write", [BLOCK_FLUSH] = "flush",
		[BLOCK_DISCARD] = "discard", [BLOCK_ERASE] = "erase", [BLOCK_ZEROES] = "zeroes",
		[BLOCK_ZONE] = "zone"};
	unsigned op = what & BLOCK_OP_MASK;
	const char *name = op < BLOCK_OPS ? names[op] : "other", *nature = "";
	struct words w;

	if (what & BLOCK_AHEAD)
		nature = " ahead";
	else if (op == BLOCK_WRITE)
		nature = what & BLOCK_SYNC ? " sync" : " async";
	snprintf(w.text, sizeof(w.text), "%s%s%s", name, nature, what & BLOCK_META ? " meta" : "");
	return w;
}

/* A blk_status_t has an error number, which is what processes get. Higher ones were numbered anew now and
 * then. */
static struct words error_name(unsigned error)
{
	static const unsigned char numbers[] = {0,	   EOPNOTSUPP, ETIMEDOUT, ENOSPC, ENOLINK,
						EREMOTEIO, EBADE,      ENODATA,	  EILSEQ, ENOMEM,
						EIO,	   EREMCHG,    EAGAIN,	  EBUSY};
	int number = 0;
	struct words w;
	const char *name;

	if (error >= BLOCK_ERRNO)
		number = (int)(error - BLOCK_ERRNO);
	else if (error < sizeof(numbers))
		number = numbers[error];
	name = number ? strerrorname_np(number) : NULL;
	if (name)
		snprintf(w.text, sizeof(w.text), "%s", name);
	else
		snprintf(w.text, sizeof(w.text), "status %u", error);
	return w;
}

/* --- events */

static int block__event(struct tracer *t, const struct event_record *e)
{
	struct block *b = (struct block *)t;
	struct words what = operation((unsigned)e->value[BLOCK_VALUE_WHAT]);
	struct words error = error_name((unsigned)e->value[BLOCK_VALUE_ERROR]);
	const struct event_field fields[] = {
		{.name = "device",
		 .text = block_devices__get(&b->devices, (uint32_t)e->value[BLOCK_VALUE_DEVICE])->name},
		{.name = "operation", .text = what.text},
		{.name = "sector", .number = e->value[BLOCK_VALUE_SECTOR]},
		{.name = "size", .number = e->value[BLOCK_VALUE_BYTES], .unit = "By"},
		{.name = "queue", .number = e->value[BLOCK_VALUE_QUEUE_NS], .unit = "ns"},
		{.name = "in_device", .number = e->value[BLOCK_VALUE_DEVICE_NS], .unit = "ns"},
		{.name = "error", .text = error.text},
	};
	size_t count = sizeof(fields) / sizeof(fields[0]);

	return tracer__send(t, e, &metric_slow, "slow request", fields,
			    e->value[BLOCK_VALUE_ERROR] ? count : count - 1);
}

/* --- rows */

struct totals {
	uint64_t requests, read_bytes, written_bytes, errors;
};

/* One row of the table: whose, device and operation. */
struct row {
	struct point_stream *out;
	struct point point;
	struct hist hist;
	uint64_t requests, sequential, time_ns;
	struct totals *totals;
	unsigned what;
	bool has_gauges;
};

static int emit_hist(struct row *r, const struct metric *metric)
{
	r->point.metric = metric;
	r->point.hist = &r->hist;
	return r->out->emit(r->out, &r->point);
}

static int emit_gauge(struct row *r, const struct metric *metric, double value)
{
	r->point.metric = metric;
	r->point.gauge = value;
	return r->out->emit(r->out, &r->point);
}

static void add_up(struct row *r)
{
	unsigned op = r->what & BLOCK_OP_MASK;

	r->totals->requests += r->hist.count;
	if (op == BLOCK_READ)
		r->totals->read_bytes += r->hist.sum;
	else if (op == BLOCK_WRITE)
		r->totals->written_bytes += r->hist.sum;
}

static int emit_error(struct row *r, const struct cell_row *cell)
{
	struct words error = error_name(cell->key.slot);

	r->totals->errors += cell->count;
	r->point.metric = &metric_errors;
	r->point.label[3] = error.text;
	r->point.counter = cell->count;
	return r->out->emit(r->out, &r->point);
}

/* The cells of one kind; `count` of them, which differ in slot only. */
static int emit_kind(struct row *r, const struct cell_row *cells, size_t count)
{
	int err = 0;

	switch (cells->key.kind) {
	case BLOCK_SIZE:
		cells__hist(cells, count, &r->hist);
		r->requests = r->hist.count;
		add_up(r);
		return emit_hist(r, &metric_size);
	case BLOCK_DEVICE:
		cells__hist(cells, count, &r->hist);
		r->time_ns += r->hist.sum;
		return emit_hist(r, &metric_device_time);
	case BLOCK_QUEUE:
		cells__hist(cells, count, &r->hist);
		r->time_ns += r->hist.sum;
		return emit_hist(r, &metric_queue_time);
	case BLOCK_SEQUENTIAL:
		r->sequential = cells->count;
		return 0;
	default:
		for (size_t i = 0; !err && i < count; i++)
			err = emit_error(r, &cells[i]);
		return err;
	}
}

/* Once, before what not every row has. */
static int emit_gauges(struct row *r, const struct drain *d)
{
	double requests = (double)r->requests, elapsed_ns = (double)(d->to_ns - d->from_ns);
	int err;

	if (r->has_gauges || !r->requests || d->to_ns <= d->from_ns)
		return 0;
	r->has_gauges = true;
	err = emit_gauge(r, &metric_in_flight, (double)r->time_ns / elapsed_ns);
	if (!err && (r->what & BLOCK_OP_MASK) <= BLOCK_WRITE)
		err = emit_gauge(r, &metric_sequential, 100.0 * (double)r->sequential / requests);
	return err;
}

static int emit_row(struct block *b, const struct cell_row *cells, size_t count, struct point_stream *out,
		    const struct drain *d, struct totals *totals)
{
	const struct cell_key *key = &cells->key;
	struct row r = {.out = out, .what = key->state};
	const struct block_device_name *device;
	struct words what = operation(key->state);
	char *cgroup;
	int err = 0;

	device = block_devices__get(&b->devices, key->tgid);
	r.totals = &totals[device->is_stacked];
	r.point.label[0] = device->name;
	r.point.label[1] = what.text;
	tracer__who(&b->tracer, key->a, key->b, &r.point.who, &cgroup);
	if (b->tracer.by == BY_PID && !key->b)
		snprintf(r.point.who.comm, sizeof(r.point.who.comm), "writeback");
	r.point.label[2] = cgroup;
	for (size_t i = 0, end; !err && i < count; i = end) {
		end = i + cells__end(cells + i, count - i, 0);
		if (cells[i].key.kind == BLOCK_ERROR)
			err = emit_gauges(&r, d);
		if (!err)
			err = emit_kind(&r, cells + i, end - i);
	}
	if (!err)
		err = emit_gauges(&r, d);
	free(cgroup);
	return err;
}

#define ORDER(x, y, field)            \
	if ((x)->field != (y)->field) \
	return (x)->field < (y)->field ? -1 : 1

static int compare_rows(const struct cell_key *x, const struct cell_key *y)
{
	ORDER(x, y, a);
	ORDER(x, y, b);
	ORDER(x, y, tgid);
	ORDER(x, y, state);
	return 0;
}

/* What belongs into one row stands together, in it each kind. */
static int compare(const void *a, const void *b)
{
	const struct cell_key *x = &((const struct cell_row *)a)->key;
	const struct cell_key *y = &((const struct cell_row *)b)->key;
	int order = compare_rows(x, y);

	if (order)
		return order;
	ORDER(x, y, kind);
	ORDER(x, y, slot);
	return 0;
}

static void put_headline(struct buf *out, const struct totals *t)
{
	units__count(out, t->requests);
	buf__printf(out, " request%s, ", t->requests == 1 ? "" : "s");
	units__bytes(out, t->read_bytes);
	buf__puts(out, " read, ");
	units__bytes(out, t->written_bytes);
	buf__puts(out, " written");
	if (!t->errors)
		return;
	buf__puts(out, ", ");
	units__count(out, t->errors);
	buf__puts(out, " failed");
}

/* Of a row: where it ends, and whether its device has a queue. */
static size_t row_end(const struct cell_row *cells, size_t count, size_t from, bool *has_queue)
{
	size_t end = from;

	*has_queue = false;
	while (end < count && !compare_rows(&cells[from].key, &cells[end].key))
		*has_queue |= cells[end++].key.kind == BLOCK_QUEUE;
	return end;
}

/* Rows that have all columns come first, and so their columns stand in order. */
static int emit_rows(struct block *b, const struct cell_row *cells, size_t count, struct point_stream *out,
		     const struct drain *d, struct totals *totals)
{
	bool has_queue;
	size_t end;
	int err = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; !err && i < count; i = end) {
			end = row_end(cells, count, i, &has_queue);
			if (has_queue == !pass)
				err = emit_row(b, cells + i, end - i, out, d, totals);
		}
	}
	return err;
}

static int block__drain(struct probe *probe, struct point_stream *out, struct drain *d)
{
	struct block *b = (struct block *)probe;
	struct totals totals[2] = {0}; /* of devices that stand on no other, and of the rest */
	struct cell_row *cells;
	size_t count;
	int err = tracer__take(&b->tracer, &cells, &count, d);

	if (count)
		qsort(cells, count, sizeof(*cells), compare);
	if (!err)
		err = emit_rows(b, cells, count, out, d, totals);
	free(cells);
	/* What stands above other devices counts there once more, but may fail by itself. */
	totals[0].errors = totals[1].errors > totals[0].errors ? totals[1].errors : totals[0].errors;
	if (!d->headline.len)
		put_headline(&d->headline, &totals[!totals[0].requests]);
	return err;
}

/* --- life */

static bool wants_bio(const struct tracer *t, int attempt)
{
	(void)attempt;
	return !((const struct block *)t)->queue_first;
}

static bool wants_bio_second(const struct tracer *t, int attempt)
{
	return !wants_bio(t, attempt);
}

static bool wants_split(const struct tracer *t, int attempt)
{
	(void)attempt;
	return !((const struct block *)t)->split_queue_first;
}

static bool wants_split_second(const struct tracer *t, int attempt)
{
	return !wants_split(t, attempt);
}

static bool wants_issue(const struct tracer *t, int attempt)
{
	(void)attempt;
	return !((const struct block *)t)->issue_queue_first;
}

static bool wants_issue_second(const struct tracer *t, int attempt)
{
	return !wants_issue(t, attempt);
}

static const struct tracer_program programs[] = {
	{"on_bio_queue", wants_bio},
	{"on_bio_queue_second", wants_bio_second},
	{"on_split", wants_split},
	{"on_split_second", wants_split_second},
	{"on_rq_issue", wants_issue},
	{"on_rq_issue_second", wants_issue_second},
	{"on_rq_complete", tracer__always},
	{"on_bio_complete", tracer__always},
	{NULL},
};

static int block__prepare(struct tracer *t, struct unit *u, int attempt)
{
	const struct block *b = (const struct block *)t;
	bool casts = !attempt;

	if (!u->image->raw)
		unit__set(u, "casts", &casts, sizeof(casts));
	return unit__set(u, "slow_ns", &b->slow_ns, sizeof(b->slow_ns));
}

static void block__free(struct tracer *t)
{
	block_devices__free(&((struct block *)t)->devices);
}

static const struct tracer_type tracer_type = {
	.image = "block",
	.what = "the programs on block devices",
	.part = PART_BLOCK,
	.attempts = 2, /* with and without typed casts */
	.programs = programs,
	.prepare = block__prepare,
	.event = block__event,
	.free = block__free,
};

/* Before 5.11 some had a queue before the rest, before a correction of 5.10 all had. */
static void ask_arguments(struct block *b)
{
	static const char *const names[] = {"block_bio_queue", "block_split", "block_rq_issue"};
	int arguments[3];

	if (features__tracepoints(names, arguments, 3))
		return;
	b->queue_first = arguments[0] == 2;
	b->split_queue_first = arguments[1] == 3;
	b->issue_queue_first = arguments[2] == 2;
}

static void set_options(struct tracer *t, const void *options)
{
	struct block *b = (struct block *)t;

	b->slow_ns = ((const struct block_options *)options)->slow_ns;
	ask_arguments(b);
}

static struct probe *block__open(struct probe_context *context, const void *options)
{
	const struct block_options *o = options;
	struct tracer *t = tracer__open(sizeof(struct block), &tracer_type, &probe_block, context, o->by,
					set_options, o);

	return t ? &t->probe : NULL;
}

const struct probe_type probe_block = {
	.name = "block",
	.summary = "requests to block devices, their time in the queue and in the device",
	.metrics = metrics,
	.hooks = hooks,
	.open = block__open,
	.attach = tracer__attach,
	.begin = tracer__begin,
	.cut = tracer__cut,
	.detach = tracer__detach,
	.record = tracer__record,
	.drain = block__drain,
	.unit = tracer__unit,
	.close = tracer__close,
};
