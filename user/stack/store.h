/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one stack store: whoever captures frames feeds it records, whoever prints asks it for named frames.
 * A stack's hash is its key; raw addresses are kept until names are asked for, process images as long as a
 * stack refers to them.
 */
#ifndef SONDE_STACK_STORE_H
#define SONDE_STACK_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "helper/helper.h"
#include "model/point.h"
#include "sonde/abi.h"

struct stacks;

struct table_memory;
struct tables_options;

struct stacks_options {
	const char *
		compare_directory; /* walks are compared, and kept there unless it is "" (tests); NULL: not */
	bool kernel_only, user_only; /* -K, -U */
	size_t memory_limit_bytes; /* of stored stacks; beyond it stacks are refused and counted; 0: no limit
				    */
	bool per_thread;	   /* stacks of two threads are never one */
	bool lines;		   /* --lines: source lines and inlined functions */
	const char *debug_directory; /* "/usr/lib/debug"; valid as long as the store */
	struct helper_options helper;
};

struct stacks_counts {
	uint64_t stored, duplicate, refused, malformed;
	uint64_t twins; /* of the same content as one that was stored, under another hash: snapshots */
	uint64_t processes, processes_gone;	  /* gone: its maps could not be read any more */
	uint64_t files, files_failed;		  /* failed: could not be opened, or is no sound ELF file */
	uint64_t incomplete;			  /* of the resolved ones */
	uint64_t walks_compared, walks_different; /* with compare_directory */
	bool kernel_hidden;			  /* by kernel.kptr_restrict, or for want of CAP_SYSLOG */
};

/* NULL and errno. It starts the helper, which begins with all that this process has in memory: make it early.
 */
struct stacks *stacks__new(const struct stacks_options *);
struct helper *stacks__helper(struct stacks *); /* the store's */
/*
 * Takes a record (size in bytes as it came from the ring: validated). The process's mappings are read at once
 * when its (tgid, start, exec) is new, because it may be gone a moment later. 0, -EINVAL (malformed), -ENOSPC
 * (refused), -ENOMEM.
 */
int stacks__add(struct stacks *, const struct stack_record *, size_t size);
/* From now on there are unwind tables, in this memory. 0 or -ENOMEM. */
int stacks__use_tables(struct stacks *, const struct table_memory *, const struct tables_options *);
/* Has tables made of what the process maps, before its first stack needs them. Of our own, what nearly every
 * process has: the C library and its loader. */
void stacks__foresee(struct stacks *, pid_t pid);
/* Waits until they are there, or until `until_ns`. */
void stacks__await_tables(struct stacks *, uint64_t until_ns);
/* Takes a RECORD_SNAPSHOT; it is unwound when its tables are there. The same results. */
int stacks__add_snapshot(struct stacks *, const struct snapshot_record *, size_t size);
/* Puts tables where they belong that have been built since; waits for those that snapshots need until
 * `until_ns` (0: not at all). How many snapshots still wait. */
size_t stacks__work(struct stacks *, uint64_t until_ns);
void stacks__tick(struct stacks *); /* once a second: forgets the tables of processes that are gone */
/*
 * Names every frame of every stack added since the last call: collects the unique (file, address) pairs and
 * asks the symbolizer in batches, one per file. Call at an interval's end, before stacks__get. 0 or -ENOMEM:
 * what cannot be named is no error, see stacks_counts.
 */
int stacks__resolve(struct stacks *);

/*
 * How frames are named:
 * - "name" where a symbol is right, "libc.so.6+0x8b3f1" (the file's virtual address) where none is;
 * - "[jit]+0x7f..." for anonymous code that no perf map names;
 * - "[vdso]+0x...", "[vsyscall]", "[uprobes]"; "[unknown]" in the kernel;
 * - "[unknown]+0x..." where nothing is mapped;
 * - "[unknown: process gone]" where the mappings could not be read any more.
 * What a walk found behind the start of a thread is no frame and left out, and so is, in an incomplete stack,
 * everything from the first caller on that lies where no code is mapped.
 */
struct stack_view {
	struct who who; /* comm: of the thread; tid: the one seen first */
	const char *leader_comm;
	const struct frame *frames; /* leaf first: kernel, user, the mark "[truncated: reason]" */
	size_t count, kernel_count;
	const char *incomplete; /* reason, or NULL: complete */
	const char *stopped_in; /* object in which an incomplete walk stopped, or NULL */
	bool kthread, in_irq;
};
/* -ENOENT: never stored (its record was lost). Pointers stay valid until stacks__forget; names and objects
 * longer, until stacks__free. */
int stacks__get(const struct stacks *, uint64_t hash, struct stack_view *);
/* The hash under which a stack with the same frames of the same process was stored first; else `hash`. */
uint64_t stacks__same(const struct stacks *, uint64_t hash);
/* An interval was told: stacks of processes that have ended are freed, if they take much memory and were not
 * asked for of late. `forgotten` is called with each hash: the kernel's side need not know it any longer. */
void stacks__forget(struct stacks *, void (*forgotten)(void *context, uint64_t hash), void *context);
void stacks__counts(const struct stacks *, struct stacks_counts *);
/*
 * A JVM whose own code keeps no frame pointers: a quarter or more of its stacks were truncated there. Each is
 * told of once; false: no further one.
 */
struct stacks_jvm {
	uint32_t tgid;
	const char *comm;
};
bool stacks__next_jvm(struct stacks *, struct stacks_jvm *);
void stacks__free(struct stacks *);

#endif
