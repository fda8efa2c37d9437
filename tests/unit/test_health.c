// SPDX-License-Identifier: Apache-2.0
/* The states of a peer, by the rules of docs/probes/tcp.md. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "model/health.h"

#define S 1000000000ULL

static enum health_state after(struct health *h, uint64_t second, struct health_counts counts)
{
	health__add(h, &health__rules, second * S, &counts);
	return h->state;
}

#define ADD(second, ...) after(&h, second, (struct health_counts){__VA_ARGS__})

static void few_failures_open_nothing(void **state)
{
	struct health h = {0};

	(void)state;
	assert_int_equal(ADD(1, .refused = 4), HEALTH_CLOSED);
	assert_int_equal(ADD(2, .refused = 1), HEALTH_OPEN);
}

static void half_of_them_open(void **state)
{
	struct health h = {0};

	(void)state;
	assert_int_equal(ADD(1, .succeeded = 10), HEALTH_CLOSED);
	assert_int_equal(ADD(2, .timed_out = 4, .unreachable = 5), HEALTH_CLOSED);
	assert_int_equal(ADD(3, .reset = 1), HEALTH_OPEN);
}

static void what_is_old_is_forgotten(void **state)
{
	struct health h = {0};
	struct health_counts w;

	(void)state;
	ADD(1, .refused = 4);
	ADD(61, .succeeded = 1);
	w = health__window(&h);
	assert_int_equal(health__failed(&w), 0);
	assert_int_equal(ADD(62, .refused = 4), HEALTH_OPEN); /* 4 of 5 */
}

static void successes_close_it(void **state)
{
	struct health h = {0};

	(void)state;
	ADD(1, .refused = 5);
	assert_int_equal(ADD(2, .succeeded = 9, .refused = 1), HEALTH_OPEN);
	assert_int_equal(ADD(3, .succeeded = 1), HEALTH_HALF_OPEN);
	assert_int_equal(ADD(4, .refused = 1), HEALTH_OPEN);
	assert_int_equal(ADD(5, .succeeded = 2), HEALTH_HALF_OPEN);
	assert_int_equal(ADD(6, .succeeded = 0), HEALTH_HALF_OPEN);
	assert_int_equal(ADD(7, .succeeded = 1), HEALTH_CLOSED);
	assert_int_equal(h.buckets, 0);
	ADD(8, .refused = 5);
	assert_int_equal(ADD(9, .succeeded = 3), HEALTH_CLOSED);
}

static void rest_makes_half_open(void **state)
{
	struct health h = {0};

	(void)state;
	ADD(1, .timed_out = 5);
	assert_int_equal(ADD(30, 0), HEALTH_OPEN);
	assert_int_equal(ADD(31, 0), HEALTH_HALF_OPEN);
	assert_int_equal(ADD(200, 0), HEALTH_HALF_OPEN);
	assert_int_equal(ADD(201, .timed_out = 1), HEALTH_OPEN);
}

/* However often it is asked, the window holds what came in it, to a sixteenth. */
static void many_intervals_share_buckets(void **state)
{
	struct health h = {0};
	struct health_counts one = {.succeeded = 1}, w;

	(void)state;
	for (uint64_t i = 0; i < 3000; i++)
		health__add(&h, &health__rules, S + i * S / 10, &one);
	w = health__window(&h);
	assert_in_range(w.succeeded, 560, 640);
	assert_true(health__percent(&w, w.succeeded) == 100);
}

static void shares_stay_below_the_whole(void **state)
{
	const struct health_counts c = {.succeeded = 2, .reset = 8};

	(void)state;
	assert_true(health__percent(&c, c.reset) == 100);
	assert_true(health__percent(&(struct health_counts){0}, 0) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_failures_open_nothing),   cmocka_unit_test(half_of_them_open),
		cmocka_unit_test(what_is_old_is_forgotten),    cmocka_unit_test(successes_close_it),
		cmocka_unit_test(rest_makes_half_open),	       cmocka_unit_test(many_intervals_share_buckets),
		cmocka_unit_test(shares_stay_below_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
