// SPDX-License-Identifier: Apache-2.0
/*
 * forks N SECONDS MS: starts N processes (fork, then exec of itself), evenly over SECONDS, each burning MS of
 * CPU time in burn_child after its exec, and waits for all. Prints: started, reaped, children_cpu_ns
 * (RUSAGE_CHILDREN: with fork, exec and exit), wall_ns.
 */
#include "workload.h"
#include <sys/resource.h>
#include <sys/wait.h>

WORK_FN static void burn_child(uint64_t ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, work__clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns);
}

static void start_child(const char *ms)
{
	pid_t pid = fork();

	if (pid < 0)
		work__fail("fork");
	if (pid == 0) {
		execl("/proc/self/exe", "forks-child", "--child", ms, NULL);
		_exit(127);
	}
}

static long reap(int flags)
{
	long n = 0;
	int status;

	while (waitpid(-1, &status, flags) > 0) {
		if (status)
			fprintf(stderr, "workload: a child ended with %#x\n", status);
		n += status == 0;
	}
	return n;
}

int main(int argc, char **argv)
{
	char *child_ms = work__option(&argc, argv, "--child");
	bool now = work__flag(&argc, argv, "--now");
	struct rusage usage;
	long n, reaped = 0;

	if (child_ms) {
		burn_child(work__number(child_ms) * NSEC_PER_MS);
		return 0;
	}
	if (argc != 4)
		return 2;
	n = work__number(argv[1]);
	uint64_t span_ns = work__number(argv[2]) * NSEC_PER_SEC;
	work__number(argv[3]);
	work__ready(now);
	uint64_t start = work__clock_ns(CLOCK_MONOTONIC);
	for (long i = 0; i < n; i++) {
		uint64_t due = start + span_ns / n * i, t = work__clock_ns(CLOCK_MONOTONIC);
		if (t < due)
			work__sleep_ns(due - t);
		start_child(argv[3]);
		reaped += reap(WNOHANG);
	}
	reaped += reap(0);
	getrusage(RUSAGE_CHILDREN, &usage);
	printf("started %ld\nreaped %ld\nchildren_cpu_ns %llu\nwall_ns %llu\n", n, reaped,
	       (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NSEC_PER_SEC +
		       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ULL,
	       (unsigned long long)(work__clock_ns(CLOCK_MONOTONIC) - start));
	return reaped == n ? 0 : 1;
}
