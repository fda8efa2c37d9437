/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source lines and inlined functions out of DWARF 2 to 5, by libdw. A batch costs one walk over the units
 * that hold its addresses: their line tables, and the functions that cover one of them.
 */
#ifndef SONDE_OBJECT_SOURCE_LINE_H
#define SONDE_OBJECT_SOURCE_LINE_H

#include "object/elf.h"
#include "object/lookup.h"

#define INLINED_MAX 64 /* functions inlined into each other at one address; what is deeper is left out */

/*
 * Sets file, line and inlined of the lookups (sorted). `f`: the file itself or its debug file. `alternate`:
 * what its .gnu_debugaltlink names (dwz: pieces that several files share), or NULL. 0; -ENOENT: it has no
 * DWARF; -EFBIG: too much of it; -EBADMSG, -ENOMEM. What was found stays.
 */
int source_line__scan(const struct elf_file *f, const struct elf_file *alternate, struct lookup *l,
		      size_t count, struct name_taker *names);

#endif
