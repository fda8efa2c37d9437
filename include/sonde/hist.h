/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Base-2 exponential histogram, scale 3: eight buckets per doubling. The same arithmetic runs in BPF and in
 * user space.
 *
 * Bucket bounds are 2^(i/8) units, (lower, upper]; a unit is 2^-30 s for times and 1 for counts and bytes.
 * Whole nanoseconds are compared with floor(2^(i/8) * 10^9 / 2^30). So slot s holds OpenTelemetry's
 * exponential bucket with index s - HIST_INDEX_SHIFT (its `(base^index, base^(index+1)]`), and slot 0 its
 * zero_count.
 *
 * A value is shifted left until its top bit is set; the 64-bit mantissa is then compared with the eight
 * bounds of one doubling, scaled alike. The comparison is exact: no bound is a whole number of mantissa steps
 * except where equality is meant. No float, no loop, no __builtin_clzll (clang 14's BPF back end cannot
 * select it).
 */
#ifndef SONDE_HIST_H
#define SONDE_HIST_H

#define HIST_SCALE	 3
#define HIST_SLOTS	 512 /* the last one also takes what is larger */
#define HIST_INDEX_SHIFT 2   /* slot = index + 2: slot 1 is the bucket that ends at one unit */

#ifndef __bpf__
#include <stdint.h>
typedef uint64_t hist_u64;
typedef uint32_t hist_u32;
#else
typedef __u64 hist_u64;
typedef __u32 hist_u32;
#endif

/* Position of the highest set bit, and `*mantissa` = value shifted so that bit is bit 63. value != 0. */
static inline __attribute__((always_inline)) hist_u32 hist__normalize(hist_u64 value, hist_u64 *mantissa)
{
	hist_u32 bit = 63;

#define HIST__STEP(n)                 \
	if (!(value >> (64 - (n)))) { \
		value <<= (n);        \
		bit -= (n);           \
	}
	HIST__STEP(32)
	HIST__STEP(16)
	HIST__STEP(8)
	HIST__STEP(4)
	HIST__STEP(2)
	HIST__STEP(1)
#undef HIST__STEP
	*mantissa = value;
	return bit;
}

/* How many of the eight ascending bounds lie below the mantissa: 0..8, by a tree of comparisons. */
static inline __attribute__((always_inline)) hist_u32 hist__above(hist_u64 m, hist_u64 b1, hist_u64 b2,
								  hist_u64 b3, hist_u64 b4, hist_u64 b5,
								  hist_u64 b6, hist_u64 b7, hist_u64 b8)
{
	if (m > b4) {
		if (m > b6)
			return m > b7 ? (m > b8 ? 8 : 7) : 6;
		return m > b5 ? 5 : 4;
	}
	if (m > b2)
		return m > b3 ? 3 : 2;
	return m > b1 ? 1 : 0;
}

/* Slot of a duration in nanoseconds. */
static inline __attribute__((always_inline)) hist_u32 hist__slot_ns(hist_u64 ns)
{
	hist_u64 m;
	hist_u32 slot;

	if (!ns)
		return 0;
	slot = 8 * hist__normalize(ns, &m) + HIST_INDEX_SHIFT;
	slot += hist__above(m, 0x81ffa7a9549ca6e3ULL, 0x8dc3b8960164a7d9ULL, 0x9a9867054d512391ULL,
			    0xa8965f74bf065071ULL, 0xb7d88a12d0dd9ea0ULL, 0xc87c3e7d03cdbec3ULL,
			    0xdaa17c2cd19555dbULL, 0xee6b280000000000ULL);
	return slot < HIST_SLOTS ? slot : HIST_SLOTS - 1;
}

/* Slot of a count or of bytes. */
static inline __attribute__((always_inline)) hist_u32 hist__slot_unit(hist_u64 value)
{
	hist_u64 m;
	hist_u32 slot;

	if (!value)
		return 0;
	slot = 8 * hist__normalize(value, &m) + HIST_INDEX_SHIFT - 1;
	slot += hist__above(m, 0x8000000000000000ULL, 0x8b95c1e3ea8bd6e6ULL, 0x9837f0518db8a96fULL,
			    0xa5fed6a9b15138eaULL, 0xb504f333f9de6484ULL, 0xc5672a115506daddULL,
			    0xd744fccad69d6af4ULL, 0xeac0c6e7dd24392eULL);
	return slot < HIST_SLOTS ? slot : HIST_SLOTS - 1;
}

#endif
