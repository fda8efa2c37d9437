// SPDX-License-Identifier: Apache-2.0
/*
 * starts MS: burns MS of CPU time, in turns of 20 ms, in each of these, by whatever means it was started:
 *   thread   start of libc (clone3, start_thread), thread_main b1 b2 thread_burn
 *   clone    libc's clone, clone_main c1 clone_burn, in a process that shares memory, on a stack of its own
 *   vfork    main a1 ... a12 leaf do_vfork vfork_burn, in a child that borrows the stack
 *   fork     main a1 ... a12 leaf do_fork fork_burn, in a child
 * Whoever started it waits meanwhile. No frame pointers. Prints: start NAME CPU_NS
 */
#include "unwind.h"
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#define TURN_NS (20 * NSEC_PER_MS)

static volatile uint64_t burnt[4];

/* The time of the calling thread: a child begins anew. */
#define BURN(name, slot)                                                 \
	TRUTH_FN static uint64_t name##_burn(unsigned what, uint64_t ns) \
	{                                                                \
		struct timespec t;                                       \
		uint64_t first = 0, now = 0;                             \
		do {                                                     \
			unwind__spin(10000 + what % 2);                  \
			clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);      \
			now = t.tv_sec * NSEC_PER_SEC + t.tv_nsec;       \
			first = first ? first : now;                     \
		} while (now - first < ns);                              \
		burnt[slot] += now - first;                              \
		return now;                                              \
	}

BURN(thread, 0)
BURN(clone, 1)
BURN(vfork, 2)
BURN(fork, 3)

UNWIND__LINK(b2, thread_burn, 40)
UNWIND__LINK(b1, b2, 72)

TRUTH_FN static void *thread_main(void *arg)
{
	UNWIND__FRAME(24);
	b1(1, *(uint64_t *)arg);
	return frame[0] ? arg : NULL;
}

static uint64_t do_thread(uint64_t ns)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_main, &ns))
		work__fail("pthread_create");
	pthread_join(thread, NULL);
	return ns;
}

UNWIND__LINK(c1, clone_burn, 136)

TRUTH_FN static int clone_main(void *arg)
{
	UNWIND__FRAME(8);
	c1(1, *(uint64_t *)arg);
	return frame[1];
}

static uint64_t wait_for(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, __WALL) != child)
		work__fail("child");
	return status;
}

static uint64_t do_clone(uint64_t ns)
{
	static char stack[1 << 16] __attribute__((aligned(16)));

	return wait_for(clone(clone_main, stack + sizeof(stack), CLONE_VM | SIGCHLD, &ns));
}

TRUTH_FN static uint64_t do_vfork(uint64_t ns)
{
	pid_t child = vfork();

	if (!child) {
		vfork_burn(1, ns);
		_exit(0);
	}
	return wait_for(child);
}

TRUTH_FN static uint64_t do_fork(uint64_t ns)
{
	pid_t child = fork();

	if (!child) {
		fork_burn(1, ns);
		_exit(0);
	}
	return wait_for(child);
}

static const struct start {
	const char *name;
	uint64_t (*run)(uint64_t ns);
} starts[] = {{"thread", do_thread}, {"clone", do_clone}, {"vfork", do_vfork}, {"fork", do_fork}};

TRUTH_FN static uint64_t leaf(unsigned what, uint64_t ns)
{
	UNWIND__FRAME(24);
	UNWIND__TRASH();
	return starts[what].run(ns) + frame[0];
}

UNWIND__CHAIN(leaf)

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	uint64_t turns = work__number(argv[1]) * NSEC_PER_MS / TURN_NS, sum = 0;

	work__ready(now);
	for (uint64_t turn = 0; turn < turns; turn++)
		for (unsigned i = 0; i < 4; i++)
			sum += a1(i, TURN_NS);
	for (unsigned i = 0; i < 3; i++) /* fork's children keep theirs to themselves */
		printf("start %s %llu\n", starts[i].name, (unsigned long long)burnt[i]);
	return sum == 1;
}
