/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON lines: one object a line, as user/sink/schema.json describes them. Built by json-c; every string
 * passes base/text.h first, so that whatever bytes the kernel or a file held, a line is valid UTF-8 and one
 * line.
 */
#ifndef SONDE_SINK_JSON_H
#define SONDE_SINK_JSON_H

#include <json-c/json.h>

#include "sink/sink.h"

extern const struct sink_type sink_json;

/* Lines to a stream that stays the caller's. NULL and errno. */
struct sink *json_sink__to(FILE *out, const struct sink_options *options);

/* The JSON Schema of every line; not NUL-terminated. */
const char *json_sink__schema(size_t *len);

/* A line in the making. A failed allocation sticks, so that it is checked once, when the line is written. */
struct json_line {
	struct json_object *object; /* owned */
	bool failed;
};

/* Takes over `value`; NULL means that no memory was left for it. */
void json_line__put(struct json_line *line, struct json_object *into, const char *key,
		    struct json_object *value);
void json_line__text(struct json_line *line, struct json_object *into, const char *key, const char *foreign);
void json_line__number(struct json_line *line, struct json_object *into, const char *key, uint64_t value);
void json_line__double(struct json_line *line, struct json_object *into, const char *key, double value);
struct json_object *json_line__string(struct json_line *line, const char *foreign, size_t len);

/* The fields of a point into the line. -EINVAL: its kind is none of enum point_kind. */
int json_point__write(struct json_line *line, const struct point *point);

#endif
