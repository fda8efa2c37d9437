/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run: targets, probes, the loop, intervals, requests of the kernel side, loss accounting, sinks. A
 * command fills a plan and returns what session__run returns.
 */
#ifndef SONDE_SESSION_SESSION_H
#define SONDE_SESSION_SESSION_H

#include <stddef.h>

#include "base/cli.h"
#include "probe/probe.h"
#include "session/options.h"
#include "session/stage.h"

#define PROBES_MAX 8

struct session_plan {
	const struct options *options;
	const struct cli_rest *rest;
	struct {
		const struct probe_type *type;
		const void *options;
	} probes[PROBES_MAX];	 /* ends with a NULL type; the first with words writes the headline */
	const char *pipe_format; /* what stdout gets when it is no terminal: "folded" or "table" */
	struct stage *stage;	 /* between probes and sinks; NULL: none */
	bool stacks_per_thread;
	bool needs_stacks; /* pictures can be drawn */
};

/* Runs until the duration is over, the target or COMMAND ended, or a signal came. Returns an exit code. */
int session__run(const struct session_plan *plan);

#endif
