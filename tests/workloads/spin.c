// SPDX-License-Identifier: Apache-2.0
/*
 * spin THREADS CPU SECONDS [SLEEPS]: THREADS threads, all pinned to CPU, spin in spin_thread for SECONDS of
 * wall time: the run queue of that CPU always holds THREADS runnable threads, each waits THREADS - 1 slices
 * between two turns. Prints for each of them, as the last thing that it measured before it ended: "switches
 * TID N" (its nr_switches: voluntary and not) and "cpu_ns TID N"; and "switches TID N" of main, which waits
 * in pthread_join and then sleeps SLEEPS times for 1 ms, on another CPU.
 */
#include "workload.h"
#include <pthread.h>
#include <sched.h>

struct spinner {
	pthread_t thread;
	uint64_t end_ns;
	pid_t tid;
	long switches;
	uint64_t cpu_ns;
};

static long own_switches(void)
{
	struct work__switches s = work__switches();

	return s.voluntary + s.involuntary;
}

WORK_FN static void *spin_thread(void *arg)
{
	struct spinner *s = arg;

	s->tid = gettid();
	while (work__clock_ns(CLOCK_MONOTONIC) < s->end_ns)
		for (volatile int i = 0; i < 10000; i++)
			;
	s->cpu_ns = work__clock_ns(CLOCK_THREAD_CPUTIME_ID);
	s->switches = own_switches();
	return NULL;
}

/* To any other CPU: nothing more happens on this one. */
static void leave(long cpu)
{
	cpu_set_t others;

	memset(&others, 0xff, sizeof(others));
	CPU_CLR(cpu, &others);
	if (sched_setaffinity(0, sizeof(others), &others))
		work__fail("sched_setaffinity");
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	long n, cpu, seconds, sleeps;
	struct spinner *spinners;
	cpu_set_t cpus;

	if (argc != 4 && argc != 5)
		return 2;
	n = work__number(argv[1]);
	cpu = work__number(argv[2]);
	seconds = work__number(argv[3]);
	sleeps = argc > 4 ? work__number(argv[4]) : 0;
	spinners = calloc(n, sizeof(*spinners));
	if (!spinners)
		work__fail("spinners");
	/* main pins itself, threads inherit it: none of them ever ran elsewhere */
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		work__fail("sched_setaffinity");
	work__ready(now);
	uint64_t end_ns = work__clock_ns(CLOCK_MONOTONIC) + seconds * NSEC_PER_SEC;
	for (long i = 0; i < n; i++) {
		spinners[i].end_ns = end_ns;
		if (pthread_create(&spinners[i].thread, NULL, spin_thread, &spinners[i]))
			work__fail("pthread_create");
	}
	for (long i = 0; i < n; i++)
		pthread_join(spinners[i].thread, NULL);
	if (sleeps)
		leave(cpu);
	for (long i = 0; i < sleeps; i++)
		work__sleep_ns(NSEC_PER_MS);
	for (long i = 0; i < n; i++)
		printf("switches %d %ld\ncpu_ns %d %llu\n", spinners[i].tid, spinners[i].switches,
		       spinners[i].tid, (unsigned long long)spinners[i].cpu_ns);
	printf("switches %d %ld\n", (int)getpid(), own_switches());
	free(spinners);
	return 0;
}
