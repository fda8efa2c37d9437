/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that look for a name. A batch is sorted once; each source of symbols is then streamed past it, so
 * that no symbol table is ever held in memory.
 */
#ifndef SONDE_OBJECT_LOOKUP_H
#define SONDE_OBJECT_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inlined;

struct lookup {
	uint64_t address;
	uint32_t index;	      /* in the request */
	uint32_t name;	      /* offset of the candidate's name in its string table */
	uint8_t rank;	      /* of the candidate; 0: none yet */
	bool nowhere;	      /* the address lies in no segment */
	uint8_t start;	      /* enum symbol_start */
	bool scheduler;	      /* kernel: see struct symbol */
	uint64_t value, size; /* of the candidate, or of the symbol that has been found */
	const char *text;     /* found: interned, demangled */
	const char *module, *build_id;
	/* Source lines: as in struct symbol. */
	const char *file;
	uint32_t line, inlined_count;
	const struct inlined *inlined;
};

#define SYMBOL_NAME_MAX 8192 /* bytes with the NUL; longer names are absent */

/*
 * Where a source of symbols hands over what it found: keeps the readable form of `name` (and `module`, or
 * NULL) and sets the lookup's text and module. 0 or -ENOMEM.
 */
struct name_taker {
	int (*take)(struct name_taker *, struct lookup *, const char *name, const char *module);
	/* Keeps a text, readable if it is the mangled name of a function. NULL: no memory. */
	const char *(*keep)(struct name_taker *, const char *text, bool mangled);
	const struct inlined *(*keep_inlined)(struct name_taker *, const struct inlined *, size_t count);
};

void lookup__sort(struct lookup *l, size_t count); /* by address */
/* Index of the first lookup with an address >= `address`; count if there is none. */
size_t lookup__first(const struct lookup *l, size_t count, uint64_t address);
size_t lookup__missing(const struct lookup *l, size_t count); /* how many are without a name */

#endif
