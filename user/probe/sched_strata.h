/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Importance sampling knows the stacks of some waits only, but the accounts know the blocked time of every
 * thread exactly. Waits that stand for themselves only are known as exactly. So what was sampled of each
 * stratum (process, thread name, state) is scaled to the time that is left of it:
 * a ratio estimate, whose totals are exact and whose shares no longer suffer from the few long waits that
 * happen to be sampled or not.
 */
#ifndef SONDE_PROBE_SCHED_STRATA_H
#define SONDE_PROBE_SCHED_STRATA_H

#include "probe/sched.h"

struct stratum {
	struct who who;
	unsigned state;
	uint64_t exact_ns;
	uint64_t sure_ns, sampled_ns; /* waits that stand for themselves, and for others */
};

struct strata {
	struct table table;
};

int strata__open(struct strata *x, const struct sched *s); /* exact times of this interval. 0 or -ENOMEM */
void strata__estimate(struct strata *x, const struct who *who, unsigned state, uint64_t sure_ns,
		      uint64_t sampled_ns);
/* What sampled `ns` stand for; unchanged where the exact time is not known. */
uint64_t strata__scale(const struct strata *x, const struct who *who, unsigned state, uint64_t ns);
/* Walks the strata that have time left but no sample; how much it is. */
bool strata__next_unsampled(const struct strata *x, size_t *cursor, const struct stratum **stratum,
			    uint64_t *left_ns);
void strata__close(struct strata *x);

#endif
