// SPDX-License-Identifier: Apache-2.0
/* Reads the stacks of sonde's JSON lines. All intervals and metrics of stacks are summed up; what has no
 * stack is passed over. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "sink/profile.h"

#define LOSS_ROWS_MAX 512

struct loss_sum {
	char *name; /* "part/reason" */
	uint64_t count;
};

struct reader {
	struct profile *profile;
	struct flamegraph *graph;
	struct buf *why;
	size_t line;
	struct loss_sum loss[LOSS_ROWS_MAX];
	size_t loss_count;
	uint64_t lost, stacks, complete;
	bool unaccounted, is_count, has_loss;
	const char *metric; /* of the first stack; interned */
	struct frame *frames, *waker_frames;
};

static int refuse(struct reader *r, const char *what)
{
	buf__printf(r->why, ":%zu: %s", r->line, what);
	return -EINVAL;
}

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) && json_object_is_type(value, type) ? value : NULL;
}

static const char *text_of(struct json_object *o, const char *key, const char *other)
{
	struct json_object *value = member(o, key, json_type_string);

	return value ? json_object_get_string(value) : other;
}

static uint64_t number_of(struct json_object *o, const char *key)
{
	struct json_object *value = member(o, key, json_type_int);

	return value && json_object_get_int64(value) >= 0 ? json_object_get_uint64(value) : 0;
}

/* --- stacks */

static enum frame_kind kind_of(const char *word)
{
	static const char *const kinds[FRAME_KINDS] = {
		[FRAME_USER] = "user", [FRAME_LIBRARY] = "library", [FRAME_KERNEL] = "kernel",
		[FRAME_JIT] = "jit",   [FRAME_INLINED] = "inlined", [FRAME_MARK] = "mark"};

	for (int i = 0; i < FRAME_KINDS; i++)
		if (!strcmp(kinds[i], word))
			return i;
	return FRAME_USER;
}

/* Into room for FLAME_DEPTH_MAX frames, whose strings stay the object's. */
static int read_frames(struct reader *r, struct json_object *list, struct frame *frames, size_t *count)
{
	size_t n = list ? json_object_array_length(list) : 0;

	*count = n;
	if (!list || n > FLAME_DEPTH_MAX / 2 - 8)
		return refuse(r, list ? "too many frames" : "a stack without `frames`");
	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *name = text_of(o, "name", NULL);

		if (!name)
			return refuse(r, "a frame without `name`");
		frames[i] = (struct frame){
			.name = name,
			.object = text_of(o, "object", ""),
			.address = strtoull(text_of(o, "address", "0"), NULL, 16),
			.kind = kind_of(text_of(o, "kind", "user")),
			.line = (uint32_t)number_of(o, "line"),
			.file = text_of(o, "file", NULL),
		};
	}
	return 0;
}

static void read_who(struct point *point, struct json_object *o)
{
	struct json_object *who = member(o, "who", json_type_object);
	const char *comm = who ? text_of(who, "comm", "") : "";

	if (!who)
		return;
	point->who.tgid = (uint32_t)number_of(who, "tgid");
	point->who.tid = (uint32_t)number_of(who, "tid");
	point->who.start_ns = number_of(who, "start_ns");
	point->who.cgroup = strtoull(text_of(who, "cgroup", "0"), NULL, 10);
	memcpy(point->who.comm, comm, strnlen(comm, sizeof(point->who.comm) - 1));
}

static void read_labels(struct point *point, struct metric *metric, struct json_object *o)
{
	struct json_object *labels = member(o, "labels", json_type_object);
	int n = 0;

	if (!labels)
		return;
	json_object_object_foreach(labels, key, value)
	{
		if (n == 4)
			break;
		metric->labels[n] = key;
		point->label[n++] = json_object_get_string(value);
	}
}

static int read_waker(struct reader *r, struct sample *s, struct json_object *o)
{
	struct json_object *waker = member(o, "waker", json_type_object);

	if (!waker)
		return 0;
	s->waker_comm = text_of(waker, "comm", "");
	s->waker_frames = r->waker_frames;
	return read_frames(r, member(waker, "frames", json_type_array), r->waker_frames, &s->waker_count);
}

static int read_stack(struct reader *r, struct json_object *o)
{
	struct metric metric = {.name = text_of(o, "metric", ""),
				.unit = text_of(o, "unit", "{sample}"),
				.kind = POINT_STACK};
	struct point point = {.metric = &metric};
	struct sample *s = &point.sample;
	int err;

	read_who(&point, o);
	read_labels(&point, &metric, o);
	s->frames = r->frames;
	s->value = number_of(o, "value");
	s->occurrences = number_of(o, "occurrences");
	s->open = number_of(o, "open");
	s->period_ns = number_of(o, "period_ns");
	s->incomplete = text_of(o, "incomplete", NULL);
	err = read_frames(r, member(o, "frames", json_type_array), r->frames, &s->count);
	if (!err)
		err = read_waker(r, s, o);
	if (!err)
		err = profile__add_point(r->profile, &point);
	if (err == -E2BIG)
		return refuse(r, "too many different metrics");
	if (err || r->metric)
		return err;
	r->metric = profile__string(r->profile, metric.name, strlen(metric.name));
	r->is_count = !strcmp(metric.unit, "{sample}");
	return r->metric ? 0 : -ENOMEM;
}

/* --- the other lines */

