// SPDX-License-Identifier: Apache-2.0
/*
 * brief-a MS, brief-b MS: a short life: burns CPU time until the process, its start included, has used MS:
 * _start (libc) main brief_X_1 brief_X_2 brief_X_3 brief_X_burn. No frame pointers; the two have frames of
 * different sizes at different addresses. Prints: burned NS, CPU time from main to here.
 */
#include "unwind.h"

#define JOIN_(a, b, c) a##b##c
#define JOIN(a, b, c)  JOIN_(a, b, c)
#define BRIEF(name)    JOIN(brief_, BRIEF_LETTER, _##name)

#if BRIEF_SHIFT
TRUTH_FN static void filler(void)
{
	__asm__ volatile(".fill 52, 1, 0x90");
}
#endif

TRUTH_FN static uint64_t BRIEF(burn)(unsigned what, uint64_t end_ns)
{
	do
		unwind__spin(2000);
	while (unwind__cpu_ns() < end_ns);
	return what;
}

UNWIND__LINK(BRIEF(3), BRIEF(burn), 24 + 600 * BRIEF_SHIFT)
UNWIND__LINK(BRIEF(2), BRIEF(3), 200 - 160 * BRIEF_SHIFT)
UNWIND__LINK(BRIEF(1), BRIEF(2), 72 + 48 * BRIEF_SHIFT)

int main(int argc, char **argv)
{
	uint64_t first = unwind__cpu_ns(), end_ns = argc > 1 ? work__number(argv[1]) * NSEC_PER_MS : 0;

	if (BRIEF(1)(1, end_ns) == 0)
		return 1;
	printf("burned %llu\n", (unsigned long long)(unwind__cpu_ns() - first));
	return 0;
}
