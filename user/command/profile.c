// SPDX-License-Identifier: Apache-2.0
/* sonde profile: where the CPU time goes, by stack. */
#include "base/msg.h"
#include "command/command.h"
#include "session/session.h"

struct profile_options {
	struct options common;
	long long frequency;
};

static const struct cli_option options[] = {
	{"frequency", 'F', CLI_INT, offsetof(struct profile_options, frequency), .arg = "HZ", .min = 1,
	 .max = 10000, .help = "samples per second and CPU; not in step with timers: 99, not 100",
	 .fallback = "99"},
	{NULL},
};

static const struct cli_group groups[] = {{"Sampling", options}, OPTIONS_GROUPS};

static void defaults(void *o)
{
	((struct profile_options *)o)->frequency = 99;
}

static int run(void *o, const struct cli_rest *rest)
{
	const struct profile_options *p = o;
	struct cpu_options cpu = {.frequency_hz = p->frequency};
	struct session_plan plan = {
		.options = &p->common,
		.rest = rest,
		.probes = {{&probe_cpu, &cpu}},
		.pipe_format = "folded",
		.needs_stacks = true,
	};

	return session__run(&plan);
}

const struct cli_command command_profile = {
	.name = "profile",
	.summary = "on-CPU time by stack: where the CPU goes",
	.takes_target = true,
	.description = "Samples each CPU at a fixed rate (cycles where there is a PMU, else the CPU clock), "
		       "keeps the samples of "
		       "the target, and shows its functions by their own and total share of the samples. "
		       "With -o x.svg or "
		       "x.html the profile is a flame graph; a pipe gets folded stacks.",
	.examples = "sonde profile -p 4127 -d 10s\n"
		    "sonde profile -d 10s -o cpu.svg -- make -j2\n"
		    "sonde profile -a -d 30s --folded | flamegraph.pl > cpu.svg",
	.groups = groups,
	.options_size = sizeof(struct profile_options),
	.defaults = defaults,
	.run = run,
};
