// SPDX-License-Identifier: Apache-2.0
/* The store of a profile: types, frames and samples, each once. */
#include "sink/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct frame_key {
	const char *name, *object, *file;
	const struct image *image;
	uint64_t address;
	uint32_t line, kind;
};

struct sample_key {
	const void *frames, *labels;
};

void profile__init(struct profile *p)
{
	memset(p, 0, sizeof(*p));
	strings__init(&p->strings);
	strings__init(&p->arrays);
	table__init(&p->frame_index, sizeof(struct frame_key), sizeof(uint32_t));
	table__init(&p->sample_index, sizeof(struct sample_key), sizeof(size_t));
}

void profile__free(struct profile *p)
{
	table__free(&p->frame_index);
	table__free(&p->sample_index);
	strings__free(&p->strings);
	strings__free(&p->arrays);
	free(p->frames);
	free(p->samples);
	memset(p, 0, sizeof(*p));
}

const char *profile__string(struct profile *p, const char *text, size_t len)
{
	return strings__add(&p->strings, text, len);
}

static const char *keep(struct profile *p, const char *text)
{
	return profile__string(p, text ? text : "", text ? strlen(text) : 0);
}

int profile__type(struct profile *p, const char *name, const char *unit)
{
	struct profile_type type;

	for (size_t i = 0; i < p->type_count; i++)
		if (!strcmp(p->types[i].name, name) && !strcmp(p->types[i].unit, unit))
			return (int)i;
	if (p->type_count == PROFILE_TYPES_MAX)
		return -E2BIG;
	type = (struct profile_type){keep(p, name), keep(p, unit)};
	if (!type.name || !type.unit)
		return -ENOMEM;
	p->types[p->type_count] = type;
	return (int)p->type_count++;
}

static int keep_image(struct profile *p, const struct image *from, const struct image **image)
{
	struct image copy;

	*image = NULL;
	if (!from)
		return 0;
	copy = (struct image){from->start, from->end, from->offset, keep(p, from->path),
			      keep(p, from->build_id)};
	if (copy.path && copy.build_id)
		*image = (const void *)strings__add(&p->arrays, (const char *)&copy, sizeof(copy));
	return *image ? 0 : -ENOMEM;
}

