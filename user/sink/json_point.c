// SPDX-License-Identifier: Apache-2.0
/* Points as JSON objects. */
#include <errno.h>
#include <string.h>

#include "sink/json.h"

/* Buckets of times count from 2^-30 s: 240 eighths of a doubling below one second. */
#define SECOND_SHIFT 240

static void put_who(struct json_line *line, const struct who *from)
{
	size_t len = strnlen(from->comm, sizeof(from->comm));
	struct json_object *who;
	char cgroup[24];

	if (!from->tgid && !from->tid && !from->cgroup && !len)
		return;
	who = json_object_new_object();
	if (from->tgid)
		json_line__number(line, who, "tgid", from->tgid);
	if (from->tid)
		json_line__number(line, who, "tid", from->tid);
	if (len)
		json_line__put(line, who, "comm", json_line__string(line, from->comm, len));
	if (from->cgroup) {
		snprintf(cgroup, sizeof(cgroup), "%llu", (unsigned long long)from->cgroup);
		json_line__text(line, who, "cgroup", cgroup);
	}
	if (from->start_ns)
		json_line__number(line, who, "start_ns", from->start_ns);
	json_line__put(line, line->object, "who", who);
}

static void put_labels(struct json_line *line, const struct point *point)
{
	struct json_object *labels = NULL;

	for (int i = 0; i < 4 && point->metric->labels[i]; i++) {
		if (!point->label[i])
			continue;
		if (!labels)
			labels = json_object_new_object();
		json_line__text(line, labels, point->metric->labels[i], point->label[i]);
	}
	if (labels)
		json_line__put(line, line->object, "labels", labels);
}

/* OpenTelemetry's ExponentialHistogram, empty buckets at both ends left out. */
static void put_buckets(struct json_line *line, struct json_object *into, const struct hist *h, bool is_time)
{
	struct json_object *counts = json_object_new_array();
	uint32_t first = 1, last = HIST_SLOTS - 1;

	while (first < HIST_SLOTS && !h->slot[first])
		first++;
	while (last > first && !h->slot[last])
		last--;
	for (uint32_t slot = first; counts && slot <= last && slot < HIST_SLOTS; slot++)
		line->failed |= json_object_array_add(counts, json_object_new_uint64(h->slot[slot])) != 0;
	json_line__number(line, into, "zero_count", h->slot[0]);
	json_line__number(line, into, "scale", HIST_SCALE);
	json_line__put(line, into, "offset",
		       json_object_new_int(first == HIST_SLOTS ? 0
							       : (int)first - HIST_INDEX_SHIFT -
									 (is_time ? SECOND_SHIFT : 0)));
	json_line__put(line, into, "bucket_counts", counts);
}

static void put_hist(struct json_line *line, struct json_object *into, const struct hist *h, const char *unit)
{
	static const struct {
		const char *name;
		double q;
	} quantiles[] = {{"p50", 0.5},	{"p75", 0.75}, {"p90", 0.9},
			 {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}};
	bool is_time = !strcmp(unit, "ns");

	json_line__number(line, into, "count", h->count);
	json_line__number(line, into, "sum", h->sum);
	if (h->count)
		json_line__number(line, into, "max", is_time ? hist__max_ns(h) : hist__max_unit(h));
	for (size_t i = 0; h->count && i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		json_line__number(line, into, quantiles[i].name,
				  is_time ? hist__quantile_ns(h, quantiles[i].q)
					  : hist__quantile_unit(h, quantiles[i].q));
	json_line__text(line, into, "bucket_unit", is_time ? "s" : unit);
	put_buckets(line, into, h, is_time);
}

static struct json_object *frames(struct json_line *line, const struct frame *from, size_t count)
{
	static const char *const kinds[FRAME_KINDS] = {
		[FRAME_USER] = "user", [FRAME_LIBRARY] = "library", [FRAME_KERNEL] = "kernel",
		[FRAME_JIT] = "jit",   [FRAME_INLINED] = "inlined", [FRAME_MARK] = "mark"};
	struct json_object *list = json_object_new_array(), *frame;
	char address[24];

	for (size_t i = 0; list && i < count; i++) {
		frame = json_object_new_object();
		json_line__text(line, frame, "name", from[i].name);
		json_line__text(line, frame, "object", from[i].object);
		json_line__text(line, frame, "kind", kinds[from[i].kind]);
		if (from[i].kind != FRAME_MARK && from[i].address) {
			snprintf(address, sizeof(address), "0x%llx", (unsigned long long)from[i].address);
			json_line__text(line, frame, "address", address);
		}
		if (from[i].file)
			json_line__text(line, frame, "file", from[i].file);
		if (from[i].line)
			json_line__number(line, frame, "line", from[i].line);
		if (json_object_array_add(list, frame)) {
			json_object_put(frame);
			line->failed = true;
		}
	}
	return list;
}

static void put_stack(struct json_line *line, const struct point *point)
{
	const struct sample *s = &point->sample;
	struct json_object *object = line->object, *part;

	json_line__number(line, object, "value", s->value);
	json_line__number(line, object, "occurrences", s->occurrences);
	json_line__number(line, object, "open", s->open);
	if (s->period_ns)
		json_line__number(line, object, "period_ns", s->period_ns);
	if (s->incomplete)
		json_line__text(line, object, "incomplete", s->incomplete);
	json_line__put(line, object, "frames", frames(line, s->frames, s->count));
	if (s->waker_frames || (s->waker_comm && *s->waker_comm)) {
		part = json_object_new_object();
		json_line__text(line, part, "comm", s->waker_comm);
		json_line__put(line, part, "frames",
			       frames(line, s->waker_frames, s->waker_frames ? s->waker_count : 0));
		json_line__put(line, object, "waker", part);
	}
	if (s->hist) {
		part = json_object_new_object();
		put_hist(line, part, s->hist, point->metric->unit);
		json_line__put(line, object, "histogram", part);
	}
}

static void put_event(struct json_line *line, const struct event *event)
{
	struct json_object *fields = json_object_new_object();

	json_line__text(line, line->object, "event", event->type);
	json_line__number(line, line->object, "time_ns", event->time_ns);
	if (event->duration_ns)
		json_line__number(line, line->object, "duration_ns", event->duration_ns);
	for (size_t i = 0; i < event->count; i++) {
		if (event->fields[i].text)
			json_line__text(line, fields, event->fields[i].name, event->fields[i].text);
		else
			json_line__number(line, fields, event->fields[i].name, event->fields[i].number);
	}
	json_line__put(line, line->object, "fields", fields);
	if (event->frames)
		json_line__put(line, line->object, "frames", frames(line, event->frames, event->frame_count));
}

int json_point__write(struct json_line *line, const struct point *point)
{
	const struct metric *metric = point->metric;

	json_line__text(line, line->object, "metric", metric->name);
	if (metric->kind != POINT_EVENT)
		json_line__text(line, line->object, "unit", metric->unit);
	put_who(line, &point->who);
	put_labels(line, point);
	switch (metric->kind) {
	case POINT_COUNTER:
		json_line__number(line, line->object, "value", point->counter);
		return 0;
	case POINT_GAUGE:
		json_line__double(line, line->object, "value", point->gauge);
		return 0;
	case POINT_HIST:
		put_hist(line, line->object, point->hist, metric->unit);
		return 0;
	case POINT_STACK:
		put_stack(line, point);
		return 0;
	case POINT_EVENT:
		put_event(line, point->event);
		return 0;
	}
	return -EINVAL;
}
