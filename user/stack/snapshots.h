/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks that the kernel's side could not unwind: kept until the tables that they need are there, then walked
 * here and stored like any other.
 */
#ifndef SONDE_STACK_SNAPSHOTS_H
#define SONDE_STACK_SNAPSHOTS_H

#include <stddef.h>
#include <stdint.h>

#include "stack/store_private.h"

struct snapshots;

struct snapshots *snapshots__new(struct stacks *); /* NULL: no memory */
void snapshots__free(struct snapshots *);
/* Takes a record that was found sound. 0 or -errno. */
int snapshots__add(struct snapshots *, const struct snapshot_record *);
/* Walks those again whose tables have come, waiting for them until `until_ns` (0: not at all). How many are
 * left. */
size_t snapshots__work(struct snapshots *, uint64_t until_ns);
/* The same, and then no longer: those that are left are stored as far as they go. */
void snapshots__finish(struct snapshots *, uint64_t until_ns);

#endif
