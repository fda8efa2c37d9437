// SPDX-License-Identifier: Apache-2.0
/* Reads pprof's profile.proto, gzipped or not, whoever wrote it. Nothing that stands in it is believed. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "sink/pprof.pb-c.h"
#include "sink/profile.h"

#define MEMORY_MAX   ((size_t)1 << 30) /* of the unpacked messages */
#define COMMENTS_MAX 1000

struct budget {
	size_t left;
};

/* The frames of a location: [first, first + count) of reader.lines. */
struct place {
	size_t first, count;
};

struct reader {
	struct profile *profile;
	const Pprof__Profile *message;
	struct buf *why;
	struct table locations, functions, mappings; /* id -> index in the message */
	struct place *places;			     /* by location */
	uint32_t *lines;
	uint32_t *stack; /* FLAME_DEPTH_MAX */
	int types[PROFILE_TYPES_MAX];
	size_t frames_left; /* of all samples: a small file must not become a large one */
};

/* --- bytes */

bool pprof__is(const char *data, size_t len)
{
	const unsigned char *d = (const unsigned char *)data;

	/* gzip; or a profile's first field: the empty string, or a short message that begins with its own */
	return (len > 2 && d[0] == 0x1f && d[1] == 0x8b) || (len > 4 && d[0] == 0x32 && !d[1]) ||
	       (len > 4 && d[0] == 0x0a && d[1] <= 0x16 && d[2] == 0x08);
}

static int inflate_into(struct buf *out, const char *data, size_t len, struct buf *why)
{
	char chunk[1 << 14];
	z_stream z = {0};
	int status;

	if (len > UINT32_MAX || inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
		return -ENOMEM;
	z.next_in = (unsigned char *)data;
	z.avail_in = (uInt)len;
	do {
		z.next_out = (unsigned char *)chunk;
		z.avail_out = sizeof(chunk);
		status = inflate(&z, Z_NO_FLUSH);
		buf__add(out, chunk, sizeof(chunk) - z.avail_out);
	} while (status == Z_OK && out->len <= PROFILE_BYTES_MAX && !out->failed);
	if (out->len > PROFILE_BYTES_MAX)
		buf__printf(why, ": more than %zu MiB when unpacked", PROFILE_BYTES_MAX >> 20);
	else if (status == Z_BUF_ERROR)
		buf__puts(why, ": the gzip data ends too early");
	else if (status != Z_STREAM_END)
		buf__printf(why, ": the gzip data is damaged at byte %lu", z.total_in);
	inflateEnd(&z);
	if (out->failed)
		return -ENOMEM;
	return why->len ? -EINVAL : 0;
}

/* Empty messages take two bytes in a file and a hundred in memory. */
static void *take(void *context, size_t size)
{
	struct budget *b = context;

	if (size > b->left)
		return NULL;
	b->left -= size;
	return malloc(size ? size : 1);
}

static void give(void *context, void *pointer)
{
	(void)context;
	free(pointer);
}

/* --- strings and numbers of things */

static const char *text_at(struct reader *r, int64_t index)
{
	if (index < 0 || (uint64_t)index >= r->message->n_string_table) {
		if (!r->why->len)
			buf__printf(r->why, ": refers to string %" PRId64 ", which is not there", index);
		return "";
	}
	return r->message->string_table[index];
}

static int number_things(struct reader *r)
{
	const Pprof__Profile *m = r->message;
	size_t *slot;
	bool failed = false;

	for (size_t i = 0; i < m->n_mapping; i++) {
		slot = table__add(&r->mappings, &m->mapping[i]->id, NULL);
		failed |= !slot;
		if (slot)
			*slot = i;
	}
	for (size_t i = 0; i < m->n_function; i++) {
		slot = table__add(&r->functions, &m->function[i]->id, NULL);
		failed |= !slot;
		if (slot)
			*slot = i;
	}
	for (size_t i = 0; i < m->n_location; i++) {
		slot = table__add(&r->locations, &m->location[i]->id, NULL);
		failed |= !slot;
		if (slot)
			*slot = i;
	}
	return failed ? -ENOMEM : 0;
}

static const Pprof__Mapping *find_mapping(struct reader *r, uint64_t id)
{
	const size_t *slot = table__find(&r->mappings, &id);

	return slot ? r->message->mapping[*slot] : NULL;
}

static const Pprof__Function *find_function(struct reader *r, uint64_t id)
{
	const size_t *slot = table__find(&r->functions, &id);

	return slot ? r->message->function[*slot] : NULL;
}

/* --- locations */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	/* "[kernel.kallsyms]/x" is nobody's path */
	return slash && *path != '[' && strcmp(path, "//anon") != 0 ? slash + 1 : path;
}

