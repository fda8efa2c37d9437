// SPDX-License-Identifier: Apache-2.0
/*
 * calls COUNT MS: the main thread calls `called` COUNT times, each time by the chain _start (start of libc)
 * main a1
 * ... a12 leaf called; so do three threads, by (start of libc) thread_main b1 b2 called. In the first MS
 * slowly, so that there are tables when there are many; then as fast as it goes. No frame pointers. Prints:
 * calls N, by all of them.
 */
#include "unwind.h"
#include <pthread.h>

#define THREADS 3
#define PACE_NS (40 * NSEC_PER_MS)

TRUTH_FN static uint64_t called(unsigned what, uint64_t n)
{
	__asm__ volatile("" : "+r"(n) : "r"(what));
	return n + 1;
}

UNWIND__LINK(leaf, called, 56)
UNWIND__CHAIN(leaf)
UNWIND__LINK(b2, called, 40)
UNWIND__LINK(b1, b2, 72)

struct turn {
	uint64_t count, slow_ns, done;
};

/* In the calling function itself. */
#define CALL(chain, turn)                                                                \
	do {                                                                             \
		uint64_t end_ns = work__clock_ns(CLOCK_MONOTONIC) + (turn)->slow_ns;     \
		for (uint64_t n = 0; n < (turn)->count; n++) {                           \
			(turn)->done += chain(1, n) != 0;                                \
			if ((turn)->slow_ns && work__clock_ns(CLOCK_MONOTONIC) < end_ns) \
				work__sleep_ns(PACE_NS);                                 \
		}                                                                        \
	} while (0)

TRUTH_FN static void *thread_main(void *arg)
{
	struct turn *turn = arg;

	CALL(b1, turn);
	return arg;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	struct turn turns[THREADS + 1] = {{0}};
	pthread_t threads[THREADS];
	uint64_t done = 0;

	for (int i = 0; i <= THREADS; i++)
		turns[i] = (struct turn){.count = (uint64_t)work__number(argc > 1 ? argv[1] : NULL),
					 .slow_ns = argc > 2 ? work__number(argv[2]) * NSEC_PER_MS : 0};
	work__ready(now);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, thread_main, &turns[i]))
			work__fail("pthread_create");
	CALL(a1, &turns[THREADS]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i <= THREADS; i++)
		done += turns[i].done;
	printf("calls %llu\n", (unsigned long long)done);
	return 0;
}
