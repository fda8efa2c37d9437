// SPDX-License-Identifier: Apache-2.0
#include "model/hist.h"

/*
 * 2^(r/8) * 10^9 / 2^30, and the same half a bucket higher, times 2^63 and cut. Cut once more by a right
 * shift they give floor(2^(i/8) * 10^9 / 2^30) exactly, because floor(floor(x * 2^63) / 2^n) is floor(x *
 * 2^(63 - n)).
 */
struct bounds {
	uint64_t edges[8], middles[8];
};

static const struct bounds times = {
	{0x7735940000000000, 0x81ffa7a9549ca6e3, 0x8dc3b8960164a7d9, 0x9a9867054d512391, 0xa8965f74bf065071,
	 0xb7d88a12d0dd9ea0, 0xc87c3e7d03cdbec3, 0xdaa17c2cd19555db},
	{0x7c7cb4ecdad5fca4, 0x87c11235836d16a3, 0x940a7e28259fb382, 0xa1709975dfb06757, 0xb00d2843e1060dc2,
	 0xbffc43b7e604a922, 0xd15c9000bf211c1f, 0xe44f7742cb56e3dd},
};

/* Of counts and bytes: 2^(r/8), likewise. */
static const struct bounds units = {
	{0x8000000000000000, 0x8b95c1e3ea8bd6e6, 0x9837f0518db8a96f, 0xa5fed6a9b15138ea, 0xb504f333f9de6484,
	 0xc5672a115506dadd, 0xd744fccad69d6af4, 0xeac0c6e7dd24392e},
	{0x85aac367cc487b14, 0x91c3d373ab11c336, 0x9ef5326091a111ad, 0xad583eea42a14ac6, 0xbd08a39f580c36be,
	 0xce248c151f8480e3, 0xe0ccdeec2a94e111, 0xf5257d152486cc2c},
};

static uint64_t upper(const struct bounds *b, uint32_t slot)
{
	uint32_t power = slot - 1;

	if (!slot)
		return 0;
	if (slot >= HIST_SLOTS - 1)
		return UINT64_MAX; /* it takes whatever is larger, too */
	return b->edges[power % 8] >> (63 - power / 8);
}

static uint64_t lower(const struct bounds *b, uint32_t slot)
{
	return slot ? upper(b, slot - 1) : 0;
}

/* The geometric middle, rounded, but a value that the bucket can hold. */
static uint64_t middle(const struct bounds *b, uint32_t slot)
{
	uint64_t low = lower(b, slot), high = upper(b, slot), value;
	uint32_t power = slot - HIST_INDEX_SHIFT, shift;

	if (slot < HIST_INDEX_SHIFT)
		return high;
	shift = 63 - power / 8;
	value = b->middles[power % 8] >> shift;
	if (shift)
		value += (b->middles[power % 8] >> (shift - 1)) & 1;
	if (value <= low)
		value = low + 1;
	return value < high ? value : high;
}

static uint32_t top_slot(const struct hist *h)
{
	uint32_t slot = HIST_SLOTS - 1;

	while (slot && !h->slot[slot])
		slot--;
	return slot;
}

static uint64_t largest(const struct bounds *b, const struct hist *h)
{
	return h->max ? h->max : upper(b, top_slot(h));
}

void hist__merge(struct hist *into, const struct hist *from)
{
	uint64_t a = largest(&times, into), b = largest(&times, from);
	const struct hist *larger = a >= b ? into : from;

	/* Which scale it is does not matter: slots are in the same order. An exact maximum stays exact only
	 * if nothing in the other can lie above it. */
	into->max = larger->max;
	for (uint32_t i = 0; i < HIST_SLOTS; i++)
		into->slot[i] += from->slot[i];
	into->count += from->count;
	into->sum += from->sum;
}

static uint64_t quantile(const struct bounds *b, const struct hist *h, double q)
{
	uint64_t rank, seen = 0, max = largest(b, h), value;
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
			value = middle(b, i);
			return value < max ? value : max;
		}
	}
	return max;
}

uint64_t hist__upper_ns(uint32_t slot)
{
	return upper(&times, slot);
}

uint64_t hist__lower_ns(uint32_t slot)
{
	return lower(&times, slot);
}

uint64_t hist__quantile_ns(const struct hist *h, double q)
{
	return quantile(&times, h, q);
}

uint64_t hist__max_ns(const struct hist *h)
{
	return largest(&times, h);
}

uint64_t hist__upper_unit(uint32_t slot)
{
	return upper(&units, slot);
}

uint64_t hist__quantile_unit(const struct hist *h, double q)
{
	return quantile(&units, h, q);
}

uint64_t hist__max_unit(const struct hist *h)
{
	return largest(&units, h);
}
