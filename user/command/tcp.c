// SPDX-License-Identifier: Apache-2.0
/* sonde tcp: connections, and how they fare. */
#include "command/command.h"
#include "session/session.h"

struct tcp_command {
	struct options common;
	int by;
	uint64_t slow_ns;
	long long parties;
};

static const char *const keys[] = {"peer", "process", "cgroup", "none", NULL}; /* as enum tcp_by */

static const struct cli_option options[] = {
	{"by", 0, CLI_CHOICE, offsetof(struct tcp_command, by), .arg = "KEY", .choices = keys,
	 .help = "a row per peer and process, per process, per cgroup, or one for all", .fallback = "peer"},
	{"slow", 0, CLI_DURATION, offsetof(struct tcp_command, slow_ns), .arg = "TIME", .min = 1000,
	 .max = 600000000000LL, .help = "tell of each connection that took longer to be opened, at once"},
	{"peers", 0, CLI_INT, offsetof(struct tcp_command, parties), .arg = "ROWS", .min = 16, .max = 65536,
	 .help = "so many rows are told apart; the rest is __other__", .fallback = "1024"},
	{NULL},
};

static const struct cli_group groups[] = {{"Connections", options}, OPTIONS_WITHOUT_STACKS};

static void defaults(void *o)
{
	((struct tcp_command *)o)->parties = 1024;
}

static int run(void *o, const struct cli_rest *rest)
{
	const struct tcp_command *c = o;
	struct tcp_options tcp = {
		.by = (enum tcp_by)c->by, .slow_ns = c->slow_ns, .parties = (unsigned)c->parties};
	struct session_plan plan = {
		.options = &c->common,
		.rest = rest,
		.probes = {{&probe_tcp, &tcp}},
		.pipe_format = "table",
	};

	return session__run(&plan);
}

const struct cli_command command_tcp = {
	.name = "tcp",
	.summary = "TCP by peer: latency, failures, bytes, round trips, retransmissions",
	.takes_target = true,
	.description =
		"Counts connections opened, accepted and failed, with whom and how long each took, what they "
		"sent and received, their round-trip time and retransmissions, and what held them up; "
		"peers that fail are listed with the state that a circuit breaker would have. Failed "
		"connections are told at once.",
	.examples = "sonde tcp -d 10s\n"
		    "sonde tcp -p 812 -i 1s --slow 100ms\n"
		    "sonde tcp -G system.slice/nginx.service --by process --json",
	.groups = groups,
	.options_size = sizeof(struct tcp_command),
	.defaults = defaults,
	.run = run,
};
