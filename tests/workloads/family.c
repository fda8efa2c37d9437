// SPDX-License-Identifier: Apache-2.0
/*
 * family N [--sleep MS]: starts processes in all the ways that there are, and waits for all of them:
 * N forks that end with status i % 5 or, every 7th, by SIGUSR1; N/10 each of vfork and exec, of processes
 * whose grandchild outlives them, of processes whose second thread executes, and of processes whose leader
 * ends first: their 4 other threads end at once, of every second one by exit(9).
 * The forks sleep MS first. Prints what it did: started, executed, ended, status 0 ..., SIGUSR1,
 * threads_started, threads_ended (before the last one of their process), slept_ns (asked of the forks),
 * lived_ns (from before each fork until it was seen to have ended).
 */
#include "workload.h"
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct truth {
	long started, executed, ended, status[16], signalled, threads_started, threads_ended;
	uint64_t slept_ns, lived_ns;
};

static char self[PATH_MAX];

static void take(struct truth *t, int status)
{
	t->ended++;
	if (WIFSIGNALED(status))
		t->signalled++;
	else
		t->status[WEXITSTATUS(status) % 16]++;
}

static void await(struct truth *t, pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		work__fail("a child");
	take(t, status);
}

static void plain(struct truth *t, long i, uint64_t sleep_ns)
{
	uint64_t from = work__clock_ns(CLOCK_BOOTTIME);
	pid_t pid = fork();

	if (!pid) {
		if (sleep_ns)
			work__sleep_ns(sleep_ns);
		if (i % 7 == 6)
			raise(SIGUSR1);
		_exit((int)(i % 5));
	}
	t->started++;
	await(t, pid);
	t->slept_ns += sleep_ns;
	t->lived_ns += work__clock_ns(CLOCK_BOOTTIME) - from;
}

static void executed(struct truth *t)
{
	pid_t pid = vfork();

	if (!pid) {
		execl(self, "family", "--child", "3", NULL);
		_exit(127);
	}
	t->started++;
	t->executed++;
	await(t, pid);
}

/* The grandchild ends when its parent has: its end comes to the reaper of orphans, this process. */
static void orphan(struct truth *t)
{
	pid_t pid = fork();

	if (!pid) {
		pid_t parent = getpid();

		if (fork())
			_exit(0);
		while (getppid() == parent)
			work__sleep_ns(100000);
		_exit(4);
	}
	t->started += 2;
	await(t, pid);
	await(t, -1);
}

static void *execute(void *unused)
{
	(void)unused;
	execl(self, "family", "--child", "8", NULL);
	_exit(127);
}

static void second_thread_executes(struct truth *t)
{
	pid_t pid = fork();
	pthread_t thread;

	if (!pid) {
		pthread_create(&thread, NULL, execute, NULL);
		for (;;)
			pause();
	}
	t->started++;
	t->executed++;
	t->threads_started++;
	t->threads_ended++; /* the former leader */
	await(t, pid);
}

static pthread_barrier_t all;

static void *end_together(void *exits)
{
	pthread_barrier_wait(&all);
	if (exits)
		exit(9);
	return NULL;
}

static void leader_ends_first(struct truth *t, bool exits)
{
	pid_t pid = fork();
	pthread_t thread;

	if (!pid) {
		pthread_barrier_init(&all, NULL, 5);
		for (int i = 0; i < 4; i++)
			pthread_create(&thread, NULL, end_together, i || !exits ? NULL : &all);
		pthread_barrier_wait(&all);
		pthread_exit(NULL);
	}
	t->started++;
	t->threads_started += 4;
	t->threads_ended += 4;
	await(t, pid);
}

static void say(const struct truth *t)
{
	printf("started %ld\nexecuted %ld\nended %ld\n", t->started, t->executed, t->ended);
	for (int i = 0; i < 16; i++)
		if (t->status[i])
			printf("status_%d %ld\n", i, t->status[i]);
	printf("SIGUSR1 %ld\nthreads_started %ld\nthreads_ended %ld\n", t->signalled, t->threads_started,
	       t->threads_ended);
	printf("slept_ns %llu\nlived_ns %llu\n", (unsigned long long)t->slept_ns,
	       (unsigned long long)t->lived_ns);
}

int main(int argc, char **argv)
{
	char *child = work__option(&argc, argv, "--child"), *sleep_ms = work__option(&argc, argv, "--sleep");
	bool now = work__flag(&argc, argv, "--now");
	struct truth t = {0};
	long n;

	if (child)
		return (int)work__number(child);
	if (argc != 2 || readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 2;
	n = work__number(argv[1]);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	work__ready(now);
	for (long i = 0; i < n; i++)
		plain(&t, i, sleep_ms ? work__number(sleep_ms) * NSEC_PER_MS : 0);
	for (long i = 0; i < n / 10; i++) {
		executed(&t);
		orphan(&t);
		second_thread_executes(&t);
		leader_ends_first(&t, i % 2);
	}
	say(&t);
	return 0;
}
