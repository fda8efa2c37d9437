/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image of a process: which files stand where in its memory. Everything is reached through one descriptor
 * of its /proc directory, which never leads to another process, even if the PID is used again.
 */
#ifndef SONDE_STACK_PROCESS_H
#define SONDE_STACK_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/table.h"
#include "object/maps.h"

/* Which program of which process. No padding: a table key. */
struct process_key {
	uint64_t start_boot_ns, exec_id;
	uint64_t tgid; /* in sonde's own PID namespace; 0: it has no number there */
};

struct mapping {
	uint64_t start, end, offset, inode;
	uint32_t major, minor;
	enum map_kind kind;
	uint32_t source;  /* the store's: what names its addresses; 0: not looked for yet */
	const char *path; /* interned */
};

#define PAST_MAX 64

struct process {
	struct process_key key;
	uint64_t stack_start; /* mm->start_stack, which differs from one program to the next; 0: unknown */
	struct mapping *mappings; /* executable ones, ascending; owned */
	size_t count;
	uint64_t exec_pages;	  /* mm->exec_vm, as the kernel would count these mappings */
	uint64_t mark;		  /* tables__begin_reading() */
	uint64_t read_at_ns;	  /* CLOCK_MONOTONIC; 0: never */
	uint64_t reread_after_ns; /* from then on, if an address is in no mapping; 0: not set yet */
	uint64_t exe_device, exe_inode;
	uint32_t jit_source; /* of the store; 0: none */
	bool gone;	     /* it could not be read when it was first seen */
	bool ended;	     /* it was found so, or with another program: there is no coming back */
	bool is_jvm;	     /* and was not told to keep frame pointers */
	bool advised;
	uint32_t stacks,
		jit_truncated; /* of a JVM: how many were resolved, and ended in or behind its code */
	const char *comm;      /* of a JVM whose stack was truncated */
	/* What lay where something else may lie now; [number % PAST_MAX], the paths not to be used */
	struct mapping *past;
	uint64_t generation; /* how many files were gone, so far */
	bool replaces;	     /* something was found in the place of a file that is gone */
	bool stale, used;    /* re-read before the next use; used since the last resolve */
};

/*
 * Descriptor (O_PATH) of its directory in /proc, proven to be the one that was recorded: start time and stack
 * agree. -ESRCH: it is gone, or is another program by now.
 */
int process__open(const struct process *p);
/* The same for whoever has that number now; its key is filled as far as /proc tells: no exec_id. */
int process__open_pid(struct process *p, pid_t pid);
/* Reads the executable mappings. 0, -ESRCH or -ENOMEM; on an error the old ones stay. */
int process__read(struct process *p, int dir, struct strings *strings);
struct mapping *process__find(const struct process *p, uint64_t address); /* NULL: nothing is there */
/* The mapped file, as the process sees it: a path descriptor (safefile.h) and what it is, or -errno. */
struct stat;
int process__locate(const struct mapping *m, int dir, struct stat *st);
void process__free_mappings(struct process *p); /* lets them go; they may be read again */
void process__free(struct process *p);

/* What finds the perf map of a process, even after its end. */
struct perf_map_owner {
	pid_t pid; /* in its own PID namespace */
	uid_t uid, euid;
	bool own_root; /* it shares our root directory */
	uint64_t start_boot_ns;
};
int perf_map_owner__read(struct perf_map_owner *o, const struct process *p, int dir); /* 0 or -errno */
/*
 * Opens its /tmp/perf-PID.map in its root (dir), or, when it has ended (dir < 0) in ours if that was the
 * same. -EPERM: not its own file. -ESTALE: older than the process. Other -errno.
 */
int perf_map_owner__open(const struct perf_map_owner *o, int dir);

#endif
