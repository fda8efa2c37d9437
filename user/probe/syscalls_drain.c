// SPDX-License-Identifier: Apache-2.0
/* System calls: from cells to points. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/table.h"
#include "base/units.h"
#include "probe/syscalls.h"
#include "probe/unit_private.h"

#define TABLE "system calls"

static const struct metric metric_calls = {
	.name = "sonde_syscall_calls",
	.unit = "{call}",
	.help = "System calls that ended; exit and its like, which never return, when they began",
	.kind = POINT_COUNTER,
	.shape = SHAPE_ROWS,
	.labels = {"syscall", "cgroup_path"},
	.table = TABLE,
	.columns = "value:calls",
};

static const struct metric metric_duration = {
	.name = "sonde_syscall_duration",
	.unit = "ns",
	.help = "Time from the begin of a system call to its end, waits included",
	.kind = POINT_HIST,
	.shape = SHAPE_ROWS,
	.labels = {"syscall", "cgroup_path"},
	.table = TABLE,
	.columns = "*total p50 p99 max",
};

static const struct metric metric_errors = {
	.name = "sonde_syscall_errors",
	.unit = "{call}",
	.help = "System calls that failed, by error; ERESTART...: interrupted by a signal, then EINTR or "
		"made "
		"again",
	.kind = POINT_COUNTER,
	.shape = SHAPE_ROWS,
	.labels = {"syscall", "cgroup_path", "error"},
	.table = TABLE,
	.columns = "value:errors",
	.spread = true,
};

static const struct metric metric_untimed = {
	.name = "sonde_syscall_untimed",
	.unit = "{call}",
	.help = "System calls without a duration. All but the open ones are among the calls",
	.kind = POINT_COUNTER,
	.shape = SHAPE_ROWS,
	.labels = {"syscall", "cgroup_path", "why"},
	.table = TABLE,
	.columns = "value:untimed",
	.spread = true,
};

static const struct metric metric_time = {
	.name = "sonde_syscall_time",
	.unit = "ns",
	.help = "Time in system calls by the stack that made them, the call in front",
	.kind = POINT_STACK,
	.shape = SHAPE_STACKS,
	.labels = {"syscall"},
	.columns = "calls",
};

static const struct metric metric_slow = {
	.name = "sonde_syscall_slow",
	.unit = "ns",
	.help = "A system call of --slow or longer",
	.kind = POINT_EVENT,
	.labels = {"syscall"},
};

const struct metric *const syscalls__metrics[] = {
	&metric_calls, &metric_duration, &metric_errors, &metric_untimed, &metric_time, &metric_slow, NULL};

static const char *const untimed_words[] = {
#define X(name, word) word,
	CALL_UNTIMED(X)
#undef X
};
#define UNTIMED_COUNT (sizeof(untimed_words) / sizeof(untimed_words[0]))

/* --- sums by who and call */

struct sum_key {
	uint64_t a, b, call;
};

struct sum {
	struct sum_key key;
	uint64_t ended, untimed[UNTIMED_COUNT];
	const struct cell_row *timed, *errors; /* rows that differ in nothing but the slot */
	size_t timed_count, error_count;
	struct who who;
	char *path; /* owned; NULL unless by cgroup */
	char name[CALL_NAME];
};

struct sums {
	struct table index; /* struct sum_key -> number of the sum + 1 */
	struct sum *sums;
	size_t count, capacity;
	uint64_t calls, errors, open, ns;
};

static void sums__free(struct sums *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->sums[i].path);
	free(s->sums);
	table__free(&s->index);
}

static struct sum *sums__add(struct sums *s, const struct tracer *t, struct sum_key key)
{
	size_t capacity = s->capacity ? s->capacity * 2 : 64, *number = table__add(&s->index, &key, NULL);
	struct sum *grown, *sum;

	if (!number)
		return NULL;
	if (*number)
		return &s->sums[*number - 1];
	if (s->count == s->capacity) {
		grown = reallocarray(s->sums, capacity, sizeof(*grown));
		if (!grown)
			return NULL;
		s->sums = grown;
		s->capacity = capacity;
	}
	sum = &s->sums[s->count];
	*sum = (struct sum){.key = key};
	tracer__who(t, key.a, key.b, &sum->who, &sum->path);
	call__name((uint32_t)key.call, sum->name);
	*number = ++s->count;
	return sum;
}

static void sums__count(struct sums *s, struct sum *sum, const struct cell_row *rows, size_t count)
{
	uint64_t calls = 0;

	for (size_t i = 0; i < count; i++) {
		calls += rows[i].count;
		s->ns += rows[i].ns;
	}
	switch (rows[0].key.kind) {
	case CALL_CELL_TIMED:
		sum->timed = rows;
		sum->timed_count = count;
		break;
	case CALL_CELL_UNTIMED:
		sum->untimed[rows[0].key.state % UNTIMED_COUNT] += calls;
		break;
	default:
		sum->errors = rows;
		sum->error_count = count;
		s->errors += calls;
		return;
	}
	sum->ended += calls;
	s->calls += calls;
}

