// SPDX-License-Identifier: Apache-2.0
#include "sink/json.h"

#include <errno.h>
#include <json-c/printbuf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/outfile.h"
#include "base/text.h"

#define SCHEMA_VERSION 1 /* raised when a reader of older lines would misread newer ones */

struct json_sink {
	struct sink sink;
	struct outfile *file; /* NULL: the stream is the caller's */
	FILE *stream;
	const char *command_line;
	unsigned interval;
	bool started;
};

void json_line__put(struct json_line *line, struct json_object *into, const char *key,
		    struct json_object *value)
{
	if (value && into && !json_object_object_add(into, key, value))
		return;
	json_object_put(value);
	line->failed = true;
}

/* The string is JSON already: base/text.h is the one escaping writer, and json-c must not escape again. */
static int write_escaped(struct json_object *string, struct printbuf *out, int level, int flags)
{
	(void)level;
	(void)flags;
	if (printbuf_memappend(out, "\"", 1) < 0 ||
	    printbuf_memappend(out, json_object_get_string(string), json_object_get_string_len(string)) < 0 ||
	    printbuf_memappend(out, "\"", 1) < 0)
		return -1;
	return 0;
}

struct json_object *json_line__string(struct json_line *line, const char *foreign, size_t len)
{
	struct json_object *string = NULL;
	struct buf escaped = {0};

	text__add(&escaped, foreign, len, TEXT_JSON);
	if (!escaped.failed && escaped.len < INT32_MAX)
		string = json_object_new_string_len(buf__text(&escaped), (int)escaped.len);
	if (string)
		json_object_set_serializer(string, write_escaped, NULL, NULL);
	else
		line->failed = true;
	buf__free(&escaped);
	return string;
}

void json_line__text(struct json_line *line, struct json_object *into, const char *key, const char *foreign)
{
	json_line__put(line, into, key,
		       json_line__string(line, foreign ? foreign : "", foreign ? strlen(foreign) : 0));
}

void json_line__number(struct json_line *line, struct json_object *into, const char *key, uint64_t value)
{
	json_line__put(line, into, key, json_object_new_uint64(value));
}

/* The shortest form that reads back as the same number; null for what JSON has no number for. */
void json_line__double(struct json_line *line, struct json_object *into, const char *key, double value)
{
	char text[32], *comma;

	if (!isfinite(value)) {
		line->failed |= json_object_object_add(into, key, NULL) != 0;
		return;
	}
	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	comma = strchr(text, ',');
	if (comma)
		*comma = '.'; /* the locale's point is not JSON's */
	json_line__put(line, into, key, json_object_new_double_s(value, text));
}

