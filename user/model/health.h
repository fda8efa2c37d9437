/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a peer answers, as a circuit breaker would see it: closed (it answers), open (it mostly does not),
 * half-open (it did not, and is being tried again). Pure functions; times are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef SONDE_MODEL_HEALTH_H
#define SONDE_MODEL_HEALTH_H

#include <stdint.h>

enum health_state { HEALTH_CLOSED, HEALTH_HALF_OPEN, HEALTH_OPEN };

/* Attempts that ended in a stretch of time, by how; `reset` are connections that the peer broke. */
struct health_counts {
	uint64_t succeeded, refused, timed_out, unreachable, reset;
};

struct health_rules {
	uint64_t window_ns;    /* shares are over this long */
	uint64_t attempts;     /* fewer in the window open nothing */
	unsigned open_percent; /* so many of them failed: open */
	uint64_t rest_ns;      /* so long without an attempt: half-open */
	uint64_t successes;    /* so many since half-open, and no failure: closed */
};

#define HEALTH_BUCKETS 16

struct health {
	enum health_state state;
	uint64_t since_ns;  /* of the state; while open: of the last failure */
	uint64_t last_ns;   /* of the last attempt */
	uint64_t successes; /* since half-open */
	struct health_bucket {
		uint64_t from_ns, to_ns;
		struct health_counts counts;
	} bucket[HEALTH_BUCKETS]; /* oldest first */
	unsigned buckets;
};

extern const struct health_rules health__rules;

/* Takes what ended until now; a zeroed struct health is closed and has seen nothing. */
void health__add(struct health *h, const struct health_rules *rules, uint64_t now_ns,
		 const struct health_counts *counts);
/* Sums over the window. */
struct health_counts health__window(const struct health *h);
uint64_t health__failed(const struct health_counts *c);
/* Of 100 attempts; connections that broke may be of attempts before the window. */
double health__percent(const struct health_counts *c, uint64_t part);

#endif