static int add_line(struct reader *r, struct frame *frame, const Pprof__Location *l, size_t i,
		    uint32_t *index)
{
	const Pprof__Function *f = find_function(r, l->line[i]->function_id);
	bool inlined = i + 1 < l->n_line;

	if (!f) {
		buf__printf(r->why,
			    ": location %" PRIu64 " refers to function %" PRIu64 ", which is not there",
			    l->id, l->line[i]->function_id);
		return -EINVAL;
	}
	frame->name = text_at(r, f->name ? f->name : f->system_name);
	frame->file = text_at(r, f->filename);
	frame->line = l->line[i]->line > 0 && l->line[i]->line <= UINT32_MAX ? (uint32_t)l->line[i]->line : 0;
	frame->kind = profile__kind(frame->name, frame->object);
	/* without any place in memory it may be a remark, but it is not one beside code */
	if (frame->kind == FRAME_MARK && frame->address)
		frame->kind = FRAME_USER;
	if (inlined)
		frame->kind = FRAME_INLINED;
	return r->why->len ? -EINVAL : profile__frame(r->profile, frame, index);
}

/* The address in its file, as an unnamed frame has it everywhere in sonde. */
static int add_unnamed(struct reader *r, struct frame *frame, uint32_t *index)
{
	uint64_t offset = frame->address;
	struct buf name = {0};
	int err;

	if (frame->image)
		offset += frame->image->offset - frame->image->start;
	buf__printf(&name, "%s+0x%" PRIx64, *frame->object ? frame->object : "[unknown]", offset);
	frame->name = buf__text(&name);
	frame->kind = profile__kind(frame->name, frame->object);
	err = profile__frame(r->profile, frame, index);
	buf__free(&name);
	return err;
}

static int read_location(struct reader *r, const Pprof__Location *l, struct place *place)
{
	const Pprof__Mapping *m = l->mapping_id ? find_mapping(r, l->mapping_id) : NULL;
	struct frame frame = {.object = "", .address = l->address};
	struct image image;
	int err = 0;

	if (l->mapping_id && !m) {
		buf__printf(r->why,
			    ": location %" PRIu64 " refers to mapping %" PRIu64 ", which is not there", l->id,
			    l->mapping_id);
		return -EINVAL;
	}
	if (m) {
		image = (struct image){m->memory_start, m->memory_limit, m->file_offset,
				       text_at(r, m->filename), text_at(r, m->build_id)};
		frame.object = base_name(image.path);
		frame.image = image.end ? &image : NULL;
	}
	if (!l->n_line)
		err = add_unnamed(r, &frame, &r->lines[place->first]);
	place->count = l->n_line ? l->n_line : 1;
	for (size_t i = 0; i < l->n_line && !err; i++)
		err = add_line(r, &frame, l, i, &r->lines[place->first + i]);
	return r->why->len ? -EINVAL : err;
}

static int read_locations(struct reader *r)
{
	const Pprof__Profile *m = r->message;
	size_t lines = 0;
	int err = 0;

	for (size_t i = 0; i < m->n_location; i++)
		lines += m->location[i]->n_line + 1;
	r->lines = calloc(lines + 1, sizeof(*r->lines));
	r->places = calloc(m->n_location + 1, sizeof(*r->places));
	r->stack = calloc(FLAME_DEPTH_MAX, sizeof(*r->stack));
	if (!r->lines || !r->places || !r->stack)
		return -ENOMEM;
	lines = 0;
	for (size_t i = 0; i < m->n_location && !err; i++) {
		r->places[i].first = lines;
		err = read_location(r, m->location[i], &r->places[i]);
		lines += r->places[i].count;
	}
	return err;
}

/* --- samples */

static int gather_frames(struct reader *r, const Pprof__Sample *s, size_t number, size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < s->n_location_id; i++) {
		const size_t *slot = table__find(&r->locations, &s->location_id[i]);
		const struct place *place = slot ? &r->places[*slot] : NULL;

		if (!place)
			buf__printf(r->why, ": sample %zu refers to location %" PRIu64 ", which is not there",
				    number, s->location_id[i]);
		else if (place->count > FLAME_DEPTH_MAX - 1 - *count)
			buf__printf(r->why, ": sample %zu has more than %d frames", number,
				    FLAME_DEPTH_MAX - 1);
		else if (place->count > r->frames_left)
			buf__printf(r->why, ": sample %zu: more frames than a file of this size can have",
				    number);
		if (r->why->len)
			return -EINVAL;
		memcpy(r->stack + *count, r->lines + place->first, place->count * sizeof(*r->lines));
		*count += place->count;
		r->frames_left -= place->count;
	}
	return 0;
}

static struct profile_label *gather_labels(struct reader *r, const Pprof__Sample *s)
{
	struct profile_label *labels = calloc(s->n_label + 1, sizeof(*labels));
	bool failed = !labels;

	for (size_t i = 0; i < s->n_label && !failed; i++) {
		const Pprof__Label *from = s->label[i];
		const char *key = text_at(r, from->key), *text = text_at(r, from->str),
			   *unit = text_at(r, from->num_unit);

		labels[i].key = profile__string(r->profile, key, strlen(key));
		if (from->str)
			labels[i].text = profile__string(r->profile, text, strlen(text));
		else
			labels[i].number = from->num;
		labels[i].unit =
			profile__string(r->profile, from->str ? "" : unit, from->str ? 0 : strlen(unit));
		failed |= !labels[i].key || !labels[i].unit || (from->str && !labels[i].text);
	}
	if (!failed)
		return labels;
	free(labels);
	return NULL;
}

