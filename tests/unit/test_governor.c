// SPDX-License-Identifier: Apache-2.0
/* The governor against a model of the machine: threads whose blocks have one length each, and blocked ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "probe/governor.c"

#define CAP 32

/* What comes between two steps. */
struct load {
	double blocks_per_s, length_us;
	double waiting, waiting_ms; /* threads whose blocks are old enough to be visited */
	double ns_per_run;	    /* 0: statistics are off */
};

struct machine {
	struct governor g;
	struct governor_reading reading;
};

static void advance(struct machine *m, const struct load *l)
{
	struct governor_reading *r = &m->reading;
	double weight = m->g.sample_us / (l->length_us + 1), ended = l->blocks_per_s / 10;

	weight = weight < 1 ? 1 : weight > CAP ? CAP : weight;
	r->now_ns += GOVERNOR_PERIOD_NS;
	r->taken += (uint64_t)(ended / weight);
	r->sampled_out += (uint64_t)(ended - ended / weight);
	r->runs += (uint64_t)(3 * ended);
	if (l->ns_per_run > 0) {
		r->measured_runs += 100000;
		r->measured_ns += (uint64_t)(100000 * l->ns_per_run);
	}
	r->visits = l->waiting_ms * 1e6 >= m->g.visit_ns ? (uint64_t)l->waiting : 0;
}

static void steps(struct machine *m, const struct load *l, int times)
{
	while (times--) {
		advance(m, l);
		governor__step(&m->g, &m->reading);
	}
}

static void fresh(struct machine *m)
{
	*m = (struct machine){.reading.now_ns = 1000};
	governor__init(&m->g, 100000000, 2);
	assert_int_equal(m->g.sample_us, 100000);
	governor__step(&m->g, &m->reading);
	assert_int_equal(m->g.sample_us, 100000);
}

static double stacks_per_s(struct machine *m, const struct load *l)
{
	uint64_t before = m->reading.taken;

	advance(m, l);
	return (m->reading.taken - before) * 10.0;
}

static void few_blocks_are_all_taken(void **state)
{
	const struct load quiet = {.blocks_per_s = 900, .length_us = 50};
	struct machine m;

	(void)state;
	fresh(&m);
	steps(&m, &quiet, 50);
	assert_true(m.g.sample_us <= 100);
	assert_true(stacks_per_s(&m, &quiet) > 400);
}

static void many_blocks_are_few_stacks(void **state)
{
	const struct load storm = {.blocks_per_s = 100000, .length_us = 10};
	const struct load long_storm = {.blocks_per_s = 50000, .length_us = 20000};
	struct machine m;

	(void)state;
	fresh(&m);
	steps(&m, &storm, 50);
	assert_true(stacks_per_s(&m, &storm) <= 2 * GOVERNOR_STACKS);
	steps(&m, &long_storm, 50);
	assert_true(stacks_per_s(&m, &long_storm) <= 2 * GOVERNOR_STACKS);
	assert_true(m.g.sample_us <= 16 * 100000);
}

/* After a quiet time everything is taken; the storm that follows is bounded within half a second. */
static void a_sudden_storm_is_bounded_soon(void **state)
{
	const struct load quiet = {.blocks_per_s = 500, .length_us = 10};
	const struct load storm = {.blocks_per_s = 200000, .length_us = 10};
	struct machine m;

	(void)state;
	fresh(&m);
	steps(&m, &quiet, 100);
	assert_true(m.g.sample_us <= 20);
	steps(&m, &storm, 5);
	assert_true(stacks_per_s(&m, &storm) < 200000 / 31.0 + 100);
}

static void it_does_not_swing(void **state)
{
	const struct load steady = {.blocks_per_s = 30000, .length_us = 300};
	struct machine m;
	uint64_t settled;

	(void)state;
	fresh(&m);
	steps(&m, &steady, 100);
	settled = m.g.sample_us;
	for (int i = 0; i < 50; i++) {
		steps(&m, &steady, 1);
		assert_int_equal(m.g.sample_us, settled);
	}
}

static void nothing_is_learned_from_silence(void **state)
{
	const struct load silence = {0};
	struct machine m;

	(void)state;
	fresh(&m);
	steps(&m, &silence, 100);
	assert_int_equal(m.g.sample_us, 100000);
}

static void costly_programs_raise_it_too(void **state)
{
	const struct load costly = {.blocks_per_s = 10000, .length_us = 5000, .ns_per_run = 5000};
	struct machine m;

	(void)state;
	fresh(&m);
	steps(&m, &costly, 50);
	assert_int_equal(m.g.sample_us, 16 * 100000);
}

static void visits_are_bounded_by_age(void **state)
{
	const struct load crowd = {.waiting = 5000, .waiting_ms = 30}, few = {.waiting = 3, .waiting_ms = 30};
	const struct load sleepers = {.waiting = 5000, .waiting_ms = 100000};
	struct machine m;

	(void)state;
	fresh(&m);
	steps(&m, &crowd, 7);
	assert_true(m.g.visit_ns > 30000000 / 2);
	steps(&m, &few, 50);
	assert_int_equal(m.g.visit_ns, 1000000);
	steps(&m, &sleepers, 50);
	assert_int_equal(m.g.visit_ns, 200000000); /* long blocks are visited in any case */
}

static void a_long_pass_is_rarer(void **state)
{
	(void)state;
	assert_int_equal(governor__period_ns(0), GOVERNOR_PERIOD_NS);
	assert_int_equal(governor__period_ns(300000), GOVERNOR_PERIOD_NS);
	assert_int_equal(governor__period_ns(20000000), 2000000000);
}

static void clocks_and_counts_may_be_strange(void **state)
{
	struct governor_reading twice = {.now_ns = 1000, .taken = 5}, less = {.now_ns = 900};
	struct governor g;

	(void)state;
	governor__init(&g, 0, 0);
	assert_true(g.sample_us == 1 && g.cpus == 1);
	governor__step(&g, &twice);
	governor__step(&g, &twice);
	governor__step(&g, &less);
	assert_int_equal(g.sample_us, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_blocks_are_all_taken),
		cmocka_unit_test(many_blocks_are_few_stacks),
		cmocka_unit_test(a_sudden_storm_is_bounded_soon),
		cmocka_unit_test(it_does_not_swing),
		cmocka_unit_test(nothing_is_learned_from_silence),
		cmocka_unit_test(costly_programs_raise_it_too),
		cmocka_unit_test(visits_are_bounded_by_age),
		cmocka_unit_test(a_long_pass_is_rarer),
		cmocka_unit_test(clocks_and_counts_may_be_strange),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
