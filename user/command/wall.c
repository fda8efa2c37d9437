// SPDX-License-Identifier: Apache-2.0
/* sonde wall: every nanosecond of every watched thread in one state. */
#include <string.h>

#include "base/msg.h"
#include "command/command.h"
#include "session/session.h"
#include "session/walltime.h"
#include "sink/sink.h"

struct wall_options {
	struct options common;
	long long frequency;
};

static const struct cli_option options[] = {
	{"frequency", 'F', CLI_INT, offsetof(struct wall_options, frequency), .arg = "HZ", .min = 1,
	 .max = 10000, .help = "of the CPU samples in pictures and folded stacks", .fallback = "99"},
	{NULL},
};

static const struct cli_group groups[] = {{"Sampling", options}, OPTIONS_GROUPS};

static void defaults(void *o)
{
	((struct wall_options *)o)->frequency = 99;
}

/* Pictures and folded stacks need stacks; tables and JSON are the states alone, at a fifth of the cost. */
static bool wants_stacks(const struct options *o)
{
	const struct sink_type *type = NULL;

	if (o->format)
		type = sink__types[o->format - 1];
	else if (o->output)
		type = sink__by_extension(o->output);
	return type && (type->needs_file_per_interval || !strcmp(type->name, "folded"));
}

static int run(void *o, const struct cli_rest *rest)
{
	const struct wall_options *p = o;
	bool stacks = wants_stacks(&p->common);
	struct cpu_options cpu = {.frequency_hz = p->frequency};
	struct sched_options sched = {.wall = true, .offcpu = stacks, .reason = stacks};
	struct session_plan plan = {
		.options = &p->common,
		.rest = rest,
		.probes = {{&probe_sched, &sched}, {stacks ? &probe_cpu : NULL, &cpu}},
		.pipe_format = "table",
		.needs_stacks = stacks,
		.stacks_per_thread = stacks,
		.stage = stacks ? walltime__new() : NULL,
	};
	int code = session__run(&plan);

	walltime__free(plan.stage);
	return code;
}

const struct cli_command command_wall = {
	.name = "wall",
	.summary = "wall-clock time by state: every nanosecond of every thread",
	.takes_target = true,
	.description = "Shows for each thread how its time divides into running, waiting for a CPU and "
		       "waiting for something "
		       "else, by kind. The states of a thread sum to its elapsed time, threads that never "
		       "switch included. "
		       "With -o wall.svg it is the wall-clock flame graph: CPU samples scaled to exact CPU "
		       "time, run-queue "
		       "time and blocked time by stack in one picture whose width is elapsed thread time.",
	.examples = "sonde wall -p 812 -d 10s\n"
		    "sonde wall -p 812 -d 10s -o wall.svg\n"
		    "sonde wall -d 10s -- make -j2",
	.groups = groups,
	.options_size = sizeof(struct wall_options),
	.defaults = defaults,
	.run = run,
};
