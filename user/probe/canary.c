// SPDX-License-Identifier: Apache-2.0
#include "probe/canary.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"

#define WAKES	 40 /* of the one that interrupts: it finds the other in a program nearly always */
#define WAKE_NS	 50000
#define CALLS	 4 /* with each */
#define LIMIT_NS 200000000ULL

struct song {
	uint64_t calls[2];
	bool over;
};

static void call(uint64_t mark, uint64_t *calls)
{
	syscall(SYS_getppid, mark);
	__atomic_store_n(calls, *calls + 1, __ATOMIC_RELAXED);
}

/* Where it may not be a real-time process, its sleeps make it one that is woken at once, mostly. */
static void interrupt(struct song *s, uint64_t mark)
{
	const struct sched_param first = {.sched_priority = 1};
	const struct timespec pause = {.tv_nsec = WAKE_NS};
	uint64_t before = 0;

	sched_setscheduler(0, SCHED_FIFO, &first);
	prctl(PR_SET_TIMERSLACK, 1);
	for (int wakes = 0; wakes < WAKES && !__atomic_load_n(&s->over, __ATOMIC_ACQUIRE);) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		if (__atomic_load_n(&s->calls[0], __ATOMIC_RELAXED) == before) /* it has not run yet */
			continue;
		for (int n = 0; n < CALLS; n++)
			call(mark, &s->calls[1]);
		before = __atomic_load_n(&s->calls[0], __ATOMIC_RELAXED);
		wakes++;
	}
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
	_exit(0);
}

static bool share_cpu(cpu_set_t *before)
{
	int cpu = sched_getcpu();
	cpu_set_t one;

	if (cpu < 0 || sched_getaffinity(0, sizeof(*before), before))
		return false;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return !sched_setaffinity(0, sizeof(one), &one);
}

static void sing(struct song *s, uint64_t mark)
{
	uint64_t end = units__now_ns() + LIMIT_NS;
	pid_t child = fork();

	if (child < 0)
		return;
	if (!child)
		interrupt(s, mark);
	while (!__atomic_load_n(&s->over, __ATOMIC_ACQUIRE) && units__now_ns() < end)
		for (int i = 0; i < 10; i++)
			call(mark, &s->calls[0]);
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

uint64_t canary__sing(uint64_t mark)
{
	struct song *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t calls = 0;
	cpu_set_t before;

	if (s == MAP_FAILED)
		return 0;
	if (share_cpu(&before)) {
		sing(s, mark);
		sched_setaffinity(0, sizeof(before), &before);
		calls = s->calls[0] + s->calls[1];
	}
	munmap(s, sizeof(*s));
	return calls;
}
