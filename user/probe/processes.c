// SPDX-License-Identifier: Apache-2.0
/* The processes probe: what was started, what it executed, how it ended and how long it lived. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/text.h"
#include "base/units.h"
#include "probe/features.h"
#include "probe/tracer.h"
#include "sonde/processes.h"

#define CPU_KNOWN_NS 10000000 /* less lies within a tick, and may be any time */
#define EACH_GAP_NS  1000000  /* events that may cross, per CPU and second: a thousand */

#define ROWS(table_name) .shape = SHAPE_ROWS, .table = table_name, .labels = {"command", "cgroup_path"}

static const struct metric metric_started = {
	.name = "sonde_process_started",
	.unit = "{process}",
	.help = "Processes that were forked, by the name that they began with",
	.kind = POINT_COUNTER,
	.columns = "value:started",
	ROWS("processes"),
};

static const struct metric metric_executed = {
	.name = "sonde_process_executed",
	.unit = "{exec}",
	.help = "Programs that processes executed, by the name that they got by it",
	.kind = POINT_COUNTER,
	.columns = "value:executed",
	ROWS("processes"),
};

static const struct metric metric_lifetime = {
	.name = "sonde_process_lifetime",
	.unit = "ns",
	.help = "Age of processes at their end",
	.kind = POINT_HIST,
	.columns = "*count:ended p50 max",
	ROWS("processes"),
};

static const struct metric metric_alive = {
	.name = "sonde_process_alive",
	.unit = "{process}",
	.help = "Processes that began or executed a program since the start and have not ended",
	.kind = POINT_GAUGE,
	.columns = "value:alive",
	ROWS("processes"),
};

static const struct metric metric_status = {
	.name = "sonde_process_exit",
	.unit = "{process}",
	.help = "Processes that ended, by exit status or signal",
	.kind = POINT_COUNTER,
	.shape = SHAPE_ROWS,
	.table = "processes",
	.labels = {"command", "cgroup_path", "status"},
	.columns = "value:status",
	.spread = true,
};

static const struct metric metric_threads_started = {
	.name = "sonde_process_threads_started",
	.unit = "{thread}",
	.help = "Threads that were started in processes that there were, by the process's name",
	.kind = POINT_COUNTER,
	.columns = "value:started",
	.title = "threads besides the first",
	ROWS("threads"),
};

static const struct metric metric_threads_ended = {
	.name = "sonde_process_threads_ended",
	.unit = "{thread}",
	.help = "Threads that ended while their process went on",
	.kind = POINT_COUNTER,
	.columns = "value:ended_before_their_process",
	ROWS("threads"),
};

static const struct metric metric_event = {
	.name = "sonde_process_event",
	.unit = "1",
	.help = "One exec or end (--each)",
	.kind = POINT_EVENT,
};

static const struct metric *const metrics[] = {
	&metric_started, &metric_executed,	  &metric_lifetime,	 &metric_status, &metric_alive,
	&metric_event,	 &metric_threads_started, &metric_threads_ended, NULL,
};

static const struct hook hooks[] = {
	{"task_newtask", "tp_btf, raw_tp", "starts of processes and threads, children (--follow, COMMAND)"},
	{"sched_process_exec", "tp_btf, raw_tp", "programs that are executed, COMMAND"},
	{"sched_process_exit", "tp_btf, raw_tp", "ends, their status and age"},
	{NULL},
};

struct processes {
	struct tracer tracer;
	bool each;
	uint64_t started, executed, ended, failed, threads; /* of the interval */
	uint64_t alive;
};

static const struct tracer_program programs[] = {
	{"on_newtask", tracer__always},
	{"on_exec", tracer__always},
	{"on_exit", tracer__always},
	{NULL},
};

