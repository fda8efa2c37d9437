// SPDX-License-Identifier: Apache-2.0
/* sonde syscalls: system calls by name. */
#include <stdio.h>

#include "base/msg.h"
#include "command/command.h"
#include "probe/call_names.h"
#include "session/session.h"

struct syscalls_command {
	struct options common;
	const char *calls;
	int by;
	uint64_t slow_ns;
	bool stacks, by_event;
};

#define AT(field) .offset = offsetof(struct syscalls_command, field)

static const char *const keys[] = {"none", "pid", "comm", "cgroup", NULL}; /* in the order of enum key_by */

static const struct cli_option options[] = {
	{"syscall", 'e', CLI_STRING, AT(calls), .arg = "NAME[,NAME]",
	 .help = "only these calls: read,openat,futex", .fallback = "all"},
	{"by", 0, CLI_CHOICE, AT(by), .arg = "KEY", .choices = keys,
	 .help = "a row per process, name or cgroup and call", .fallback = "none"},
	{"slow", 0, CLI_DURATION, AT(slow_ns), .arg = "TIME", .min = 1, .max = 3600000000000LL,
	 .help = "tell of each call of this length or more when it ends"},
	{"stacks", 0, CLI_FLAG, AT(stacks),
	 .help = "who makes them: time by stack; with --slow, of the slow ones only"},
	{"classic-tracepoints", 0, CLI_FLAG, AT(by_event), .help = NULL, .hidden = true},
	{NULL},
};

static const struct cli_group groups[] = {{"Calls", options}, OPTIONS_GROUPS};

static int refuse(const char *unknown, const char *nearest)
{
	if (*nearest)
		msg__usage("syscalls", "-e: no system call %s; did you mean %s?", unknown, nearest);
	else
		msg__usage("syscalls", "-e: no system call '%s'", unknown);
	return EXIT_USAGE;
}

static int run(void *o, const struct cli_rest *rest)
{
	const struct syscalls_command *p = o;
	struct syscalls_options syscalls = {
		.calls = p->calls,
		.by = p->by,
		.slow_ns = p->slow_ns,
		.stacks = p->stacks,
		.by_event = p->by_event,
	};
	struct session_plan plan = {
		.options = &p->common,
		.rest = rest,
		.probes = {{&probe_syscalls, &syscalls}},
		.pipe_format = "table",
		.needs_stacks = p->stacks,
	};
	char unknown[CALL_NAME], nearest[CALL_NAME];

	if (p->calls && call__unknown(p->calls, unknown, nearest))
		return refuse(unknown, nearest);
	return session__run(&plan);
}

const struct cli_command command_syscalls = {
	.name = "syscalls",
	.summary = "system calls: how often, how long, with which errors",
	.takes_target = true,
	.description = "Counts every system call of the target, with its errors and a histogram of its time, "
		       "whose quantiles "
		       "are within 4.4 %. Calls without a duration are counted, too, and say why: open at "
		       "the end, begun "
		       "before sonde, never returning (exit). Errors named ERESTART... are calls that a "
		       "signal interrupted: "
		       "they become EINTR or are made again.",
	.examples = "sonde syscalls -p 812 -d 10s\n"
		    "sonde syscalls -e openat,read --by pid -a -d 5s\n"
		    "sonde syscalls -p 812 --slow 10ms\n"
		    "sonde syscalls -p 812 --stacks -o calls.svg -d 10s",
	.groups = groups,
	.options_size = sizeof(struct syscalls_command),
	.run = run,
};
