/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs without frame pointers share, on top of ../workload.h: functions that stay functions,
 * with frames of different sizes, and a frame pointer register that holds nothing of the kind.
 */
#ifndef UNWIND_WORKLOAD_H
#define UNWIND_WORKLOAD_H
#include "../workload.h"

#ifdef __clang__
#define TRUTH_FN __attribute__((noinline, used))
#else
#define TRUTH_FN __attribute__((noipa, used))
#endif

/*
 * What a loop over frame pointers would take for one: an address on the stack that no frame begins at. The
 * register is saved where the compiler likes, as any other.
 */
#if defined(__x86_64__)
#define UNWIND__TRASH() __asm__ volatile("lea 24(%%rsp), %%rbp" : : : "rbp", "memory")
#elif defined(__aarch64__)
#define UNWIND__TRASH() __asm__ volatile("add x19, sp, 24" : : : "x19", "memory")
#endif

/* A frame of `bytes` that cannot be left out. */
#define UNWIND__FRAME(bytes)                 \
	volatile unsigned char frame[bytes]; \
	frame[0] = 1;                        \
	frame[(bytes)-1] = 2

/* name(what, end_ns) calls next(what, end_ns), and is still there when it returns. */
#define UNWIND__LINK(name, next, bytes)                               \
	TRUTH_FN static uint64_t name(unsigned what, uint64_t end_ns) \
	{                                                             \
		UNWIND__FRAME(bytes);                                 \
		UNWIND__TRASH();                                      \
		return next(what, end_ns) + frame[0];                 \
	}

/* A chain of twelve: a1 calls a2 ... a12 calls leaf. */
#define UNWIND__CHAIN(leaf)         \
	UNWIND__LINK(a12, leaf, 8)  \
	UNWIND__LINK(a11, a12, 40)  \
	UNWIND__LINK(a10, a11, 200) \
	UNWIND__LINK(a9, a10, 16)   \
	UNWIND__LINK(a8, a9, 1000)  \
	UNWIND__LINK(a7, a8, 24)    \
	UNWIND__LINK(a6, a7, 120)   \
	UNWIND__LINK(a5, a6, 72)    \
	UNWIND__LINK(a4, a5, 5000)  \
	UNWIND__LINK(a3, a4, 32)    \
	UNWIND__LINK(a2, a3, 64)    \
	UNWIND__LINK(a1, a2, 48)

/* CPU time of the process so far; from libc, since the vdso is part of the truth. */
work__inline uint64_t unwind__cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* Some microseconds in the calling function itself. */
work__inline void unwind__spin(int rounds)
{
	for (volatile int i = 0; i < rounds; i++)
		;
}
#endif
