// SPDX-License-Identifier: Apache-2.0
/*
 * newthreads THREADS MS: single-threaded until the word to go, then starts THREADS threads, 20 ms apart, each
 * burning MS of CPU time in new_thread; main waits in pthread_join. Prints: threads, cpu_ns (all of the
 * process).
 */
#include "workload.h"
#include <pthread.h>

WORK_FN static void *new_thread(void *arg)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, *(uint64_t *)arg);
	return NULL;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	uint64_t burn_ns;
	pthread_t *threads;
	long n;

	if (argc != 3)
		return 2;
	n = work__number(argv[1]);
	burn_ns = work__number(argv[2]) * NSEC_PER_MS;
	threads = calloc(n, sizeof(*threads));
	if (!threads)
		work__fail("threads");
	work__ready(now);
	for (long i = 0; i < n; i++) {
		if (pthread_create(&threads[i], NULL, new_thread, &burn_ns))
			work__fail("pthread_create");
		work__sleep_ns(20 * NSEC_PER_MS);
	}
	for (long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("threads %ld\ncpu_ns %llu\n", n, (unsigned long long)work__clock_ns(CLOCK_PROCESS_CPUTIME_ID));
	free(threads);
	return 0;
}
