// SPDX-License-Identifier: Apache-2.0
/*
 * deadlock [THREADS]: blocked for ever. Of THREADS (2, at least 2) the even ones lock mutex A then B in
 * lock_ab, the odd ones B then A in lock_ba; the first two hold one each before anybody tries the second, so
 * all are stuck. main sits in pthread_join below main. The mutexes are taken through take(), whose frame a
 * frame-pointer walk loses in libc's place: lock_ab and lock_ba are in every walk. Prints: "blocked THREADS"
 * when every thread is asleep in its futex. The parent kills it.
 */
#include "workload.h"
#include <pthread.h>
#include <stdatomic.h>

#define MAX_THREADS 1024

struct quarrel {
	pthread_mutex_t a, b;
	pthread_barrier_t both_hold;
};

struct party {
	struct quarrel *quarrel;
	bool first;
	atomic_int stuck_tid; /* set when the next thing it does is to wait for ever */
	pthread_t thread;
};

WORK_FN static void take(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
	__asm__ volatile("" ::: "memory");
}

/* Only the first two get past the first mutex. */
static void hold(struct party *p)
{
	if (p->first)
		pthread_barrier_wait(&p->quarrel->both_hold);
	atomic_store(&p->stuck_tid, gettid());
}

WORK_FN static void *lock_ab(void *arg)
{
	struct party *p = arg;

	if (!p->first)
		atomic_store(&p->stuck_tid, gettid());
	take(&p->quarrel->a);
	hold(p);
	take(&p->quarrel->b);
	return NULL;
}

WORK_FN static void *lock_ba(void *arg)
{
	struct party *p = arg;

	if (!p->first)
		atomic_store(&p->stuck_tid, gettid());
	take(&p->quarrel->b);
	hold(p);
	take(&p->quarrel->a);
	return NULL;
}

static bool asleep(pid_t tid)
{
	char path[64], stat[256], *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "re");
	if (!f || !fgets(stat, sizeof(stat), f))
		work__fail(path);
	fclose(f);
	state = strrchr(stat, ')');
	return state && state[2] == 'S';
}

/* Start these and wait until each of them waits for its last mutex. */
static void start(struct party *parties, int from, int to, struct quarrel *q)
{
	for (int i = from; i < to; i++) {
		parties[i].quarrel = q;
		parties[i].first = i < 2;
		if (pthread_create(&parties[i].thread, NULL, i % 2 ? lock_ba : lock_ab, &parties[i]))
			work__fail("pthread_create");
	}
	for (int i = from; i < to; i++)
		while (!atomic_load(&parties[i].stuck_tid) || !asleep(atomic_load(&parties[i].stuck_tid)))
			work__sleep_ns(NSEC_PER_MS);
}

int main(int argc, char **argv)
{
	static struct party parties[MAX_THREADS];
	static struct quarrel quarrel = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
	bool now = work__flag(&argc, argv, "--now");
	int n = argc > 1 ? work__number(argv[1]) : 2;

	if (n < 2 || n > MAX_THREADS)
		return 2;
	pthread_barrier_init(&quarrel.both_hold, NULL, 2);
	work__ready(now);
	start(parties, 0, 2, &quarrel);
	start(parties, 2, n, &quarrel);
	printf("blocked %d\n", n);
	for (int i = 0; i < n; i++)
		pthread_join(parties[i].thread, NULL);
	return 0;
}
