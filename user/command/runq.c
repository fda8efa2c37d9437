// SPDX-License-Identifier: Apache-2.0
/* sonde runq: how long threads wait for a CPU. */
#include "base/msg.h"
#include "command/command.h"
#include "session/session.h"

struct runq_options {
	struct options common;
	int by;
	uint64_t long_wait_ns;
};

static const char *const keys[] = {"none", "pid", "comm", "cgroup", NULL}; /* in the order of enum key_by */

static const struct cli_option options[] = {
	{"by", 0, CLI_CHOICE, offsetof(struct runq_options, by), .arg = "KEY", .choices = keys,
	 .help = "one histogram per process, name or cgroup", .fallback = "none"},
	{"long", 0, CLI_DURATION, offsetof(struct runq_options, long_wait_ns), .arg = "TIME", .min = 1000,
	 .max = 60000000000LL, .help = "say who ran instead during waits of this length or more",
	 .fallback = "1ms"},
	{NULL},
};

static const struct cli_group groups[] = {{"Waits", options}, OPTIONS_WITHOUT_STACKS};

static void defaults(void *o)
{
	((struct runq_options *)o)->long_wait_ns = 1000000;
}

static int run(void *o, const struct cli_rest *rest)
{
	const struct runq_options *p = o;
	struct sched_options sched = {.runq = true, .runq_key = p->by, .long_wait_ns = p->long_wait_ns};
	struct session_plan plan = {
		.options = &p->common,
		.rest = rest,
		.probes = {{&probe_sched, &sched}},
		.pipe_format = "table",
	};

	return session__run(&plan);
}

const struct cli_command command_runq = {
	.name = "runq",
	.summary = "run-queue latency: how long runnable threads wait for a CPU",
	.takes_target = true,
	.description = "Measures each wait from the wakeup (or from being preempted) to running, as a "
		       "histogram whose quantiles "
		       "are within 4.4 %, and names who ran on the CPU instead during the long waits.",
	.examples = "sonde runq -d 5s\n"
		    "sonde runq -p 812 --by pid -i 1s\n"
		    "sonde runq --json -d 10s | jq 'select(.type==\"histogram\").p99'",
	.groups = groups,
	.options_size = sizeof(struct runq_options),
	.defaults = defaults,
	.run = run,
};
