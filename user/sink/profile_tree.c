// SPDX-License-Identifier: Apache-2.0
/* Profiles as the trees of flame graphs, and back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sink/profile.h"

/* --- a tree of one type's values */

/* The units of pprof as those of pictures, whose times are microseconds. */
static const struct unit_row {
	const char *unit, *shown;
	uint64_t mul, div;
} units[] = {
	{"count", "samples", 1, 1},	    {"nanoseconds", "us", 1, 1000},	{"microseconds", "us", 1, 1},
	{"milliseconds", "us", 1000, 1},    {"seconds", "us", 1000000, 1},	{"bytes", "bytes", 1, 1},
	{"kilobytes", "bytes", 1 << 10, 1}, {"megabytes", "bytes", 1 << 20, 1},
};

static const struct unit_row *find_unit(const char *unit)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(units[i].unit, unit))
			return &units[i];
	return NULL;
}

static int find_type(const struct profile *p, const char *name, const char *unit)
{
	for (size_t i = 0; i < p->type_count; i++)
		if ((!name || !strcmp(p->types[i].name, name)) && (!unit || !strcmp(p->types[i].unit, unit)))
			return (int)i;
	return -ENOENT;
}

/* What the stacks occurred: completed and open waits, or samples. */
static int find_count(const struct profile *p, int except)
{
	for (size_t i = 0; i < p->type_count; i++)
		if ((int)i != except && !strcmp(p->types[i].unit, "count"))
			return (int)i;
	return -ENOENT;
}

struct folding {
	const struct profile *profile;
	struct flamegraph *graph;
	const struct frame **order;
	size_t size;
	int type, count; /* count negative: none */
};

static int fold_sample(struct folding *f, const struct profile_sample *s)
{
	const char *comm = profile__label(s, "comm");
	struct frame root = {.name = comm, .object = ""};
	size_t n = 0, size = (size_t)s->frame_count + 1;
	int err;

	if (size > f->size) {
		const struct frame **order = reallocarray(f->order, size, sizeof(*order));

		if (!order)
			return -ENOMEM;
		f->order = order;
		f->size = size;
	}
	if (comm)
		f->order[n++] = &root;
	for (uint32_t i = s->frame_count; i > 0; i--)
		f->order[n++] = &f->profile->frames[s->frames[i - 1]];
	if (!n)
		return 0;
	err = flame__add(&f->graph->tree, f->order, n, s->values[f->type], false);
	if (!err && f->count >= 0 && s->values[f->type])
		err = flame__add(&f->graph->tree, f->order, n, s->values[f->count], true);
	return err;
}

