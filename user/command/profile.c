// SPDX-License-Identifier: Apache-2.0
/* sonde profile: where the CPU time goes, or who calls a function, by stack. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "command/command.h"
#include "session/session.h"

#define FREQUENCY_HZ 99

struct profile_options {
	struct options common;
	long long frequency; /* 0: not said */
	const char *event;   /* NULL: the CPU's time */
	long long places;
};

static const struct cli_option options[] = {
	{"frequency", 'F', CLI_INT, offsetof(struct profile_options, frequency), .arg = "HZ", .min = 1,
	 .max = 10000, .help = "samples per second and CPU; not in step with timers: 99, not 100",
	 .fallback = "99"},
	{"event", 'e', CLI_STRING, offsetof(struct profile_options, event),
	 .arg = "uprobe|uretprobe:FILE:FUNCTION",
	 .help = "count each call of a function (or return from it) instead; FILE: a path, or the name of "
		 "what "
		 "the process has mapped, as libc.so.6; FUNCTION+OFFSET: an instruction"},
	{"stack-places", 0, CLI_INT, offsetof(struct profile_options, places), .min = 1, .max = 4096,
	 .help = NULL, .hidden = true},
	{NULL},
};

static const struct cli_group groups[] = {{"Sampling", options}, OPTIONS_GROUPS};

/* --- what to count */

static int usage(const char *event, const char *what)
{
	msg__usage("profile", "--event %s: %s", event, what);
	return EXIT_USAGE;
}

/* FUNCTION+OFFSET; what stands behind the last `+` is no offset unless it is a number. */
static void cut_offset(char *function, uint64_t *offset)
{
	char *plus = strrchr(function, '+'), *end;

	if (!plus || plus == function || plus[1] < '0' || plus[1] > '9')
		return;
	*offset = strtoull(plus + 1, &end, 0);
	if (!*end)
		*plus = 0;
	else
		*offset = 0;
}

/* The strings that `u` gets lie in `text`. 0 or an exit code. */
static int read_event(const char *event, char *text, struct uprobe_options *u)
{
	char *file = strchr(text, ':'), *function = strrchr(text, ':');

	if (!file || file == function || !file[1] || file + 1 == function || !function[1])
		return usage(event, "uprobe:FILE:FUNCTION or uretprobe:FILE:FUNCTION is meant");
	*file++ = *function++ = 0;
	if (strcmp(text, "uprobe") && strcmp(text, "uretprobe"))
		return usage(event, "there are uprobe and uretprobe");
	u->at_return = !strcmp(text, "uretprobe");
	u->file = file;
	u->function = function;
	cut_offset(function, &u->offset);
	if (u->offset && u->at_return)
		return usage(event, "a function returns as a whole: no offset");
	return 0;
}

static int count_calls(const struct profile_options *p, struct session_plan *plan)
{
	struct uprobe_options uprobe = {.places = (unsigned)p->places};
	char *text = strdup(p->event);
	int code = EXIT_RUN_FAILED;

	plan->probes[0].type = &probe_uprobe;
	plan->probes[0].options = &uprobe;
	if (p->frequency)
		code = usage(p->event, "every call is counted: there is no frequency");
	else if (p->common.kernel_only)
		code = usage(p->event, "its stacks are of user space: not with -K");
	else if (text)
		code = read_event(p->event, text, &uprobe);
	if (!code)
		code = session__run(plan);
	free(text);
	return code;
}

static int run(void *o, const struct cli_rest *rest)
{
	const struct profile_options *p = o;
	struct cpu_options cpu = {.frequency_hz = p->frequency ? p->frequency : FREQUENCY_HZ};
	struct session_plan plan = {
		.options = &p->common,
		.rest = rest,
		.probes = {{&probe_cpu, &cpu}},
		.pipe_format = "folded",
		.needs_stacks = true,
	};

	return p->event ? count_calls(p, &plan) : session__run(&plan);
}

const struct cli_command command_profile = {
	.name = "profile",
	.summary = "on-CPU time by stack: where the CPU goes",
	.takes_target = true,
	.description = "Samples each CPU at a fixed rate (cycles where there is a PMU, else the CPU clock), "
		       "keeps the samples of "
		       "the target, and shows its functions by their own and total share of the samples. "
		       "With -o x.svg or "
		       "x.html the profile is a flame graph; a pipe gets folded stacks. "
		       "With -e it counts who calls a function, each call.",
	.examples = "sonde profile -p 4127 -d 10s\n"
		    "sonde profile -d 10s -o cpu.svg -- make -j2\n"
		    "sonde profile -e uprobe:libc.so.6:malloc -p 4127 -d 10s -o malloc.svg\n"
		    "sonde profile -a -d 30s --folded | flamegraph.pl > cpu.svg",
	.groups = groups,
	.options_size = sizeof(struct profile_options),
	.run = run,
};
