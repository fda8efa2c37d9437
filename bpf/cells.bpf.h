/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counts and sums by key, in per-CPU hash maps: two of them, so that one is drained while the other one
 * fills. */
#ifndef SONDE_CELLS_BPF_H
#define SONDE_CELLS_BPF_H

#include "common.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct cell_key);
	__type(value, struct cell);
} cells_a SEC(".maps"), cells_b SEC(".maps");

/* What kind of map `cells` holds. libbpf makes one of this size, too, to show the kernel. */
struct cell_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1);
	__type(key, struct cell_key);
	__type(value, struct cell);
};

/* One slot, flipped by user space at an interval's end: the kernel waits for running programs before the
 * update returns. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct cell_map);
} cells SEC(".maps") = {.values = {(struct cell_map *)&cells_a}};

/* Made empty and found again: another program may have made it meanwhile. */
inline_always bool cell__add(const struct cell_key *key, u64 count, u64 ns)
{
	struct cell fresh = {}, *cell;
	u32 slot = 0;
	void *current = bpf_map_lookup_elem(&cells, &slot);

	if (!current)
		return false;
	cell = bpf_map_lookup_elem(current, key);
	if (!cell) {
		bpf_map_update_elem(current, key, &fresh, BPF_NOEXIST);
		cell = bpf_map_lookup_elem(current, key);
	}
	if (!cell)
		return false;
	count__add(&cell->count, count);
	/* An atomic addition of 0 would become an `or`, which 5.10 does not know. */
	if (!__builtin_constant_p(ns) || ns)
		count__add(&cell->ns, ns);
	return true;
}

/* Global: its branches are verified once, and their paths do not multiply those of the caller. */
__noinline int slot__of_ns(u64 ns)
{
	return hist__slot_ns(ns);
}

#endif
