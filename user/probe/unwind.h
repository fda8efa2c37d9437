/* SPDX-License-Identifier: Apache-2.0 */
/* The BPF maps in which unwind tables lie. They are made once a session, before any object that walks stacks,
 * which takes them over (bpf/unwind.bpf.h has maps of the same names and shapes). */
#ifndef SONDE_PROBE_UNWIND_H
#define SONDE_PROBE_UNWIND_H

#include "sonde/unwind.h"
#include "stack/tables.h"

#define UNWIND_SHARDS_AT_ONCE 4

struct unwind_maps {
	int shards_fd, chunks_fd, segments_fd, processes_fd, marks_fd; /* -1: not open */
	struct table_memory memory;	     /* for tables__new(); valid until the close */
	size_t chunks_bytes, segments_bytes; /* mapped */
	int ready[UNWIND_SHARDS_AT_ONCE]; /* shards that were made, but not asked for yet; -1: handed out */
	uint32_t ready_first, ready_count;
	int waiting_fd, waiting_inner_fd; /* an outer map that nobody reads, only to wait by */
};

/* Not copied or moved while it is open: `memory` points to it. 0 or -errno. */
int unwind_maps__open(struct unwind_maps *);
/* Also of one that failed to open. After tables__free(). */
void unwind_maps__close(struct unwind_maps *);
/* Kernel memory that the maps take when they are full. `shard_bytes`: the ceiling of shards. */
uint64_t unwind_maps__bytes(size_t shard_bytes);

#endif
