/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unwind tables of all watched processes, in memory that the kernel's side reads: filled as stacks ask
 * for them, shared by processes that map the same file, let go when memory is short. User space walks
 * snapshots with the very same tables.
 */
#ifndef SONDE_STACK_TABLES_H
#define SONDE_STACK_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helper/helper.h"
#include "sonde/abi.h"
#include "sonde/unwind.h"
#include "stack/process.h"

struct tables;

/* Where the tables lie: BPF maps (user/probe/unwind.c), or plain memory in tests. */
struct table_memory {
	void *context;
	uint64_t *chunks; /* UNWIND_CHUNKS_MAX, zeroed: a u32 each, in a BPF array's steps of 8 bytes */
	struct unwind_segment *segments; /* UNWIND_SEGMENTS_MAX, zeroed */
	uint64_t *marks;		 /* UNWIND_MARKS, zeroed */
	/* Makes shard `index`: UNWIND_SHARD_BYTES + UNWIND_SHARD_SLACK bytes, or NULL. */
	void *(*new_shard)(void *context, uint32_t index);
	void (*free_shard)(void *context, uint32_t index, void *shard);
	int (*set_process)(void *context, const struct unwind_process_key *, const struct unwind_process *);
	int (*remove_process)(void *context, const struct unwind_process_key *);
	/* Returns when no program can still see what was unlinked before the call. */
	void (*wait_for_readers)(void *context);
};

#define TABLES_MEMORY_BYTES (24u << 20) /* the default of --unwind-memory */

struct tables_options {
	size_t memory_bytes;	     /* ceiling of shards (--unwind-memory); 0: the default */
	const char *cache_directory; /* "/var/cache/sonde"; NULL: no cache on disk */
};

struct tables_counts {
	uint64_t processes, files, files_failed;
	uint64_t chunks, chunks_built, chunks_cached, chunks_evicted; /* chunks: in memory now */
	uint64_t chunks_dropped;				      /* built, but there was no room */
	uint64_t rows;
	size_t table_bytes, shard_bytes; /* in use, taken */
};

struct tables *tables__new(const struct table_memory *, struct helper *, const struct tables_options *);
void tables__free(struct tables *);

/* Before the mappings of a process are read: its mark, for struct process, if they could be. Until
 * tables__set_process() what the kernel's side knows of it does not hold. */
uint64_t tables__begin_reading(struct tables *, const struct process_key *);
/*
 * Makes the process known to the kernel's side, or brings it up to date: its mappings were read anew.
 * `exec_pages`: what the kernel said of its mappings when this was asked for; 0: not known. 0, -ESRCH (it is
 * gone) or -errno.
 */
int tables__set_process(struct tables *, const struct process *, uint64_t exec_pages);
void tables__remove_process(struct tables *, const struct process_key *);
bool tables__knows(const struct tables *, const struct process_key *);
/* Whether that is what the kernel's side goes by when it sees this mark and this number of executable pages:
 * 0; < 0: no, they are older, > 0: newer. */
int tables__compare(const struct tables *, const struct process_key *, uint64_t mark, uint64_t exec_pages);

/*
 * Asks for the table that unwinds `address` of the process: the file is opened now, the answer comes later.
 * 0: asked for, or nothing is missing there; -ENOENT: nothing is mapped there; -ESRCH: the process is gone;
 * -EBUSY: asked for something else at the moment (try again after tables__work()).
 */
int tables__want(struct tables *, const struct process *, uint64_t address);

/*
 * Asks for the tables of those files of the process that nobody has looked into, ahead of the stacks that
 * will need them: opened now, answered when nothing more urgent is asked.
 */
void tables__foresee(struct tables *, const struct process *);
/* Which file a mapping is of, and its descriptor, which stays the tables'. -EBADF: it is not open any more;
 * -ENOENT: nobody knows. For when the process has ended. */
int tables__file(const struct tables *, const struct process *, const struct mapping *, struct file_key *key);
bool tables__is_waiting(const struct tables *); /* for an answer */

bool tables__awaits(const struct tables *, const struct process *, uint64_t address); /* the answer to that */

/* Takes what the helper has built and puts it where it belongs. Waits for it until `until_ns`, 0: not at all.
 * 1: there was something. */
int tables__work(struct tables *, uint64_t until_ns);

/*
 * Walks a snapshot: the stack's memory from registers->sp on. `frames` (STACK_DEPTH_MAX) gets the addresses,
 * *count their number, *end how it ended. *missing: the address whose table is not there yet (0: none): want
 * it, work, and walk again. With STACK_COMPLETE: the last frame's, if its caller's address was 0. `code`:
 * code that no table describes may be read from the process while it lives: whether a call stands before a
 * return address.
 */
void tables__walk(const struct tables *, const struct process *, const struct unwind_registers *registers,
		  const void *memory, size_t bytes, bool code, uint64_t *frames, size_t *count,
		  enum stack_end *end, uint64_t *missing);

void tables__tick(struct tables *); /* once a second: forgets processes that are gone */
void tables__counts(const struct tables *, struct tables_counts *);

#endif