static void put_time(struct json_line *line, const char *key, const struct timespec *time)
{
	char date[40] = "", text[64];
	struct tm tm;

	if (gmtime_r(&time->tv_sec, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%09ldZ", date, time->tv_nsec);
	json_line__text(line, line->object, key, text);
}

static struct json_line begin_line(const char *type)
{
	struct json_line line = {.object = json_object_new_object()};

	json_line__text(&line, line.object, "type", type);
	return line;
}

/* Writes and frees the line. */
static int end_line(struct json_sink *j, struct json_line *line)
{
	const char *text = NULL;
	size_t len;
	int err = 0;

	if (!line->failed)
		text = json_object_to_json_string_length(
			line->object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	errno = 0;
	if (!text)
		err = -ENOMEM;
	else if (fwrite(text, 1, len, j->stream) != len || fputc('\n', j->stream) == EOF)
		err = errno ? -errno : -EIO;
	json_object_put(line->object);
	return err;
}

static struct json_sink *make(FILE *stream, const struct sink_options *o)
{
	struct json_sink *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->sink.type = &sink_json;
	j->stream = stream;
	j->command_line = o->command_line;
	return j;
}

struct sink *json_sink__to(FILE *out, const struct sink_options *options)
{
	struct json_sink *j = make(out, options);

	return j ? &j->sink : NULL;
}

static struct sink *json__open(const struct sink_options *options)
{
	struct outfile *file = outfile__open(options->path ? options->path : "-");
	struct json_sink *j = file ? make(outfile__stream(file), options) : NULL;
	int err = errno;

	if (j) {
		j->file = file;
		return &j->sink;
	}
	outfile__close(file);
	errno = err;
	return NULL;
}

static int write_start(struct json_sink *j, const struct interval *interval)
{
	struct json_line line = begin_line("start");

	json_line__number(&line, line.object, "schema", SCHEMA_VERSION);
	json_line__text(&line, line.object, "sonde", SONDE_VERSION);
	json_line__text(&line, line.object, "command", j->command_line);
	json_line__text(&line, line.object, "subject", interval->subject);
	put_time(&line, "time", &interval->wall_start);
	json_line__number(&line, line.object, "start_ns", interval->start_ns);
	return end_line(j, &line);
}

static int json__begin(struct sink *sink, const struct interval *interval)
{
	struct json_sink *j = (struct json_sink *)sink;
	int err = 0;

	j->interval = interval->number;
	if (!j->started)
		err = write_start(j, interval);
	j->started = true;
	return err;
}

static int json__point(struct sink *sink, const struct point *point)
{
	static const char *const types[] = {[POINT_COUNTER] = "counter",
					    [POINT_GAUGE] = "gauge",
					    [POINT_HIST] = "histogram",
					    [POINT_STACK] = "stack",
					    [POINT_EVENT] = "event"};
	struct json_sink *j = (struct json_sink *)sink;
	struct json_line line;

	if ((size_t)point->metric->kind >= sizeof(types) / sizeof(types[0]))
		return -EINVAL;
	line = begin_line(types[point->metric->kind]);
	json_line__number(&line, line.object, "interval", j->interval);
	json_point__write(&line, point);
	return end_line(j, &line);
}

/* Written at once, so that a reader sees it when it happens. */
static int json__event(struct sink *sink, const struct interval *current, const struct point *point)
{
	struct json_sink *j = (struct json_sink *)sink;
	int err = json__begin(sink, current);

	if (!err)
		err = json__point(sink, point);
	errno = 0;
	if (!err && fflush(j->stream))
		err = errno ? -errno : -EIO;
	return err;
}

static void put_coverage(struct json_line *line, const struct coverage *c)
{
	struct json_object *coverage = json_object_new_object(), *reasons = json_object_new_object();

	json_line__number(line, coverage, "stacks", c->stacks);
	json_line__number(line, coverage, "complete", c->complete);
	for (size_t i = 0; i < c->reason_count; i++)
		json_line__number(line, reasons, c->reasons[i].reason, c->reasons[i].stacks);
	json_line__put(line, coverage, "incomplete", reasons);
	if (c->worst_reason)
		json_line__text(line, coverage, "worst_reason", c->worst_reason);
	if (c->worst_object)
		json_line__text(line, coverage, "worst_object", c->worst_object);
	json_line__put(line, line->object, "coverage", coverage);
}

static int write_loss(struct json_sink *j, const struct interval *interval)
{
	struct json_line line = begin_line("loss");
	struct json_object *rows = json_object_new_array(), *row;

	json_line__number(&line, line.object, "interval", interval->number);
	json_line__number(&line, line.object, "lost", interval->lost);
	json_line__put(&line, line.object, "accounted", json_object_new_boolean(interval->accounted));
	for (size_t i = 0; rows && i < interval->loss_count; i++) {
		const struct loss_row *from = &interval->loss[i];

		row = json_object_new_object();
		json_line__text(&line, row, "part", from->part);
		json_line__text(&line, row, "reason", from->reason);
		json_line__number(&line, row, "count", from->count);
		json_line__put(&line, row, "drop", json_object_new_boolean(from->is_drop));
		if (json_object_array_add(rows, row)) {
			json_object_put(row);
			line.failed = true;
		}
	}
	json_line__put(&line, line.object, "rows", rows);
	if (interval->coverage.stacks)
		put_coverage(&line, &interval->coverage);
	return end_line(j, &line);
}

static int write_interval(struct json_sink *j, const struct interval *interval)
{
	struct json_line line = begin_line("interval");

	json_line__number(&line, line.object, "interval", interval->number);
	json_line__put(&line, line.object, "last", json_object_new_boolean(interval->last));
	put_time(&line, "time", &interval->wall_start);
	json_line__number(&line, line.object, "start_ns", interval->start_ns);
	json_line__number(&line, line.object, "end_ns", interval->end_ns);
	json_line__text(&line, line.object, "subject", interval->subject);
	json_line__text(&line, line.object, "headline", interval->headline);
	if (interval->note && *interval->note)
		json_line__text(&line, line.object, "note", interval->note);
	json_line__number(&line, line.object, "lost", interval->lost);
	json_line__double(&line, line.object, "own_cost", interval->own_cost);
	return end_line(j, &line);
}

static int json__end(struct sink *sink, const struct interval *interval)
{
	struct json_sink *j = (struct json_sink *)sink;
	int err = write_loss(j, interval);

	if (!err)
		err = write_interval(j, interval);
	errno = 0;
	if (!err && fflush(j->stream))
		err = errno ? -errno : -EIO;
	return err;
}

static int json__close(struct sink *sink, bool keep)
{
	struct json_sink *j = (struct json_sink *)sink;
	int err = 0;

	if (!j)
		return 0;
	if (j->file && keep)
		err = outfile__commit(j->file);
	outfile__close(j->file);
	free(j);
	return err;
}

const struct sink_type sink_json = {
	.name = "json",
	.summary = "JSON lines, described by `sonde schema`",
	.extensions = "json,jsonl,ndjson",
	.open = json__open,
	.begin = json__begin,
	.point = json__point,
	.event = json__event,
	.end = json__end,
	.close = json__close,
};
