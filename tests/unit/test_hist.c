// SPDX-License-Identifier: Apache-2.0
/* Slots against an exact reference: whole numbers of 1 024 bits, no float, no shared constants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/hist.h"
#include "sonde/hist.h"

#define LIMBS 32

struct big {
	uint32_t limb[LIMBS]; /* least significant first */
};

static void big__multiply(struct big *b, uint64_t factor)
{
	struct big high = *b;
	unsigned __int128 carry = 0;

	/* b * low half + (b * high half) << 32 */
	for (int i = 0; i < LIMBS; i++) {
		carry += (unsigned __int128)b->limb[i] * (uint32_t)factor;
		if (i)
			carry += (unsigned __int128)high.limb[i - 1] * (factor >> 32);
		b->limb[i] = (uint32_t)carry;
		carry >>= 32;
	}
	assert_true(carry == 0);
}

static struct big big__power(uint64_t base, unsigned exponent)
{
	struct big b = {{1}};

	while (exponent--)
		big__multiply(&b, base);
	return b;
}

static int big__compare(const struct big *a, const struct big *b)
{
	for (int i = LIMBS - 1; i >= 0; i--) {
		if (a->limb[i] != b->limb[i])
			return a->limb[i] < b->limb[i] ? -1 : 1;
	}
	return 0;
}

/* value <= 2^(power/8) units: (value * 2^30)^8 <= 2^power * (10^9)^8 for ns. */
static bool below(uint64_t value, const struct big *bound, bool is_ns)
{
	struct big left = big__power(value, 8);

	for (int i = 0; is_ns && i < 8; i++)
		big__multiply(&left, 1u << 30);
	return big__compare(&left, bound) <= 0;
}

static void make_bounds(struct big *bounds, bool is_ns)
{
	struct big b = is_ns ? big__power(1000000000, 8) : big__power(1, 1);

	for (unsigned power = 0; power < HIST_SLOTS; power++) {
		bounds[power] = b;
		big__multiply(&b, 2);
	}
}

