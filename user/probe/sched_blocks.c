// SPDX-License-Identifier: Apache-2.0
/* Blocked time by stack: cells of the interval, and the waits that are open at its end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "probe/sched.h"
#include "probe/sched_strata.h"
#include "probe/waits.h"

const struct metric metric_offcpu_time = {
	.name = "sonde_offcpu_time",
	.unit = "ns",
	.help = "Time threads were blocked, from the switch away to the wakeup, by stack",
	.kind = POINT_STACK,
	.shape = SHAPE_STACKS,
	.labels = {"reason"},
};

/* Rows of one (stack, waker, state): [first, first + count). */
struct group {
	size_t first, count;
	uint64_t ns;
	uint64_t sampled_ns; /* of which by waits that stand for others, too */
};

static int by_group(const void *a, const void *b)
{
	const struct cell_key *x = &((const struct cell_row *)a)->key,
			      *y = &((const struct cell_row *)b)->key;
	int order = cell_key__compare(x, y);

	return order ? order : (int)x->state - (int)y->state;
}

static int by_time(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static bool same_group(const struct cell_row *a, const struct cell_row *b)
{
	return !by_group(a, b);
}

/* A wait that is open at the cut, as a row: its time in this interval, no completed wait. */
static bool open_wait(const struct sched *s, const struct thread_seen *t, const struct drain *d,
		      struct cell_row *row)
{
	unsigned state = t->open & OPEN_STATE;
	uint64_t since = t->open >> OPEN_SHIFT, from = since > d->from_ns ? since : d->from_ns;

	if (!t->open || state < STATE_FIRST_BLOCKED || since >= d->to_ns)
		return false;
	if (d->to_ns - since < s->options.min_ns || (s->options.sample && !t->open_weight))
		return false;
	*row = (struct cell_row){
		.key = {.a = t->open_stack,
			.kind = CELL_BLOCK,
			.state = state,
			.tgid = s->options.sample && t->open_weight > 1},
		.ns = (d->to_ns - from) * (s->options.sample ? t->open_weight : 1),
		.open = 1,
	};
	return true;
}

/* One group for each stack, whoever unwound it. */
static void join(const struct stacks *stacks, struct cell_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		rows[i].key.a = stacks__same(stacks, rows[i].key.a);
		rows[i].key.b = stacks__same(stacks, rows[i].key.b);
	}
}

/* All rows of kind CELL_BLOCK, open waits behind them; caller frees. */
static struct cell_row *gather(struct sched *s, const struct cell_row *rows, size_t count,
			       const struct drain *d, size_t *total)
{
	struct cell_row *all = malloc((count + s->threads.count + 1) * sizeof(*all));
	const void *key;
	void *value;
	size_t i = 0;

	*total = 0;
	if (!all)
		return NULL;
	for (size_t r = 0; r < count; r++)
		if (rows[r].key.kind == CELL_BLOCK)
			all[(*total)++] = rows[r];
	while (table__next(&s->threads, &i, &key, &value))
		*total += open_wait(s, value, d, &all[*total]);
	join(s->probe.context->stacks, all, *total);
	qsort(all, *total, sizeof(*all), by_group);
	return all;
}

static struct group *group(const struct cell_row *rows, size_t count, size_t *groups)
{
	struct group *g = malloc((count + 1) * sizeof(*g));

	*groups = 0;
	if (!g)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (!i || !same_group(&rows[i - 1], &rows[i]))
			g[(*groups)++] = (struct group){.first = i};
		g[*groups - 1].count++;
		g[*groups - 1].ns += rows[i].ns;
		g[*groups - 1].sampled_ns += rows[i].key.tgid ? rows[i].ns : 0;
	}
	qsort(g, *groups, sizeof(*g), by_time);
	return g;
}

static void fill_hist(struct hist *h, const struct cell_row *rows, size_t count, struct sample *sample)
{
	memset(h, 0, sizeof(*h));
	for (size_t i = 0; i < count; i++) {
		sample->value += rows[i].ns;
		sample->open += rows[i].open;
		if (rows[i].open)
			continue;
		h->slot[rows[i].key.slot % HIST_SLOTS] += rows[i].count;
		h->count += rows[i].count;
	}
	h->sum = sample->value;
	sample->occurrences = h->count;
}

/* What one interval's emission works with. */
struct emission {
	struct sched *s;
	struct point_stream *out;
	struct drain *d;
	uint64_t waits, open, ns; /* sums */
	struct strata strata;	  /* with importance sampling; else empty */
};

/* The frames with the reason as a mark at the root: --reason. Caller frees. */
static struct frame *with_reason(const struct sample *sample, const char *mark)
{
	struct frame *frames = malloc((sample->count + 1) * sizeof(*frames));

	if (!frames)
		return NULL;
	memcpy(frames, sample->frames, sample->count * sizeof(*frames));
	frames[sample->count] = (struct frame){.name = mark, .object = "", .kind = FRAME_MARK};
	return frames;
}

