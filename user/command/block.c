// SPDX-License-Identifier: Apache-2.0
/* sonde block: requests to block devices. */
#include "command/command.h"
#include "session/session.h"

struct block_command_options {
	struct options common;
	int by;
	uint64_t slow_ns;
};

static const char *const keys[] = {"none", "pid", "comm", "cgroup", NULL}; /* in the order of enum key_by */

static const struct cli_option options[] = {
	{"by", 0, CLI_CHOICE, offsetof(struct block_command_options, by), .arg = "KEY", .choices = keys,
	 .help = "one row per process, name or cgroup that submitted", .fallback = "none"},
	{"slow", 0, CLI_DURATION, offsetof(struct block_command_options, slow_ns), .arg = "TIME", .min = 1,
	 .max = 3600000000000LL, .help = "print each request that took this long, at once"},
	{NULL},
};

static const struct cli_group groups[] = {{"Requests", options}, OPTIONS_WITHOUT_STACKS};

static int run(void *o, const struct cli_rest *rest)
{
	const struct block_command_options *p = o;
	struct block_options block = {.by = p->by, .slow_ns = p->slow_ns};
	struct session_plan plan = {
		.options = &p->common,
		.rest = rest,
		.probes = {{&probe_block, &block}},
		.pipe_format = "table",
	};

	return session__run(&plan);
}

const struct cli_command command_block = {
	.name = "block",
	.summary = "block I/O: time in the queue and in the device, sizes, errors",
	.takes_target = true,
	.description = "Counts every request to a block device with its size, the time it waited in the "
		       "queue (from its submission, the wait for a free request included) and the time in "
		       "the device, by operation and by who submitted it. What the page cache writes back "
		       "later counts for the cgroup that dirtied it, where the kernel knows, and for no "
		       "process: it is the writeback's.",
	.examples = "sonde block -d 10s\n"
		    "sonde block --by cgroup -i 5s\n"
		    "sonde block --slow 20ms -p 812\n"
		    "sonde block -- dd if=/dev/sda of=/dev/null bs=1M count=100 iflag=direct",
	.groups = groups,
	.options_size = sizeof(struct block_command_options),
	.run = run,
};
