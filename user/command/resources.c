// SPDX-License-Identifier: Apache-2.0
/* sonde resources: what the kernel counts of the machine, of cgroups or of processes. */
#include "command/command.h"
#include "session/session.h"

static const struct cli_group groups[] = {OPTIONS_WITHOUT_STACKS};

static int run(void *o, const struct cli_rest *rest)
{
	struct session_plan plan = {
		.options = o,
		.rest = rest,
		.probes = {{&probe_resources, NULL}},
		.pipe_format = "table",
	};

	return session__run(&plan);
}

const struct cli_command command_resources = {
	.name = "resources",
	.summary = "CPU, memory, disks, network, file systems and pressure, as counted",
	.takes_target = true,
	.description =
		"Reads what the kernel counts anyway, at the begin and at each end of an interval: of the "
		"machine and its cgroups, with -G of a cgroup and those below it, with -p of processes. "
		"Names are those of the OpenTelemetry conventions; counters are those of the interval.",
	.examples = "sonde resources -d 5s\n"
		    "sonde resources -i 1s --json\n"
		    "sonde resources -G /system.slice -d 10s\n"
		    "sonde resources -p 812 -i 1s",
	.groups = groups,
	.options_size = sizeof(struct options),
	.run = run,
};
