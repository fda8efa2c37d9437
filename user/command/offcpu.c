// SPDX-License-Identifier: Apache-2.0
/* sonde offcpu: where threads wait, by stack. */
#include "base/msg.h"
#include "command/command.h"
#include "session/session.h"

struct offcpu_options {
	struct options common;
	uint64_t min_ns, sample_ns;
	bool waker, reason, sample;
};

#define AT(field) .offset = offsetof(struct offcpu_options, field)

static const struct cli_option options[] = {
	{"min", 0, CLI_DURATION, AT(min_ns), .arg = "TIME", .min = 1, .max = 3600000000000LL,
	 .help = "leave out shorter waits", .fallback = "every wait"},
	{"waker", 0, CLI_FLAG, AT(waker), .help = "who ended the wait: the waker's stack, joined under `--`"},
	{"reason", 0, CLI_FLAG, AT(reason), .help = "the reason as a frame of folded stacks and pictures"},
	{"sample", 0, CLI_FLAG, AT(sample),
	 .help = "take few of the short waits, weighted: unbiased and cheap"},
	{"sample-around", 0, CLI_DURATION, AT(sample_ns), .arg = "TIME", .min = 1000, .max = 60000000000LL,
	 .help = "sample; at the start all waits of about this length or longer, then what it costs decides",
	 .fallback = "100ms"},
	{NULL},
};

static const struct cli_group groups[] = {{"Waits", options}, OPTIONS_GROUPS};

#define WEIGHT_CAP 32
#define SAMPLE_NS  100000000

static int run(void *o, const struct cli_rest *rest)
{
	const struct offcpu_options *p = o;
	struct sched_options sched = {
		.offcpu = true,
		.waker = p->waker,
		.reason = p->reason,
		.min_ns = p->min_ns,
		.sample = p->sample || p->sample_ns,
		.sample_ns = p->sample_ns ?: SAMPLE_NS,
		.weight_cap = WEIGHT_CAP,
	};
	struct session_plan plan = {
		.options = &p->common,
		.rest = rest,
		.probes = {{&probe_sched, &sched}},
		.pipe_format = "folded",
		.needs_stacks = true,
	};

	return session__run(&plan);
}

const struct cli_command command_offcpu = {
	.name = "offcpu",
	.summary = "blocked time by stack and reason: what threads wait for",
	.takes_target = true,
	.description =
		"Counts every wait of the target's threads, from the switch away from the CPU to the wakeup, "
		"with its "
		"stack and its reason; waits that are open at the start or the end are included and say so. "
		"Time in "
		"the run queue is not blocked time: see `sonde runq`. Folded weights are microseconds.",
	.examples = "sonde offcpu -p 812 -d 10s\n"
		    "sonde offcpu -p 812 --min 1ms --waker -o waits.svg -d 10s\n"
		    "sonde offcpu -a --sample -i 10s --json",
	.groups = groups,
	.options_size = sizeof(struct offcpu_options),
	.run = run,
};