static void state_times(const struct profile *p, struct flamegraph *g)
{
	time_t start_s = (time_t)(p->time_ns / 1000000000);
	char text[40];
	struct tm tm;

	if (p->time_ns && !*flamegraph__get(g, "start") && gmtime_r(&start_s, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		flamegraph__set(g, "start", text);
	if (p->duration_ns && !*flamegraph__get(g, "duration-ns"))
		flamegraph__setf(g, "duration-ns", "%llu", (unsigned long long)p->duration_ns);
	if (p->period_ns && !*flamegraph__get(g, "period-ns"))
		flamegraph__setf(g, "period-ns", "%llu", (unsigned long long)p->period_ns);
}

static const char *shown_unit(const struct unit_row *unit, const struct profile_type *type)
{
	if (!unit)
		return type->unit;
	return !strcmp(unit->unit, "count") && flamegraph__unit_of_count(type->name) ? type->name
										     : unit->shown;
}

int profile__fold(const struct profile *p, struct flamegraph *g, const char *value)
{
	struct folding f = {.profile = p, .graph = g, .type = (int)p->main_type};
	const struct unit_row *unit;
	int err = 0;

	/* What sonde draws of CPU samples is their number. */
	if (!value && !strcmp(flamegraph__get(g, "unit"), "samples") && find_type(p, NULL, "count") >= 0)
		f.type = find_type(p, NULL, "count");
	if (value)
		f.type = find_type(p, value, NULL);
	if (f.type < 0)
		return f.type;
	if (!p->type_count)
		return 0;
	unit = find_unit(p->types[f.type].unit);
	f.count = unit && strcmp(unit->shown, "samples") != 0 ? find_count(p, f.type) : -ENOENT;
	for (size_t i = 0; i < p->sample_count && !err; i++)
		err = fold_sample(&f, &p->samples[i]);
	free(f.order);
	if (!err && unit && g->tree.root.total > UINT64_MAX / unit->mul)
		err = -EOVERFLOW;
	if (!err && unit && (unit->mul != 1 || unit->div != 1))
		flame__scale(&g->tree, unit->mul, unit->div, true);
	flamegraph__set(g, "unit", shown_unit(unit, &p->types[f.type]));
	state_times(p, g);
	return err;
}

/* --- samples from a tree */

struct unfolding {
	struct profile *profile;
	uint32_t *frames;
	int type, count, cpu; /* negative: none */
	uint64_t mul;
};

static int choose_types(struct unfolding *u, const struct flamegraph *g)
{
	const char *unit = flamegraph__get(g, "unit"), *metric = flamegraph__get(g, "metric");
	bool is_time = !strcmp(unit, "us"), has_count = g->tree.root.other_total > 0;
	struct profile *p = u->profile;
	char name[64];

	u->mul = is_time ? 1000 : 1;
	u->count = u->cpu = -ENOENT;
	if (!flamegraph__is_weighted(g)) {
		u->type = profile__type(p, *unit ? unit : "samples", "count");
		profile__short_name(name, sizeof(name), *metric ? metric : "time");
		if (p->period_ns && u->type >= 0)
			u->cpu = profile__type(p, name, "nanoseconds");
	} else {
		u->count = has_count ? profile__type(p, "events", "count") : -ENOENT;
		profile__short_name(name, sizeof(name), *metric ? metric : is_time ? "time" : unit);
		u->type = profile__type(p, name, is_time ? "nanoseconds" : unit);
	}
	if (u->type < 0)
		return u->type;
	p->main_type = (size_t)(u->cpu >= 0 ? u->cpu : u->type);
	return 0;
}

static const char *object_of(enum frame_kind kind)
{
	return kind == FRAME_KERNEL ? "[kernel]" : kind == FRAME_JIT ? "[jit]" : "";
}

static int unfold_node(struct unfolding *u, const struct flame_node *leaf)
{
	struct profile_sample *sample;
	uint64_t value, cpu = 0;
	size_t n = 0;
	int err = 0;

	for (const struct flame_node *node = leaf; node->parent && !err; node = node->parent) {
		const struct frame frame = {
			.name = node->name, .object = object_of(node->kind), .kind = node->kind};

		err = profile__frame(u->profile, &frame, &u->frames[n++]);
	}
	if (err)
		return err;
	if (__builtin_mul_overflow(leaf->self, u->mul, &value) ||
	    (u->cpu >= 0 && __builtin_mul_overflow(leaf->self, u->profile->period_ns, &cpu)))
		return -EOVERFLOW;
	sample = profile__sample(u->profile, u->frames, n, NULL, 0);
	if (!sample)
		return -ENOMEM;
	err = profile__add(sample, u->type, value);
	if (!err && u->cpu >= 0)
		err = profile__add(sample, u->cpu, cpu);
	return !err && u->count >= 0 ? profile__add(sample, u->count, leaf->other_self) : err;
}

static void read_times(struct profile *p, const struct flamegraph *g)
{
	struct tm tm = {0};

	p->duration_ns = flamegraph__number(g, "duration-ns");
	p->period_ns = flamegraph__number(g, "period-ns");
	if (strptime(flamegraph__get(g, "start"), "%Y-%m-%dT%H:%M:%SZ", &tm) && timegm(&tm) > 0)
		p->time_ns = (uint64_t)timegm(&tm) * 1000000000;
}

int profile__unfold(struct profile *p, const struct flamegraph *g)
{
	struct unfolding u = {.profile = p};
	int err;

	if (g->tree.is_difference)
		return -EINVAL;
	read_times(p, g);
	err = choose_types(&u, g);
	u.frames = calloc(g->tree.depth + 1, sizeof(*u.frames));
	if (!u.frames)
		err = -ENOMEM;
	for (const struct flame_node *n = &g->tree.root; n && !err; n = flame__next(n))
		if (n->parent && n->self)
			err = unfold_node(&u, n);
	free(u.frames);
	return err;
}
