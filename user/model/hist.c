// SPDX-License-Identifier: Apache-2.0
#include "model/hist.h"

/*
 * 2^(r/8) * 10^9 / 2^30, and the same half a bucket higher, times 2^63 and cut. Cut once more by a right
 * shift they give floor(2^(i/8) * 10^9 / 2^30) exactly, because floor(floor(x * 2^63) / 2^n) is floor(x *
 * 2^(63 - n)).
 */
static const uint64_t edges[8] = {
	0x7735940000000000, 0x81ffa7a9549ca6e3, 0x8dc3b8960164a7d9, 0x9a9867054d512391,
	0xa8965f74bf065071, 0xb7d88a12d0dd9ea0, 0xc87c3e7d03cdbec3, 0xdaa17c2cd19555db,
};
static const uint64_t middles[8] = {
	0x7c7cb4ecdad5fca4, 0x87c11235836d16a3, 0x940a7e28259fb382, 0xa1709975dfb06757,
	0xb00d2843e1060dc2, 0xbffc43b7e604a922, 0xd15c9000bf211c1f, 0xe44f7742cb56e3dd,
};

uint64_t hist__upper_ns(uint32_t slot)
{
	uint32_t power = slot - 1;

	if (!slot)
		return 0;
	if (slot >= HIST_SLOTS - 1)
		return UINT64_MAX; /* it takes whatever is larger, too */
	return edges[power % 8] >> (63 - power / 8);
}

uint64_t hist__lower_ns(uint32_t slot)
{
	return slot ? hist__upper_ns(slot - 1) : 0;
}

/* The geometric middle, rounded, but a value that the bucket can hold. */
static uint64_t middle_ns(uint32_t slot)
{
	uint64_t lower = hist__lower_ns(slot), upper = hist__upper_ns(slot), middle;
	uint32_t power = slot - HIST_INDEX_SHIFT, shift;

	if (slot < HIST_INDEX_SHIFT)
		return 0;
	shift = 63 - power / 8;
	middle = middles[power % 8] >> shift;
	if (shift)
		middle += (middles[power % 8] >> (shift - 1)) & 1;
	if (middle <= lower)
		middle = lower + 1;
	return middle < upper ? middle : upper;
}

static uint32_t top_slot(const struct hist *h)
{
	uint32_t slot = HIST_SLOTS - 1;

	while (slot && !h->slot[slot])
		slot--;
	return slot;
}

uint64_t hist__max_ns(const struct hist *h)
{
	return h->max ? h->max : hist__upper_ns(top_slot(h));
}

void hist__merge(struct hist *into, const struct hist *from)
{
	uint64_t a = hist__max_ns(into), b = hist__max_ns(from);
	const struct hist *larger = a >= b ? into : from;

	/* An exact maximum stays exact only if nothing in the other can lie above it. */
	into->max = larger->max;
	for (uint32_t i = 0; i < HIST_SLOTS; i++)
		into->slot[i] += from->slot[i];
	into->count += from->count;
	into->sum += from->sum;
}

uint64_t hist__quantile_ns(const struct hist *h, double q)
{
	uint64_t rank, seen = 0, max = hist__max_ns(h), value;
	double exact = q * (double)h->count;

	if (!h->count)
		return 0;
	if (q >= 1)
		return max;
	rank = exact > 0 ? (uint64_t)exact : 0;
	rank += (double)rank < exact || !rank;
	for (uint32_t i = 0; i < HIST_SLOTS; i++) {
		seen += h->slot[i];
		if (seen >= rank) {
			value = middle_ns(i);
			return value < max ? value : max;
		}
	}
	return max;
}
