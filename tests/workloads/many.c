// SPDX-License-Identifier: Apache-2.0
/*
 * many STACKS: one thread blocks STACKS times (1 ns of nanosleep) in as many different stacks: the bits of a
 * number choose between turn_left and turn_right, 17 deep, and leaf blocks at the end. Prints: blocks (those
 * that came to pass: a sleep that runs out on the way into it never blocks).
 */
#include "workload.h"

#define DEPTH 17

static void turn(unsigned bits, int depth);

WORK_FN static void leaf(void)
{
	work__sleep_ns(1);
	__asm__ volatile("");
}

WORK_FN static void turn_left(unsigned bits, int depth)
{
	turn(bits, depth);
	__asm__ volatile("");
}

WORK_FN static void turn_right(unsigned bits, int depth)
{
	turn(bits, depth);
	__asm__ volatile("");
}

__attribute__((always_inline)) static inline void turn(unsigned bits, int depth)
{
	if (!depth)
		leaf();
	else if (bits & 1)
		turn_right(bits >> 1, depth - 1);
	else
		turn_left(bits >> 1, depth - 1);
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	long stacks = work__number(argv[1]), blocks;

	if (stacks >> DEPTH) {
		fprintf(stderr, "workload: there are %d different stacks\n", 1 << DEPTH);
		return 2;
	}
	work__ready(now);
	blocks = -work__switches().voluntary;
	for (long i = 0; i < stacks; i++)
		turn(i, DEPTH);
	blocks += work__switches().voluntary;
	printf("blocks %ld\n", blocks);
	return 0;
}
