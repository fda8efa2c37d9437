/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the memory probe's two sides share: kinds of cells and of events. */
#ifndef SONDE_MEMORY_H
#define SONDE_MEMORY_H

/* Kinds of cells. a, b: whose (enum key_by), unless said otherwise. */
enum memory_cell {
	MEMORY_GROWTH = 1,  /* a: stack. count: allocations of pages; ns: bytes */
	MEMORY_FAULTS = 16, /* count: minor faults; ns: major faults */
	MEMORY_BLOCKED,	    /* slot: of the time that a thread was blocked in a fault */
	MEMORY_RECLAIM,	    /* slot: of the time; state: enum memory_pressure */
	MEMORY_COMPACTION,  /* slot: of the time */
	MEMORY_CACHE_PAGES, /* count: pages of files that reads asked for; ns: of which had to be fetched */
	MEMORY_CACHE_BYTES, /* the fallback: count: bytes that calls have read; ns: fetched from storage */
};

/* Whose limit was met. */
enum memory_pressure {
	MEMORY_OF_NOBODY,
	MEMORY_OF_MACHINE,
	MEMORY_OF_CGROUP,
};

enum memory_event {
	MEMORY_EVENT_KILL,    /* who: the victim. Values: below */
	MEMORY_EVENT_FAULT,   /* a thread was blocked in a fault for long */
	MEMORY_EVENT_RECLAIM, /* value[0]: enum memory_pressure */
	MEMORY_EVENT_COMPACTION,
};

/* Values of a kill. text: the name of the thread that asked for memory. */
enum memory_kill {
	KILL_REASON, /* enum memory_pressure: what was full; nobody: cannot be told */
	KILL_BY,     /* process that asked for memory */
	KILL_ANON,   /* pages of the victim */
	KILL_FILE,
	KILL_SHMEM,
	KILL_SWAP,
	KILL_LIMIT_PAGES, /* the limit that was met, if it is a cgroup's; 0: not known */
	KILL_CGROUP,	  /* and whose: its id in the hierarchy that has the memory controller */
};

/* How much of reads the page cache had. */
enum memory_cache {
	CACHE_NOT_COUNTED,
	CACHE_BY_PAGES, /* mm_filemap_get_pages: since 6.10 */
	CACHE_BY_BYTES, /* the kernel's account of each thread's reads */
};

#endif
