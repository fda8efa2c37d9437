/* SPDX-License-Identifier: Apache-2.0 */
/* What the unwind tables of a file say about how it was built. */
#ifndef SONDE_OBJECT_CFI_H
#define SONDE_OBJECT_CFI_H

#include "object/elf.h"

/*
 * Percent (rounded) of the rows of .eh_frame whose frame address is computed from the frame pointer; rows
 * that say the same about frame address and frame pointer are one. At 15 and above the code keeps frame
 * pointers: the rest are prologues and epilogues. -ENOENT: no .eh_frame, or none that can be read.
 */
int cfi__frame_pointer_percent(const struct elf_file *f);

#endif