static int read_start(struct reader *r, struct json_object *o)
{
	const char *rest;
	struct tm tm = {0};

	flamegraph__set(r->graph, "sonde", text_of(o, "sonde", ""));
	flamegraph__set(r->graph, "command", text_of(o, "command", ""));
	rest = strptime(text_of(o, "time", ""), "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest && timegm(&tm) > 0)
		r->profile->time_ns = (uint64_t)timegm(&tm) * 1000000000 +
				      (*rest == '.' ? strtoul(rest + 1, NULL, 10) % 1000000000 : 0);
	return 0;
}

static int add_loss(struct reader *r, const char *part, const char *reason, uint64_t count)
{
	char *name;

	if (asprintf(&name, "%s/%s", part, reason) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < r->loss_count; i++)
		if (!strcmp(r->loss[i].name, name)) {
			r->loss[i].count += count;
			free(name);
			return 0;
		}
	if (r->loss_count == LOSS_ROWS_MAX) {
		free(name);
		return refuse(r, "too many rows of losses");
	}
	r->loss[r->loss_count++] = (struct loss_sum){name, count};
	return 0;
}

static int read_loss(struct reader *r, struct json_object *o)
{
	struct json_object *rows = member(o, "rows", json_type_array),
			   *coverage = member(o, "coverage", json_type_object),
			   *accounted = member(o, "accounted", json_type_boolean);
	int err = 0;

	r->has_loss = true;
	r->unaccounted |= accounted && !json_object_get_boolean(accounted);
	r->lost += number_of(o, "lost");
	for (size_t i = 0; rows && !err && i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		err = add_loss(r, text_of(row, "part", ""), text_of(row, "reason", ""),
			       number_of(row, "count"));
	}
	if (!coverage)
		return err;
	r->stacks += number_of(coverage, "stacks");
	r->complete += number_of(coverage, "complete");
	if (*text_of(coverage, "worst_reason", ""))
		flamegraph__set(r->graph, "incomplete-reason", text_of(coverage, "worst_reason", ""));
	if (*text_of(coverage, "worst_object", ""))
		flamegraph__set(r->graph, "incomplete-object", text_of(coverage, "worst_object", ""));
	return err;
}

static int read_interval(struct reader *r, struct json_object *o)
{
	static const char *const keys[] = {"subject", "headline", "note"};
	uint64_t start = number_of(o, "start_ns"), end = number_of(o, "end_ns");

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (*text_of(o, keys[i], ""))
			flamegraph__set(r->graph, keys[i], text_of(o, keys[i], ""));
	if (end > start)
		r->profile->duration_ns += end - start;
	return 0;
}

static const struct line_type {
	const char *name;
	int (*read)(struct reader *, struct json_object *); /* NULL: it has no stack */
} line_types[] = {
	{"start", read_start}, {"stack", read_stack}, {"loss", read_loss}, {"interval", read_interval},
	{"counter", NULL},     {"gauge", NULL},	      {"histogram", NULL}, {"event", NULL},
};

static int read_line(struct reader *r, struct json_tokener *tokener, const char *line, size_t len)
{
	struct json_object *o;
	const char *type;
	int err = 0;

	json_tokener_reset(tokener);
	o = len < INT32_MAX ? json_tokener_parse_ex(tokener, line, (int)len) : NULL;
	type = o && json_object_is_type(o, json_type_object) ? text_of(o, "type", NULL) : NULL;
	if (!type || json_tokener_get_parse_end(tokener) < len)
		err = refuse(r, "not a line of sonde's JSON (sonde schema)");
	for (size_t i = 0; !err; i++) {
		if (i == sizeof(line_types) / sizeof(line_types[0])) {
			err = refuse(r, "not a type of line that sonde knows (sonde schema)");
		} else if (!strcmp(line_types[i].name, type)) {
			err = line_types[i].read ? line_types[i].read(r, o) : 0;
			break;
		}
	}
	json_object_put(o);
	return err;
}

static void state_facts(struct reader *r)
{
	struct flamegraph *g = r->graph;

	if (r->metric)
		flamegraph__set(g, "metric", r->metric);
	if (r->metric && r->is_count)
		flamegraph__set(g, "unit", "samples");
	if (!r->has_loss)
		return;
	flamegraph__setf(g, "lost", "%llu", (unsigned long long)r->lost);
	flamegraph__set(g, "accounted", r->unaccounted ? "no" : "yes");
	for (size_t i = 0; i < r->loss_count; i++)
		flamegraph__setf(g, "loss", "%s %llu", r->loss[i].name, (unsigned long long)r->loss[i].count);
	if (!r->stacks)
		return;
	flamegraph__setf(g, "stacks", "%llu", (unsigned long long)r->stacks);
	flamegraph__setf(g, "complete", "%llu", (unsigned long long)r->complete);
}

static int read_lines(struct reader *r, const char *data, size_t len)
{
	struct json_tokener *tokener = json_tokener_new();
	const char *end = data + len, *stop;
	int err = tokener && r->frames && r->waker_frames ? 0 : -ENOMEM;

	for (r->line = 1; data < end && !err; r->line++, data = stop + 1) {
		stop = memchr(data, '\n', (size_t)(end - data));
		if (!stop)
			stop = end;
		if (stop > data)
			err = read_line(r, tokener, data, (size_t)(stop - data));
	}
	if (tokener)
		json_tokener_free(tokener);
	return err;
}

int json_lines__read(struct profile *p, struct flamegraph *g, const char *data, size_t len, struct buf *why)
{
	struct reader *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	*r = (struct reader){
		.profile = p,
		.graph = g,
		.why = why,
		.frames = calloc(FLAME_DEPTH_MAX, sizeof(*r->frames)),
		.waker_frames = calloc(FLAME_DEPTH_MAX, sizeof(*r->waker_frames)),
	};
	err = read_lines(r, data, len);
	if (!err)
		state_facts(r);
	for (size_t i = 0; i < r->loss_count; i++)
		free(r->loss[i].name);
	free(r->frames);
	free(r->waker_frames);
	free(r);
	return !err && g->failed ? -ENOMEM : err;
}
