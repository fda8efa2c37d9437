/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where threads start. A walk that ends there is complete; one that ends elsewhere has lost its way. The
 * functions have known names, or, in files without a symbol for them, known neighbours and the entry address
 * of the ELF header.
 */
#ifndef SONDE_OBJECT_THREADSTART_H
#define SONDE_OBJECT_THREADSTART_H

#include "object/elf.h"
#include "object/lookup.h"
#include "object/symbolizer.h"

/* By the name as it stands in the symbol table. */
enum symbol_start threadstart__by_name(const char *name);

/*
 * Marks the lookups (names found as far as possible) that lie in a file's start code but are not named so.
 * path: as the target names the file, or NULL.
 */
void threadstart__mark(const struct elf_file *f, const char *path, struct lookup *l, size_t count);

#endif