static int emit_point(struct emission *e, struct point *p, unsigned state)
{
	char mark[32];
	struct frame *frames;
	int err;

	e->waits += p->sample.occurrences;
	e->open += p->sample.open;
	e->ns += p->sample.value;
	if (!e->s->options.reason)
		return e->out->emit(e->out, p);
	snprintf(mark, sizeof(mark), "[%s]", state__word(state));
	frames = with_reason(&p->sample, mark);
	if (!frames)
		return -ENOMEM;
	p->sample.frames = frames;
	p->sample.count++;
	err = e->out->emit(e->out, p);
	free(frames);
	return err;
}

static bool is_self(const struct emission *e, const struct stack_view *view)
{
	return view->who.tgid && view->who.tgid == (uint32_t)e->s->probe.context->self;
}

static int emit_group(struct emission *e, const struct cell_row *all, const struct group *group)
{
	const struct cell_row *rows = &all[group->first];
	const struct cell_key *key = &rows[0].key;
	struct point p = {.metric = &metric_offcpu_time, .label = {state__word(key->state)}};
	const struct stacks *stacks = e->s->probe.context->stacks;
	struct stack_view view, waker;
	struct hist hist;
	bool found = probe__view(stacks, key->a, &view);

	if (is_self(e, &view))
		return 0;
	fill_hist(&hist, rows, group->count, &p.sample);
	probe__fill_sample(&p.sample, &p.who, &view, e->d, p.sample.occurrences + p.sample.open);
	p.sample.value +=
		strata__scale(&e->strata, &p.who, key->state, group->sampled_ns) - group->sampled_ns;
	p.sample.hist = hist.count ? &hist : NULL;
	e->d->lost_stacks += found ? 0 : p.sample.occurrences + p.sample.open;
	if (key->b) {
		probe__view(stacks, key->b, &waker);
		probe__fill_waker(&p.sample, &waker);
	}
	return emit_point(e, &p, key->state);
}

static int emit_unsampled(struct emission *e)
{
	static const struct frame mark = {.name = "[not sampled]", .object = "", .kind = FRAME_MARK};
	const struct stratum *stratum;
	uint64_t left_ns;
	size_t cursor = 0;
	int err = 0;

	while (!err && strata__next_unsampled(&e->strata, &cursor, &stratum, &left_ns)) {
		struct point p = {
			.metric = &metric_offcpu_time,
			.who = stratum->who,
			.label = {state__word(stratum->state)},
			.sample = {.frames = &mark, .count = 1, .value = left_ns},
		};

		err = emit_point(e, &p, stratum->state);
	}
	return err;
}

/* With --min the accounts hold waits that are not asked for: then nothing is scaled. */
static int open_strata(struct emission *e, const struct cell_row *rows, const struct group *groups,
		       size_t count)
{
	struct stack_view view;
	int err;

	if (!e->s->options.sample || e->s->options.min_ns)
		return 0;
	err = strata__open(&e->strata, e->s);
	for (size_t i = 0; !err && i < count; i++) {
		const struct cell_key *key = &rows[groups[i].first].key;

		probe__view(e->s->probe.context->stacks, key->a, &view);
		strata__estimate(&e->strata, &view.who, key->state, groups[i].ns - groups[i].sampled_ns,
				 groups[i].sampled_ns);
	}
	return err;
}

static size_t threads_alive(const struct sched *s)
{
	const void *key;
	size_t i = 0, n = 0;
	void *value;

	while (table__next(&s->threads, &i, &key, &value))
		n++;
	return n;
}

static void headline(const struct emission *e)
{
	size_t threads = threads_alive(e->s);
	struct buf *line = &e->d->headline;

	if (line->len)
		return;
	buf__printf(line, "%zu thread%s, blocked ", threads, threads == 1 ? "" : "s");
	units__duration(line, e->ns);
	buf__puts(line, " in ");
	units__count(line, e->waits + e->open);
	buf__puts(line, e->waits + e->open == 1 ? " wait" : " waits");
	if (e->open) {
		buf__puts(line, " (");
		units__count(line, e->open);
		buf__puts(line, " still open)");
	}
	if (e->s->options.sample)
		buf__printf(line, ", stacks by sampling, mean weight %.1f", sched__mean_weight(e->s));
}

int sched__emit_blocks(struct sched *s, struct cell_row *rows, size_t count, struct point_stream *out,
		       struct drain *d)
{
	struct emission e = {.s = s, .out = out, .d = d};
	struct group *groups = NULL;
	struct cell_row *all;
	size_t total, n = 0;
	int err = -ENOMEM;

	all = gather(s, rows, count, d, &total);
	if (all)
		groups = group(all, total, &n);
	if (groups)
		err = open_strata(&e, all, groups, n);
	for (size_t i = 0; !err && i < n; i++)
		err = emit_group(&e, all, &groups[i]);
	if (!err)
		err = emit_unsampled(&e);
	headline(&e);
	strata__close(&e.strata);
	free(groups);
	free(all);
	return err;
}