/* Up to the stacks, which come last: `*end`. */
static int sums__fill(struct sums *s, const struct tracer *t, const struct cell_row *rows, size_t count,
		      size_t *end)
{
	for (*end = 0; *end < count && rows[*end].key.kind != CALL_CELL_STACK;) {
		const struct cell_key *key = &rows[*end].key;
		size_t next = cells__end(rows, count, *end);
		struct sum *sum = sums__add(s, t, (struct sum_key){key->a, key->b, key->tgid});

		if (!sum)
			return -ENOMEM;
		sums__count(s, sum, &rows[*end], next - *end);
		*end = next;
	}
	return 0;
}

static int sums__add_open(struct sums *s, struct syscalls *probe)
{
	struct open_call *calls;
	size_t count;
	int err = syscalls__open_calls(probe, &calls, &count);

	for (size_t i = 0; !err && i < count; i++) {
		struct sum *sum =
			sums__add(s, &probe->tracer, (struct sum_key){calls[i].a, calls[i].b, calls[i].call});

		if (sum)
			sum->untimed[UNTIMED_OPEN]++;
		else
			err = -ENOMEM;
		s->open++;
	}
	free(calls);
	return err;
}

/* --- points of the sums: metric by metric, which orders the table's columns */

static int emit_calls(const struct sum *sum, struct point *p, struct point_stream *out)
{
	p->counter = sum->ended;
	return out->emit(out, p);
}

static int emit_duration(const struct sum *sum, struct point *p, struct point_stream *out)
{
	struct point timed = *p;
	struct hist h;

	if (!sum->timed_count)
		return 0;
	cells__hist(sum->timed, sum->timed_count, &h);
	timed.hist = &h;
	return out->emit(out, &timed);
}

static int emit_errors(const struct sum *sum, struct point *p, struct point_stream *out)
{
	char text[16];
	int err = 0;

	for (size_t i = 0; !err && i < sum->error_count; i++) {
		p->label[2] = call__error(sum->errors[i].key.slot, text);
		p->counter = sum->errors[i].count;
		err = out->emit(out, p);
	}
	return err;
}

static int emit_untimed(const struct sum *sum, struct point *p, struct point_stream *out)
{
	int err = 0;

	for (size_t i = 0; !err && i < UNTIMED_COUNT; i++) {
		p->label[2] = untimed_words[i];
		p->counter = sum->untimed[i];
		if (p->counter)
			err = out->emit(out, p);
	}
	return err;
}

static const struct {
	const struct metric *metric;
	int (*emit)(const struct sum *, struct point *, struct point_stream *);
} emitters[] = {
	{&metric_calls, emit_calls},
	{&metric_duration, emit_duration},
	{&metric_errors, emit_errors},
	{&metric_untimed, emit_untimed},
};

static int sums__emit(const struct sums *s, struct point_stream *out)
{
	int err = 0;

	for (size_t e = 0; e < sizeof(emitters) / sizeof(emitters[0]); e++)
		for (size_t i = 0; !err && i < s->count; i++) {
			const struct sum *sum = &s->sums[i];
			struct point p = {.metric = emitters[e].metric,
					  .who = sum->who,
					  .label = {sum->name, sum->path}};

			err = emitters[e].emit(sum, &p, out);
		}
	return err;
}

/* --- stacks */

static int by_stack(const void *a, const void *b)
{
	const struct cell_key *x = &((const struct cell_row *)a)->key,
			      *y = &((const struct cell_row *)b)->key;

	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	return x->tgid < y->tgid ? -1 : x->tgid > y->tgid;
}

static int emit_stack(struct syscalls *s, const struct cell_row *rows, size_t count, struct point_stream *out,
		      struct drain *d)
{
	struct point p = {.metric = &metric_time};
	struct stack_view view;
	struct frame *frames;
	struct hist h;
	char name[CALL_NAME];
	int err;

	cells__hist(rows, count, &h);
	call__name(rows[0].key.tgid, name);
	p.label[0] = name;
	if (!probe__view(s->tracer.probe.context->stacks, rows[0].key.a, &view))
		d->lost_stacks += h.count;
	frames = calloc(view.count + 1, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	frames[0] = (struct frame){.name = name, .object = "[kernel]", .kind = FRAME_KERNEL};
	memcpy(frames + 1, view.frames, view.count * sizeof(*frames));
	probe__fill_sample(&p.sample, &p.who, &view, d, h.count);
	p.sample.frames = frames;
	p.sample.count++;
	p.sample.value = h.sum;
	p.sample.occurrences = h.count;
	p.sample.hist = &h;
	err = out->emit(out, &p);
	free(frames);
	return err;
}

/* A stack that was unwound twice, here and there, is one. */
static int emit_stacks(struct syscalls *s, struct cell_row *rows, size_t count, struct point_stream *out,
		       struct drain *d)
{
	const struct stacks *stacks = s->tracer.probe.context->stacks;
	int err = count ? stacks__resolve(s->tracer.probe.context->stacks) : 0;
	size_t next;

