// SPDX-License-Identifier: Apache-2.0
#include "session/walltime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

struct thread_id {
	uint64_t start_ns; /* of the process */
	uint32_t tgid, tid;
};

struct thread_time {
	struct who who;
	uint64_t cpu_ns, runq_ns, throttled_ns, blocked_ns; /* exact, from the states */
	uint64_t samples, stacks_ns;			    /* what stacks stand for */
};

/* A CPU sample that waits for the interval's end. Its frames stay valid: they belong to the stack store. */
struct kept {
	struct thread_id thread;
	struct point point;
};

struct walltime {
	struct stage stage;
	struct table threads; /* struct thread_id -> struct thread_time */
	struct kept *kept;
	size_t count, capacity;
};

static const struct metric metric_wall = {
	.name = "sonde_wall_time",
	.unit = "ns",
	.help = "Elapsed time of threads: running, in the run queue and blocked, by stack",
	.kind = POINT_STACK,
	.shape = SHAPE_STACKS,
	.labels = {"state"},
};

static struct thread_time *thread_of(struct walltime *w, const struct who *who)
{
	struct thread_id id = {.start_ns = who->start_ns, .tgid = who->tgid, .tid = who->tid};
	bool is_new;
	struct thread_time *t = table__add(&w->threads, &id, &is_new);

	if (t && is_new)
		t->who = *who;
	return t;
}

static int keep(struct walltime *w, const struct point *p)
{
	struct thread_id id = {.start_ns = p->who.start_ns, .tgid = p->who.tgid, .tid = p->who.tid};
	struct thread_time *t = thread_of(w, &p->who);

	if (w->count == w->capacity) {
		size_t capacity = w->capacity ? 2 * w->capacity : 256;
		struct kept *grown = realloc(w->kept, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		w->kept = grown;
		w->capacity = capacity;
	}
	if (!t)
		return -ENOMEM;
	t->samples += p->sample.value;
	w->kept[w->count++] = (struct kept){.thread = id, .point = *p};
	return 0;
}

/* States that have no stack of their own stand under a mark. The states go on to the table all the same. */
static int add_state(struct walltime *w, const struct point *p, struct point_stream *next)
{
	struct thread_time *t = thread_of(w, &p->who);
	const char *state = p->label[0];

	if (!t)
		return -ENOMEM;
	if (!strcmp(state, "user") || !strcmp(state, "sys"))
		t->cpu_ns += p->counter;
	else if (!strcmp(state, "runq"))
		t->runq_ns += p->counter;
	else if (!strcmp(state, "throttled"))
		t->throttled_ns += p->counter;
	else
		t->blocked_ns += p->counter;
	return next->emit(next, p);
}

static int walltime__point(struct stage *stage, const struct point *p, struct point_stream *next)
{
	struct walltime *w = (struct walltime *)stage;
	struct point out = *p;
	struct thread_time *t;

	if (p->metric->kind == POINT_COUNTER)
		return add_state(w, p, next);
	if (strcmp(p->metric->unit, "ns"))
		return keep(w, p);
	if (!p->who.start_ns) /* whose stack was lost: its thread has the time under a mark */
		return 0;
	t = thread_of(w, &p->who);
	if (!t)
		return -ENOMEM;
	t->stacks_ns += p->sample.value;
	out.metric = &metric_wall;
	return next->emit(next, &out);
}

static int emit_mark(struct point_stream *next, const struct who *who, const char *state, const char *name,
		     uint64_t ns)
{
	struct frame frame = {.name = name, .object = "", .kind = FRAME_MARK};
	struct point p = {
		.metric = &metric_wall,
		.who = *who,
		.label = {state},
		.sample = {.frames = &frame, .count = 1, .value = ns},
	};

	return ns ? next->emit(next, &p) : 0;
}

static int emit_samples(struct walltime *w, struct point_stream *next)
{
	int err = 0;

	for (size_t i = 0; !err && i < w->count; i++) {
		const struct thread_time *t = table__find(&w->threads, &w->kept[i].thread);
		struct point p = w->kept[i].point;

		p.metric = &metric_wall;
		p.label[0] = "cpu";
		p.sample.value = (uint64_t)((double)t->cpu_ns * p.sample.value / t->samples);
		if (p.sample.value)
			err = next->emit(next, &p);
	}
	return err;
}

static int walltime__end(struct stage *stage, struct point_stream *next)
{
	struct walltime *w = (struct walltime *)stage;
	int err = emit_samples(w, next);
	const void *key;
	size_t i = 0;
	void *value;

	while (!err && table__next(&w->threads, &i, &key, &value)) {
		const struct thread_time *t = value;

		if (!t->samples)
			err = emit_mark(next, &t->who, "cpu", "[on CPU, not sampled]", t->cpu_ns);
		if (!err)
			err = emit_mark(next, &t->who, "runq", "[run queue]", t->runq_ns);
		if (!err)
			err = emit_mark(next, &t->who, "throttled", "[throttled]", t->throttled_ns);
		if (!err && t->blocked_ns > t->stacks_ns)
			err = emit_mark(next, &t->who, "blocked", "[blocked, no stack]",
					t->blocked_ns - t->stacks_ns);
	}
	table__clear(&w->threads);
	w->count = 0;
	return err;
}

struct stage *walltime__new(void)
{
	struct walltime *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->stage = (struct stage){.point = walltime__point, .end = walltime__end};
	table__init(&w->threads, sizeof(struct thread_id), sizeof(struct thread_time));
	return &w->stage;
}

void walltime__free(struct stage *stage)
{
	struct walltime *w = (struct walltime *)stage;

	if (!w)
		return;
	table__free(&w->threads);
	free(w->kept);
	free(w);
}
