// SPDX-License-Identifier: Apache-2.0
/* Profiles from points, and points from profiles. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sink/profile.h"

#define LABELS_MAX 9 /* who has five, a metric four */
#define TRUNCATED  "[truncated: "

/* --- from a point */

/* The types of a metric: how often, and how long or how much. */
struct columns {
	int count, weight; /* weight negative: the count is all there is */
	int weight_is_count;
	uint64_t period_ns;
};

static int find_columns(struct profile *p, const struct point *point, struct columns *c)
{
	const char *unit = point->metric->unit, *word = flamegraph__word_of_count(unit);
	bool is_count = word != NULL;
	char name[64];

	*c = (struct columns){.weight = -ENOENT, .period_ns = point->sample.period_ns};
	profile__short_name(name, sizeof(name), point->metric->name);
	c->count = profile__type(p, is_count ? word : "events", "count");
	if (!is_count)
		c->weight = profile__type(p, name,
					  !strcmp(unit, "ns")	? "nanoseconds"
					  : !strcmp(unit, "By") ? "bytes"
								: unit);
	else if (c->period_ns)
		c->weight = profile__type(p, name, "nanoseconds");
	if (c->count < 0 || c->weight == -ENOMEM || c->weight == -E2BIG)
		return c->count < 0 ? c->count : c->weight;
	c->weight_is_count = is_count;
	/* The first metric is what a picture shows. */
	if (!p->sample_count)
		p->main_type = (size_t)(c->weight < 0 ? c->count : c->weight);
	if (is_count && c->period_ns)
		p->period_ns = c->period_ns;
	return 0;
}

struct label_list {
	struct profile_label labels[LABELS_MAX];
	size_t count;
	bool failed;
};

static void add_text(struct profile *p, struct label_list *l, const char *key, const char *text, size_t len)
{
	struct profile_label label = {.unit = ""};

	if (!len)
		return;
	label.key = profile__string(p, key, strlen(key));
	label.text = profile__string(p, text, len);
	l->failed |= !label.key || !label.text;
	l->labels[l->count++] = label;
}

static void add_number(struct profile *p, struct label_list *l, const char *key, uint64_t number,
		       const char *unit)
{
	struct profile_label label = {.number = (int64_t)number};

	if (!number)
		return;
	label.key = profile__string(p, key, strlen(key));
	label.unit = profile__string(p, unit, strlen(unit));
	l->failed |= !label.key || !label.unit;
	l->labels[l->count++] = label;
}

static void list_labels(struct profile *p, struct label_list *l, const struct point *point)
{
	const struct who *who = &point->who;

	add_text(p, l, "comm", who->comm, strnlen(who->comm, sizeof(who->comm)));
	add_number(p, l, "pid", who->tgid, "");
	add_number(p, l, "tid", who->tid, "");
	add_number(p, l, "cgroup", who->cgroup, "");
	add_number(p, l, "start", who->start_ns, "nanoseconds");
	for (int i = 0; i < 4 && point->metric->labels[i]; i++)
		if (point->label[i])
			add_text(p, l, point->metric->labels[i], point->label[i], strlen(point->label[i]));
}

struct frame_list {
	struct profile *profile;
	uint32_t *indexes;
	size_t count;
	int err;
};

static void add_frame(struct frame_list *l, const struct frame *frame)
{
	if (!l->err)
		l->err = profile__frame(l->profile, frame, &l->indexes[l->count++]);
}

static void add_mark(struct frame_list *l, const char *name)
{
	add_frame(l, &(struct frame){.name = name, .object = "", .kind = FRAME_MARK});
}

/* The waker stands above what it woke, its own stack upside down, as in folded stacks. A function inlined
 * into it then stands on the wrong side of its caller, so it stays a location of its own. */
static void add_waker(struct frame_list *l, const struct sample *s)
{
	if (s->waker_comm && *s->waker_comm)
		add_frame(l, &(struct frame){.name = s->waker_comm, .object = ""});
	else
		add_mark(l, "[irq]");
	for (size_t i = s->waker_count; i > 0; i--) {
		struct frame frame = s->waker_frames[i - 1];

		if (frame.kind == FRAME_INLINED)
			frame.address = 0;
		add_frame(l, &frame);
	}
	add_mark(l, "--");
}

