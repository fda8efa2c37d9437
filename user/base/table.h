/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table with open addressing. Keys are byte strings of a fixed size, compared by memcmp (so: no
 * padding in key structs); values of a fixed size stand beside them. Pointers to values are valid until the
 * next insertion.
 */
#ifndef SONDE_BASE_TABLE_H
#define SONDE_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
	size_t key_size, value_size;
	size_t count, capacity; /* capacity is 0 or a power of two */
	unsigned char *used;	/* one byte a slot */
	unsigned char *slots;	/* capacity x (key, value), each part 8-byte aligned */
};

void table__init(struct table *t, size_t key_size, size_t value_size); /* allocates nothing */
void *table__find(const struct table *t, const void *key);	       /* value or NULL */
void *table__add(struct table *t, const void *key,
		 bool *is_new); /* value (zeroed if new) or NULL: no memory */
bool table__remove(struct table *t, const void *key);
/* Walk: `size_t i = 0; while (table__next(t, &i, &key, &value))`; no insertion or removal meanwhile. */
bool table__next(const struct table *t, size_t *cursor, const void **key, void **value);
/* Removes the entries for which `drop` says so; it may be asked about one that stays more than once. */
void table__drop(struct table *t, bool (*drop)(void *context, const void *key, void *value), void *context);
void table__clear(struct table *t);
void table__free(struct table *t);

uint64_t hash__bytes(const void *bytes, size_t len, uint64_t seed);

/* Strings, each stored once; a pointer stays valid until strings__free. */
struct strings {
	struct table index; /* hash and length -> char * */
	size_t bytes;
};
void strings__init(struct strings *s);
const char *strings__add(struct strings *s, const char *text, size_t len); /* NULL: no memory */
void strings__free(struct strings *s);

#endif
