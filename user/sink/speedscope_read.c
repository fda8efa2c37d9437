// SPDX-License-Identifier: Apache-2.0
/* Reads the JSON of speedscope.app, sampled and evented profiles. Those of one unit are summed up: in most
 * files they are threads. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "sink/profile.h"

#define DEEPEST (FLAME_DEPTH_MAX - 1)

struct reader {
	struct profile *profile;
	struct buf *why;
	struct json_object *profiles;
	uint32_t *frames; /* of the file -> of the profile */
	size_t frame_count;
	uint32_t stack[DEEPEST], reversed[DEEPEST]; /* root first, leaf first */
	size_t depth;
	size_t frames_left; /* of all stacks: a small file must not become a large one */
	bool is_sonde;
	/* of the profile at hand */
	size_t number;
	int type;
	double scale;
	struct profile_label label; /* its name, where several are summed up; key NULL: none */
};

static int refuse(struct reader *r, const char *what, size_t at)
{
	buf__printf(r->why, ": profile %zu: ", r->number);
	buf__printf(r->why, what, at);
	return -EINVAL;
}

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) && json_object_is_type(value, type) ? value : NULL;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value = member(o, key, json_type_string);

	return value ? json_object_get_string(value) : "";
}

static bool number_of(struct json_object *value, double *number)
{
	if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double))
		return false;
	*number = json_object_get_double(value);
	return isfinite(*number);
}

/* --- frames */

/* sonde writes the object where no source is known. */
static bool is_object(const struct reader *r, const char *file, uint32_t line)
{
	return !line && (r->is_sonde || *file == '[' || profile__kind("", file) == FRAME_LIBRARY);
}

static int read_frame(struct reader *r, struct json_object *o, uint32_t *index)
{
	struct json_object *name = member(o, "name", json_type_string),
			   *line = member(o, "line", json_type_int);
	struct frame frame = {.object = ""};
	const char *file = text_of(o, "file");

	if (!name)
		return -EINVAL;
	frame.name = json_object_get_string(name);
	if (line && json_object_get_int64(line) > 0 && json_object_get_int64(line) <= UINT32_MAX)
		frame.line = (uint32_t)json_object_get_int64(line);
	if (is_object(r, file, frame.line))
		frame.object = file;
	else
		frame.file = file;
	frame.kind = profile__kind(frame.name, frame.object);
	return profile__frame(r->profile, &frame, index);
}

static int read_frames(struct reader *r, struct json_object *root)
{
	struct json_object *shared = member(root, "shared", json_type_object),
			   *list = shared ? member(shared, "frames", json_type_array) : NULL;
	int err = 0;

	if (!list) {
		buf__puts(r->why, ": JSON, but neither lines of sonde nor a profile of speedscope");
		return -EINVAL;
	}
	r->frame_count = json_object_array_length(list);
	r->frames = calloc(r->frame_count + 1, sizeof(*r->frames));
	if (!r->frames)
		return -ENOMEM;
	for (size_t i = 0; i < r->frame_count && !err; i++) {
		err = read_frame(r, json_object_array_get_idx(list, i), &r->frames[i]);
		if (err == -EINVAL)
			buf__printf(r->why, ": frame %zu has no name", i);
	}
	return err;
}

static bool find_frame(const struct reader *r, struct json_object *index, uint32_t *frame)
{
	int64_t at = json_object_is_type(index, json_type_int) ? json_object_get_int64(index) : -1;

	if (at < 0 || (uint64_t)at >= r->frame_count)
		return false;
	*frame = r->frames[at];
	return true;
}

/* --- weights */

/* The stack at hand gets a weight in the profile's unit. */
static int add_stack(struct reader *r, double weight)
{
	struct profile_sample *sample;
	double value = round(weight * r->scale);

	if (!r->depth || value <= 0)
		return 0;
	if (value > 9e18)
		return -EOVERFLOW;
	if (r->depth > r->frames_left)
		return refuse(r, "more frames than a file of this size can have", 0);
	r->frames_left -= r->depth;
	for (size_t i = 0; i < r->depth; i++)
		r->reversed[i] = r->stack[r->depth - 1 - i];
	sample = profile__sample(r->profile, r->reversed, r->depth, &r->label, r->label.key ? 1 : 0);
	return sample ? profile__add(sample, r->type, (uint64_t)value) : -ENOMEM;
}

static int read_sampled(struct reader *r, struct json_object *o)
{
	struct json_object *samples = member(o, "samples", json_type_array),
			   *weights = member(o, "weights", json_type_array);
	size_t count = samples ? json_object_array_length(samples) : 0;
	double weight;
	int err = 0;

	if (!samples || !weights || json_object_array_length(weights) != count)
		return refuse(r, "`samples` and `weights` must be lists of one length", 0);
	for (size_t i = 0; i < count && !err; i++) {
		struct json_object *stack = json_object_array_get_idx(samples, i);

		if (!json_object_is_type(stack, json_type_array))
			return refuse(r, "sample %zu is not a list of frames", i);
		r->depth = json_object_array_length(stack);
		if (r->depth > DEEPEST)
			return refuse(r, "sample %zu has too many frames", i);
		for (size_t j = 0; j < r->depth; j++)
			if (!find_frame(r, json_object_array_get_idx(stack, j), &r->stack[j]))
				return refuse(r, "sample %zu refers to a frame that is not there", i);
		if (!number_of(json_object_array_get_idx(weights, i), &weight) || weight < 0)
			return refuse(r, "weight %zu is not a number from 0", i);
		err = add_stack(r, weight);
	}
	return err;
}

