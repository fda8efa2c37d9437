// SPDX-License-Identifier: Apache-2.0
/*
 * blocked [ROUNDS]: a thread blocks, by libc's functions, at the end of the chain _start (libc) main a1 ...
 * a12 leaf do_WAY (libc), a prime number of times in each way: sleep 31, semaphore 29, pipe 23, poll 19,
 * condition 17, each for 5 ms; ROUNDS (1) times over. What it reads from the pipe comes from a thread that
 * sleeps: (start of libc) feed_main feed_1, 23 times. No frame pointers. Prints for each: NAME_blocks N, as
 * often as the kernel says that it blocked.
 */
#include "unwind.h"
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>

#define EACH_NS (5 * NSEC_PER_MS)

static int pipe_fds[2];
static sem_t asked;
static long feeds;

static struct timespec in_a_while(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += EACH_NS;
	t.tv_sec += t.tv_nsec / (long)NSEC_PER_SEC;
	t.tv_nsec %= NSEC_PER_SEC;
	return t;
}

TRUTH_FN static void do_sleep(void)
{
	struct timespec t = {0, EACH_NS};

	nanosleep(&t, NULL);
}

TRUTH_FN static void do_semaphore(void)
{
	struct timespec t = in_a_while();
	sem_t s;

	sem_init(&s, 0, 0);
	sem_timedwait(&s, &t);
}

TRUTH_FN static void do_pipe(void)
{
	char c;

	sem_post(&asked);
	if (read(pipe_fds[0], &c, 1) != 1)
		work__fail("pipe");
}

TRUTH_FN static void do_poll(void)
{
	poll(NULL, 0, EACH_NS / NSEC_PER_MS);
}

TRUTH_FN static void do_condition(void)
{
	struct timespec t = in_a_while();
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&mutex);
	pthread_cond_timedwait(&condition, &mutex, &t);
	pthread_mutex_unlock(&mutex);
}

TRUTH_FN static void feed_1(void)
{
	struct timespec t = {0, EACH_NS};

	nanosleep(&t, NULL);
}

TRUTH_FN static void *feed_main(void *arg)
{
	UNWIND__FRAME(40);
	pthread_setname_np(pthread_self(), "feed");
	for (long i = 0; i < feeds; i++) {
		while (sem_wait(&asked) && errno == EINTR)
			;
		feed_1();
		if (write(pipe_fds[1], "", frame[0]) != 1)
			work__fail("pipe");
	}
	return arg;
}

static struct way {
	const char *name;
	void (*run)(void);
	long count, blocks;
} ways[] = {{"sleep", do_sleep, 31, 0},
	    {"semaphore", do_semaphore, 29, 0},
	    {"pipe", do_pipe, 23, 0},
	    {"poll", do_poll, 19, 0},
	    {"condition", do_condition, 17, 0}};

TRUTH_FN static uint64_t leaf(unsigned what, uint64_t arg)
{
	UNWIND__FRAME(24);
	UNWIND__TRASH();
	ways[what].run();
	return arg + frame[0];
}

UNWIND__CHAIN(leaf)

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	long rounds = argc > 1 ? work__number(argv[1]) : 1;
	uint64_t sum = 0;
	pthread_t feeder;

	work__ready(now);
	feeds = ways[2].count * rounds;
	if (pipe(pipe_fds) || sem_init(&asked, 0, 0) || pthread_create(&feeder, NULL, feed_main, NULL))
		work__fail("pipe");
	for (unsigned i = 0; i < 5; i++) {
		ways[i].blocks = -work__switches().voluntary;
		for (long n = 0; n < ways[i].count * rounds; n++)
			sum += a1(i, n);
		ways[i].blocks += work__switches().voluntary;
	}
	pthread_join(feeder, NULL);
	for (unsigned i = 0; i < 5; i++)
		printf("%s_blocks %ld\n", ways[i].name, ways[i].blocks);
	return sum == 1;
}