static int read_sample(struct reader *r, const Pprof__Sample *s, size_t number)
{
	struct profile_label *labels;
	struct profile_sample *sample;
	size_t count;
	int err;

	if (s->n_value != r->message->n_sample_type) {
		buf__printf(r->why, ": sample %zu has %zu values of %zu", number, s->n_value,
			    r->message->n_sample_type);
		return -EINVAL;
	}
	err = gather_frames(r, s, number, &count);
	labels = err ? NULL : gather_labels(r, s);
	if (!labels)
		return err ? err : -ENOMEM;
	sample = profile__sample(r->profile, r->stack, count, labels, s->n_label);
	free(labels);
	if (!sample)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_value && !err; i++) {
		if (s->value[i] < 0) {
			buf__printf(r->why, ": sample %zu has a negative value: this is a difference",
				    number);
			return -EINVAL;
		}
		err = profile__add(sample, r->types[i], (uint64_t)s->value[i]);
	}
	return r->why->len ? -EINVAL : err;
}

/* --- the rest */

static int read_types(struct reader *r)
{
	const Pprof__Profile *m = r->message;

	if (!m->n_sample_type || m->n_sample_type > PROFILE_TYPES_MAX) {
		buf__printf(r->why,
			    m->n_sample_type ? ": %zu kinds of values, at most %d" : ": not a pprof profile",
			    m->n_sample_type, PROFILE_TYPES_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; i < m->n_sample_type; i++) {
		r->types[i] = profile__type(r->profile, text_at(r, m->sample_type[i]->type),
					    text_at(r, m->sample_type[i]->unit));
		if (r->types[i] < 0)
			return r->types[i];
		if (m->default_sample_type && m->sample_type[i]->type == m->default_sample_type)
			r->profile->main_type = (size_t)r->types[i];
	}
	if (!m->default_sample_type) /* by convention the last one matters most */
		r->profile->main_type = (size_t)r->types[m->n_sample_type - 1];
	r->profile->time_ns = m->time_nanos > 0 ? (uint64_t)m->time_nanos : 0;
	r->profile->duration_ns = m->duration_nanos > 0 ? (uint64_t)m->duration_nanos : 0;
	if (m->period_type && m->period > 0 && !strcmp(text_at(r, m->period_type->unit), "nanoseconds"))
		r->profile->period_ns = (uint64_t)m->period;
	return r->why->len ? -EINVAL : 0;
}

/* sonde's facts stand in comments as "key: value"; those of others are kept as notes. */
static void read_comments(struct reader *r, struct flamegraph *g)
{
	const Pprof__Profile *m = r->message;

	for (size_t i = 0; i < m->n_comment && i < COMMENTS_MAX; i++) {
		const char *text = text_at(r, m->comment[i]), *colon = strstr(text, ": ");
		char key[32];

		if (!colon || colon - text >= (long)sizeof(key) || memchr(text, ' ', (size_t)(colon - text)))
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)(colon - text), text);
		flamegraph__set(g, key, colon + 2);
	}
}

static int read_message(struct reader *r, struct flamegraph *g)
{
	int err = read_types(r);

	if (!err)
		err = number_things(r);
	if (!err)
		err = read_locations(r);
	for (size_t i = 0; i < r->message->n_sample && !err; i++)
		err = read_sample(r, r->message->sample[i], i + 1);
	if (!err)
		read_comments(r, g);
	if (!err && r->why->len)
		err = -EINVAL;
	return !err && g->failed ? -ENOMEM : err;
}

static int read_bytes(struct profile *p, struct flamegraph *g, const char *data, size_t len, struct buf *why)
{
	struct budget budget = {MEMORY_MAX};
	ProtobufCAllocator allocator = {take, give, &budget};
	struct reader r = {.profile = p, .why = why, .frames_left = 16 * len + 65536};
	Pprof__Profile *message = pprof__profile__unpack(&allocator, len, (const uint8_t *)data);
	int err;

	if (!message) {
		buf__puts(why, ": not a pprof profile, or damaged");
		return -EINVAL;
	}
	r.message = message;
	table__init(&r.locations, sizeof(uint64_t), sizeof(size_t));
	table__init(&r.functions, sizeof(uint64_t), sizeof(size_t));
	table__init(&r.mappings, sizeof(uint64_t), sizeof(size_t));
	err = read_message(&r, g);
	table__free(&r.locations);
	table__free(&r.functions);
	table__free(&r.mappings);
	free(r.places);
	free(r.lines);
	free(r.stack);
	pprof__profile__free_unpacked(message, &allocator);
	return err;
}

int pprof__read(struct profile *p, struct flamegraph *g, const char *data, size_t len, struct buf *why)
{
	struct buf bytes = {0};
	int err;

	if (len < 2 || (unsigned char)data[0] != 0x1f || (unsigned char)data[1] != 0x8b)
		return read_bytes(p, g, data, len, why);
	err = inflate_into(&bytes, data, len, why);
	if (!err)
		err = read_bytes(p, g, buf__text(&bytes), bytes.len, why);
	buf__free(&bytes);
	return err;
}
