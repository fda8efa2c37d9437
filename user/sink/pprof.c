// SPDX-License-Identifier: Apache-2.0
/*
 * pprof's profile.proto, gzipped. A profile is written as many small messages one after the other, which is
 * the same as one message with all their fields: so nothing has to be kept but what was numbered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/text.h"
#include "sink/pprof.pb-c.h"
#include "sink/profile.h"

#define LINES_MAX 256 /* functions inlined into one another at an address */

struct mapping_key {
	uint64_t start, end, offset;
	int64_t path, build_id;
};

struct function_key {
	int64_t name, file;
};

/* A location's number by its bytes: mapping, address, then function and line of each of its functions. */
struct location_key {
	uint64_t mapping, address;
	struct {
		uint64_t function;
		int64_t line;
	} lines[LINES_MAX];
};

struct writer {
	ProtobufCBuffer sink; /* first: protobuf-c hands back a pointer to it */
	struct buf bytes;
	const struct profile *profile;
	struct strings strings, keys;
	struct table string_ids, function_ids, mapping_ids, location_ids;
	Pprof__Mapping *mappings; /* number 1 is the first */
	size_t mapping_count, mapping_capacity;
	uint64_t main_mapping; /* the first that is a program; 0: none yet */
	struct location_key key;
	struct buf text;
	bool failed;
};

static void append(ProtobufCBuffer *sink, size_t len, const uint8_t *data)
{
	buf__add(&((struct writer *)sink)->bytes, data, len);
}

static void put(struct writer *w, const Pprof__Profile *part)
{
	pprof__profile__pack_to_buffer(part, &w->sink);
}

/* The number of a key, 1 for the first; *is_new: it was not there. */
static uint64_t number(struct writer *w, struct table *ids, const void *key, bool *is_new)
{
	uint64_t *id = table__add(ids, key, is_new);

	if (!id) {
		w->failed = true;
		*is_new = false;
		return 0;
	}
	if (*is_new)
		*id = ids->count;
	return *id;
}

/* The entry of string_table, which gets what is UTF-8 only. */
static int64_t string(struct writer *w, const char *raw)
{
	Pprof__Profile part = PPROF__PROFILE__INIT;
	const char *text;
	char *entry;
	int64_t id;
	bool is_new;

	if (!raw || !*raw)
		return 0;
	buf__clear(&w->text);
	text__puts(&w->text, raw, TEXT_TERMINAL);
	text = w->text.failed ? NULL : strings__add(&w->strings, buf__text(&w->text), w->text.len);
	if (!text) {
		w->failed = true;
		return 0;
	}
	id = (int64_t)number(w, &w->string_ids, &text, &is_new);
	entry = (char *)text;
	part.n_string_table = 1;
	part.string_table = &entry;
	if (is_new)
		put(w, &part);
	return id;
}

static uint64_t function(struct writer *w, const struct frame *frame)
{
	struct function_key key = {string(w, frame->name), string(w, frame->file)};
	Pprof__Profile part = PPROF__PROFILE__INIT;
	Pprof__Function message = PPROF__FUNCTION__INIT, *entry = &message;
	bool is_new;

	message.id = number(w, &w->function_ids, &key, &is_new);
	message.name = message.system_name = key.name;
	message.filename = key.file;
	part.n_function = 1;
	part.function = &entry;
	if (is_new)
		put(w, &part);
	return message.id;
}

static void add_mapping(struct writer *w, const struct mapping_key *key, uint64_t id)
{
	size_t capacity = w->mapping_capacity ? 2 * w->mapping_capacity : 16;
	Pprof__Mapping mapping = PPROF__MAPPING__INIT, *grown;

	if (w->mapping_count == w->mapping_capacity) {
		grown = reallocarray(w->mappings, capacity, sizeof(*grown));
		if (!grown) {
			w->failed = true;
			return;
		}
		w->mappings = grown;
		w->mapping_capacity = capacity;
	}
	mapping.id = id;
	mapping.memory_start = key->start;
	mapping.memory_limit = key->end;
	mapping.file_offset = key->offset;
	mapping.filename = key->path;
	mapping.build_id = key->build_id;
	w->mappings[w->mapping_count++] = mapping;
}

/* The number of the mapping that a frame lies in. Where only the file's name is known, that is all of it. */
static uint64_t mapping(struct writer *w, const struct frame *frame)
{
	const struct image *image = frame->image;
	struct mapping_key key = {0};
	uint64_t id;
	bool is_new;

	if (frame->kind == FRAME_MARK || (!image && !*frame->object))
		return 0;
	if (image)
		key = (struct mapping_key){image->start, image->end, image->offset, string(w, image->path),
					   string(w, image->build_id)};
	else
		key.path = string(w, frame->object);
	id = number(w, &w->mapping_ids, &key, &is_new);
	if (is_new)
		add_mapping(w, &key, id);
	if (!w->main_mapping && frame->kind == FRAME_USER)
		w->main_mapping = id;
	return id;
}

