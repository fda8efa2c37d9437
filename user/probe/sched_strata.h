/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Importance sampling knows the stacks of some waits only, but the accounts know the blocked time of every
 * thread exactly. So the estimate of each stratum (process, thread name, state) is scaled to its exact time:
 * a ratio estimate, whose totals are exact and whose shares no longer suffer from the few long waits that
 * happen to be sampled or not.
 */
#ifndef SONDE_PROBE_SCHED_STRATA_H
#define SONDE_PROBE_SCHED_STRATA_H

#include "probe/sched.h"

struct stratum {
	struct who who;
	unsigned state;
	uint64_t exact_ns, estimated_ns;
};

struct strata {
	struct table table;
};

int strata__open(struct strata *x, const struct sched *s); /* exact times of this interval. 0 or -ENOMEM */
void strata__estimate(struct strata *x, const struct who *who, unsigned state, uint64_t ns);
/* What an estimate of `ns` stands for; unchanged where the exact time is not known. */
uint64_t strata__scale(const struct strata *x, const struct who *who, unsigned state, uint64_t ns);
/* Walks the strata that have time but no sample. */
bool strata__next_unsampled(const struct strata *x, size_t *cursor, const struct stratum **stratum);
void strata__close(struct strata *x);

#endif
