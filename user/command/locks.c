// SPDX-License-Identifier: Apache-2.0
/* sonde locks: which locks are waited for, how long, and who holds them. */
#include "base/msg.h"
#include "command/command.h"
#include "session/session.h"

struct locks_choice {
	struct options common;
	int by;
	uint64_t min_ns, slow_ns;
	bool kernel, user;
};

#define AT(field) .offset = offsetof(struct locks_choice, field)

/* In the order of enum locks_by. */
static const char *const keys[] = {"both", "pid", "comm", "cgroup", "lock", "stack", NULL};

static const struct cli_option options[] = {
	{"by", 0, CLI_CHOICE, AT(by), .arg = "KEY", .choices = keys,
	 .help = "what a row is about; both: a table by lock and one by stack", .fallback = "both"},
	{"futex", 0, CLI_FLAG, AT(user), .help = "only waits of programs, in futex()"},
	{"kernel", 0, CLI_FLAG, AT(kernel), .help = "only waits of the kernel for its own locks"},
	{"min", 0, CLI_DURATION, AT(min_ns), .arg = "TIME", .min = 1, .max = 3600000000000LL,
	 .help = "leave out shorter waits", .fallback = "every wait"},
	{"slow", 0, CLI_DURATION, AT(slow_ns), .arg = "TIME", .min = 1, .max = 3600000000000LL,
	 .help = "print each wait of this length or more as it ends", .fallback = "none"},
	{NULL},
};

static const struct cli_group groups[] = {{"Locks", options}, OPTIONS_GROUPS};

static int run(void *o, const struct cli_rest *rest)
{
	const struct locks_choice *p = o;
	struct locks_options locks = {
		.user = p->user || !p->kernel,
		.kernel = p->kernel || !p->user,
		.by = (enum locks_by)p->by,
		.min_ns = p->min_ns,
		.slow_ns = p->slow_ns,
	};
	struct session_plan plan = {
		.options = &p->common,
		.rest = rest,
		.probes = {{&probe_locks, &locks}},
		.pipe_format = "table",
		.needs_stacks = true,
	};

	return session__run(&plan);
}

const struct cli_command command_locks = {
	.name = "locks",
	.summary = "waits for locks: which, how long, who holds them",
	.takes_target = true,
	.description = "Counts every wait of the target's threads for a lock: in futex(), by which mutexes "
		       "and locks of C "
		       "libraries and runtimes wait, from the switch away from the CPU to the wakeup; and in "
		       "the kernel, "
		       "for its own locks (5.19). A lock is named by the variable that it is; who held it, "
		       "and the stack "
		       "of who released it, stand beside. Waits for work (condition variables, semaphores, "
		       "barriers, the "
		       "end of a thread) are told apart and come last.",
	.examples = "sonde locks -p 812 -d 10s\n"
		    "sonde locks -p 812 --futex --slow 10ms\n"
		    "sonde locks -a --kernel --by stack -o locks.svg -d 10s",
	.groups = groups,
	.options_size = sizeof(struct locks_choice),
	.run = run,
};