/* A symbol, and not the file's name with an offset. */
static bool is_symbol(const struct frame *frame)
{
	size_t len = strlen(frame->object);

	return strncmp(frame->name, "[unknown", 8) != 0 &&
	       (!len || strncmp(frame->name, frame->object, len) != 0 ||
		strncmp(frame->name + len, "+0x", 3) != 0);
}

static void note_flags(struct writer *w, uint64_t id, const struct frame *frame, size_t lines)
{
	Pprof__Mapping *m;

	if (!id || id > w->mapping_count)
		return;
	m = &w->mappings[id - 1];
	m->has_functions |= is_symbol(frame);
	m->has_filenames |= frame->file != NULL;
	m->has_line_numbers |= frame->line != 0;
	m->has_inline_frames |= lines > 1;
}

static void put_location(struct writer *w, const struct location_key *key, uint64_t id, size_t lines)
{
	Pprof__Profile part = PPROF__PROFILE__INIT;
	Pprof__Location message = PPROF__LOCATION__INIT, *entry = &message;
	Pprof__Line line[LINES_MAX], *order[LINES_MAX];

	message.id = id;
	message.mapping_id = key->mapping;
	message.address = key->address;
	message.n_line = lines;
	message.line = order;
	for (size_t i = 0; i < lines; i++) {
		pprof__line__init(&line[i]);
		line[i].function_id = key->lines[i].function;
		line[i].line = key->lines[i].line;
		order[i] = &line[i];
	}
	part.n_location = 1;
	part.location = &entry;
	put(w, &part);
}

/* One location: functions inlined at an address and the one that they were inlined into, `lines` frames. */
static uint64_t location(struct writer *w, const uint32_t *indexes, size_t lines)
{
	const struct frame *frames = w->profile->frames, *outer = &frames[indexes[lines - 1]];
	struct location_key *key = &w->key;
	const void *bytes;
	uint64_t id;
	bool is_new;

	key->mapping = mapping(w, outer);
	key->address = outer->kind == FRAME_MARK ? 0 : outer->address;
	for (size_t i = 0; i < lines; i++) {
		const struct frame *frame = &frames[indexes[i]];

		key->lines[i].function = function(w, frame);
		key->lines[i].line = frame->line;
		note_flags(w, key->mapping, frame, lines);
	}
	bytes = strings__add(&w->keys, (const char *)key,
			     offsetof(struct location_key, lines) + lines * sizeof(key->lines[0]));
	if (!bytes) {
		w->failed = true;
		return 0;
	}
	id = number(w, &w->location_ids, &bytes, &is_new);
	if (is_new)
		put_location(w, key, id, lines);
	return id;
}

/* How many frames from the first on stand at one address. */
static size_t lines_at(const struct writer *w, const uint32_t *indexes, size_t count)
{
	const struct frame *frames = w->profile->frames;
	size_t n = 1;

	while (n < count && n < LINES_MAX && frames[indexes[n - 1]].kind == FRAME_INLINED &&
	       frames[indexes[n]].kind != FRAME_MARK &&
	       frames[indexes[n]].address == frames[indexes[n - 1]].address)
		n++;
	return n;
}

static size_t list_labels(struct writer *w, const struct profile_sample *s, Pprof__Label *labels,
			  Pprof__Label **order)
{
	for (uint32_t i = 0; i < s->label_count; i++) {
		pprof__label__init(&labels[i]);
		labels[i].key = string(w, s->labels[i].key);
		labels[i].str = string(w, s->labels[i].text);
		labels[i].num = s->labels[i].text ? 0 : s->labels[i].number;
		labels[i].num_unit = s->labels[i].text ? 0 : string(w, s->labels[i].unit);
		order[i] = &labels[i];
	}
	return s->label_count;
}

static void put_sample(struct writer *w, const struct profile_sample *s)
{
	uint64_t *ids = calloc((size_t)s->frame_count + 1, sizeof(*ids));
	Pprof__Label *labels = calloc((size_t)s->label_count + 1, sizeof(*labels));
	Pprof__Label **order = calloc((size_t)s->label_count + 1, sizeof(*order));
	Pprof__Profile part = PPROF__PROFILE__INIT;
	Pprof__Sample message = PPROF__SAMPLE__INIT, *entry = &message;
	int64_t values[PROFILE_TYPES_MAX];
	size_t lines;

	w->failed |= !ids || !labels || !order;
	for (size_t i = 0; i < s->frame_count && !w->failed; i += lines) {
		lines = lines_at(w, s->frames + i, s->frame_count - i);
		ids[message.n_location_id++] = location(w, s->frames + i, lines);
	}
	for (size_t i = 0; i < w->profile->type_count; i++)
		values[i] = s->values[i] > INT64_MAX ? INT64_MAX : (int64_t)s->values[i];
	if (!w->failed)
		message.n_label = list_labels(w, s, labels, order);
	message.location_id = ids;
	message.value = values;
	message.n_value = w->profile->type_count;
	message.label = order;
	part.n_sample = 1;
	part.sample = &entry;
	if (!w->failed)
		put(w, &part);
	free(ids);
	free(labels);
	free(order);
}

