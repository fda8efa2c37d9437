// SPDX-License-Identifier: Apache-2.0
/* sonde memory: page faults, stalls, growth, kills, and what cgroups have. */
#include "command/command.h"
#include "session/session.h"

struct memory_command {
	struct options common;
	int by;
	bool stacks;
	uint64_t slow_ns;
};

static const char *const keys[] = {"none", "pid", "comm", "cgroup", NULL}; /* in the order of enum key_by */

#define AT(field) .offset = offsetof(struct memory_command, field)

static const struct cli_option options[] = {
	{"by", 0, CLI_CHOICE, AT(by), .arg = "KEY", .choices = keys,
	 .help = "one row per process, name or cgroup, or one for all", .fallback = "pid"},
	{"stacks", 0, CLI_FLAG, AT(stacks),
	 .help = "what makes processes grow: memory that was allocated in faults, by stack"},
	{"slow", 0, CLI_DURATION, AT(slow_ns), .arg = "TIME", .min = 1000, .max = 3600000000000LL,
	 .help = "show each fault, reclaim and compaction that took as long", .fallback = "none"},
	{NULL},
};

static const struct cli_group groups[] = {{"Memory", options}, OPTIONS_GROUPS};

static void defaults(void *o)
{
	((struct memory_command *)o)->by = BY_PID;
}

static int run(void *o, const struct cli_rest *rest)
{
	const struct memory_command *p = o;
	struct memory_options memory = {.by = p->by, .stacks = p->stacks, .slow_ns = p->slow_ns};
	struct session_plan plan = {
		.options = &p->common,
		.rest = rest,
		.probes = {{&probe_memory, &memory}},
		.pipe_format = "table",
		.needs_stacks = p->stacks,
	};

	return session__run(&plan);
}

const struct cli_command command_memory = {
	.name = "memory",
	.summary = "memory: faults, growth, stalls, OOM kills, page-cache hits, pressure",
	.takes_target = true,
	.description = "Counts the page faults of the target's threads exactly, as getrusage does, and "
		       "measures how long "
		       "they were blocked in faults, in reclaim and in compaction. Tells at once who is "
		       "killed when memory "
		       "has run out, whose limit it was, and what the victim had. Reads what cgroups use and "
		       "how much they "
		       "and the machine wait for memory, CPU and I/O (PSI). With --stacks: which code "
		       "allocates the memory.",
	.examples = "sonde memory -p 812 -d 10s\n"
		    "sonde memory --stacks -d 30s -- ./job\n"
		    "sonde memory -G /kubepods --by cgroup -i 5s --slow 100ms",
	.groups = groups,
	.options_size = sizeof(struct memory_command),
	.defaults = defaults,
	.run = run,
};
