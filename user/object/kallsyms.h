/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the kernel's functions, in one pass over /proc/kallsyms. Its symbols have no sizes: an address
 * belongs to the nearest symbol below it, and only if that is code. The last symbol of a module is bounded by
 * the module's end, or a size that no BPF program and no trampoline exceeds where no list of modules has it.
 */
#ifndef SONDE_OBJECT_KALLSYMS_H
#define SONDE_OBJECT_KALLSYMS_H

#include "object/lookup.h"

/*
 * Streams the symbols past the lookups (sorted, at least one), and marks those in the scheduler's text.
 * modules_fd: /proc/modules, or -1 if there is none. 0, -EPERM (the kernel hides its addresses:
 * kptr_restrict), -ENOMEM or the -errno of reading.
 */
int kallsyms__scan(int fd, int modules_fd, struct lookup *l, size_t count, struct name_taker *names);

#endif
