// SPDX-License-Identifier: Apache-2.0
/* sonde check: one line of advice for each runtime that makes code at run time, or runs what is no code at
 * all. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "command/check.h"

static const struct runtime {
	const char *file; /* glob for the base name of a mapped file that tells the runtime */
	const char
		*argument; /* if its command line or environment has this, all is well; NULL: nothing helps */
	bool for_names;	   /* and if it has a perf map, too */
	const char *advice;
} runtimes[] = {
	{"node", "--perf-basic-prof", true,
	 "node: JavaScript has no names: start it with --perf-basic-prof --interpreted-frames-native-stack"},
	{"libjvm.so", "-XX:+PreserveFramePointer", false,
	 "java: stacks end in Java code: start it with -XX:+PreserveFramePointer"},
	{"libjvm.so", NULL, true,
	 "java: Java methods have no names: `jcmd PID Compiler.perfmap` (JDK 17 or later) writes them"},
	{"python3.1[2-9]*", NULL, true, "python: Python functions have no names: start it with -X perf"},
	{"libpython3.1[2-9]*", NULL, true, "python: Python functions have no names: start it with -X perf"},
	{"python3.[0-9]", NULL, true,
	 "python: this version cannot name Python functions; 3.12 and later can, with -X perf"},
	{"python3.1[01]", NULL, true,
	 "python: this version cannot name Python functions; 3.12 and later can, with -X perf"},
	{"beam.smp", "+JPperf", true, "erlang: functions have no names: start it with +JPperf true"},
	{"libcoreclr.so", "DOTNET_PerfMapEnabled=", true,
	 ".NET: methods have no names: start it with DOTNET_PerfMapEnabled=1"},
};

#define WORDS_BYTES_MAX (4u << 20)

static bool says(int dir, const char *file, const char *word)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	struct buf words = {0};
	bool found;

	if (fd < 0)
		return false;
	(void)buf__read_fd(&words, fd, WORDS_BYTES_MAX);
	close(fd);
	found = words.data && memmem(words.data, words.len, word, strlen(word));
	buf__free(&words);
	return found;
}

static bool is_mapped(const struct runtime *r, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (text__glob(r->file, names[i]))
			return true;
	return false;
}

void check_runtime__advise(int dir, const char *const *names, size_t count, bool perf_map, struct buf *lines)
{
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		const struct runtime *r = &runtimes[i];

		if (!is_mapped(r, names, count) || (r->for_names && perf_map) ||
		    (r->argument &&
		     (says(dir, "cmdline", r->argument) || says(dir, "environ", r->argument))) ||
		    strstr(buf__text(lines), r->advice))
			continue;
		buf__printf(lines, "%s\n", r->advice);
	}
}
