// SPDX-License-Identifier: Apache-2.0
/*
 * exec MS NAME: burns MS of CPU time in before_exec under its own comm, then execs itself as NAME (a link in
 * a directory of its own, removed again) and burns MS in after_exec: same PID, other comm, other address
 * space. Prints: executed PID, from the second life.
 */
#include "workload.h"
#include <limits.h>
#include <libgen.h>

WORK_FN static void before_exec(uint64_t ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, work__clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns);
}

WORK_FN static void after_exec(uint64_t ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, work__clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns);
}

static int second_life(char *link, const char *ms)
{
	unlink(link);
	rmdir(dirname(link));
	alarm(600);
	printf("executed %d\n", (int)getpid());
	fflush(stdout);
	after_exec(work__number(ms) * NSEC_PER_MS);
	return 0;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/workload-exec-XXXXXX", self[PATH_MAX] = "", link[PATH_MAX];
	char *after = work__option(&argc, argv, "--after");
	bool now = work__flag(&argc, argv, "--now");

	if (after)
		return second_life(after, argv[1]);
	if (argc != 3)
		return 2;
	work__ready(now);
	before_exec(work__number(argv[1]) * NSEC_PER_MS);
	if (!mkdtemp(dir) || readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		work__fail("mkdtemp");
	snprintf(link, sizeof(link), "%s/%s", dir, argv[2]);
	if (symlink(self, link))
		work__fail(link);
	execl(link, argv[2], "--after", link, argv[1], NULL);
	work__fail(link);
	return 1;
}