/* The second attempt reads no names of files: lockdown=confidentiality. */
static int processes__prepare(struct tracer *t, struct unit *u, int attempt)
{
	static const char *const exit_point[] = {"sched_process_exit"};
	const struct processes *p = (const struct processes *)t;
	const bool file_names = p->each && !attempt;
	const uint64_t gap_ns = EACH_GAP_NS;
	int arguments = 0, err = features__tracepoints(exit_point, &arguments, 1);
	const bool tells_last = arguments >= 2;

	if (!err)
		err = unit__set(u, "exit_tells_last", &tells_last, sizeof(tells_last));
	if (!err)
		err = unit__set(u, "each", &p->each, sizeof(p->each));
	if (!err)
		err = unit__set(u, "file_names", &file_names, sizeof(file_names));
	return err ? err : unit__set(u, "event_gap_ns", &gap_ns, sizeof(gap_ns));
}

/* --- words */

/* As a shell would: a number, or the signal's name. */
static void put_status(char *out, size_t size, uint32_t status)
{
	unsigned signal = status & 0x7f;
	const char *name = signal ? sigabbrev_np((int)signal) : NULL;

	if (!signal)
		snprintf(out, size, "%u", status >> 8 & 0xff);
	else if (name)
		snprintf(out, size, "SIG%s%s", name, status & 0x80 ? " (core)" : "");
	else
		snprintf(out, size, "signal %u%s", signal, status & 0x80 ? " (core)" : "");
}

static int processes__event(struct tracer *t, const struct event_record *e)
{
	struct event_field fields[6];
	size_t n = 0;
	char status[32], parent[COMM_LEN + 1] = "", file[EVENT_TEXT + 8];
	bool is_exit = e->kind == PROCESS_EVENT_EXIT;

	memcpy(parent, &e->value[PROCESS_PARENT_COMM], COMM_LEN);
	snprintf(file, sizeof(file), "%s%.*s", e->value[PROCESS_CUT] ? "…" : "", EVENT_TEXT, e->text);
	put_status(status, sizeof(status), (uint32_t)e->value[PROCESS_STATUS]);
	if (is_exit)
		fields[n++] = (struct event_field){.name = "status", .text = status};
	else if (*e->text)
		fields[n++] = (struct event_field){.name = "program", .text = file};
	if (is_exit && e->value[PROCESS_CPU_NS] >= CPU_KNOWN_NS)
		fields[n++] =
			(struct event_field){.name = "cpu", .number = e->value[PROCESS_CPU_NS], .unit = "ns"};
	if (is_exit)
		fields[n++] = (struct event_field){.name = "maxrss",
						   .number = e->value[PROCESS_MAXRSS_PAGES] *
							     (uint64_t)sysconf(_SC_PAGESIZE),
						   .unit = "By"};
	fields[n++] = (struct event_field){.name = "parent", .number = e->value[PROCESS_PARENT]};
	fields[n++] = (struct event_field){.name = "parent_comm", .text = parent};
	return tracer__send(t, e, &metric_event, is_exit ? "exit" : "exec", fields, n);
}

/* --- points */

static void find_name(const struct processes *p, uint64_t id, struct process_name *name)
{
	memset(name, 0, sizeof(*name));
	if (bpf_map_lookup_elem(unit__map_fd(&p->tracer.unit, "names"), &id, name))
		name->comm[0] = '?';
}

/* Whose the row is, and what: texts are the caller's until the next one. */
struct row {
	struct point point;
	char command[COMM_LEN + 1];
	char *cgroup_path; /* owned */
};

static void describe(const struct processes *p, uint64_t a, uint64_t b, struct row *row)
{
	struct process_name name;

	find_name(p, b, &name);
	*row = (struct row){0};
	memcpy(row->command, name.comm, COMM_LEN);
	row->point.label[0] = row->command;
	if (p->tracer.by == BY_CGROUP) {
		tracer__who(&p->tracer, a, 0, &row->point.who, &row->cgroup_path);
		row->point.label[1] = row->cgroup_path ? row->cgroup_path : "[gone]";
	} else if (p->tracer.by != BY_NONE) {
		find_name(p, a, &name);
		row->point.who.start_ns = name.start_boot_ns;
		row->point.who.tgid = name.tgid;
		memcpy(row->point.who.comm, name.comm, COMM_LEN);
	}
}

