// SPDX-License-Identifier: Apache-2.0
/* Accounts of a thread, as sweeps read them, to times per interval: they sum to the elapsed time whatever the
 * hooks were late with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "probe/sched_threads.c"
#include "probe/waits.c"

#define MS 1000000ULL

static uint64_t sum_of(const uint64_t *ns)
{
	uint64_t sum = 0;

	for (int i = 0; i < STATE_COUNT; i++)
		sum += ns[i];
	return sum;
}

static void next_interval(struct thread_seen *t)
{
	memcpy(t->delta, t->late, sizeof(t->delta));
	memset(t->late, 0, sizeof(t->late));
}

/* Ran until 99.9 ms, which was written after the sweep had counted it as running up to the cut at 100 ms. */
static void state_that_was_given_too_much_waits_for_its_due(void **state)
{
	struct account at[] = {
		{.ns = {[STATE_RUNNING] = 100 * MS}},
		{.ns = {[STATE_RUNNING] = 99900000, [STATE_RUNNABLE] = 100 * MS + 100000}},
		{.ns = {[STATE_RUNNING] = 150 * MS, [STATE_RUNNABLE] = 150 * MS}},
	};
	struct thread_seen t = {0};

	(void)state;
	seen__advance(&t, &at[0], t.delta);
	assert_int_equal(t.delta[STATE_RUNNING], 100 * MS);
	next_interval(&t);
	seen__advance(&t, &at[1], t.delta);
	assert_int_equal(t.delta[STATE_RUNNING], 0);
	assert_int_equal(t.delta[STATE_RUNNABLE], 100 * MS);
	next_interval(&t);
	seen__advance(&t, &at[2], t.delta);
	assert_int_equal(t.delta[STATE_RUNNING], 50 * MS);
	assert_int_equal(t.delta[STATE_RUNNABLE], 50 * MS);
}

/* An exit on both sides of a cut, with the same lateness before it. */
static void exit_after_such_a_cut_sums_up_too(void **state)
{
	struct sched s = {.cut_ns = 200 * MS, .emitted_cut_ns = 100 * MS};
	struct thread_record r = {
		.type = RECORD_EXIT,
		.cut = 200 * MS,
		.end_ns = 230 * MS,
		.at_cut = {.ns = {[STATE_RUNNING] = 99 * MS, [STATE_RUNNABLE] = 101 * MS}},
		.now = {.ns = {[STATE_RUNNING] = 99 * MS, [STATE_RUNNABLE] = 101 * MS},
			.open = 200 * MS << OPEN_SHIFT | STATE_RUNNABLE},
	};
	struct account before = {.ns = {[STATE_RUNNING] = 100 * MS}};
	struct thread_seen t = {0};

	(void)state;
	seen__advance(&t, &before, t.delta);
	next_interval(&t);
	seen__end(&s, &t, &r);
	assert_int_equal(sum_of(t.delta), 100 * MS);
	next_interval(&t);
	assert_int_equal(sum_of(t.delta), 30 * MS);
	assert_int_equal(t.delta[STATE_RUNNABLE], 30 * MS);
}

/* A wait that is open at the cut, of a thread that is gone when the sweep comes: its part belongs to the
 * interval. */
static void wait_across_the_cut_is_told_although_its_thread_has_ended(void **state)
{
	uint64_t open = 150 * MS << OPEN_SHIFT | STATE_FIRST_BLOCKED;
	struct sched s = {.cut_ns = 200 * MS, .emitted_cut_ns = 100 * MS};
	struct thread_record r = {.type = RECORD_EXIT,
				  .cut = 200 * MS,
				  .end_ns = 230 * MS,
				  .at_cut = {.open = open, .stack = 7}};
	struct thread_seen t = {0};

	(void)state;
	seen__end(&s, &t, &r);
	assert_int_equal(t.open, open);
	assert_int_equal(t.open_stack, 7);
	s.emitted_cut_ns = 200 * MS; /* its end was told only after the interval's */
	seen__end(&s, &t, &r);
	assert_int_equal(t.open, 0);
}

/* Any thread, cut every 100 ms; each sweep may come before the last change was written. */
static void any_lateness_sums_to_the_elapsed_time(void **state)
{
	struct account account = {0};
	struct thread_seen t = {0};
	uint64_t since = 0, told = 0;
	unsigned open = STATE_RUNNING;

	(void)state;
	srand(1);
	for (uint64_t cut = 100 * MS; cut < 100000 * MS; cut += 100 * MS) {
		struct account seen;

		while (since < cut - 60 * MS) {
			uint64_t until = since + rand() % (50 * MS);

			account.ns[open] += until - since;
			open = rand() % STATE_COUNT;
			since = until;
		}
		seen = account; /* the next change, before the cut, is not written yet */
		seen.ns[open] += cut - since;
		seen__advance(&t, &seen, t.delta);
		assert_int_equal(sum_of(t.delta), 100 * MS);
		for (int i = 0; i < STATE_COUNT; i++)
			assert_true(t.delta[i] <= 100 * MS);
		told += sum_of(t.delta);
		next_interval(&t);
	}
	assert_int_equal(told, sum_of(t.last));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_that_was_given_too_much_waits_for_its_due),
		cmocka_unit_test(exit_after_such_a_cut_sums_up_too),
		cmocka_unit_test(wait_across_the_cut_is_told_although_its_thread_has_ended),
		cmocka_unit_test(any_lateness_sums_to_the_elapsed_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
