/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A stack on its way to user space: frames in a per-CPU scratch record, a 64-bit salted hash over owner and
 * frames, and the record once through the ring buffer. A stack counts as known only after its record was
 * accepted, so a lost record is tried again.
 *
 * Put together in a place that is the program's alone: of its CPU, where no other run of its object can come
 * in between (with interrupts off: scheduler tracepoints; in NMI: perf events; each object runs in one of the
 * two contexts only); else one that it claims.
 */
#ifndef SONDE_STACK_RECORD_BPF_H
#define SONDE_STACK_RECORD_BPF_H

#include "registers.bpf.h"
#include "target.bpf.h"
#include "unwind.bpf.h"

const volatile u64 stack_salt = 0x5eed5eed5eed5eedULL;
const volatile bool stack_kernel = true, stack_user = true;
/* Code that enters interrupts, [from, to): what lies below it on a waker's stack was merely interrupted. 0:
 * not known. */
const volatile u64 stack_irq_text[2];
const volatile bool stack_per_thread; /* the thread id is part of a stack's identity */

#define STACK_NO_USER (STACK_FLAG_KTHREAD | STACK_FLAG_IRQ)

#define FRAMES_BYTES (STACK_DEPTH * sizeof(u64))

/* How the user part of a stack was come by. */
enum stack_how { STACK_BY_TABLE, STACK_BY_SNAPSHOT, STACK_BY_KERNEL };

#define FRAMES_MASK 1023

union stack_scratch {
	struct stack_record record;
	u64 words[sizeof(struct stack_record) / sizeof(u64) + FRAMES_MASK + 1];
};

struct stack_hash {
	u64 h, check;
};

struct stack_place {
	u64 busy, index; /* of those that are claimed */
	struct stack_hash hash;
#ifndef NO_UNWIND_TABLES
	u64 budget_second, snapshots; /* taken since then on this CPU */
	u64 task;		      /* whose registers these are */
	struct unwind_walk walk;
#endif
	union stack_scratch scratch;
};

/* Which place: this, per CPU; or the number of one that is claimed. The sweep, of which there is one at a
 * time, has the only one of its object. */
#define PLACE_HERE  (~0U)
#define PLACE_NONE  (~1U)
#define PLACE_SWEEP 0

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct stack_place);
} places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct stack_place);
} claimed_places SEC(".maps");

inline_always struct stack_place *place__get(u32 which)
{
	u32 key = 0;

	return which == PLACE_HERE ? bpf_map_lookup_elem(&places, &key)
				   : bpf_map_lookup_elem(&claimed_places, &which);
}

#ifdef PREEMPTIBLE
const volatile u32 place_count = 1; /* of claimed_places */

#define PLACES_TRIED 16

/*
 * Its number, or PLACE_NONE: all that were tried are taken. A CPU begins with its own, so that none shares a
 * line with another. Kernels of the plain variant may have no such instructions (before 5.12), and disable
 * preemption around the programs of uprobes themselves (before 8c7dcb84e3b7, 6.0).
 */
#if defined(RAW_TP) && defined(NO_UNWIND_TABLES)
#define place__claim()	      PLACE_HERE
#define place__release(which) ((void)(which))
#else
GLOBAL int place__claim(void)
{
	u32 first = bpf_get_smp_processor_id();

	for (u32 i = 0; i < PLACES_TRIED; i++) {
		u32 which = (first + i) % place_count;
		struct stack_place *p = place__get(which);

		if (p && !__sync_val_compare_and_swap(&p->busy, 0, 1))
			return forget(&p->index, which);
	}
	return PLACE_NONE;
}

inline_always void place__release(u32 which)
{
	struct stack_place *p = place__get(which);

	if (p) /* an exchange, so that nobody sees it free before the last write */
		__sync_lock_test_and_set(&p->busy, 0);
}
#endif
#endif