static void put_mappings(struct writer *w)
{
	Pprof__Profile part = PPROF__PROFILE__INIT;
	Pprof__Mapping *entry;

	part.n_mapping = 1;
	part.mapping = &entry;
	for (size_t i = 0; i <= w->mapping_count; i++) {
		/* the program comes first, and then not again */
		if (i ? i == w->main_mapping : !w->main_mapping || w->main_mapping > w->mapping_count)
			continue;
		entry = &w->mappings[(i ? i : w->main_mapping) - 1];
		put(w, &part);
	}
}

static void put_comments(struct writer *w, const struct flamegraph *facts)
{
	Pprof__Profile part = PPROF__PROFILE__INIT;
	struct buf line = {0};
	int64_t comment;

	part.n_comment = 1;
	part.comment = &comment;
	for (size_t i = 0; i < facts->count; i++) {
		buf__clear(&line);
		buf__printf(&line, "%s: %s", facts->facts[i].key, facts->facts[i].value);
		comment = string(w, buf__text(&line));
		put(w, &part);
	}
	w->failed |= line.failed;
	buf__free(&line);
}

static void put_head(struct writer *w)
{
	const struct profile *p = w->profile;
	Pprof__Profile part = PPROF__PROFILE__INIT;
	Pprof__ValueType types[PROFILE_TYPES_MAX] = {0}, *order[PROFILE_TYPES_MAX],
			 period = PPROF__VALUE_TYPE__INIT;
	char none[] = "", *empty = none;

	part.n_string_table = 1;
	part.string_table = &empty;
	put(w, &part);
	pprof__profile__init(&part);
	for (size_t i = 0; i < p->type_count; i++) {
		pprof__value_type__init(&types[i]);
		types[i].type = string(w, p->types[i].name);
		types[i].unit = string(w, p->types[i].unit);
		order[i] = &types[i];
	}
	part.n_sample_type = p->type_count;
	part.sample_type = order;
	part.time_nanos = (int64_t)p->time_ns;
	part.duration_nanos = (int64_t)p->duration_ns;
	part.default_sample_type = p->type_count ? types[p->main_type].type : 0;
	part.period = (int64_t)p->period_ns;
	/* The distance of samples in the time that they stand for. */
	period.unit = string(w, "nanoseconds");
	for (size_t i = 0; i < p->type_count; i++)
		if (types[i].unit == period.unit)
			period.type = types[i].type;
	part.period_type = p->period_ns ? &period : NULL;
	put(w, &part);
}

static int compress_into(struct buf *out, const struct buf *bytes)
{
	unsigned char chunk[1 << 14];
	z_stream z = {0};
	int status;

	if (bytes->len > UINT32_MAX || deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8,
						    Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	z.next_in = (unsigned char *)bytes->data;
	z.avail_in = (uInt)bytes->len;
	do {
		z.next_out = chunk;
		z.avail_out = sizeof(chunk);
		status = deflate(&z, Z_FINISH);
		buf__add(out, chunk, sizeof(chunk) - z.avail_out);
	} while (status == Z_OK);
	deflateEnd(&z);
	return status == Z_STREAM_END ? 0 : -EIO;
}

static void writer__init(struct writer *w, const struct profile *p)
{
	memset(w, 0, sizeof(*w));
	w->sink.append = append;
	w->profile = p;
	strings__init(&w->strings);
	strings__init(&w->keys);
	table__init(&w->string_ids, sizeof(char *), sizeof(uint64_t));
	table__init(&w->function_ids, sizeof(struct function_key), sizeof(uint64_t));
	table__init(&w->mapping_ids, sizeof(struct mapping_key), sizeof(uint64_t));
	table__init(&w->location_ids, sizeof(char *), sizeof(uint64_t));
}

static void writer__free(struct writer *w)
{
	table__free(&w->string_ids);
	table__free(&w->function_ids);
	table__free(&w->mapping_ids);
	table__free(&w->location_ids);
	strings__free(&w->strings);
	strings__free(&w->keys);
	free(w->mappings);
	buf__free(&w->text);
	buf__free(&w->bytes);
}

void pprof__write(struct buf *out, const struct profile *p, const struct flamegraph *facts)
{
	struct writer w;

	writer__init(&w, p);
	put_head(&w);
	for (size_t i = 0; i < p->sample_count && !w.failed; i++)
		put_sample(&w, &p->samples[i]);
	put_mappings(&w);
	put_comments(&w, facts);
	out->failed |= w.failed || w.bytes.failed || compress_into(out, &w.bytes);
	writer__free(&w);
}

static struct sink *pprof__open(const struct sink_options *options)
{
	return profile_sink__open(&sink_pprof, options, pprof__write);
}

const struct sink_type sink_pprof = {
	.name = "pprof",
	.summary = "gzipped profile.proto, for go tool pprof and its kin",
	.extensions = "pb.gz,pprof",
	.needs_file_per_interval = true,
	.open = pprof__open,
	.begin = profile_sink__begin,
	.point = profile_sink__point,
	.end = profile_sink__end,
	.close = profile_sink__close,
};
