// SPDX-License-Identifier: Apache-2.0
/* sonde all: every probe on the kernel's own paths at once, in one session: to see what they cost together.
 */
#include "command/command.h"
#include "session/session.h"

struct all_options {
	struct options common;
};

static const struct cli_group groups[] = {OPTIONS_WITHOUT_STACKS};

static int run(void *o, const struct cli_rest *rest)
{
	const struct all_options *p = o;
	const struct syscalls_options syscalls = {0};
	const struct block_options block = {0};
	const struct memory_options memory = {0};
	const struct processes_options processes = {0};
	const struct locks_options locks = {.user = true, .kernel = true};
	const struct tcp_options tcp = {.by = TCP_BY_PROCESS, .parties = 1024};
	struct session_plan plan = {
		.options = &p->common,
		.rest = rest,
		.probes = {{&probe_syscalls, &syscalls},
			   {&probe_block, &block},
			   {&probe_memory, &memory},
			   {&probe_processes, &processes},
			   {&probe_locks, &locks},
			   {&probe_tcp, &tcp}},
		.needs_stacks = true,
		.pipe_format = "table",
	};

	return session__run(&plan);
}

const struct cli_command command_all = {
	.name = "all",
	.takes_target = true,
	.description =
		"What the commands syscalls, block, memory, processes, locks and tcp show, in one run.",
	.groups = groups,
	.options_size = sizeof(struct all_options),
	.run = run,
};