static int add_frame(struct profile *p, const struct frame *frame)
{
	size_t capacity = p->frame_capacity ? 2 * p->frame_capacity : 256;
	struct frame *grown;

	if (p->frame_count == UINT32_MAX)
		return -ENOMEM;
	if (p->frame_count == p->frame_capacity) {
		grown = reallocarray(p->frames, capacity, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		p->frames = grown;
		p->frame_capacity = capacity;
	}
	p->frames[p->frame_count++] = *frame;
	return 0;
}

int profile__frame(struct profile *p, const struct frame *frame, uint32_t *index)
{
	struct frame copy = *frame;
	struct frame_key key;
	uint32_t *slot;
	bool is_new;

	copy.name = keep(p, frame->name);
	copy.object = keep(p, frame->object);
	copy.file = frame->file && *frame->file ? keep(p, frame->file) : NULL;
	if (!copy.name || !copy.object || (frame->file && *frame->file && !copy.file) ||
	    keep_image(p, frame->image, &copy.image))
		return -ENOMEM;
	key = (struct frame_key){copy.name,    copy.object, copy.file, copy.image,
				 copy.address, copy.line,   copy.kind};
	slot = table__add(&p->frame_index, &key, &is_new);
	if (!slot)
		return -ENOMEM;
	if (is_new) {
		*slot = (uint32_t)p->frame_count;
		if (add_frame(p, &copy)) {
			table__remove(&p->frame_index, &key);
			return -ENOMEM;
		}
	}
	*index = *slot;
	return 0;
}

static struct profile_sample *add_sample(struct profile *p, const struct profile_sample *sample)
{
	size_t capacity = p->sample_capacity ? 2 * p->sample_capacity : 256;
	struct profile_sample *grown;

	if (p->sample_count == p->sample_capacity) {
		grown = reallocarray(p->samples, capacity, sizeof(*grown));
		if (!grown)
			return NULL;
		p->samples = grown;
		p->sample_capacity = capacity;
	}
	p->samples[p->sample_count] = *sample;
	return &p->samples[p->sample_count++];
}

struct profile_sample *profile__sample(struct profile *p, const uint32_t *frames, size_t frame_count,
				       const struct profile_label *labels, size_t label_count)
{
	struct profile_sample sample = {.frame_count = (uint32_t)frame_count,
					.label_count = (uint32_t)label_count},
			      *added;
	struct sample_key key;
	size_t *slot;
	bool is_new;

	/* The bytes of the array are its key, as those of a string are. */
	sample.frames =
		(const void *)strings__add(&p->arrays, (const char *)frames, frame_count * sizeof(*frames));
	sample.labels =
		(const void *)strings__add(&p->arrays, (const char *)labels, label_count * sizeof(*labels));
	if (!sample.frames || !sample.labels)
		return NULL;
	key = (struct sample_key){sample.frames, sample.labels};
	slot = table__add(&p->sample_index, &key, &is_new);
	if (!slot)
		return NULL;
	if (!is_new)
		return &p->samples[*slot];
	*slot = p->sample_count;
	added = add_sample(p, &sample);
	if (!added)
		table__remove(&p->sample_index, &key);
	return added;
}

int profile__add(struct profile_sample *sample, int type, uint64_t value)
{
	return __builtin_add_overflow(sample->values[type], value, &sample->values[type]) ? -EOVERFLOW : 0;
}

static const struct profile_label *find_label(const struct profile_sample *sample, const char *key)
{
	for (uint32_t i = 0; i < sample->label_count; i++)
		if (!strcmp(sample->labels[i].key, key))
			return &sample->labels[i];
	return NULL;
}

const char *profile__label(const struct profile_sample *sample, const char *key)
{
	const struct profile_label *label = find_label(sample, key);

	return label ? label->text : NULL;
}

uint64_t profile__label_number(const struct profile_sample *sample, const char *key)
{
	const struct profile_label *label = find_label(sample, key);

	return label && !label->text ? (uint64_t)label->number : 0;
}

void profile__short_name(char *name, size_t size, const char *metric)
{
	const char *start = strncmp(metric, "sonde_", 6) ? metric : metric + 6, *end = strrchr(start, '_');

	snprintf(name, size, "%.*s", (int)(end ? end - start : (long)strlen(start)), start);
}

uint64_t profile__total(const struct profile *p, size_t type)
{
	uint64_t total = 0;

	for (size_t i = 0; i < p->sample_count; i++)
		if (__builtin_add_overflow(total, p->samples[i].values[type], &total))
			return UINT64_MAX;
	return total;
}

/* --- what names tell */

static bool has_suffix_so(const char *object)
{
	const char *so = strstr(object, ".so");

	return so && (!so[3] || so[3] == '.' || so[3] == '-' || so[3] == ' ');
}

/* A remark rather than a function: "--", "[irq]", "[truncated: ...]". */
static bool is_mark(const char *name)
{
	size_t len = strlen(name);

	return !strcmp(name, "--") ||
	       (len > 2 && name[0] == '[' && name[len - 1] == ']' && strncmp(name, "[unknown", 8) != 0);
}

enum frame_kind profile__kind(const char *name, const char *object)
{
	static const char *const libraries[] = {"[vdso]", "[vsyscall]", "[uprobes]"};

	if (!*object)
		return is_mark(name) ? FRAME_MARK : FRAME_USER;
	if (!strcmp(object, "[jit]") || !strcmp(object, "//anon") || !strcmp(object, "[anon]"))
		return FRAME_JIT;
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
		if (!strcmp(object, libraries[i]))
			return FRAME_LIBRARY;
	if (*object == '[')
		return FRAME_KERNEL;
	return has_suffix_so(object) ? FRAME_LIBRARY : FRAME_USER;
}