static int list_frames(struct frame_list *l, const struct sample *s)
{
	struct buf mark = {0};

	l->indexes = calloc(s->count + s->waker_count + 4, sizeof(*l->indexes));
	if (!l->indexes)
		return -ENOMEM;
	if (s->waker_frames)
		add_waker(l, s);
	for (size_t i = 0; i < s->count; i++)
		add_frame(l, &s->frames[i]);
	if (s->incomplete && !(s->count && s->frames[s->count - 1].kind == FRAME_MARK)) {
		buf__printf(&mark, TRUNCATED "%s]", s->incomplete);
		add_mark(l, buf__text(&mark));
		buf__free(&mark);
	}
	return l->err;
}

int profile__add_point(struct profile *p, const struct point *point)
{
	const struct sample *s = &point->sample;
	struct frame_list frames = {.profile = p};
	struct label_list labels = {.count = 0};
	struct profile_sample *sample = NULL;
	struct columns c;
	uint64_t ns, occurrences;
	int err;

	if (point->metric->kind != POINT_STACK)
		return 0;
	err = find_columns(p, point, &c);
	if (!err)
		err = list_frames(&frames, s);
	list_labels(p, &labels, point);
	if (!err && !labels.failed)
		sample = profile__sample(p, frames.indexes, frames.count, labels.labels, labels.count);
	free(frames.indexes);
	if (err || !sample)
		return err ? err : -ENOMEM;
	if (__builtin_add_overflow(s->occurrences, s->open, &occurrences) ||
	    __builtin_mul_overflow(s->value, c.period_ns, &ns))
		return -EOVERFLOW;
	err = profile__add(sample, c.count, c.weight_is_count ? s->value : occurrences);
	if (!err && c.weight >= 0)
		err = profile__add(sample, c.weight, c.weight_is_count ? ns : s->value);
	return err;
}

/* --- to points */

#define KEYS_MAX 4

struct emission {
	const struct profile *profile;
	struct sink *sink;
	struct metric metric;
	char name[80];
	int type, count; /* count negative: not known */
	struct frame *frames;
};

static bool is_who(const char *key)
{
	static const char *const keys[] = {"comm", "pid", "tid", "cgroup", "start"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(keys[i], key))
			return true;
	return false;
}

static void find_labels(struct emission *e)
{
	const struct profile *p = e->profile;
	size_t n = 0, k;

	for (size_t i = 0; i < p->sample_count; i++) {
		const struct profile_sample *s = &p->samples[i];

		for (uint32_t j = 0; j < s->label_count && n < KEYS_MAX; j++) {
			if (!s->labels[j].text || is_who(s->labels[j].key))
				continue;
			for (k = 0; k < n && strcmp(e->metric.labels[k], s->labels[j].key) != 0; k++)
				;
			if (k == n)
				e->metric.labels[n++] = s->labels[j].key;
		}
	}
}

static void describe(struct emission *e, const struct flamegraph *facts)
{
	const struct profile *p = e->profile;
	const struct profile_type *type = &p->types[p->main_type];
	bool is_cpu = !strcmp(flamegraph__get(facts, "unit"), "samples");
	const char *metric = flamegraph__get(facts, "metric"), *count;

	e->type = (int)p->main_type;
	e->count = -1;
	for (size_t i = 0; i < p->type_count; i++)
		if (!strcmp(p->types[i].unit, "count"))
			e->count = (int)i;
	/* CPU time that was counted in samples stays a number of samples. */
	if (e->count >= 0 && (is_cpu || !strcmp(p->types[e->count].name, "samples"))) {
		e->type = e->count;
		type = &p->types[e->type];
	}
	count = flamegraph__unit_of_count(type->name);
	snprintf(e->name, sizeof(e->name), "%s", *metric ? metric : type->name);
	e->metric = (struct metric){
		.name = e->name,
		.unit = !strcmp(type->unit, "nanoseconds") ? "ns"
			: !strcmp(type->unit, "count")	   ? (count ? count : "{sample}")
			: !strcmp(type->unit, "bytes")	   ? "By"
							   : type->unit,
		.help = "",
		.kind = POINT_STACK,
		.shape = strcmp(type->unit, "nanoseconds") ? SHAPE_FUNCTIONS : SHAPE_STACKS,
	};
	find_labels(e);
}

static void take_who(struct who *who, const struct profile_sample *s)
{
	const char *comm = profile__label(s, "comm");

	*who = (struct who){
		.tgid = (uint32_t)profile__label_number(s, "pid"),
		.tid = (uint32_t)profile__label_number(s, "tid"),
		.cgroup = profile__label_number(s, "cgroup"),
		.start_ns = profile__label_number(s, "start"),
	};
	if (comm)
		memcpy(who->comm, comm, strnlen(comm, sizeof(who->comm) - 1));
}

