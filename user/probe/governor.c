// SPDX-License-Identifier: Apache-2.0
#include "probe/governor.h"

#include <stdbool.h>

#define RAISE_MOST   32 /* at once: from every block to the largest weight */
#define SPAN	     16 /* how far above what was asked for */
#define VISIT_MIN_NS 1000000ULL
#define VISIT_MAX_NS                                                                          \
	200000000ULL /* with the period: blocks of 300 ms are visited, however many there are \
		      */
#define SHORTEST_NS  (GOVERNOR_PERIOD_NS / 4) /* what happened in less time says little */
#define MEASURED_MIN 1000		      /* runs that say what one costs */

void governor__init(struct governor *g, uint64_t sample_ns, unsigned cpus)
{
	uint64_t us = sample_ns / 1000;

	*g = (struct governor){
		.cpus = cpus ? cpus : 1,
		.base_us = us ? us : 1,
		.sample_us = us ? us : 1,
		.visit_ns = VISIT_MIN_NS,
	};
}

/* How many times the bound is exceeded; what is not known does not exceed it. */
static double excess(struct governor *g, const struct governor_reading *now)
{
	double seconds = (now->now_ns - g->last.now_ns) / 1e9;
	uint64_t measured = now->measured_runs - g->last.measured_runs;
	double stacks, cost;

	if (measured >= MEASURED_MIN)
		g->ns_per_run = (double)(now->measured_ns - g->last.measured_ns) / measured;
	stacks = (now->taken - g->last.taken) / (seconds * g->cpus * GOVERNOR_STACKS);
	cost = g->ns_per_run * (now->runs - g->last.runs) / (seconds * 1e9 * g->cpus * GOVERNOR_COST);
	return stacks > cost ? stacks : cost;
}

/* Blocks are about as often taken as the length is shorter. Below a quarter there is room for twice as many:
 * no swinging to and fro. */
static void steer_sampling(struct governor *g, double excess, bool any_left_out)
{
	uint64_t most = g->base_us * SPAN;

	if (excess > 1) {
		double factor = excess < 2 ? 2 : excess > RAISE_MOST ? RAISE_MOST : excess;

		g->sample_us = (uint64_t)(g->sample_us * factor);
		if (g->sample_us > most)
			g->sample_us = most;
	} else if (excess < 0.25 && any_left_out && g->sample_us > 1) {
		g->sample_us /= 2;
	}
}

static void steer_visits(struct governor *g, uint64_t visits)
{
	if (visits > (uint64_t)g->cpus * GOVERNOR_VISITS)
		g->visit_ns = g->visit_ns * 2 < VISIT_MAX_NS ? g->visit_ns * 2 : VISIT_MAX_NS;
	else if (visits < (uint64_t)g->cpus * GOVERNOR_VISITS / 4)
		g->visit_ns = g->visit_ns / 2 > VISIT_MIN_NS ? g->visit_ns / 2 : VISIT_MIN_NS;
}

void governor__step(struct governor *g, const struct governor_reading *now)
{
	if (g->last.now_ns && now->now_ns < g->last.now_ns + SHORTEST_NS)
		return;
	if (g->last.now_ns) {
		steer_sampling(g, excess(g, now), now->sampled_out != g->last.sampled_out);
		steer_visits(g, now->visits);
	}
	g->last = *now;
}

uint64_t governor__period_ns(uint64_t pass_ns)
{
	return pass_ns * 100 > GOVERNOR_PERIOD_NS ? pass_ns * 100 : GOVERNOR_PERIOD_NS;
}
