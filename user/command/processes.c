// SPDX-License-Identifier: Apache-2.0
/* sonde processes: what was started, how it ended and how long it lived. */
#include "command/command.h"
#include "session/session.h"

struct processes_command {
	struct options common;
	int by;
	bool each;
};

static const char *const keys[] = {"none", "pid", "comm", "cgroup", NULL}; /* in the order of enum key_by */

static const struct cli_option options[] = {
	{"by", 0, CLI_CHOICE, offsetof(struct processes_command, by), .arg = "KEY", .choices = keys,
	 .help = "rows by who started them (pid, comm), or by cgroup", .fallback = "none"},
	{"each", 0, CLI_FLAG, offsetof(struct processes_command, each),
	 .help = "print every exec and every exit at once"},
	{NULL},
};

static const struct cli_group groups[] = {{"Processes", options}, OPTIONS_WITHOUT_STACKS};

static int run(void *o, const struct cli_rest *rest)
{
	const struct processes_command *p = o;
	struct processes_options processes = {.by = p->by, .each = p->each};
	struct session_plan plan = {
		.options = &p->common,
		.rest = rest,
		.probes = {{&probe_processes, &processes}},
		.pipe_format = "table",
	};

	return session__run(&plan);
}

const struct cli_command command_processes = {
	.name = "processes",
	.summary = "process starts, ends with status, and how long they lived",
	.takes_target = true,
	.description = "Counts every fork, exec and exit in the kernel, also of processes that live for a "
		       "moment only: by "
		       "command, with exit status or signal and the age at the end. Threads are counted "
		       "apart. With -p, "
		       "children count with --follow.",
	.examples = "sonde processes -d 10s\n"
		    "sonde processes --each --comm 'cc*'\n"
		    "sonde processes --by pid -i 5s\n"
		    "sonde processes -- make -j8",
	.groups = groups,
	.options_size = sizeof(struct processes_command),
	.run = run,
};
