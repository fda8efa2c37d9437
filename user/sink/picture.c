// SPDX-License-Identifier: Apache-2.0
#include "sink/picture.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/outfile.h"
#include "base/text.h"

struct picture {
	struct sink base;
	struct sink_options options;
	picture_writer *write;
	struct outfile *file;
	struct flamegraph graph;
	const char *unit;   /* of the first metric; NULL: no stack yet */
	const char *metric; /* its name */
	uint64_t period_ns; /* what a sample stands for; 0: not known, or these are no samples */
	bool mixed;	    /* stacks of several metrics, so their occurrences are of different things */
	bool refused;	    /* said that a unit does not fit */
	const struct frame **order;
	size_t order_size;
};

static struct picture *picture_of(struct sink *s)
{
	return (struct picture *)s; /* base is the first member */
}

struct sink *picture__open(const struct sink_type *type, const struct sink_options *options,
			   picture_writer *write)
{
	struct picture *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return NULL;
	p->base.type = type;
	p->options = *options;
	p->write = write;
	flamegraph__init(&p->graph);
	p->file = outfile__open(options->path);
	if (p->file)
		return &p->base;
	err = errno;
	picture__close(&p->base, false);
	errno = err;
	return NULL;
}

int picture__begin(struct sink *s, const struct interval *interval)
{
	struct picture *p = picture_of(s);

	(void)interval;
	flamegraph__free(&p->graph);
	flamegraph__init(&p->graph);
	p->unit = p->metric = NULL;
	p->period_ns = 0;
	p->mixed = false;
	return 0;
}

/* --- one stack */

static const struct frame irq_mark = {.name = "[irq]", .object = "", .kind = FRAME_MARK};
static const struct frame waker_mark = {.name = "--", .object = "", .kind = FRAME_MARK};

/* comm; [truncated: ...]; root ... leaf; --; waker's leaf ... root; waker's comm. Returns the number of
 * frames. */
static size_t put_in_order(const struct frame **order, const struct sample *s, const struct frame *comm,
			   const struct frame *incomplete, const struct frame *waker_comm)
{
	size_t n = 0;
	bool marked = s->count && s->frames[s->count - 1].kind == FRAME_MARK;

	order[n++] = comm;
	if (s->incomplete && !marked)
		order[n++] = incomplete;
	for (size_t i = s->count; i > 0; i--)
		order[n++] = &s->frames[i - 1];
	if (!s->waker_frames)
		return n;
	order[n++] = &waker_mark;
	for (size_t i = 0; i < s->waker_count; i++)
		order[n++] = &s->waker_frames[i];
	order[n++] = waker_comm->name[0] ? waker_comm : &irq_mark;
	return n;
}

static int add_stack(struct picture *p, const struct point *point)
{
	const struct sample *s = &point->sample;
	struct frame comm = {.name = point->who.comm, .object = ""};
	struct frame waker_comm = {.name = s->waker_comm ? s->waker_comm : "", .object = ""};
	struct frame incomplete = {.object = "", .kind = FRAME_MARK};
	struct buf reason = {0};
	size_t size = s->count + s->waker_count + 4;
	int err;

	if (size > p->order_size) {
		const struct frame **order = reallocarray(p->order, size, sizeof(*order));

		if (!order)
			return -ENOMEM;
		p->order = order;
		p->order_size = size;
	}
	buf__printf(&reason, "[truncated: %s]", s->incomplete ? s->incomplete : "");
	incomplete.name = buf__text(&reason);
	size = put_in_order(p->order, s, &comm, &incomplete, &waker_comm);
	err = flame__add(&p->graph.tree, p->order, size, s->value, false);
	if (!err && s->value)
		err = flame__add(&p->graph.tree, p->order, size, s->occurrences + s->open, true);
	buf__free(&reason);
	return err;
}

int picture__point(struct sink *s, const struct point *point)
{
	struct picture *p = picture_of(s);

	if (point->metric->kind != POINT_STACK)
		return 0;
	if (!p->unit) {
		p->unit = point->metric->unit;
		p->metric = point->metric->name;
	}
	if (strcmp(p->unit, point->metric->unit) != 0) {
		if (!p->refused)
			msg__note("%s: %s is in %s and does not fit into a picture of %s: left out",
				  p->options.path, point->metric->name, point->metric->unit, p->unit);
		p->refused = true;
		return 0;
	}
	if (strcmp(p->metric, point->metric->name) != 0)
		p->mixed = true;
	if (flamegraph__word_of_count(p->unit))
		p->period_ns = point->sample.period_ns;
	return add_stack(p, point);
}

