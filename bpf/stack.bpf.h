/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stack capture: frames into a per-CPU scratch record, a 64-bit salted hash over owner and frames, and the record once
 * through the ring buffer. A stack counts as known only after its record was accepted, so a lost record is tried again.
 *
 * Used with interrupts off (scheduler tracepoints) or in NMI (perf events): one scratch record per object and CPU, and
 * each object runs in one of the two contexts only.
 */
#ifndef SONDE_STACK_BPF_H
#define SONDE_STACK_BPF_H

#include "target.bpf.h"

const volatile u64 stack_salt = 0x5eed5eed5eed5eedULL;
const volatile bool stack_kernel = true, stack_user = true;
const volatile bool stack_per_thread; /* the thread id is part of a stack's identity */
const volatile u32 stack_skip;	      /* frames of the tracing machinery itself, measured at start */

#define STACK_NO_USER (STACK_FLAG_KTHREAD | STACK_FLAG_HARDIRQ | STACK_FLAG_SOFTIRQ)

#define FRAMES_BYTES (STACK_DEPTH * sizeof(u64))

union stack_scratch {
	struct stack_record record;
	u64 words[sizeof(struct stack_record) / sizeof(u64) + 2 * STACK_DEPTH + 2];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, union stack_scratch);
} scratches SEC(".maps");

/* Stacks whose record was accepted: hash -> check. Shared by all probes of a session. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u32);
} known_stacks SEC(".maps");

#define HASH_K1 0x9fb21c651e98df25ULL
#define HASH_K2 0xd6e8feb86659fd93ULL

struct stack_hash {
	u64 h, check;
};

inline_always void hash__mix(struct stack_hash *s, u64 word)
{
	s->h = (s->h ^ word) * HASH_K1;
	s->h ^= s->h >> 32;
	s->check = (s->check + word) * HASH_K2;
}

/* Who it is, into the record, and into the hash: the same frames of another process are another stack. */
inline_always void stack__owner(union stack_scratch *s, struct task_struct *task, u32 flags, struct stack_hash *hash)
{
	struct stack_record *r = &s->record;
	struct task_struct *leader = READ(task, group_leader);

	r->type = RECORD_STACK;
	r->tgid = READ(task, tgid);
	r->tid = READ(task, pid);
	r->start_boot_ns = READ(leader, start_boottime);
	r->exec_id = READ(task, self_exec_id);
	task__comm(r->comm, task);
	r->flags = flags | (READ(task, flags) & PF_KTHREAD ? STACK_FLAG_KTHREAD : 0);
	r->reserved = 0;
	if (flags & (STACK_FLAG_HARDIRQ | STACK_FLAG_SOFTIRQ)) { /* whom it interrupted means nothing */
		r->tgid = r->tid = 0;
		r->start_boot_ns = r->exec_id = 0;
		zero(r->comm, COMM_LEN);
	}
	hash__mix(hash, flags);
	hash__mix(hash, r->start_boot_ns ^ ((u64)r->tgid << 32));
	hash__mix(hash, *(u64 *)r->comm + r->exec_id);
	hash__mix(hash, *(u64 *)(r->comm + 8));
	if (stack_per_thread)
		hash__mix(hash, r->tid);
}

inline_always void stack__hash_frames(union stack_scratch *s, u32 count, struct stack_hash *hash)
{
	for (u32 i = 0; i < 2 * STACK_DEPTH; i++) {
		if (i >= count)
			break;
		hash__mix(hash, s->record.frames[i]);
	}
	hash__mix(hash, count);
}

/* What only the record needs, filled when it is sent. */
inline_always void stack__details(union stack_scratch *s, struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);
	struct mm_struct *mm = READ(task, mm);

	task__comm(s->record.leader_comm, leader);
	s->record.cgroup = task__cgroup(task);
	s->record.stack_start = mm ? READ(mm, start_stack) : 0;
}

/* Sends the record unless the stack is known. False: its frames are lost this time (counted); the hash stands all the same. */
inline_always bool stack__publish(union stack_scratch *s, struct task_struct *task, u64 check, struct loss *l)
{
	u32 check32 = check >> 32, *known = bpf_map_lookup_elem(&known_stacks, &s->record.hash);
	u64 size = sizeof(s->record);

	if (known) {
		if (*known == check32)
			return true;
		loss__count(l, STACK, HITS);
		loss__count(l, STACK, COLLISION);
		return false;
	}
	loss__count(l, STACK, HITS);
	stack__details(s, task);
	size += (s->record.kernel_frames + s->record.user_frames) * sizeof(u64);
	if (size > sizeof(*s) || bpf_ringbuf_output(&ring, s, size, BPF_RB_NO_WAKEUP)) {
		loss__count(l, STACK, RING_FULL);
		return false;
	}
	if (bpf_map_update_elem(&known_stacks, &s->record.hash, &check32, BPF_ANY))
		loss__count(l, STACK, MAP_FULL); /* the record is out; it will be sent again */
	else
		loss__count(l, STACK, EMITTED);
	return true;
}

/*
 * Captures the current task's stack by the kernel's walkers. `ctx` is the program's context. Returns the hash, never 0;
 * `*published` tells whether its frames are known to user space.
 */
inline_always u64 stack__capture(void *ctx, struct task_struct *task, u32 flags, struct loss *l,
				 u64 last_known, bool *published)
{
	struct stack_hash hash = {.h = stack_salt, .check = ~stack_salt};
	union stack_scratch *s;
	u32 key = 0, count = 0;
	long bytes;

	*published = false;
	s = bpf_map_lookup_elem(&scratches, &key);
	if (!s)
		return 0;
	stack__owner(s, task, flags, &hash);
	s->record.kernel_frames = s->record.user_frames = 0;
	s->record.end = STACK_COMPLETE;
	if (stack_kernel) {
		bytes = bpf_get_stack(ctx, s->record.frames, FRAMES_BYTES, stack_skip & BPF_F_SKIP_FIELD_MASK);
		if (bytes > 0 && bytes <= (long)FRAMES_BYTES)
			s->record.kernel_frames = count = bytes / sizeof(u64);
	}
	if (stack_user && !(s->record.flags & STACK_NO_USER)) {
		count &= 127;
		bytes = bpf_get_stack(ctx, s->record.frames + count, FRAMES_BYTES, BPF_F_USER_STACK);
		s->record.end = STACK_FAULT;
		if (bytes > 0 && bytes <= (long)FRAMES_BYTES) {
			s->record.user_frames = bytes / sizeof(u64);
			s->record.end = bytes == (long)FRAMES_BYTES ? STACK_DEPTH_LIMIT : STACK_NO_FRAME_PTR;
			count += s->record.user_frames;
		}
	}
	stack__hash_frames(s, count, &hash);
	s->record.hash = hash.h ?: 1;
	*published = s->record.hash == last_known || stack__publish(s, task, hash.check, l);
	return s->record.hash;
}

#endif
