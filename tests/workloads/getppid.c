// SPDX-License-Identifier: Apache-2.0
/*
 * getppid SECONDS: one thread calls getppid(2) in a loop in getppid_loop for SECONDS of wall time. Most of
 * its CPU time is kernel time below getppid_loop, and it never blocks. Prints: calls, user_ns and system_ns
 * (the kernel's own split).
 */
#include "workload.h"
#include <sys/resource.h>

WORK_FN static uint64_t getppid_loop(uint64_t end_ns)
{
	uint64_t calls = 0;

	while (work__clock_ns(CLOCK_MONOTONIC) < end_ns)
		for (int i = 0; i < 1000; i++, calls++)
			work__syscall(SYS_getppid, 0, 0, 0, 0);
	return calls;
}

static unsigned long long timeval_ns(struct timeval t)
{
	return t.tv_sec * NSEC_PER_SEC + t.tv_usec * 1000ULL;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	uint64_t seconds = work__number(argv[1]), calls;
	struct rusage usage;

	work__ready(now);
	calls = getppid_loop(work__clock_ns(CLOCK_MONOTONIC) + seconds * NSEC_PER_SEC);
	getrusage(RUSAGE_SELF, &usage);
	printf("calls %llu\nuser_ns %llu\nsystem_ns %llu\n", (unsigned long long)calls,
	       timeval_ns(usage.ru_utime), timeval_ns(usage.ru_stime));
	return 0;
}