/* Stacks whose record was accepted: hash -> check. Shared by all probes of a session. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u32);
} known_stacks SEC(".maps");

#define HASH_K1 0x9fb21c651e98df25ULL
#define HASH_K2 0xd6e8feb86659fd93ULL

inline_always void hash__mix(struct stack_hash *s, u64 word)
{
	s->h = (s->h ^ word) * HASH_K1;
	s->h ^= s->h >> 32;
	s->check = (s->check + word) * HASH_K2;
}

/* Who it is, into the record, and into the hash: the same frames of another process are another stack. */
inline_always void stack__owner(struct stack_place *p, struct task_struct *task, struct pids pids, u32 flags)
{
	struct stack_record *r = &p->scratch.record;
	struct stack_hash *hash = &p->hash;
	struct task_struct *leader = READ(task__cast(task), group_leader);

	hash->h = stack_salt;
	hash->check = ~stack_salt;
	r->type = RECORD_STACK;
	r->tgid = pids.tgid;
	r->tid = pids.tid;
	r->start_boot_ns = READ(leader, start_boottime);
	r->exec_id = READ(task, self_exec_id);
	task__comm(r->comm, task);
	r->flags = flags | (READ(task, flags) & PF_KTHREAD ? STACK_FLAG_KTHREAD : 0);
	r->reserved = 0;
	r->mark = 0;
	if (flags & STACK_FLAG_IRQ) { /* whom it interrupted means nothing */
		r->tgid = r->tid = 0;
		r->start_boot_ns = r->exec_id = 0;
		zero(r->comm, COMM_LEN);
	}
	hash__mix(hash, flags);
	hash__mix(hash, r->start_boot_ns ^ ((u64)READ(task, tgid) << 32));
	hash__mix(hash, *(u64 *)r->comm + r->exec_id);
	hash__mix(hash, *(u64 *)(r->comm + 8));
	if (stack_per_thread)
		hash__mix(hash, READ(task, pid));
}

/* The first `count` frames: those of the kernel, and of the user unless they were hashed on the walk that
 * found them. A global function is verified once, not once per path that leads to it: this loop would
 * dominate the load time. */
GLOBAL int stack__hash_frames(u32 which, u32 count)
{
	struct stack_place *p = place__get(which);
	struct stack_hash hash;

	if (!p)
		return 0;
	hash = p->hash;
	for (u32 i = 0; i < 2 * STACK_DEPTH; i++) {
		if (i >= count)
			break;
		hash__mix(&hash, p->scratch.record.frames[i]);
	}
	hash__mix(&hash, count);
	p->hash = hash;
	p->scratch.record.hash = hash.h ?: 1;
	return 0;
}

/* What only the record needs, filled when it is sent. */
inline_always void stack__details(struct stack_record *r, struct task_struct *task)
{
	struct task_struct *leader = READ(task__cast(task), group_leader);
	struct mm_struct *mm = READ(task__cast(task), mm);

	task__comm(r->leader_comm, leader);
	r->cgroup = task__cgroup(task);
	r->stack_start = mm ? READ(mm, start_stack) : 0;
}

/* Processes of which user space has had a stack: tgid -> start, mixed with the program it runs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u64);
} known_processes SEC(".maps");

/* The first user stack of a process wakes user space at once: its mappings must be read while it lives. The
 * others wait for the timer. A full map costs promptness only, and one wake-up a process is what it bounds.
 */
inline_always u64 process__wakeup(const struct stack_record *r)
{
	u64 image = r->start_boot_ns + r->exec_id, *known;
	u32 tgid = r->tgid;

	if (!r->user_frames)
		return BPF_RB_NO_WAKEUP;
	known = bpf_map_lookup_elem(&known_processes, &tgid);
	if (known && *known == image)
		return BPF_RB_NO_WAKEUP;
	if (bpf_map_update_elem(&known_processes, &tgid, &image, BPF_ANY))
		return BPF_RB_NO_WAKEUP;
	return BPF_RB_FORCE_WAKEUP;
}

/* Sends the record unless the stack is known. False: its frames are lost this time (counted); the hash stands
 * all the same. */
inline_always bool stack__publish(struct stack_place *p, struct task_struct *task, struct loss *l)
{
	struct stack_record *r = &p->scratch.record;
	u32 check = p->hash.check >> 32, *known = bpf_map_lookup_elem(&known_stacks, &r->hash);
	u64 size = sizeof(*r);

	if (known) {
		if (*known == check)
			return true;
		loss__count(l, STACK, HITS);
		loss__count(l, STACK, COLLISION);
		return false;
	}
	loss__count(l, STACK, HITS);
	stack__details(r, task);
	size += (r->kernel_frames + r->user_frames) * sizeof(u64);
	if (size > sizeof(p->scratch) || bpf_ringbuf_output(&ring, &p->scratch, size, process__wakeup(r))) {
		loss__count(l, STACK, POSTPONED);
		return false;
	}
	/* No room to remember it: it will be sent again. */
	bpf_map_update_elem(&known_stacks, &r->hash, &check, BPF_ANY);
	loss__count(l, STACK, EMITTED);
	return true;
}

#endif
