/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The governor of importance sampling: holds the number of stacks that are taken, and the time of the
 * programs, within bounds by moving two numbers that the programs read: the length around which blocks are
 * always taken, and the age from which a blocked thread is visited. Whatever it does, the estimate stays
 * unbiased: each block's weight is fixed when it begins, from what was before it.
 */
#ifndef SONDE_PROBE_GOVERNOR_H
#define SONDE_PROBE_GOVERNOR_H

#include <stdint.h>

#define GOVERNOR_PERIOD_NS 100000000ULL /* between two steps; longer where a pass takes long */

/* Per second and CPU. A stack costs 1 to 3 us, so that this is half a per cent of a CPU. */
#define GOVERNOR_STACKS 2000
/* A visit costs about 7 us, and a pass that met all of them at once must be short, too. */
#define GOVERNOR_VISITS	      50    /* per pass and CPU: aimed at */
#define GOVERNOR_VISITS_LIMIT 200   /* and never more */
#define GOVERNOR_COST	      0.025 /* of each CPU: time of all programs */

/* Counts are cumulative. */
struct governor_reading {
	uint64_t now_ns;
	uint64_t taken, sampled_out;	     /* blocks that ended */
	uint64_t runs;			     /* of programs */
	uint64_t measured_ns, measured_runs; /* while the kernel's statistics were on */
	uint64_t visits;		     /* in the last pass */
};

struct governor {
	unsigned cpus;
	uint64_t base_us;	      /* as the user asks for: where it starts */
	uint64_t sample_us, visit_ns; /* what to tell the programs */
	double ns_per_run;	      /* 0: not known */
	struct governor_reading last;
};

void governor__init(struct governor *g, uint64_t sample_ns, unsigned cpus);
void governor__step(struct governor *g, const struct governor_reading *now);
/* When to step again, if the last pass took this much CPU time: a pass costs 1 % of a CPU at most. */
uint64_t governor__period_ns(uint64_t pass_ns);

#endif
