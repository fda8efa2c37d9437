// SPDX-License-Identifier: Apache-2.0
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

static size_t aligned(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

static size_t stride(const struct table *t)
{
	return aligned(t->key_size) + aligned(t->value_size);
}

static unsigned char *slot_key(const struct table *t, size_t slot)
{
	return t->slots + slot * stride(t);
}

static unsigned char *slot_value(const struct table *t, size_t slot)
{
	return slot_key(t, slot) + aligned(t->key_size);
}

/* The byte of a used slot: never 0, and seven bits of the hash that the slot number does not use, so that
 * most foreign keys are passed over without a comparison. */
static unsigned char fingerprint(uint64_t hash)
{
	return (unsigned char)(hash >> 57) | 0x80;
}

static size_t home(const struct table *t, size_t slot)
{
	return hash__bytes(slot_key(t, slot), t->key_size, 0) & (t->capacity - 1);
}

/* The slot of the key, or the free one where it belongs. The table has a free slot. */
static size_t locate(const struct table *t, const void *key, uint64_t hash)
{
	size_t mask = t->capacity - 1, slot = hash & mask;

	while (t->used[slot]) {
		if (t->used[slot] == fingerprint(hash) && !memcmp(slot_key(t, slot), key, t->key_size))
			break;
		slot = (slot + 1) & mask;
	}
	return slot;
}

void table__init(struct table *t, size_t key_size, size_t value_size)
{
	*t = (struct table){.key_size = key_size, .value_size = value_size};
}

void *table__find(const struct table *t, const void *key)
{
	size_t slot;

	if (!t->count)
		return NULL;
	slot = locate(t, key, hash__bytes(key, t->key_size, 0));
	return t->used[slot] ? slot_value(t, slot) : NULL;
}

static bool grow(struct table *t)
{
	struct table bigger = *t;
	size_t slot, to;
	uint64_t hash;

	bigger.capacity = t->capacity ? t->capacity * 2 : 16;
	bigger.used = calloc(bigger.capacity, 1);
	bigger.slots = calloc(bigger.capacity, stride(t) ? stride(t) : 1);
	if (!bigger.used || !bigger.slots) {
		free(bigger.used);
		free(bigger.slots);
		return false;
	}
	for (slot = 0; slot < t->capacity; slot++) {
		if (!t->used[slot])
			continue;
		hash = hash__bytes(slot_key(t, slot), t->key_size, 0);
		to = locate(&bigger, slot_key(t, slot), hash);
		bigger.used[to] = fingerprint(hash);
		memcpy(slot_key(&bigger, to), slot_key(t, slot), stride(t));
	}
	free(t->used);
	free(t->slots);
	*t = bigger;
	return true;
}

void *table__add(struct table *t, const void *key, bool *is_new)
{
	uint64_t hash = hash__bytes(key, t->key_size, 0);
	size_t slot;

	if (is_new)
		*is_new = false;
	if (t->capacity) {
		slot = locate(t, key, hash);
		if (t->used[slot])
			return slot_value(t, slot);
	}
	if ((t->count + 1) * 10 > t->capacity * 7 && !grow(t))
		return NULL;
	slot = locate(t, key, hash);
	t->used[slot] = fingerprint(hash);
	memcpy(slot_key(t, slot), key, t->key_size);
	memset(slot_value(t, slot), 0, t->value_size);
	t->count++;
	if (is_new)
		*is_new = true;
	return slot_value(t, slot);
}

/* Moves later entries of the run back into the hole where their probe sequence passes it: no tombstones. */
static void remove_at(struct table *t, size_t hole)
{
	size_t mask = t->capacity - 1, slot;

	for (slot = (hole + 1) & mask; t->used[slot]; slot = (slot + 1) & mask) {
		if (((slot - home(t, slot)) & mask) < ((slot - hole) & mask))
			continue;
		t->used[hole] = t->used[slot];
		memcpy(slot_key(t, hole), slot_key(t, slot), stride(t));
		hole = slot;
	}
	t->used[hole] = 0;
	t->count--;
}

bool table__remove(struct table *t, const void *key)
{
	size_t slot;

	if (!t->count)
		return false;
	slot = locate(t, key, hash__bytes(key, t->key_size, 0));
	if (!t->used[slot])
		return false;
	remove_at(t, slot);
	return true;
}

/* What moves into a hole comes from behind it, or, at the table's end, from its beginning, where all has been
 * looked at. */
void table__drop(struct table *t, bool (*drop)(void *context, const void *key, void *value), void *context)
{
	for (size_t slot = 0; slot < t->capacity; slot++)
		while (t->used[slot] && drop(context, slot_key(t, slot), slot_value(t, slot)))
			remove_at(t, slot);
}

bool table__next(const struct table *t, size_t *cursor, const void **key, void **value)
{
	for (; *cursor < t->capacity; (*cursor)++) {
		if (!t->used[*cursor])
			continue;
		if (key)
			*key = slot_key(t, *cursor);
		if (value)
			*value = slot_value(t, *cursor);
		(*cursor)++;
		return true;
	}
	return false;
}

void table__clear(struct table *t)
{
	if (t->capacity)
		memset(t->used, 0, t->capacity);
	t->count = 0;
}

void table__free(struct table *t)
{
	free(t->used);
	free(t->slots);
	table__init(t, t->key_size, t->value_size);
}

/* The full 128-bit product folded to 64 bits: every bit of both factors reaches the middle of the result. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Eight bytes a step, the last ones padded with zeroes; the length closes the hash, so that padding tells. */
uint64_t hash__bytes(const void *bytes, size_t len, uint64_t seed)
{
	const uint64_t step = 0x9e3779b97f4a7c15, last = 0xd1342543de82ef95;
	const unsigned char *at = bytes;
	uint64_t state = fold(seed ^ last, step), word;
	size_t left;

	for (left = len; left >= 8; left -= 8, at += 8) {
		memcpy(&word, at, 8);
		state = fold(state ^ word, step);
	}
	if (left) {
		word = 0;
		memcpy(&word, at, left);
		state = fold(state ^ word, step);
	}
	return fold(state + len, last);
}

struct string_key {
	uint64_t hash, len;
};

void strings__init(struct strings *s)
{
	table__init(&s->index, sizeof(struct string_key), sizeof(char *));
	s->bytes = 0;
}

/* Two texts of one hash and length: the second one moves to the next hash value. */
const char *strings__add(struct strings *s, const char *text, size_t len)
{
	struct string_key key = {.hash = hash__bytes(text, len, 0), .len = len};
	char *copy, **place;
	bool is_new;

	while ((place = table__find(&s->index, &key))) {
		if (!memcmp(*place, text, len))
			return *place;
		key.hash++;
	}
	copy = malloc(len + 1);
	if (!copy)
		return NULL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	place = table__add(&s->index, &key, &is_new);
	if (!place) {
		free(copy);
		return NULL;
	}
	*place = copy;
	s->bytes += len + 1;
	return copy;
}

void strings__free(struct strings *s)
{
	size_t cursor = 0;
	void *place;

	while (table__next(&s->index, &cursor, NULL, &place))
		free(*(char **)place);
	table__free(&s->index);
	s->bytes = 0;
}
