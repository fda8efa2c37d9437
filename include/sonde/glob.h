/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Matching a name against a compiled glob (struct glob in abi.h), on both sides. Bit i of `states` stands for
 * "the first i tokens have matched"; a byte moves all states at once, so the work is a few operations a byte
 * whatever the pattern.
 */
#ifndef SONDE_GLOB_H
#define SONDE_GLOB_H

#include "sonde/abi.h"

static inline __attribute__((always_inline)) __u32 glob__skip_star(const volatile struct glob *g,
								   __u32 states)
{
	return states | ((states & g->stars) << 1);
}

/* `name` is COMM_LEN bytes, ended by NUL if shorter. */
static inline __attribute__((always_inline)) int glob__matches(const volatile struct glob *g,
							       const char *name)
{
	__u32 states = glob__skip_star(g, 1);

	for (int i = 0; i < COMM_LEN; i++) {
		__u8 c = name[i];
		__u32 stay, taken;

		if (!c)
			break;
		stay = states & g->stars;
		taken = states & g->accept[c] & ~g->stars;
		states = glob__skip_star(g, stay | (taken << 1));
	}
	return (states & g->final) != 0;
}

#endif
