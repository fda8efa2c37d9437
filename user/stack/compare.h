/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks that the kernel's side did, done again over a snapshot of the same moment: both must see the same
 * frames. For tests; the snapshots are kept in files, so that others can unwind them, too.
 */
#ifndef SONDE_STACK_COMPARE_H
#define SONDE_STACK_COMPARE_H

#include "stack/store_private.h"

/* Begins each file DIRECTORY/N.walk; then `bytes` of memory, then `frames` addresses. */
struct compared_walk {
	uint32_t tgid, bytes, frames, end; /* end: enum stack_end */
	struct unwind_registers registers;
};

/* Counts it in the store's counts; writes it to the directory if there is one. */
void compare__snapshot(struct stacks *, const struct snapshot_record *);

#endif
