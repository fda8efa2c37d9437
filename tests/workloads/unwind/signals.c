// SPDX-License-Identifier: Apache-2.0
/*
 * signals MS: MS of CPU time in victim, at the end of the chain main a1 ... a12 leaf victim, which calls
 * small_callee, all prologue and epilogue. Two timers interrupt it wherever it is: on_signal, calling
 * signal_inner, on the same stack; on_alternate, calling alternate_inner, on an alternate one. The latter may
 * interrupt the former, too. Each runs anew from the end of its handler: where that takes long, victim has
 * its share as well. Prints: signals N, alternate N.
 */
#include "unwind.h"
#include <signal.h>

static volatile uint64_t signals, alternates;
static timer_t timers[2];

/* Both periods are primes of microseconds, so that they meet each other, and any instruction. */
static void run(int which)
{
	const struct itimerspec times = {.it_value.tv_nsec = which ? 2203000 : 1801000};

	if (timer_settime(timers[which], 0, &times, NULL))
		work__fail("timer");
}

TRUTH_FN static void signal_inner(int rounds)
{
	UNWIND__FRAME(40);
	UNWIND__TRASH();
	unwind__spin(rounds);
	signals += frame[0];
}

TRUTH_FN static void on_signal(int number)
{
	UNWIND__FRAME(24);
	signal_inner(600000 + number + frame[0]);
	run(0);
}

TRUTH_FN static void alternate_inner(int rounds)
{
	UNWIND__FRAME(88);
	UNWIND__TRASH();
	unwind__spin(rounds);
	alternates += frame[0];
}

TRUTH_FN static void on_alternate(int number)
{
	UNWIND__FRAME(8);
	alternate_inner(600000 + number + frame[0]);
	run(1);
}

TRUTH_FN static uint64_t small_callee(uint64_t a, uint64_t b, uint64_t c)
{
#ifdef __x86_64__
	__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c) : : "rbx", "rbp", "r12", "r13", "r14", "r15");
#endif
	return a + b + c;
}

static void arm(int which, int number, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags | SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};

	if (flags & SA_ONSTACK)
		sigaddset(&action.sa_mask, SIGUSR1);
	if (sigaction(number, &action, NULL) || timer_create(CLOCK_MONOTONIC, &event, &timers[which]))
		work__fail("timer");
	run(which);
}

TRUTH_FN static uint64_t victim(unsigned what, uint64_t end_ns)
{
	uint64_t sum = what;

	arm(0, SIGUSR1, on_signal, 0);
	arm(1, SIGUSR2, on_alternate, SA_ONSTACK);
	do
		for (int i = 0; i < 100000; i++)
			sum += small_callee(i, sum, end_ns);
	while (unwind__cpu_ns() < end_ns);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	return sum;
}

UNWIND__LINK(leaf, victim, 24)
UNWIND__CHAIN(leaf)

int main(int argc, char **argv)
{
	static char area[1 << 16];
	bool now = work__flag(&argc, argv, "--now");
	uint64_t ns = work__number(argv[1]) * NSEC_PER_MS, sum;
	stack_t stack = {.ss_sp = area, .ss_size = sizeof(area)};

	work__ready(now);
	if (sigaltstack(&stack, NULL))
		work__fail("sigaltstack");
	sum = a1(1, unwind__cpu_ns() + ns);
	printf("signals %llu\nalternates %llu\n", (unsigned long long)signals,
	       (unsigned long long)alternates);
	return sum == 1;
}
