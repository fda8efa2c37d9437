/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper: a process of its own in which everything runs that parses other people's files (user/object/).
 * It has no capabilities, a system-call filter, limits on memory and CPU time, and gets files as open
 * descriptors. If it dies or does not answer in time, the file it worked on has failed, and the next question
 * starts it anew.
 *
 * One question at a time; names are waited for, tables are fetched when they are ready.
 */
#ifndef SONDE_HELPER_HELPER_H
#define SONDE_HELPER_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "object/function.h"
#include "object/safefile.h"
#include "object/symbolizer.h"
#include "object/unwind_table.h"

struct helper;

struct helper_options {
	bool in_process;     /* the same code without a process (unit tests, and where none can be had) */
	uint64_t file_ns;    /* wall time that one file may take; 0: the default */
	size_t memory_bytes; /* address space of the process; 0: the default */
	const char *debuginfod_urls; /* NULL or "": never ask the network */
	/* Called for each process that is started, before it does anything; NULL: nobody wants to know. */
	void (*started)(void *context, int pid);
	void *context;
};

/* NULL and errno. Where no such process can be had, the work is done in this one (helper__status). Start it
 * early: it begins with all that this process has in memory. */
struct helper *helper__start(const struct helper_options *);
void helper__stop(struct helper *);
int helper__pid(const struct helper *);		/* 0: none runs. It changes when the helper is started anew */
uint64_t helper__cpu_ns(const struct helper *); /* CPU time it took, past ones included */

struct helper_status {
	bool in_process; /* there is no process of its own */
	bool gave_up;	 /* too many have died: every question is answered by -EPIPE */
	unsigned deaths; /* timeouts included */
	unsigned timeouts;
};
void helper__status(const struct helper *, struct helper_status *);

/* As symbolizer__resolve() and symbolizer__coverage(): the same meaning, in the other process. -ETIMEDOUT:
 * the file took too long; -EPIPE: the helper died on it. Such a file is remembered and not tried again. What
 * symbols point to stays until helper__stop(). Debug files are looked for in this process, during the call.
 */
int helper__resolve(struct helper *, const struct symbol_request *, struct symbol *symbols);
int helper__coverage(struct helper *, const struct symbol_request *, struct symbol_coverage *);

/* As function__find(), likewise. */
int helper__function(struct helper *, const struct symbol_request *, const char *name,
		     struct function_place *);

/* What is asked about a file's code at a file offset. */
struct table_question {
	uint64_t ticket;     /* the asker's; comes back with the answer */
	int fd;		     /* borrowed during the call; -1: the vdso of this process */
	struct file_key key; /* which file it is */
	uint64_t offset;     /* of the code in the file: its chunk is wanted */
	bool whole;	     /* all chunks are, if they are no more than TABLE_WHOLE_CHUNKS */
};

#define TABLE_LOADS_MAX	   8
#define TABLE_WHOLE_CHUNKS 64

/* An executable PT_LOAD. */
struct table_load {
	uint64_t offset, address, bytes;
};

/* One chunk. A whole file is answered by one after the other. */
struct table_answer {
	uint64_t ticket;
	/* -errno: then there is nothing else. -ENXIO: of this offset, where the file has no code; else of the
	 * file as a whole: -ENOENT: it describes no function, all its code is a gap. */
	int error;
	bool last; /* of this question */
	uint32_t load_count;
	struct table_load loads[TABLE_LOADS_MAX]; /* of the file */
	char build_id[2 * BUILD_ID_MAX + 1];	  /* hex, "" if none */
	uint64_t chunk;				  /* its number: virtual address >> UNWIND_CHUNK_SHIFT */
	struct unwind_chunk what;
	const void *blob; /* valid until the next call; sound: no walk by it leaves it */
	size_t blob_bytes;
};

/* 0; -EAGAIN: it has one question already; or -errno. Whatever befalls the file comes as an answer. */
int helper__ask_table(struct helper *, const struct table_question *);
/* 1: an answer; 0: none yet, or nothing was asked. Waits until `until_ns` (CLOCK_MONOTONIC; 0: not at all).
 */
int helper__take_table(struct helper *, struct table_answer *, uint64_t until_ns);
/* For epoll: readable when there is something to take (or the helper has died). The same for the helper's
 * whole life. */
int helper__fd(const struct helper *);

#endif
