// SPDX-License-Identifier: Apache-2.0
#include "model/health.h"

#include <string.h>

#define SECOND_NS 1000000000ULL

const struct health_rules health__rules = {
	.window_ns = 60 * SECOND_NS,
	.attempts = 5,
	.open_percent = 50,
	.rest_ns = 30 * SECOND_NS,
	.successes = 3,
};

uint64_t health__failed(const struct health_counts *c)
{
	return c->refused + c->timed_out + c->unreachable + c->reset;
}

static uint64_t attempts(const struct health_counts *c)
{
	return c->succeeded + c->refused + c->timed_out + c->unreachable;
}

static void sum(struct health_counts *to, const struct health_counts *from)
{
	to->succeeded += from->succeeded;
	to->refused += from->refused;
	to->timed_out += from->timed_out;
	to->unreachable += from->unreachable;
	to->reset += from->reset;
}

struct health_counts health__window(const struct health *h)
{
	struct health_counts total = {0};

	for (unsigned i = 0; i < h->buckets; i++)
		sum(&total, &h->bucket[i].counts);
	return total;
}

double health__percent(const struct health_counts *c, uint64_t part)
{
	uint64_t all = attempts(c), failed = health__failed(c);

	all = all > failed ? all : failed;
	return all ? 100.0 * (double)part / (double)all : 0;
}

static void drop_oldest(struct health *h)
{
	memmove(h->bucket, h->bucket + 1, --h->buckets * sizeof(h->bucket[0]));
}

/* A bucket takes a sixteenth of the window; what comes more often shares one. */
static void put(struct health *h, const struct health_rules *rules, uint64_t now_ns,
		const struct health_counts *counts)
{
	struct health_bucket *last;

	while (h->buckets && h->bucket[0].to_ns + rules->window_ns <= now_ns)
		drop_oldest(h);
	last = h->buckets ? &h->bucket[h->buckets - 1] : NULL;
	if (!last || last->from_ns + rules->window_ns / HEALTH_BUCKETS <= now_ns) {
		if (h->buckets == HEALTH_BUCKETS)
			drop_oldest(h);
		last = &h->bucket[h->buckets++];
		*last = (struct health_bucket){.from_ns = now_ns};
	}
	last->to_ns = now_ns;
	sum(&last->counts, counts);
}

static void turn(struct health *h, enum health_state state, uint64_t now_ns)
{
	h->state = state;
	h->since_ns = now_ns;
	h->successes = 0;
}

static void close_if_proven(struct health *h, const struct health_rules *rules, uint64_t now_ns,
			    uint64_t succeeded)
{
	h->successes += succeeded;
	if (h->successes < rules->successes)
		return;
	turn(h, HEALTH_CLOSED, now_ns);
	h->buckets = 0;
}

void health__add(struct health *h, const struct health_rules *rules, uint64_t now_ns,
		 const struct health_counts *counts)
{
	uint64_t failed = health__failed(counts);
	struct health_counts window;

	put(h, rules, now_ns, counts);
	if (attempts(counts) || failed)
		h->last_ns = now_ns;
	switch (h->state) {
	case HEALTH_CLOSED:
		window = health__window(h);
		if (attempts(&window) >= rules->attempts &&
		    health__percent(&window, health__failed(&window)) >= rules->open_percent)
			turn(h, HEALTH_OPEN, now_ns);
		break;
	case HEALTH_OPEN:
		if (failed) {
			h->since_ns = now_ns;
		} else if (counts->succeeded || now_ns - h->last_ns >= rules->rest_ns) {
			turn(h, HEALTH_HALF_OPEN, now_ns);
			close_if_proven(h, rules, now_ns, counts->succeeded);
		}
		break;
	case HEALTH_HALF_OPEN:
		if (failed)
			turn(h, HEALTH_OPEN, now_ns);
		else
			close_if_proven(h, rules, now_ns, counts->succeeded);
		break;
	}
}
