// SPDX-License-Identifier: Apache-2.0
/*
 * recurse MS [DEPTH]: burns MS of CPU time at each of five depths, in turns of 1 ms: main calls depth_N,
 * which calls recurse N times over, and the innermost burns in recurse_burn: _start (libc) main depth_N
 * recurse{N} recurse_burn, N of 10, 100, 300, 480, 1000. No frame pointers. With DEPTH only there, MS in one
 * turn, and main calls recurse.
 */
#include "unwind.h"

TRUTH_FN static uint64_t recurse_burn(uint64_t end_ns)
{
	do
		unwind__spin(5000);
	while (unwind__cpu_ns() < end_ns);
	return end_ns;
}

TRUTH_FN static uint64_t recurse(int depth, uint64_t end_ns)
{
	UNWIND__FRAME(56);
	if (depth > 1)
		return recurse(depth - 1, end_ns) + frame[0];
	UNWIND__TRASH();
	return recurse_burn(end_ns) + frame[0];
}

#define DEPTH(n)                                            \
	TRUTH_FN static uint64_t depth_##n(uint64_t end_ns) \
	{                                                   \
		UNWIND__FRAME(n);                           \
		return recurse(n, end_ns) + frame[0];       \
	}
DEPTH(10)
DEPTH(100)
DEPTH(300)
DEPTH(480)
DEPTH(1000)

int main(int argc, char **argv)
{
	static uint64_t (*const depths[])(uint64_t) = {depth_10, depth_100, depth_300, depth_480, depth_1000};
	bool now = work__flag(&argc, argv, "--now");
	uint64_t turns = work__number(argv[1]), sum = 0;

	work__ready(now);
	uint64_t due = unwind__cpu_ns();
	if (argc > 2)
		return recurse(work__number(argv[2]), due + turns * NSEC_PER_MS) == 1;
	for (uint64_t turn = 0; turn < turns * 5; turn++)
		sum += depths[turn % 5](due += NSEC_PER_MS);
	return sum == 1;
}
