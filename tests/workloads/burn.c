// SPDX-License-Identifier: Apache-2.0
/*
 * burn SECONDS: one thread burns SECONDS of CPU time (its own CPU clock, not wall time), 60 % of it in
 * burn_60, 30 % in burn_30, 10 % in burn_10, all called by main. The functions alternate in slices of 1 ms
 * whose order is shuffled in every 10 ms, so that no sampling frequency can stay in step with them. Prints:
 * burn_60_ns, burn_30_ns, burn_10_ns (CPU time, to within some 20 us of the exact split).
 */
#include "workload.h"

WORK_FN static void burn_60(uint64_t end_ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, end_ns);
}

WORK_FN static void burn_30(uint64_t end_ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, end_ns);
}

WORK_FN static void burn_10(uint64_t end_ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, end_ns);
}

static void shuffle(unsigned char slots[10], uint64_t *seed)
{
	for (int i = 9; i > 0; i--) {
		*seed ^= *seed << 13;
		*seed ^= *seed >> 7;
		*seed ^= *seed << 17;
		int j = *seed % (i + 1);
		unsigned char t = slots[i];
		slots[i] = slots[j];
		slots[j] = t;
	}
}

int main(int argc, char **argv)
{
	static void (*const burners[])(uint64_t) = {burn_60, burn_30, burn_10};
	static const char *const names[] = {"burn_60_ns", "burn_30_ns", "burn_10_ns"};
	unsigned char slots[10] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 2};
	uint64_t spent[3] = {0}, seed = 88172645463325252ULL;
	bool now = work__flag(&argc, argv, "--now");
	uint64_t rounds = work__number(argv[1]) * 100;

	work__ready(now);
	uint64_t start = work__clock_ns(CLOCK_THREAD_CPUTIME_ID), last = start;
	for (uint64_t unit = 0; unit < rounds * 10; unit++) {
		if (unit % 10 == 0)
			shuffle(slots, &seed);
		int who = slots[unit % 10];
		/* Absolute ends: what one slice overshoots, the next one gives back. */
		burners[who](start + (unit + 1) * NSEC_PER_MS);
		uint64_t t = work__clock_ns(CLOCK_THREAD_CPUTIME_ID);
		spent[who] += t - last;
		last = t;
	}
	for (int i = 0; i < 3; i++)
		printf("%s %llu\n", names[i], (unsigned long long)spent[i]);
	return 0;
}
