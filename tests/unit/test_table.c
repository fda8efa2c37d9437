// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"

static void empty_table(void **state)
{
	struct table t;
	size_t cursor = 0;
	uint32_t key = 7;

	(void)state;
	table__init(&t, sizeof(key), 8);
	assert_null(table__find(&t, &key));
	assert_false(table__remove(&t, &key));
	assert_false(table__next(&t, &cursor, NULL, NULL));
	table__clear(&t);
	table__free(&t);
}

static void values_are_zeroed_and_aligned(void **state)
{
	struct table t;
	bool is_new;

	(void)state;
	table__init(&t, 3, 16);
	for (unsigned i = 0; i < 200; i++) {
		const unsigned char key[3] = {(unsigned char)i, 1, 2};
		unsigned char *value = table__add(&t, key, &is_new);

		assert_true(is_new);
		assert_int_equal((uintptr_t)value % 8, 0);
		for (int b = 0; b < 16; b++)
			assert_int_equal(value[b], 0);
		memset(value, 0xff, 16);
		assert_ptr_equal(table__add(&t, key, &is_new), value);
		assert_false(is_new);
		assert_true(table__remove(&t, key));
		assert_non_null(table__add(&t, key, NULL)); /* the slot was dirty */
		assert_int_equal(*(unsigned char *)table__find(&t, key), 0);
	}
	table__free(&t);
}

static bool is_third(void *context, const void *key, void *value)
{
	(*(unsigned *)context)++;
	(void)value;
	return *(const uint32_t *)key % 3 == 0;
}

/* At each fill, so that runs of slots wrap around the end. */
static void drops(void **state)
{
	struct table t;
	unsigned asked;

	(void)state;
	for (uint32_t count = 0; count < 300; count++) {
		table__init(&t, sizeof(count), sizeof(count));
		for (uint32_t k = 0; k < count; k++)
			*(uint32_t *)table__add(&t, &k, NULL) = k;
		asked = 0;
		table__drop(&t, is_third, &asked);
		assert_true(asked >= count);
		assert_int_equal(t.count, count - (count + 2) / 3);
		for (uint32_t k = 0; k < count; k++) {
			const uint32_t *value = table__find(&t, &k);

			assert_true(k % 3 ? value && *value == k : !value);
		}
		table__free(&t);
	}
}

/* Keys of a small universe, so that adding and removing meet often; an array is the truth. */
static void agrees_with_an_array(void **state)
{
	enum { UNIVERSE = 3000, STEPS = 200000 };
	uint64_t *truth = calloc(UNIVERSE, sizeof(*truth)), random = 42, *value;
	size_t count = 0, cursor, seen;
	const void *key;
	struct table t;

	(void)state;
	table__init(&t, sizeof(uint32_t), sizeof(uint64_t));
	for (unsigned step = 1; step <= STEPS; step++) {
		uint32_t k;
		bool is_new;

		random = random * 6364136223846793005 + 1442695040888963407;
		k = (uint32_t)(random >> 33) % UNIVERSE;
		if (random >> 63) {
			value = table__add(&t, &k, &is_new);
			assert_int_equal(is_new, !truth[k]);
			assert_true(*value == truth[k]);
			count += is_new;
			*value = truth[k] = step;
		} else {
			assert_int_equal(table__remove(&t, &k), truth[k] != 0);
			count -= truth[k] != 0;
			truth[k] = 0;
		}
		assert_int_equal(t.count, count);
		assert_true(t.count * 10 <= t.capacity * 7);
	}
	for (uint32_t k = 0; k < UNIVERSE; k++) {
		value = table__find(&t, &k);
		assert_true(value ? *value == truth[k] : !truth[k]);
	}
	for (cursor = 0, seen = 0; table__next(&t, &cursor, &key, (void **)&value); seen++)
		assert_true(*value && *value == truth[*(const uint32_t *)key]);
	assert_int_equal(seen, count);
	table__clear(&t);
	assert_int_equal(t.count, 0);
	assert_null(table__find(&t, &(uint32_t){1}));
	table__free(&t);
	free(truth);
}

/* Flipping any one bit of the input flips about half of the output bits; low bits choose the slot, so they
 * count. */
static void hash_mixes(void **state)
{
	unsigned char bytes[32] = {0};
	uint64_t base, changed, ever = 0;

	(void)state;
	for (size_t len = 1; len <= sizeof(bytes); len++) {
		base = hash__bytes(bytes, len, 0);
		for (size_t bit = 0; bit < len * 8; bit++) {
			bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
			changed = base ^ hash__bytes(bytes, len, 0);
			bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
			assert_in_range(__builtin_popcountll(changed), 10, 54);
			ever |= changed;
		}
		assert_true(base != hash__bytes(bytes, len, 1));
		assert_true(base != hash__bytes(bytes, len - 1, 0)); /* zeroes of another length */
	}
	assert_true(ever == UINT64_MAX);
}

/* Addresses and counters differ in few bits; 4096 of them must spread over 4096 slots like random numbers:
 * the expected share of slots hit is 1 - 1/e, 63 %. */
static void hash_spreads_regular_keys(void **state)
{
	static const uint64_t steps[] = {1, 8, 64, 4096, 1 << 20, 1ULL << 32, 1ULL << 48};

	(void)state;
	for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
		unsigned char hit[4096] = {0};
		int slots = 0;

		for (uint64_t i = 0; i < 4096; i++) {
			uint64_t key = 0xffff800000000000 + i * steps[s];

			slots += !hit[hash__bytes(&key, sizeof(key), 0) & 4095]++;
		}
		assert_in_range(slots, 2450, 2730);
	}
}

static void strings_are_stored_once(void **state)
{
	const char *first[1000], *again;
	struct strings s;
	char text[32];
	int len;

	(void)state;
	strings__init(&s);
	for (int i = 0; i < 1000; i++) {
		len = snprintf(text, sizeof(text), "name %d and more", i);
		first[i] = strings__add(&s, text, (size_t)len - 5);
		assert_non_null(first[i]);
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "name %d and", i);
		again = strings__add(&s, text, strlen(text));
		assert_ptr_equal(again, first[i]);
		assert_string_equal(again, text);
	}
	assert_ptr_not_equal(strings__add(&s, "a\0b", 3), strings__add(&s, "a\0c", 3));
	assert_string_equal(strings__add(&s, "", 0), "");
	assert_int_equal(s.index.count, 1003);
	strings__free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_table),
		cmocka_unit_test(values_are_zeroed_and_aligned),
		cmocka_unit_test(drops),
		cmocka_unit_test(agrees_with_an_array),
		cmocka_unit_test(hash_mixes),
		cmocka_unit_test(hash_spreads_regular_keys),
		cmocka_unit_test(strings_are_stored_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