static int emit_count(struct row *row, const struct metric *metric, uint64_t count, struct point_stream *out)
{
	row->point.metric = metric;
	row->point.counter = count;
	return out->emit(out, &row->point);
}

/* Rows of one command that ended, by status. */
static int emit_statuses(struct processes *p, struct row *row, const struct cell_row *rows, size_t count,
			 struct point_stream *out)
{
	char status[32];
	size_t end;
	int err = 0;

	row->point.label[2] = status;
	for (size_t i = 0; !err && i < count; i = end) {
		uint64_t processes = 0;

		end = cells__end(rows, count, i);
		for (size_t n = i; n < end; n++)
			processes += rows[n].count;
		p->failed += rows[i].key.tgid ? processes : 0;
		put_status(status, sizeof(status), rows[i].key.tgid);
		err = emit_count(row, &metric_status, processes, out);
	}
	row->point.label[2] = NULL;
	return err;
}

static int emit_ended(struct processes *p, struct row *row, const struct cell_row *rows, size_t count,
		      struct point_stream *out)
{
	struct hist h;
	int err;

	cells__hist(rows, count, &h);
	p->ended += h.count;
	row->point.metric = &metric_lifetime;
	row->point.hist = &h;
	err = out->emit(out, &row->point);
	return err ? err : emit_statuses(p, row, rows, count, out);
}

/* All of one kind, of the same whose and what. */
static int emit_rows(struct processes *p, const struct cell_row *rows, size_t count, struct point_stream *out)
{
	struct row row;
	int err = 0;

	describe(p, rows[0].key.a, rows[0].key.b, &row);
	switch (rows[0].key.kind) {
	case PROCESS_STARTED:
		p->started += rows[0].count;
		err = emit_count(&row, &metric_started, rows[0].count, out);
		break;
	case PROCESS_EXECUTED:
		p->executed += rows[0].count;
		err = emit_count(&row, &metric_executed, rows[0].count, out);
		break;
	case PROCESS_ENDED:
		err = emit_ended(p, &row, rows, count, out);
		break;
	case PROCESS_THREAD_STARTED:
		p->threads += rows[0].count;
		err = emit_count(&row, &metric_threads_started, rows[0].count, out);
		break;
	case PROCESS_THREAD_ENDED:
		err = emit_count(&row, &metric_threads_ended, rows[0].count, out);
		break;
	}
	free(row.cgroup_path);
	return err;
}

static size_t same_row(const struct cell_row *rows, size_t count, size_t from)
{
	const struct cell_key *first = &rows[from].key;
	size_t end = from + 1;

	while (end < count && rows[end].key.kind == first->kind && rows[end].key.a == first->a &&
	       rows[end].key.b == first->b)
		end++;
	return end;
}

/* --- those that live */

static int compare_births(const void *a, const void *b)
{
	const struct process_birth *x = a, *y = b;

	return x->who != y->who ? (x->who < y->who ? -1 : 1) : memcmp(x->comm, y->comm, COMM_LEN);
}

/* The name that it has now. False: it has ended, unseen. */
static bool look_at(struct process_birth *b)
{
	struct buf comm = {0};
	char path[32];
	int err;

	snprintf(path, sizeof(path), "/proc/%u/comm", b->tgid);
	err = buf__read_file(&comm, path, 64);
	if (!err && comm.len > 1) {
		memset(b->comm, 0, COMM_LEN);
		memcpy(b->comm, comm.data, comm.len - 1 < COMM_LEN ? comm.len - 1 : COMM_LEN - 1);
	}
	buf__free(&comm);
	return err != -ENOENT && err != -ESRCH;
}

