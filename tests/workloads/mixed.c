// SPDX-License-Identifier: Apache-2.0
/*
 * mixed MS [THREADS]: each of THREADS (1) threads waits in turns for MS milliseconds: 300 x 60 us in
 * short_wait(), so that nobody could foresee what comes then, once 320 ms in long_wait(). main waits in
 * pthread_join. Prints, summed over the threads: short_blocks and long_blocks (those that came to pass),
 * short_ns and long_ns (measured around them, wake latency included).
 */
#include "workload.h"
#include <pthread.h>

#define SHORT_TIMES 300
#define SHORT_NS    (60 * 1000ULL)
#define LONG_NS	    (320 * NSEC_PER_MS)

struct waiter {
	pthread_t thread;
	uint64_t for_ns;
	long short_blocks, long_blocks;
	uint64_t short_ns, long_ns;
};

WORK_FN static void short_wait(void)
{
	work__sleep_ns(SHORT_NS);
	__asm__ volatile(""); /* no tail call */
}

WORK_FN static void long_wait(void)
{
	work__sleep_ns(LONG_NS);
	__asm__ volatile("");
}

/* `wait` `times` times; returns how often that blocked. */
static long wait_often(void (*wait)(void), int times, uint64_t *ns)
{
	long before = work__switches().voluntary;
	uint64_t start = work__clock_ns(CLOCK_MONOTONIC);

	for (int i = 0; i < times; i++)
		wait();
	*ns += work__clock_ns(CLOCK_MONOTONIC) - start;
	return work__switches().voluntary - before;
}

WORK_FN static void *mixed_thread(void *arg)
{
	struct waiter *w = arg;
	uint64_t end = work__clock_ns(CLOCK_MONOTONIC) + w->for_ns;

	while (work__clock_ns(CLOCK_MONOTONIC) < end) {
		w->short_blocks += wait_often(short_wait, SHORT_TIMES, &w->short_ns);
		w->long_blocks += wait_often(long_wait, 1, &w->long_ns);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	struct waiter sum = {0}, *waiters;
	long n = 1, ms;

	if (argc != 2 && argc != 3)
		return 2;
	ms = work__number(argv[1]);
	if (argc == 3)
		n = work__number(argv[2]);
	waiters = calloc(n + 1, sizeof(*waiters));
	if (!waiters)
		work__fail("waiters");
	work__ready(now);
	for (long i = 0; i < n; i++) {
		waiters[i].for_ns = ms * NSEC_PER_MS;
		if (pthread_create(&waiters[i].thread, NULL, mixed_thread, &waiters[i]))
			work__fail("pthread_create");
	}
	for (long i = 0; i < n; i++) {
		pthread_join(waiters[i].thread, NULL);
		sum.short_blocks += waiters[i].short_blocks;
		sum.long_blocks += waiters[i].long_blocks;
		sum.short_ns += waiters[i].short_ns;
		sum.long_ns += waiters[i].long_ns;
	}
	printf("short_blocks %ld\nlong_blocks %ld\nshort_ns %llu\nlong_ns %llu\n", sum.short_blocks,
	       sum.long_blocks, (unsigned long long)sum.short_ns, (unsigned long long)sum.long_ns);
	free(waiters);
	return 0;
}
