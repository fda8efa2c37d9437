/* SPDX-License-Identifier: Apache-2.0 */
/* Who is watched, resolved to what the kernel can compare: made by session/target.c, used by the loader. */
#ifndef SONDE_PROBE_TARGET_H
#define SONDE_PROBE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "sonde/abi.h"

struct target {
	struct target_filter filter;
	pid_t *pids; /* to be marked: processes, or threads with TARGET_THREADS; numbers of sonde's own PID
			namespace */
	size_t count;
	pid_t never; /* sonde itself; 0: not excluded */
};

#endif