static int take_births(struct processes *p, struct process_birth **births, size_t *count)
{
	int fd = unit__map_fd(&p->tracer.unit, "births");
	uint32_t key, next, *previous = NULL;
	struct process_birth b, *more;

	*births = NULL;
	*count = 0;
	while (!bpf_map_get_next_key(fd, previous, &next)) {
		key = next;
		previous = &key;
		if (bpf_map_lookup_elem(fd, &key, &b) || !look_at(&b))
			continue;
		more = reallocarray(*births, *count + 1, sizeof(b));
		if (!more)
			return -ENOMEM;
		*births = more;
		more[(*count)++] = b;
	}
	if (*count)
		qsort(*births, *count, sizeof(b), compare_births);
	return 0;
}

static int emit_alive(struct processes *p, struct point_stream *out)
{
	struct process_birth *births;
	size_t count, end;
	struct row row;
	int err = take_births(p, &births, &count);

	p->alive = count;
	for (size_t i = 0; !err && i < count; i = end) {
		for (end = i + 1; end < count && !compare_births(&births[i], &births[end]);)
			end++;
		describe(p, births[i].who, 0, &row);
		memcpy(row.command, births[i].comm, COMM_LEN);
		row.point.metric = &metric_alive;
		row.point.gauge = (double)(end - i);
		err = out->emit(out, &row.point);
		free(row.cgroup_path);
	}
	free(births);
	return err;
}

/* --- life */

static void put_headline(const struct processes *p, struct drain *d)
{
	double rate = d->to_ns > d->from_ns ? (double)p->started * 1e9 / (double)(d->to_ns - d->from_ns) : 0;

	if (d->headline.len)
		return;
	units__count(&d->headline, p->started);
	buf__printf(&d->headline, " processes started (%.*f/s), ", rate < 10, rate);
	units__count(&d->headline, p->executed);
	buf__puts(&d->headline, " executed, ");
	units__count(&d->headline, p->ended);
	buf__puts(&d->headline, " ended (");
	units__count(&d->headline, p->failed);
	buf__puts(&d->headline, " failed), ");
	units__count(&d->headline, p->alive);
	buf__puts(&d->headline, " alive");
}

static int processes__drain(struct probe *probe, struct point_stream *out, struct drain *d)
{
	struct processes *p = (struct processes *)probe;
	struct cell_row *rows = NULL;
	size_t count = 0, end;
	int err = tracer__take(&p->tracer, &rows, &count, d);

	p->started = p->executed = p->ended = p->failed = p->threads = p->alive = 0;
	for (size_t i = 0; !err && i < count; i = end) {
		end = same_row(rows, count, i);
		err = emit_rows(p, rows + i, end - i, out);
	}
	free(rows);
	if (!err)
		err = emit_alive(p, out);
	put_headline(p, d);
	return err;
}

static void set(struct tracer *t, const void *options)
{
	((struct processes *)t)->each = ((const struct processes_options *)options)->each;
}

static const struct tracer_type type = {
	.image = "processes",
	.what = "the programs on starts and ends of processes",
	.part = PART_PROCESSES,
	.attempts = 2,
	.programs = programs,
	.prepare = processes__prepare,
	.event = processes__event,
};

static struct probe *processes__open(struct probe_context *context, const void *options)
{
	const struct processes_options *o = options;
	struct tracer *t =
		tracer__open(sizeof(struct processes), &type, &probe_processes, context, o->by, set, options);

	return t ? &t->probe : NULL;
}

const struct probe_type probe_processes = {
	.name = "processes",
	.summary = "processes: what started, what it executed, how it ended",
	.metrics = metrics,
	.hooks = hooks,
	.open = processes__open,
	.attach = tracer__attach,
	.begin = tracer__begin,
	.cut = tracer__cut,
	.detach = tracer__detach,
	.record = tracer__record,
	.drain = processes__drain,
	.unit = tracer__unit,
	.close = tracer__close,
};
