/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the memory probe keeps of a thread, what it is told, and how it counts. */
#ifndef SONDE_MEMORY_STATE_BPF_H
#define SONDE_MEMORY_STATE_BPF_H

#define USES_CASTS
#include "common.bpf.h"
#include "mm.h"
#include "sonde/memory.h"

/* Of a thread. */
struct memory_thread {
	u64 minor, major;  /* faults that were counted */
	u64 read, fetched; /* bytes, likewise */
	u64 fault_since;   /* blocked in a fault since then; 0: it is not */
	u64 reclaim_since, compaction_since;
	u64 cache_mapping, cache_index, cache_end; /* of the last read */
	u64 cache_fetched;			   /* pages, by the system call that runs ... */
	u32 cache_call;				   /* ... which is this one */
	u16 pressure;				   /* enum memory_pressure: what it last reclaimed for */
	u16 known;				   /* the first four are */
};

#define WATCHED_STATE struct memory_thread
#include "cells.bpf.h"
#include "event.bpf.h"
#include "stack.bpf.h"
#include "watched.bpf.h"

const volatile u32 cache_by;	  /* enum memory_cache */
const volatile u64 slow_ns;	  /* what takes so long is an event; 0: nothing is */
const volatile bool kernel_reads; /* bpf_probe_read_kernel() may be called */
const volatile u64 page_bytes;
const volatile u64 fault_text[2]; /* handle_mm_fault(): [from, to); 0: not known */
#define FAULT_DEPTH 48		  /* frames that are looked through for it */

inline_always void cell__count(struct watched *w, u32 kind, u32 slot, u32 state, u64 count, u64 ns,
			       struct loss *l)
{
	struct cell_key key = {.kind = kind, .slot = slot, .state = state, .a = w->a, .b = w->b};

	loss__count(l, MEMORY, HITS);
	if (cell__add(&key, count, ns))
		loss__count(l, MEMORY, AGGREGATED);
	else
		loss__count(l, MEMORY, MAP_FULL);
}

/* The number of the system call that the current thread is in; negative: it is in none. */
inline_always s64 current__call(struct task_struct *task)
{
	if (READ(task, flags) & PF_KTHREAD)
		return -1;
	return (s64)(int)READ(registers__at(task, USER_CURRENT), REGS_SYSCALL);
}

#endif