/* --- the end of an interval */

/* Inside sonde all is in ns; folded files hold microseconds. */
static void finish_weights(struct picture *p)
{
	struct flame *f = &p->graph.tree;
	const char *unit = p->unit ? p->unit : "{sample}", *count = flamegraph__word_of_count(unit);

	if (p->mixed || count) {
		for (struct flame_node *n = &f->root; n; n = flame__next(n))
			n->other_self = 0;
		flame__total(f);
	}
	if (!strcmp(unit, "ns")) {
		flame__scale(f, 1, 1000, true);
		flamegraph__set(&p->graph, "unit", "us");
	} else if (!strcmp(unit, "By")) {
		flamegraph__set(&p->graph, "unit", "bytes");
	} else {
		flamegraph__set(&p->graph, "unit", count ? count : unit);
	}
}

static void set_if_known(struct flamegraph *g, const char *key, const char *value)
{
	if (value && *value)
		flamegraph__set(g, key, value);
}

static void state_coverage(struct flamegraph *g, const struct interval *interval)
{
	const struct coverage *c = &interval->coverage;

	flamegraph__setf(g, "lost", "%llu", (unsigned long long)interval->lost);
	flamegraph__set(g, "accounted", interval->accounted ? "yes" : "no");
	for (size_t i = 0; i < interval->loss_count; i++)
		flamegraph__setf(g, "loss", "%s/%s %llu", interval->loss[i].part, interval->loss[i].reason,
				 (unsigned long long)interval->loss[i].count);
	if (!c->stacks)
		return;
	flamegraph__setf(g, "stacks", "%llu", (unsigned long long)c->stacks);
	flamegraph__setf(g, "complete", "%llu", (unsigned long long)c->complete);
	set_if_known(g, "incomplete-reason", c->worst_reason);
	set_if_known(g, "incomplete-object", c->worst_object);
}

void picture__state_facts(struct flamegraph *g, const struct sink_options *options,
			  const struct interval *interval, const char *metric)
{
	char start[32] = "";
	struct tm tm;

	if (gmtime_r(&interval->wall_start.tv_sec, &tm))
		strftime(start, sizeof(start), "%Y-%m-%dT%H:%M:%SZ", &tm);
	flamegraph__set(g, "sonde", SONDE_VERSION);
	set_if_known(g, "command", options->command_line);
	set_if_known(g, "title", options->title);
	set_if_known(g, "subject", interval->subject);
	flamegraph__set(g, "start", start);
	flamegraph__setf(g, "duration-ns", "%llu",
			 (unsigned long long)(interval->end_ns - interval->start_ns));
	flamegraph__setf(g, "interval", "%u", interval->number);
	set_if_known(g, "headline", interval->headline);
	set_if_known(g, "note", interval->note);
	set_if_known(g, "metric", metric);
	state_coverage(g, interval);
	if (!isnan(interval->own_cost))
		flamegraph__setf(g, "own-cost", "%.4f", interval->own_cost);
}

int picture__end(struct sink *s, const struct interval *interval)
{
	struct picture *p = picture_of(s);
	struct flamegraph_style style = {
		.min_width = p->options.min_width,
		.width = FLAMEGRAPH_WIDTH,
		.inverted = p->options.inverted,
		.title = p->options.title,
	};
	struct buf out = {0};
	int err;

	finish_weights(p);
	picture__state_facts(&p->graph, &p->options, interval, p->metric);
	if (p->period_ns)
		flamegraph__setf(&p->graph, "period-ns", "%llu", (unsigned long long)p->period_ns);
	p->write(&out, &p->graph, &style);
	err = out.failed || p->graph.failed ? -ENOMEM : buf__write(&out, outfile__stream(p->file));
	errno = 0;
	if (!err && fflush(outfile__stream(p->file))) /* who reads a pipe gets each interval at its end */
		err = errno ? -errno : -EIO;
	buf__free(&out);
	return err;
}

int picture__close(struct sink *s, bool keep)
{
	struct picture *p = picture_of(s);
	int err = 0;

	if (!p)
		return 0;
	if (keep && p->file)
		err = outfile__commit(p->file);
	outfile__close(p->file);
	flamegraph__free(&p->graph);
	free(p->order);
	free(p);
	return err;
}
