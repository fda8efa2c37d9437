// SPDX-License-Identifier: Apache-2.0
#include "session/options.h"

#include <stddef.h>

#define AT(field) .offset = offsetof(struct options, field)
#define HOUR_NS	  3600000000000LL
#define PID_MAX	  4194304

const struct cli_option options__target[] = {
	{"pid", 'p', CLI_NUMBERS, AT(pids), .arg = "PID[,PID...]", .min = 1, .max = PID_MAX,
	 .help = "these processes, all threads; numbers of sonde's own PID namespace"},
	{"tid", 't', CLI_NUMBERS, AT(tids), .arg = "TID[,TID...]", .min = 1, .max = PID_MAX,
	 .help = "these threads"},
	{"cgroup", 'G', CLI_STRING, AT(cgroup), .arg = "PATH|ID",
	 .help = "a cgroup v2 directory (or its id) and all below it"},
	{"comm", 0, CLI_STRING, AT(comm), .arg = "GLOB",
	 .help = "processes by name; looked at again on exec and rename"},
	{"user", 'u', CLI_STRING, AT(user), .arg = "USER", .help = "processes of a user, by name or number"},
	{"container", 0, CLI_STRING, AT(container), .arg = "ID|NAME",
	 .help = "a container that its cgroup path tells"},
	{"pod", 0, CLI_STRING, AT(pod), .arg = "NS/NAME", .help = "a Kubernetes pod on this node"},
	{"follow", 0, CLI_FLAG, AT(follow),
	 .help = "with -p: descendants too, those that exist and those to come"},
	{"all", 'a', CLI_FLAG, AT(all), .help = "the machine, said aloud"},
	{NULL},
};

/* How user stacks are walked. */
static const char *const walks[] = {"tables", "fp", NULL};

const struct cli_option options__stacks[] = {
	{"user-stacks-only", 'U', CLI_FLAG, AT(user_only), .help = "no kernel frames"},
	{"kernel-stacks-only", 'K', CLI_FLAG, AT(kernel_only), .help = "no user frames"},
	{"lines", 0, CLI_FLAG, AT(lines),
	 .help = "source lines and inlined functions, where there is debug information"},
	{"debuginfod", 0, CLI_STRING, AT(debuginfod), .arg = "URLS",
	 .help = "servers to ask for missing debug files; without it nothing is ever asked"},
	{"unwind", 0, CLI_CHOICE, AT(unwind), .arg = "HOW", .choices = walks,
	 .help = "walk user stacks by unwind tables, or by frame pointers alone", .fallback = "tables"},
	{"unwind-memory", 0, CLI_SIZE, AT(unwind_bytes), .arg = "SIZE", .min = 1 << 20, .max = 256 << 20,
	 .help = "limit of the unwind tables in memory", .fallback = "24MiB"},
	{"compare-walks", 0, CLI_STRING, AT(compare_walks), .help = NULL, .hidden = true},
	{"force-each", 0, CLI_FLAG, AT(force_each), .help = NULL, .hidden = true},
	{"call-graph", 'g', CLI_FLAG, AT(stacks_habit), .help = "stacks are always recorded", .hidden = true},
	{NULL},
};

/* In the order of sink__types. */
static const char *const formats[] = {"auto", "table", "json",	     "folded", "svg",
				      "html", "pprof", "speedscope", NULL};

const struct cli_option options__output[] = {
	{"output", 'o', CLI_STRING, AT(output), .arg = "FILE",
	 .help = "write there; the format follows the extension; with -i pictures and profiles are numbered"},
	{"format", 'f', CLI_CHOICE, AT(format), .arg = "FORMAT", .choices = formats, .help = "how to write",
	 .fallback = "auto"},
	{"json", 0, CLI_SET, AT(format), .value = 2, .help = "short for -f json"},
	{"folded", 0, CLI_SET, AT(format), .value = 3, .help = "short for -f folded"},
	{"svg", 0, CLI_SET, AT(format), .value = 4, .help = "short for -f svg"},
	{"html", 0, CLI_SET, AT(format), .value = 5, .help = "short for -f html"},
	{"pprof", 0, CLI_SET, AT(format), .value = 6, .help = "short for -f pprof"},
	{"speedscope", 0, CLI_SET, AT(format), .value = 7, .help = "short for -f speedscope"},
	{"rows", 'n', CLI_INT, AT(rows), .arg = "ROWS", .min = 1, .max = 1000000, .help = "rows of tables"},
	{"title", 0, CLI_STRING, AT(title), .arg = "TEXT", .help = "title of a flame graph"},
	{"inverted", 0, CLI_FLAG, AT(inverted), .help = "flame graph with the root on top"},
	{NULL},
};

const struct cli_option options__run[] = {
	{"duration", 'd', CLI_DURATION, AT(duration_ns), .arg = "TIME", .min = 1000000,
	 .max = 24 * 366 * HOUR_NS, .help = "how long to measure",
	 .fallback = "until Ctrl-C, or the target ends"},
	{"interval", 'i', CLI_DURATION, AT(interval_ns), .arg = "TIME", .min = 100000000, .max = 24 * HOUR_NS,
	 .help = "report this often", .fallback = "once, at the end"},
	{"pass-status", 0, CLI_FLAG, AT(pass_status), .help = "exit with COMMAND's status"},
	{"dry-run", 0, CLI_FLAG, AT(dry_run),
	 .help = "say what would be attached, its memory and privileges; attach nothing"},
	{"quiet", 'q', CLI_FLAG, AT(quiet), .help = "no progress and no summary on stderr"},
	{"verbose", 'v', CLI_FLAG, AT(verbose), .help = "the loss account, and what was attached"},
	{"force-raw", 0, CLI_FLAG, AT(force_raw), .help = NULL, .hidden = true},
	{NULL},
};