	for (size_t i = 0; i < count; i++)
		rows[i].key.a = stacks__same(stacks, rows[i].key.a);
	if (count)
		qsort(rows, count, sizeof(*rows), by_stack);
	for (size_t i = 0; !err && i < count; i = next) {
		for (next = i + 1; next < count && !by_stack(&rows[i], &rows[next]); next++)
			;
		err = emit_stack(s, &rows[i], next - i, out, d);
	}
	return err;
}

/* --- an interval */

static void headline(const struct sums *sums, struct buf *line)
{
	if (line->len)
		return;
	units__count(line, sums->calls);
	buf__puts(line, sums->calls == 1 ? " call, " : " calls, ");
	units__duration(line, sums->ns);
	buf__puts(line, " in them, ");
	units__count(line, sums->errors);
	buf__puts(line, sums->errors == 1 ? " error, " : " errors, ");
	units__count(line, sums->open);
	buf__puts(line, " open");
}

int syscalls__drain(struct probe *probe, struct point_stream *out, struct drain *d)
{
	struct syscalls *s = (struct syscalls *)probe;
	struct sums sums = {0};
	struct urgency urgency;
	struct cell_row *rows;
	size_t count, end = 0;
	int err = tracer__take(&s->tracer, &rows, &count, d);

	table__init(&sums.index, sizeof(struct sum_key), sizeof(size_t));
	urgency__begin(&urgency, &s->tracer.unit);
	if (!err)
		err = sums__fill(&sums, &s->tracer, rows, count, &end);
	if (!err)
		err = sums__add_open(&sums, s);
	urgency__end(&urgency);
	if (!err)
		err = sums__emit(&sums, out);
	if (!err)
		err = emit_stacks(s, rows + end, count - end, out, d);
	headline(&sums, &d->headline);
	sums__free(&sums);
	free(rows);
	return err;
}

/* --- slow calls */

static const char *kind_of(uint64_t mode)
{
	static const struct {
		mode_t mode;
		const char *word;
	} kinds[] = {{S_IFSOCK, "socket"},   {S_IFIFO, "pipe"},	  {S_IFREG, "file"},
		     {S_IFDIR, "directory"}, {S_IFCHR, "device"}, {S_IFBLK, "device"}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].mode == (mode & S_IFMT))
			return kinds[i].word;
	return mode ? "anonymous" : "closed";
}

/* A descriptor may have come to mean another file since: of another kind it is told by its kind only. */
static bool is_kind(const char *link, uint64_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFSOCK:
		return !strncmp(link, "socket:", 7);
	case S_IFIFO:
		return !strncmp(link, "pipe:", 5) || link[0] == '/';
	case 0:
		return mode && !strncmp(link, "anon_inode:", 11);
	default:
		return link[0] == '/';
	}
}

static const char *file_of(const struct event_record *e, char *link, size_t size)
{
	uint64_t mode = e->value[CALL_VALUE_MODE], fd = e->value[CALL_VALUE_FD] - 1;
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%u/fd/%llu", e->tgid, (unsigned long long)fd);
	len = mode ? readlink(path, link, size - 1) : -1;
	link[len > 0 ? len : 0] = 0;
	return is_kind(link, mode) ? link : kind_of(mode);
}

int syscalls__event(struct tracer *t, const struct event_record *e)
{
	int64_t result = (int64_t)e->value[CALL_VALUE_RESULT];
	struct event_field fields[4] = {{"call", NULL, 0, NULL}};
	char name[CALL_NAME], text[16], link[4096];
	const char *error = NULL;
	size_t count = 1;

	call__name((uint32_t)e->value[CALL_VALUE_CALL], name);
	fields[0].text = name;
	if (e->value[CALL_VALUE_FD]) {
		fields[count++] = (struct event_field){"fd", NULL, e->value[CALL_VALUE_FD] - 1, NULL};
		fields[count++] = (struct event_field){"file", file_of(e, link, sizeof(link)), 0, NULL};
	}
	if (result < 0 && result >= -4095)
		error = call__error((unsigned)-result, text);
	fields[count++] = (struct event_field){"result", error, (uint64_t)result, NULL};
	return tracer__send(t, e, &metric_slow, "slow call", fields, count);
}
