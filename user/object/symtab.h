/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names out of one ELF symbol table, in one pass over it.
 *
 * A symbol names an address if it is a function (or unmarked code) that says how long it is and covers the
 * address; one without a size names its own address only. If several do, in this order: a sized function
 * before sized unmarked code before one without a size; the nearest start; the smaller size; exported before
 * local; fewer leading underscores; global before weak; the shorter name; the alphabet. So `read`, not
 * `__GI___libc_read`. Where data is asked for, objects take the place of functions.
 */
#ifndef SONDE_OBJECT_SYMTAB_H
#define SONDE_OBJECT_SYMTAB_H

#include "object/elf.h"
#include "object/lookup.h"

/* Streams `table` past the lookups (sorted) that have no text yet. 0 or -errno; what was found stays. */
int symtab__scan(const struct elf_file *f, const struct elf_section *table, bool data, struct lookup *l,
		 size_t count, struct name_taker *names);

/* Hands over the symbols of `table` one by one, until `see` returns an error: that, or -errno. */
int symtab__each(const struct elf_file *f, const struct elf_section *table,
		 int (*see)(void *context, const GElf_Sym *), void *context);

#endif