/* What add_waker() joined comes apart again: returns the number of frames that are the waker's. */
static size_t take_waker(struct emission *e, const struct profile_sample *s, struct sample *sample)
{
	const struct frame *from = e->profile->frames;
	uint32_t n = 0;

	while (n < s->frame_count && strcmp(from[s->frames[n]].name, "--") != 0)
		n++;
	if (!n || n == s->frame_count)
		return 0;
	for (uint32_t i = 1; i < n; i++)
		e->frames[s->frame_count - i] = from[s->frames[i]];
	sample->waker_frames = &e->frames[s->frame_count - n + 1];
	sample->waker_count = n - 1;
	sample->waker_comm = from[s->frames[0]].kind == FRAME_MARK ? "" : from[s->frames[0]].name;
	return n + 1;
}

static int emit_sample(struct emission *e, const struct profile_sample *s)
{
	struct point point = {.metric = &e->metric};
	struct sample *sample = &point.sample;
	size_t skip, len = strlen(TRUNCATED);
	const char *last, *bracket;
	char reason[64];

	take_who(&point.who, s);
	for (int i = 0; i < KEYS_MAX && e->metric.labels[i]; i++)
		point.label[i] = profile__label(s, e->metric.labels[i]);
	skip = take_waker(e, s, sample);
	for (size_t i = skip; i < s->frame_count; i++)
		e->frames[i - skip] = e->profile->frames[s->frames[i]];
	sample->frames = e->frames;
	sample->count = s->frame_count - skip;
	sample->value = s->values[e->type];
	sample->occurrences = e->count >= 0 ? s->values[e->count] : 0;
	sample->period_ns = e->type == e->count ? e->profile->period_ns : 0;
	last = sample->count ? e->frames[sample->count - 1].name : "";
	bracket = strrchr(last, ']');
	if (!strncmp(last, TRUNCATED, len) && bracket) {
		snprintf(reason, sizeof(reason), "%.*s", (int)(bracket - last - (long)len), last + len);
		sample->incomplete = reason;
	}
	return sample->value ? e->sink->type->point(e->sink, &point) : 0;
}

static int emit_samples(struct emission *e)
{
	const struct profile *p = e->profile;
	size_t deepest = 0;
	int err = 0;

	for (size_t i = 0; i < p->sample_count; i++)
		if (p->samples[i].frame_count > deepest)
			deepest = p->samples[i].frame_count;
	e->frames = calloc(deepest + 1, sizeof(*e->frames));
	if (!e->frames)
		return -ENOMEM;
	for (size_t i = 0; i < p->sample_count && !err; i++)
		err = emit_sample(e, &p->samples[i]);
	free(e->frames);
	return err;
}

int profile__emit(const struct profile *p, const struct flamegraph *facts, struct sink *sink)
{
	struct emission e = {.profile = p, .sink = sink};
	struct interval interval = {
		.number = 1,
		.last = true,
		.end_ns = p->duration_ns,
		.wall_start = {(time_t)(p->time_ns / 1000000000), (long)(p->time_ns % 1000000000)},
		.subject = flamegraph__get(facts, "subject"),
		.headline = flamegraph__get(facts, "headline"),
		.note = flamegraph__get(facts, "note"),
		.lost = flamegraph__number(facts, "lost"),
		.accounted = strcmp(flamegraph__get(facts, "accounted"), "no") != 0,
		.coverage = {.stacks = flamegraph__number(facts, "stacks"),
			     .complete = flamegraph__number(facts, "complete")},
		.own_cost = NAN,
	};
	const char *reason = flamegraph__get(facts, "incomplete-reason"),
		   *object = flamegraph__get(facts, "incomplete-object");
	int err;

	interval.coverage.worst_reason = *reason ? reason : NULL;
	interval.coverage.worst_object = *object ? object : NULL;
	if (*flamegraph__get(facts, "own-cost"))
		interval.own_cost = strtod(flamegraph__get(facts, "own-cost"), NULL);
	err = sink->type->begin(sink, &interval);
	if (!err && p->type_count) {
		describe(&e, facts);
		err = emit_samples(&e);
	}
	return err ? err : sink->type->end(sink, &interval);
}
