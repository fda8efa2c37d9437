/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What both sides of the probe `processes` share. */
#ifndef SONDE_PROCESSES_H
#define SONDE_PROCESSES_H

#include "sonde/abi.h"

/* Kinds of cells. a: who, an id of `names` or a cgroup's, as --by asks; b: an id of `names`, the command. */
enum process_cell {
	PROCESS_STARTED = 1,	/* a fork that made a process */
	PROCESS_EXECUTED,	/* an exec that succeeded */
	PROCESS_ENDED,		/* slot, ns: of its age; tgid: its status as wait() tells it */
	PROCESS_THREAD_STARTED, /* in a process that there was */
	PROCESS_THREAD_ENDED,	/* and the process went on */
};

enum process_event { PROCESS_EVENT_EXEC, PROCESS_EVENT_EXIT };

/* Values of an event. Its text: of an exec the end of the file's name, as far as it fits. */
enum process_value {
	PROCESS_PARENT,	      /* its number */
	PROCESS_PARENT_COMM,  /* 16 bytes: two values */
	PROCESS_STATUS = 3,   /* the rest: of an exit */
	PROCESS_CPU_NS,	      /* up to the last tick or switch */
	PROCESS_MAXRSS_PAGES, /* the most that it had resident */
	PROCESS_CUT,	      /* of an exec: the text lacks the name's beginning */
};

/* Who or what an id stands for. */
struct process_name {
	char comm[COMM_LEN];
	__u64 start_boot_ns; /* of a process */
	__u32 tgid;	     /* 0: it is a name alone */
	__u32 reserved;
};

/* A process that began, or executed a program, while it was watched. By its number in the initial namespace.
 */
struct process_birth {
	__u64 start_boot_ns;
	__u64 who; /* `a` of its cells */
	__u32 tgid, reserved;
	char comm[COMM_LEN];
};

#endif
