/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the unwind tables. An executable is a file with code: it owns a range of the chunk array and, for
 * each chunk that was built, lines of a shard. A process owns a range of segments, made from its places. What
 * the kernel may still read goes into the limbo first, and is free after one wait for all of it.
 */
#ifndef SONDE_STACK_TABLES_PRIVATE_H
#define SONDE_STACK_TABLES_PRIVATE_H

#include "base/table.h"
#include "stack/ranges.h"
#include "stack/tables.h"
#include "stack/unwind_cache.h"

#define PROCESS_SEGMENTS_MAX ((1u << 14) - 1) /* what UNWIND_SEARCH_MAX halvings find */
#define EXECUTABLES_MAX	     4096
#define WANTS_MAX	     128		     /* each may hold a descriptor */
#define SPAN_MAX	     (UNWIND_CHUNKS_MAX / 4) /* chunks between the first and the last code of a file */
#define SHARD_LINES	     (UNWIND_SHARD_BYTES / UNWIND_LINE)
#define HELD_MAX	     128	   /* descriptors of files */
#define SETTLED_NS	     1000000000ull /* what was put in since is not evicted */

enum executable_state {
	EXECUTABLE_NEW, /* nobody has looked into it */
	EXECUTABLE_KNOWN,
	EXECUTABLE_GAP, /* it describes no function, or is none of our executables */
	EXECUTABLE_FAILED,
};

/* What chunks[] does not say. */
struct chunk_note {
	uint32_t bytes, rows;
	uint16_t shard, line, header;
	uint8_t kind;
	bool asked;
};

struct executable {
	struct file_key key;
	enum executable_state state;
	bool is_vdso;
	bool is_system;	  /* root's or ours: nobody else can claim a build id by it and make us keep wrong
			     tables */
	uint32_t users;	  /* places of processes */
	int fd;		  /* while there are any, if not too many are held; else -1 */
	uint32_t asked;	  /* questions that wait, or are being answered */
	uint64_t number;  /* of its first chunk */
	uint32_t first;	  /* where that stands in chunks[] */
	uint32_t count;	  /* of chunks */
	uint32_t tables;  /* chunks that lie in shards */
	uint32_t settled; /* chunks that are built, gaps too ... */
	uint32_t cached;  /* ... and how many are on disk */
	uint64_t used_ns; /* mapped or asked for */
	uint64_t filled_ns, dropped_ns;
	uint32_t load_count;
	struct table_load loads[TABLE_LOADS_MAX];
	char build_id[2 * BUILD_ID_MAX + 1];
	struct chunk_note *notes; /* [count] */
};

/* An executable mapping. */
struct place {
	uint64_t start, end, offset, inode;
	uint32_t major, minor;
	uint32_t executable; /* index, or one of these */
	enum map_kind kind;
};
#define PLACE_GAP		  UINT32_MAX
#define PLACE_FAILED		  (UINT32_MAX - 1)
#define PLACE_UNLOCATED		  (UINT32_MAX - 2)
#define PLACE_IS_FILE(executable) ((executable) < EXECUTABLES_MAX)

struct watched {
	struct process who; /* its key and stack only: what process__open() needs */
	struct place *places;
	size_t count;
	struct unwind_process range; /* count 0: none */
	uint64_t exec_pages, mark,
		generation; /* what the kernel is to be told; in `range`: what it was told */
	uint64_t odd_pages; /* the computed number that the kernel once did not agree with */
	uint64_t set_ns;
	bool is_public, is_dirty; /* known to the kernel; to be published anew */
};

struct want {
	uint32_t executable;
	uint64_t offset, ticket;
	int fd;	    /* -1: of the vdso */
	bool ahead; /* no stack waits for it yet: it yields to those for which one does, and to what is in
		       memory */
	bool whole; /* all that the file has */
};

enum limbo_kind {
	LIMBO_CHUNKS,
	LIMBO_SEGMENTS,
	LIMBO_LINES,
};

struct limbo_entry {
	enum limbo_kind kind;
	uint32_t shard, first, count;
};

/* Who builds tables: the helper, or a test. As helper__ask_table() and helper__take_table(). */
struct table_builder {
	void *context;
	int (*ask)(void *context, const struct table_question *);
	int (*take)(void *context, struct table_answer *, uint64_t until_ns);
};

struct tables {
	struct table_memory memory;
	struct table_builder builder;
	struct unwind_cache *cache; /* NULL: none */
	size_t memory_bytes, page_bytes, vdso_bytes;

