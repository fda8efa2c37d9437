/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind tables (include/sonde/unwind.h) out of an ELF file's .eh_frame, chunk by chunk: what is built is
 * what was asked for. Of the file only an index of its functions is kept.
 */
#ifndef SONDE_OBJECT_UNWIND_TABLE_H
#define SONDE_OBJECT_UNWIND_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "object/elf.h"
#include "sonde/unwind.h"

struct unwind_table;

/*
 * Of an open file, which must stay open as long. NULL and errno: ENOENT if it describes no function (then all
 * its code is a gap), ENOEXEC for a machine that we do not unwind, ENOMEM.
 */
struct unwind_table *unwind_table__open(const struct elf_file *f);
void unwind_table__close(struct unwind_table *);

/* What one chunk came to. */
struct unwind_chunk {
	enum unwind_chunk_kind kind; /* TABLE, GAP or FAILED */
	uint32_t header;	     /* of the header in the blob, bytes */
	uint32_t rows;
};
/* Builds chunk number `address >> UNWIND_CHUNK_SHIFT` of the file's virtual addresses: appends its blob, if
 * it has one. 0 or -ENOMEM. A chunk with more rules than numbers has the rarest ones as
 * UNWIND_UNSUPPORTED. */
int unwind_table__build(struct unwind_table *, uint64_t chunk, struct buf *blob, struct unwind_chunk *out);

/* One row of the file as the tables see it, for tests and for `check`: what holds from `address` on. `words`
 * are the rule's (UNWIND_WIDE_WORDS of a wide one). */
int unwind_table__rows(struct unwind_table *, uint64_t from, uint64_t to,
		       int (*row)(void *context, uint64_t address, const uint32_t *words), void *context);

#endif
