/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The call frame information of an ELF file as rules by address: .eh_frame, found by its section or, without
 * section headers, by PT_GNU_EH_FRAME. Only an index of the functions is kept (12 bytes each), made in one
 * pass; .eh_frame_hdr's own index is not believed: it would have to be checked against all of .eh_frame
 * anyway, and that is what the pass costs.
 *
 * Functions that lie outside of the code, or on code that an earlier one described already, are left out, so
 * are those at address 0, which the linker discarded.
 */
#ifndef SONDE_OBJECT_EH_FRAME_H
#define SONDE_OBJECT_EH_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "object/elf.h"
#include "sonde/unwind.h"

struct eh_frame;

/*
 * Of an open file, which must stay open as long. NULL and errno: ENOENT if no function is described, ENOEXEC
 * for a machine whose registers we do not know, ENOMEM, or why it could not be read.
 */
struct eh_frame *eh_frame__open(const struct elf_file *f);
void eh_frame__close(struct eh_frame *);
size_t eh_frame__functions(const struct eh_frame *);
uint64_t eh_frame__end(const struct eh_frame *); /* of the last function */

/* `words` are the rule's, the second and third 0 unless it is a wide one. Anything but 0 ends the walk. */
typedef int eh_frame_row(void *context, uint64_t address, const uint32_t words[UNWIND_WIDE_WORDS]);

/*
 * The rows of [from, to), ascending, the first one at `from`; neighbours differ. Where no function is, the
 * rule is UNWIND_GAP; up to 15 bytes behind a function are padding, which belongs to it. What could not be
 * read or understood is UNWIND_UNSUPPORTED. 0, or what `row` returned.
 */
int eh_frame__rows(struct eh_frame *, uint64_t from, uint64_t to, eh_frame_row *row, void *context);

/* Does a function that is described lie in [from, to)? */
bool eh_frame__describes(const struct eh_frame *, uint64_t from, uint64_t to);

/*
 * Percent (rounded) of the rows whose frame address is computed from the frame pointer. At 15 and above the
 * code keeps frame pointers: the rest are prologues and epilogues. -ENOENT or another -errno as above.
 */
int eh_frame__frame_pointer_percent(const struct elf_file *f);

#endif