	struct table processes; /* process_key -> struct watched * */
	size_t tick_cursor;
	struct table files; /* file_key -> u32 index */
	struct executable *executables[EXECUTABLES_MAX];
	size_t held;
	struct ranges free_chunks, free_segments;

	void *shards[UNWIND_SHARDS_MAX];
	struct ranges free_lines[UNWIND_SHARDS_MAX];
	uint32_t shard_count;

	struct limbo_entry *limbo;
	size_t limbo_count, limbo_capacity;

	/* In order of arrival, those that are `ahead` last; the first `is_asking` of them is with the
	 * builder.
	 */
	struct want wants[WANTS_MAX];
	size_t want_count;
	bool is_asking;
	uint64_t last_ticket;

	struct unwind_segment *scratch; /* PROCESS_SEGMENTS_MAX */
	struct tables_counts counts;
};

struct tables *tables__new_from(const struct table_memory *, const struct table_builder *,
				const struct tables_options *);

/* --- for the walk in user space: what the kernel's side sees */

/* The process's segments, t->memory.segments[first .. first + count). False: it is not known. */
bool tables__range(const struct tables *, const struct process_key *, struct unwind_process *range);

/* --- tables_memory.c: shards, limbo, eviction */

/* Puts a sound blob into a shard; the note says where. With `may_evict` others are let go if need be. 0 or
 * -ENOSPC. */
int memory__put(struct tables *, struct executable *, struct chunk_note *, const void *blob, size_t bytes,
		bool may_evict);
void memory__retire(struct tables *, enum limbo_kind, uint32_t shard, uint32_t first, uint32_t count);
void memory__flush_limbo(struct tables *);
/* Lets the executable's chunks go, and itself if nobody maps it. */
void memory__evict(struct tables *, uint32_t executable);
/* The best one to let go; UINT32_MAX: none. `idle`: of those that nobody maps. */
uint32_t memory__victim(const struct tables *, bool idle, const struct executable *except);

/* --- executables.c */

/* Index of the file's executable, made if need be; UINT32_MAX: there is no room for one. */
uint32_t executable__find_or_add(struct tables *, const struct file_key *);
void executable__free(struct tables *, uint32_t index); /* nobody maps it */
/* The executable load that holds a file offset, by pages. NULL: none. */
const struct table_load *executable__load(const struct tables *, const struct executable *, uint64_t offset);
/* The virtual address of a mapped file offset in it. */
uint64_t executable__address(const struct tables *, const struct table_load *, uint64_t offset);
/* Takes the descriptor over, to be had when the processes that map the file have ended. */
void executable__hold(struct tables *, struct executable *, int *fd);
void executable__let_go(struct tables *, struct executable *);
int executable__learn(struct tables *, struct executable *, const struct table_answer *);
void executable__put(struct tables *, struct executable *, const struct unwind_cache_chunk *, bool may_evict);
void executable__set(struct tables *, struct executable *, struct chunk_note *, enum unwind_chunk_kind);
void executable__fill_from_cache(struct tables *, struct executable *);
void executable__save(struct tables *, struct executable *);

/* --- tables_segments.c */

/* The process's places as they are now: 0, -ESRCH or -ENOMEM, then the old ones stay. */
int places__update(struct tables *, struct watched *, const struct process *);
void places__drop(struct tables *, struct place *, size_t count);
/* What a mapping's file is, now. Descriptor of it (path only; the caller closes it) or -errno. */
int executable__locate(struct tables *, const struct mapping *, int dir, uint32_t *index);
uint32_t executable__of_vdso(struct tables *, const struct mapping *); /* or UINT32_MAX */
/* The same for a place, which is bound to it: it may be another one than before. */
int places__locate(struct tables *, struct place *, const struct mapping *, int dir);
void place__bind(struct tables *, struct place *, uint32_t executable);
/* Its file could not be had; returns err. */
int places__fail(struct tables *, struct place *, int err);
/* Writes its segments and tells the kernel. */
int watched__publish(struct tables *, struct watched *);

/* --- tables_ask.c */
void ask__next(struct tables *);
void ask__close(struct tables *);

/* --- tables.c */
void watched__remove(struct tables *, struct watched *);
/* The one that was set the longest ago, but not `except`. NULL: none. */
struct watched *tables__oldest(const struct tables *, const struct watched *except);

#endif
