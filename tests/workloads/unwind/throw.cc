// SPDX-License-Identifier: Apache-2.0
/*
 * throw MS: MS of CPU time of exceptions: do_throw calls throw_down three times over, the last throws,
 * do_throw catches and burns a little in after_catch: _start (libc) main a1 ... a12 leaf do_throw, then
 * throw_down{1..3} (libstdc++, libgcc, libc) or after_catch or (libstdc++). No frame pointers.
 */
#include "unwind.h"

extern "C" { /* names without arguments */

static volatile uint64_t sink;

TRUTH_FN static void throw_down(int depth)
{
	UNWIND__FRAME(40);
	if (depth <= 1)
		throw depth;
	throw_down(depth - 1);
	sink += frame[0];
}

TRUTH_FN static void after_catch(int rounds)
{
	unwind__spin(rounds);
}

TRUTH_FN static uint64_t do_throw(unsigned what, uint64_t end_ns)
{
	do
		try {
			throw_down(3);
		} catch (int n) {
			after_catch(1000 + what + n);
		}
	while (unwind__cpu_ns() < end_ns);
	return what;
}

UNWIND__LINK(leaf, do_throw, 24)
UNWIND__CHAIN(leaf)
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	uint64_t ns = work__number(argv[1]) * NSEC_PER_MS;

	work__ready(now);
	return a1(1, unwind__cpu_ns() + ns) == 0;
}
