/* SPDX-License-Identifier: Apache-2.0 */
/* Options that every measuring command has: one table each, one struct, first member of each command's own.
 */
#ifndef SONDE_SESSION_OPTIONS_H
#define SONDE_SESSION_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cli.h"

struct options {
	/* who */
	struct cli_numbers pids, tids;
	const char *cgroup, *comm, *user, *container, *pod;
	bool all, follow;
	/* how long */
	uint64_t duration_ns, interval_ns;
	/* what comes out */
	const char *output;
	int format; /* index into sink__types + 1; 0: chosen by -o's extension and where stdout goes */
	long long rows;
	bool inverted;
	const char *title;
	/* how */
	bool lines;
	const char *debuginfod;
	int unwind;		   /* 0: by tables, 1: by frame pointers */
	uint64_t unwind_bytes;	   /* 0: the default */
	const char *compare_walks; /* directory for what is compared (tests) */
	bool force_each;	   /* the loop of older kernels (tests) */
	bool kernel_only, user_only, dry_run, quiet, verbose, pass_status, force_raw, stacks_habit;
};

extern const struct cli_option options__target[], options__stacks[], options__output[], options__run[];

/* The groups that end every measuring command's list. */
#define OPTIONS_TARGET                                                                  \
	{                                                                               \
		"Target (all conditions must hold; none: the machine)", options__target \
	}
#define OPTIONS_RUN                                         \
	{"Output", options__output}, {"Run", options__run}, \
	{                                                   \
		NULL                                        \
	}
#define OPTIONS_GROUPS	       OPTIONS_TARGET, {"Stacks", options__stacks}, OPTIONS_RUN
#define OPTIONS_WITHOUT_STACKS OPTIONS_TARGET, OPTIONS_RUN

#endif
