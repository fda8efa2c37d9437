/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Walks over user stacks by unwind tables: the maps that hold them, the loop, and where a walk begins. The
 * step is include/sonde/walk.h's.
 *
 * -DNO_UNWIND_TABLES leaves it out: the kernel's frame-pointer walker remains.
 */
#ifndef SONDE_UNWIND_BPF_H
#define SONDE_UNWIND_BPF_H

#include "common.bpf.h"
#include "sonde/unwind.h"

#ifndef NO_UNWIND_TABLES

/* All of them are made by user space and shared by all objects of a session. */
struct unwind_shard {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, UNWIND_SHARD_BYTES + UNWIND_SHARD_SLACK);
	__uint(map_flags, BPF_F_MMAPABLE);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, UNWIND_SHARDS_MAX);
	__uint(key_size, 4);
	__array(values, struct unwind_shard);
} unwind_shards SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, UNWIND_CHUNKS_MAX);
	__type(key, u32);
	__type(value, u32);
	__uint(map_flags, BPF_F_MMAPABLE);
} unwind_chunks SEC(".maps");

struct unwind_all_segments {
	struct unwind_segment at[UNWIND_SEGMENTS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct unwind_all_segments);
	__uint(map_flags, BPF_F_MMAPABLE);
} unwind_segments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, UNWIND_PROCESSES_MAX);
	__type(key, struct unwind_process_key);
	__type(value, struct unwind_process);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} unwind_processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, UNWIND_MARKS);
	__type(key, u32);
	__type(value, u64);
	__uint(map_flags, BPF_F_MMAPABLE);
} unwind_marks SEC(".maps");

inline_always u64 *unwind__mark(u64 start_boot_ns)
{
	u32 index = unwind_mark__index(start_boot_ns);

	return bpf_map_lookup_elem(&unwind_marks, &index);
}

#define MARK_TRIES 8 /* as many others would have to write it at once */

/* The kernel chooses where a mapping of the current task goes, under its mmap_lock. */
HOOK("vm_unmapped_area")
int on_mapping(void *ctx)
{
	struct task_struct *task = task__cast(task__current());
	struct mm_struct *mm = READ(task, mm);
	u64 *mark = unwind__mark(READ(task, group_leader, start_boottime)), pages, before, after;

	if (!mark || !mm)
		return 0;
	pages = READ(mm, exec_vm);
	for (u32 i = 0; i < MARK_TRIES; i++) {
		before = *(volatile u64 *)mark;
		after = unwind_mark__choice(before, pages);
		if (after == before || __sync_val_compare_and_swap(mark, before, after) == before)
			break;
	}
	return 0;
}

/* Whose memory is read: of the current task (NULL), or, by programs that may sleep, of another. Known at
 * compile time, wherever the step is expanded. */
#define UNWIND_READER struct task_struct *

inline_always int unwind__segment(UNWIND_READER r, u32 index, struct unwind_segment *segment)
{
	u32 zero_key = 0;
	struct unwind_all_segments *all = bpf_map_lookup_elem(&unwind_segments, &zero_key);

	if (!all)
		return -1;
	opaque(index);
	*segment = all->at[index & (UNWIND_SEGMENTS_MAX - 1)];
	return 0;
}

inline_always u32 unwind__chunk(UNWIND_READER r, u32 index)
{
	u32 *chunk = bpf_map_lookup_elem(&unwind_chunks, &index);

	return chunk ? *chunk : UNWIND_CHUNK_UNBUILT;
}

inline_always const u8 *unwind__shard(UNWIND_READER r, u32 index)
{
	u32 zero_key = 0;
	void *shard = bpf_map_lookup_elem(&unwind_shards, &index);

	return shard ? bpf_map_lookup_elem(shard, &zero_key) : NULL;
}

inline_always long unwind__read(UNWIND_READER r, void *to, u32 bytes, u64 from)
{
	return r ? bpf_copy_from_user_task(to, bytes, (void *)from, r, 0)
		 : bpf_probe_read_user(to, bytes, (void *)from);
}

/* Read-only, for arm64: above so many bits of a return address stands its signature. */
const volatile u32 unwind_address_bits = 48;

#include "sonde/walk.h"

#endif
#endif