static int read_evented(struct reader *r, struct json_object *o)
{
	struct json_object *events = member(o, "events", json_type_array), *at;
	size_t count = events ? json_object_array_length(events) : 0;
	double now, before = 0;
	uint32_t frame;
	int err = 0;

	if (!events)
		return refuse(r, "no list of `events`", 0);
	r->depth = 0;
	for (size_t i = 0; i < count && !err; i++) {
		struct json_object *event = json_object_array_get_idx(events, i), *index = NULL;
		const char *type = text_of(event, "type");

		json_object_object_get_ex(event, "frame", &index);
		if (!json_object_object_get_ex(event, "at", &at) || !number_of(at, &now) ||
		    (i && now < before) || !find_frame(r, index, &frame))
			return refuse(r, "event %zu: want a frame, and times that do not decrease", i);
		err = i ? add_stack(r, now - before) : 0;
		before = now;
		if (!strcmp(type, "O") && r->depth < DEEPEST)
			r->stack[r->depth++] = frame;
		else if (!strcmp(type, "C") && r->depth && r->stack[r->depth - 1] == frame)
			r->depth--;
		else
			return refuse(r, "event %zu neither opens a frame nor closes the last one", i);
	}
	return err;
}

/* --- profiles */

static const struct unit_row {
	const char *name;
	const char *type, *unit; /* what its values are called in sonde */
	double scale;
} units[] = {
	{"none", "samples", "count", 1},
	{"bytes", "space", "bytes", 1},
	{"nanoseconds", "time", "nanoseconds", 1},
	{"microseconds", "time", "nanoseconds", 1e3},
	{"milliseconds", "time", "nanoseconds", 1e6},
	{"seconds", "time", "nanoseconds", 1e9},
};

static const struct unit_row *find_unit(const char *name)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(units[i].name, name))
			return &units[i];
	return NULL;
}

/* How many profiles have values of this kind, up to two. */
static int count_alike(const struct reader *r, const struct unit_row *unit)
{
	int n = 0;

	for (size_t i = 0; i < json_object_array_length(r->profiles) && n < 2; i++) {
		struct json_object *o = json_object_array_get_idx(r->profiles, i);
		const struct unit_row *other = find_unit(text_of(o, "unit"));

		n += other && !strcmp(other->unit, unit->unit);
	}
	return n;
}

static int read_profile(struct reader *r, struct json_object *o)
{
	const struct unit_row *unit = find_unit(text_of(o, "unit"));
	const char *type = text_of(o, "type"), *name = text_of(o, "name");
	bool alone;

	if (!unit)
		return refuse(r, "its unit is none that speedscope has", 0);
	alone = count_alike(r, unit) == 1;
	r->type = profile__type(r->profile, alone && r->is_sonde && *name ? name : unit->type, unit->unit);
	if (r->type < 0)
		return r->type;
	r->scale = unit->scale;
	r->label = (struct profile_label){.unit = ""};
	if (!alone) {
		r->label.key = profile__string(r->profile, "profile", strlen("profile"));
		r->label.text = profile__string(r->profile, name, strlen(name));
		r->label.unit = profile__string(r->profile, "", 0);
		if (!r->label.key || !r->label.text || !r->label.unit)
			return -ENOMEM;
	}
	if (!strcmp(type, "sampled"))
		return read_sampled(r, o);
	if (!strcmp(type, "evented"))
		return read_evented(r, o);
	return refuse(r, "neither sampled nor evented", 0);
}

static int read_root(struct reader *r, struct flamegraph *g, struct json_object *root)
{
	struct json_object *active = member(root, "activeProfileIndex", json_type_int);
	int64_t shown = active ? json_object_get_int64(active) : 0;
	int err;

	r->is_sonde = !strncmp(text_of(root, "exporter"), "sonde ", 6);
	r->profiles = member(root, "profiles", json_type_array);
	err = read_frames(r, root);
	if (!err && !r->profiles) {
		buf__puts(r->why, ": no list of `profiles`");
		return -EINVAL;
	}
	for (size_t i = 0; !err && i < json_object_array_length(r->profiles); i++) {
		r->number = i + 1;
		err = read_profile(r, json_object_array_get_idx(r->profiles, i));
		if (!err && (int64_t)i == shown)
			r->profile->main_type = (size_t)r->type;
	}
	if (err)
		return err;
	if (*text_of(root, "name"))
		flamegraph__set(g, "title", text_of(root, "name"));
	/* sonde's pictures of CPU samples count them. */
	for (size_t i = 0; r->is_sonde && i < r->profile->type_count; i++)
		if (!strcmp(r->profile->types[i].name, "samples"))
			flamegraph__set(g, "unit", "samples");
	return g->failed ? -ENOMEM : 0;
}

int speedscope__read(struct profile *p, struct flamegraph *g, const char *data, size_t len, struct buf *why)
{
	struct json_tokener *tokener = json_tokener_new();
	struct reader *r = calloc(1, sizeof(*r));
	struct json_object *root = NULL;
	int err = -ENOMEM;

	if (!tokener || !r)
		goto out;
	*r = (struct reader){.profile = p, .why = why, .frames_left = 16 * len + 65536};
	root = len < INT32_MAX ? json_tokener_parse_ex(tokener, data, (int)len) : NULL;
	err = -EINVAL;
	if (!root || !json_object_is_type(root, json_type_object))
		buf__printf(why, ": not JSON, at byte %zu", json_tokener_get_parse_end(tokener));
	else
		err = read_root(r, g, root);
out:
	json_object_put(root);
	if (tokener)
		json_tokener_free(tokener);
	if (r)
		free(r->frames);
	free(r);
	return err;
}