/* Slot s > 0 ends at power s - 1. */
static uint32_t reference_slot(uint64_t value, const struct big *bounds, bool is_ns)
{
	uint32_t low = 1, high = HIST_SLOTS - 1;

	if (!value)
		return 0;
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (below(value, &bounds[middle - 1], is_ns))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static uint64_t edge_of(const struct big *bound, bool is_ns)
{
	uint64_t edge = 0;

	for (int bit = 63; bit >= 0; bit--) {
		if (below(edge | 1ull << bit, bound, is_ns))
			edge |= 1ull << bit;
	}
	return edge;
}

static void check_every_edge(bool is_ns)
{
	static struct big bounds[HIST_SLOTS];
	uint64_t random = 88172645463325252ull;

	make_bounds(bounds, is_ns);
	for (uint32_t power = 0; power < HIST_SLOTS - 1; power++) {
		uint64_t edge = edge_of(&bounds[power], is_ns);

		if (power + 1 < HIST_SLOTS - 1)
			assert_int_equal(is_ns ? hist__upper_ns(power + 1) : hist__upper_unit(power + 1),
					 edge);
		for (int d = -1; d <= 1; d++) {
			uint64_t value = edge + (uint64_t)d;
			uint32_t slot = is_ns ? hist__slot_ns(value) : hist__slot_unit(value);

			assert_int_equal(slot, reference_slot(value, bounds, is_ns));
		}
	}
	for (int i = 0; i < 3000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		uint64_t value = random >> (random % 64);
		uint32_t slot = is_ns ? hist__slot_ns(value) : hist__slot_unit(value);

		assert_int_equal(slot, reference_slot(value, bounds, is_ns));
	}
	assert_int_equal(is_ns ? hist__slot_ns(UINT64_MAX) : hist__slot_unit(UINT64_MAX),
			 reference_slot(UINT64_MAX, bounds, is_ns));
}

static void slots_of_ns_are_exact(void **state)
{
	(void)state;
	check_every_edge(true);
}

static void slots_of_units_are_exact(void **state)
{
	(void)state;
	check_every_edge(false);
}

static void bounds_are_contiguous(void **state)
{
	(void)state;
	assert_int_equal(hist__upper_ns(0), 0);
	assert_int_equal(hist__lower_ns(0), 0);
	for (uint32_t slot = 1; slot < HIST_SLOTS; slot++) {
		assert_int_equal(hist__lower_ns(slot), hist__upper_ns(slot - 1));
		assert_true(hist__upper_ns(slot) >= hist__lower_ns(slot));
	}
	assert_int_equal(hist__upper_ns(HIST_SLOTS - 1), UINT64_MAX);
}

/* A histogram of one value answers with a value at most 4.4 % away (2^(1/16)), and half a ns for being whole:
 * all small ones, and steps up to hours. */
static void quantile_error_is_bounded(void **state)
{
	static struct hist h;

	(void)state;
	for (uint64_t v = 1; v < 20000000000000ull; v += v < 100000 ? 1 : v / 997) {
		uint32_t slot = hist__slot_ns(v);

		memset(&h, 0, sizeof(h));
		h.slot[slot] = h.count = 1;
		uint64_t got = hist__quantile_ns(&h, 0.5);
		uint64_t error = got > v ? got - v : v - got;

		assert_int_equal(hist__slot_ns(got), slot);
		assert_true(error * 10000 <= v * 443 + 5000);
		h.max = v;
		assert_true(hist__quantile_ns(&h, 0.5) <= v);
		assert_int_equal(hist__quantile_ns(&h, 1), v);
	}
}

static void quantile_error_of_units_is_bounded(void **state)
{
	static struct hist h;

	(void)state;
	for (uint64_t v = 1; v < 20000000000000ull; v += v < 100000 ? 1 : v / 997) {
		memset(&h, 0, sizeof(h));
		h.slot[hist__slot_unit(v)] = h.count = 1;
		uint64_t got = hist__quantile_unit(&h, 0.5);
		uint64_t error = got > v ? got - v : v - got;

		assert_int_equal(hist__slot_unit(got), hist__slot_unit(v));
		assert_true(error * 10000 <= v * 443 + 5000);
		assert_true(hist__max_unit(&h) >= v);
	}
}

static void quantiles_of_a_known_mixture(void **state)
{
	static struct hist h;

	(void)state;
	assert_int_equal(hist__quantile_ns(&h, 0.5), 0);
	assert_int_equal(hist__max_ns(&h), 0);
	h.slot[0] = 10; /* waits of 0 ns */
	h.slot[hist__slot_ns(1000)] += 80;
	h.slot[hist__slot_ns(1000000)] += 9;
	h.slot[hist__slot_ns(50000000)] += 1;
	h.count = 100;
	h.max = 50000000;
	assert_int_equal(hist__quantile_ns(&h, 0), 0);
	assert_int_equal(hist__quantile_ns(&h, 0.10), 0);
	assert_int_equal(hist__slot_ns(hist__quantile_ns(&h, 0.11)), hist__slot_ns(1000));
	assert_int_equal(hist__slot_ns(hist__quantile_ns(&h, 0.90)), hist__slot_ns(1000));
	assert_int_equal(hist__slot_ns(hist__quantile_ns(&h, 0.901)), hist__slot_ns(1000000));
	assert_int_equal(hist__slot_ns(hist__quantile_ns(&h, 0.99)), hist__slot_ns(1000000));
	assert_int_equal(hist__slot_ns(hist__quantile_ns(&h, 0.999)), hist__slot_ns(50000000));
	assert_true(hist__quantile_ns(&h, 0.999) <= 50000000);
	assert_int_equal(hist__quantile_ns(&h, 1), 50000000);
}

static void merging_adds_and_keeps_what_is_known(void **state)
{
	static struct hist a, b, c;

	(void)state;
	a.slot[100] = 3, a.count = 3, a.sum = 12, a.max = hist__upper_ns(100);
	b.slot[90] = 2, b.count = 2, b.sum = 5; /* maximum unknown, but certainly smaller */
	hist__merge(&a, &b);
	assert_int_equal(a.count, 5);
	assert_int_equal(a.sum, 17);
	assert_int_equal(a.slot[90], 2);
	assert_int_equal(a.max, hist__upper_ns(100));
	c.slot[200] = 1, c.count = 1;
	hist__merge(&a, &c);
	assert_int_equal(a.max, 0); /* not known any more */
	assert_int_equal(hist__max_ns(&a), hist__upper_ns(200));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_of_ns_are_exact),
		cmocka_unit_test(slots_of_units_are_exact),
		cmocka_unit_test(bounds_are_contiguous),
		cmocka_unit_test(quantile_error_is_bounded),
		cmocka_unit_test(quantile_error_of_units_is_bounded),
		cmocka_unit_test(quantiles_of_a_known_mixture),
		cmocka_unit_test(merging_adds_and_keeps_what_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
