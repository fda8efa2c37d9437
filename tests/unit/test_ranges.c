/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "stack/ranges.h"

static void first_fit(void **state)
{
	struct ranges r = {0};
	uint32_t at;

	(void)state;
	assert_false(ranges__take(&r, 1, &at));
	assert_int_equal(ranges__give(&r, 10, 10), 0);
	assert_int_equal(ranges__give(&r, 40, 5), 0);
	assert_true(ranges__take(&r, 5, &at));
	assert_int_equal(at, 10);
	assert_false(ranges__take(&r, 6, &at));
	assert_int_equal(ranges__give(&r, 20, 20), 0); /* joins both sides */
	assert_int_equal(r.count, 1);
	assert_true(ranges__take(&r, 30, &at));
	assert_int_equal(at, 15);
	assert_int_equal(ranges__left(&r), 0);
	assert_int_equal(r.count, 0);
	ranges__free(&r);
}

/* Beside a map of who has what: never twice, never lost, never apart when they adjoin. */
static void beside_a_map(void **state)
{
	enum { SIZE = 500, HOLDERS = 60 };
	struct {
		uint32_t first, count;
	} held[HOLDERS] = {{0}};
	unsigned char owner[SIZE + 1] = {0};
	struct ranges r = {0};
	uint64_t left, seed = 42;
	size_t holes;

	(void)state;
	assert_int_equal(ranges__give(&r, 0, SIZE), 0);
	for (int step = 0; step < 20000; step++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		size_t i = (seed >> 33) % HOLDERS;

		if (held[i].count) {
			assert_int_equal(ranges__give(&r, held[i].first, held[i].count), 0);
			memset(owner + held[i].first, 0, held[i].count);
			held[i].count = 0;
		} else if (ranges__take(&r, 1 + (uint32_t)(seed >> 50) % 30, &held[i].first)) {
			held[i].count = 1 + (uint32_t)(seed >> 50) % 30;
			for (uint32_t j = 0; j < held[i].count; j++)
				assert_false(owner[held[i].first + j]);
			memset(owner + held[i].first, 1, held[i].count);
		}
		left = holes = 0;
		owner[SIZE] = 1;
		for (size_t j = 0; j < SIZE; j++) {
			left += !owner[j];
			holes += !owner[j] && owner[j + 1];
		}
		assert_int_equal(ranges__left(&r), left);
		assert_int_equal(r.count, holes);
	}
	ranges__free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_fit),
		cmocka_unit_test(beside_a_map),
	};

	return cmocka_run_group_tests_name("ranges", tests, NULL, NULL);
}
