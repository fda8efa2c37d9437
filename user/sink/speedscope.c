// SPDX-License-Identifier: Apache-2.0
/*
 * JSON for speedscope.app: one sampled profile per kind of value, stacks root first. The format has no
 * labels: the thread's name stands at the root, as in folded stacks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/text.h"
#include "sink/profile.h"

#define SCHEMA "https://www.speedscope.app/file-format-schema.json"

struct writer {
	struct buf *out;
	const struct profile *profile;
	struct table comms; /* interned text -> index of its frame */
};

static void put_string(struct buf *out, const char *text)
{
	buf__putc(out, '"');
	text__puts(out, text, TEXT_JSON);
	buf__putc(out, '"');
}

static void put_frame(struct buf *out, const struct frame *frame)
{
	buf__puts(out, "{\"name\":");
	put_string(out, frame->name);
	if (frame->file || *frame->object) {
		buf__puts(out, ",\"file\":");
		put_string(out, frame->file ? frame->file : frame->object);
	}
	if (frame->line)
		buf__printf(out, ",\"line\":%u", frame->line);
	buf__putc(out, '}');
}

/* Behind the profile's own frames come those of the threads' names. */
static void put_frames(struct writer *w)
{
	const struct profile *p = w->profile;
	uint64_t next = p->frame_count;

	buf__puts(w->out, "\"shared\":{\"frames\":[");
	for (size_t i = 0; i < p->frame_count; i++) {
		buf__puts(w->out, i ? ",\n" : "\n");
		put_frame(w->out, &p->frames[i]);
	}
	for (size_t i = 0; i < p->sample_count; i++) {
		const char *comm = profile__label(&p->samples[i], "comm");
		uint64_t *index;
		bool is_new;

		if (!comm)
			continue;
		index = table__add(&w->comms, &comm, &is_new);
		if (!index) {
			w->out->failed = true;
			return;
		}
		if (!is_new)
			continue;
		*index = next++;
		buf__puts(w->out, *index ? ",\n" : "\n");
		put_frame(w->out, &(struct frame){.name = comm, .object = ""});
	}
	buf__puts(w->out, "]}");
}

static void put_stack(struct writer *w, const struct profile_sample *s)
{
	const char *comm = profile__label(s, "comm"), *comma = "";
	uint64_t *index = comm ? table__find(&w->comms, &comm) : NULL;

	buf__putc(w->out, '[');
	if (index) {
		buf__printf(w->out, "%llu", (unsigned long long)*index);
		comma = ",";
	}
	for (uint32_t i = s->frame_count; i > 0; i--) {
		buf__printf(w->out, "%s%u", comma, s->frames[i - 1]);
		comma = ",";
	}
	buf__putc(w->out, ']');
}

static const char *unit_of(const char *unit)
{
	static const char *const units[] = {"bytes", "microseconds", "milliseconds", "nanoseconds",
					    "seconds"};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(units[i], unit))
			return unit;
	return "none";
}

static void put_profile(struct writer *w, size_t type)
{
	const struct profile *p = w->profile;
	const char *comma = "";

	buf__puts(w->out, "{\"type\":\"sampled\",\"name\":");
	put_string(w->out, p->types[type].name);
	buf__printf(w->out, ",\"unit\":\"%s\",\"startValue\":0,\"endValue\":%llu,\"samples\":[",
		    unit_of(p->types[type].unit), (unsigned long long)profile__total(p, type));
	for (size_t i = 0; i < p->sample_count; i++) {
		if (!p->samples[i].values[type])
			continue;
		buf__printf(w->out, "%s\n", comma);
		put_stack(w, &p->samples[i]);
		comma = ",";
	}
	buf__puts(w->out, "],\"weights\":[");
	comma = "";
	for (size_t i = 0; i < p->sample_count; i++) {
		if (!p->samples[i].values[type])
			continue;
		buf__printf(w->out, "%s%llu", comma, (unsigned long long)p->samples[i].values[type]);
		comma = ",";
	}
	buf__puts(w->out, "]}");
}

void speedscope__write(struct buf *out, const struct profile *p, const struct flamegraph *facts)
{
	struct flamegraph_style style = {0};
	struct writer w = {.out = out, .profile = p};
	struct buf title = {0};

	table__init(&w.comms, sizeof(char *), sizeof(uint64_t));
	buf__puts(out, "{\"$schema\":\"" SCHEMA "\",\n\"exporter\":\"sonde " SONDE_VERSION "\",\n\"name\":");
	flamegraph__title(&title, facts, &style);
	put_string(out, buf__text(&title));
	buf__printf(out, ",\n\"activeProfileIndex\":%zu,\n", p->main_type);
	put_frames(&w);
	buf__puts(out, ",\n\"profiles\":[");
	for (size_t i = 0; i < p->type_count; i++) {
		buf__puts(out, i ? ",\n" : "\n");
		put_profile(&w, i);
	}
	if (!p->type_count) /* nothing was seen, and a file without profiles is refused */
		buf__puts(out, "{\"type\":\"sampled\",\"name\":\"\",\"unit\":\"none\",\"startValue\":0,"
			       "\"endValue\":0,\"samples\":[],\"weights\":[]}");
	buf__puts(out, "]}\n");
	out->failed |= title.failed;
	buf__free(&title);
	table__free(&w.comms);
}

static struct sink *speedscope__open(const struct sink_options *options)
{
	return profile_sink__open(&sink_speedscope, options, speedscope__write);
}

const struct sink_type sink_speedscope = {
	.name = "speedscope",
	.summary = "JSON for www.speedscope.app",
	.extensions = "speedscope.json",
	.needs_file_per_interval = true,
	.open = speedscope__open,
	.begin = profile_sink__begin,
	.point = profile_sink__point,
	.end = profile_sink__end,
	.close = profile_sink__close,
};
