// SPDX-License-Identifier: Apache-2.0
/*
 * block [ROUNDS]: three threads block a prime number of times each, in the function they are named for:
 *   sleep_thread  101 x 20 ms in nanosleep
 *   futex_thread   53 x 30 ms in a futex wait with a timeout on a private word
 *   read_thread    29 x 40 ms in read of an empty pipe
 * while feed_thread sleeps 29 x 40 ms (nanosleep) and writes one byte to that pipe after each. They are
 * created after the word to go; main waits in pthread_join. ROUNDS (1) repeats the counts. Prints for each:
 * NAME_count (the blocks asked for), NAME_blocks (those that came to pass: a wait that runs out while its
 * thread is preempted on the way into it never blocks), NAME_ns (wall time measured around them, wake latency
 * included), NAME_longest (of them, ns), NAME_delay (ns that the thread waited for a CPU meanwhile).
 */
#include "workload.h"
#include <linux/futex.h>
#include <pthread.h>

struct blocker {
	const char *name;
	void *(*run)(void *);
	long count;
	uint64_t each_ns;
	int fd;
	long blocks;
	uint64_t measured_ns, longest_ns, delay_ns;
	pthread_t thread;
};

static void begin(struct blocker *b)
{
	pthread_setname_np(pthread_self(), b->name);
	b->delay_ns = -work__run_delay_ns();
	b->blocks = -work__switches().voluntary;
}

static void end(struct blocker *b)
{
	b->blocks += work__switches().voluntary;
	b->delay_ns += work__run_delay_ns();
}

static void measure(struct blocker *b, uint64_t start_ns)
{
	uint64_t ns = work__clock_ns(CLOCK_MONOTONIC) - start_ns;

	b->measured_ns += ns;
	if (ns > b->longest_ns)
		b->longest_ns = ns;
}

WORK_FN static void *sleep_thread(void *arg)
{
	struct blocker *b = arg;

	begin(b);
	for (long i = 0; i < b->count; i++) {
		uint64_t start = work__clock_ns(CLOCK_MONOTONIC);
		work__sleep_ns(b->each_ns);
		measure(b, start);
	}
	end(b);
	return NULL;
}

WORK_FN static void *futex_thread(void *arg)
{
	struct blocker *b = arg;
	uint32_t word = 0;

	begin(b);
	for (long i = 0; i < b->count; i++) {
		struct timespec timeout = {0, b->each_ns};
		uint64_t start = work__clock_ns(CLOCK_MONOTONIC);
		work__syscall(SYS_futex, (long)&word, FUTEX_WAIT_PRIVATE, 0, (long)&timeout);
		measure(b, start);
	}
	end(b);
	return NULL;
}

WORK_FN static void *read_thread(void *arg)
{
	struct blocker *b = arg;
	char byte;

	begin(b);
	for (long i = 0; i < b->count; i++) {
		uint64_t start = work__clock_ns(CLOCK_MONOTONIC);
		if (work__syscall(SYS_read, b->fd, (long)&byte, 1, 0) != 1)
			abort();
		measure(b, start);
	}
	end(b);
	return NULL;
}

WORK_FN static void *feed_thread(void *arg)
{
	struct blocker *b = arg;

	begin(b);
	for (long i = 0; i < b->count; i++) {
		uint64_t start = work__clock_ns(CLOCK_MONOTONIC);
		work__sleep_ns(b->each_ns);
		measure(b, start);
		if (work__syscall(SYS_write, b->fd, (long)"x", 1, 0) != 1)
			abort();
	}
	end(b);
	return NULL;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	long rounds = argc > 1 ? work__number(argv[1]) : 1;
	struct blocker blockers[] = {
		{"read_thread", read_thread, 29, 40 * NSEC_PER_MS},
		{"feed_thread", feed_thread, 29, 40 * NSEC_PER_MS},
		{"sleep_thread", sleep_thread, 101, 20 * NSEC_PER_MS},
		{"futex_thread", futex_thread, 53, 30 * NSEC_PER_MS},
	};
	const int n = sizeof(blockers) / sizeof(*blockers);
	int fds[2];

	if (pipe(fds))
		work__fail("pipe");
	blockers[0].fd = fds[0];
	blockers[1].fd = fds[1];
	work__ready(now);
	for (int i = 0; i < n; i++) {
		blockers[i].count *= rounds;
		if (pthread_create(&blockers[i].thread, NULL, blockers[i].run, &blockers[i]))
			work__fail("pthread_create");
	}
	for (int i = 0; i < n; i++)
		pthread_join(blockers[i].thread, NULL);
	for (int i = 0; i < n; i++) {
		const struct blocker *b = &blockers[i];

		printf("%s_count %ld\n%s_blocks %ld\n", b->name, b->count, b->name, b->blocks);
		printf("%s_ns %llu\n%s_longest %llu\n%s_delay %llu\n", b->name,
		       (unsigned long long)b->measured_ns, b->name, (unsigned long long)b->longest_ns,
		       b->name, (unsigned long long)b->delay_ns);
	}
	return 0;
}
