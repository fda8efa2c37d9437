/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Waits of the kernel for its own locks, between contention_begin and contention_end (since 16edd9b511a1,
 * 5.19). */
#ifndef SONDE_CONTENTION_BPF_H
#define SONDE_CONTENTION_BPF_H

#include "watched.bpf.h"
#include "stack.bpf.h"
#include "cells.bpf.h"
#include "event.bpf.h"
#include "sonde/locks.h"

const volatile struct locks_config config;

/* Who is on its way through our maps, per CPU, and the kernel's waits that keep the CPU. */
struct kernel_wait {
	u64 lock; /* 0: free */
	u64 since, stack, place;
	u32 type, reserved;
};

/* A task, an interrupt on top of it, a softirq and an NMI. */
#define SPIN_LEVELS 4

struct kernel_waits {
	u64 inside;
	struct kernel_wait spin[SPIN_LEVELS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct kernel_waits);
} kernel_waits SEC(".maps");

inline_always struct kernel_waits *kernel_waits__here(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&kernel_waits, &key);
}

/*
 * Our own maps have locks, too, and a wait for one of them is seen by our own program: with that lock held at
 * contention_end. So while one of the programs uses its maps, the others that come in between leave them
 * alone.
 */
inline_always void inside__enter(struct kernel_waits *k)
{
	if (config.kernel)
		__sync_fetch_and_add(&k->inside, 1);
}

inline_always void inside__leave(struct kernel_waits *k)
{
	if (config.kernel)
		__sync_fetch_and_add(&k->inside, -1ULL);
}

/* The part of a wait that was not told before. */
inline_always u64 untold_ns(u64 since, u64 told, u64 now)
{
	u64 from = since > told ? since : told;

	return now > from ? now - from : 0;
}

/* Waits that give the CPU away, by thread. Made and deleted at each; nothing is allocated. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u32);
	__type(value, struct kernel_wait);
} sleepers SEC(".maps");

/* include/trace/events/lock.h */
#define LCB_F_SPIN   1
#define LCB_F_READ   2
#define LCB_F_WRITE  4
#define LCB_F_RT     8
#define LCB_F_PERCPU 16
#define LCB_F_MUTEX  32

inline_always u32 kernel_lock__of_flags(u32 flags)
{
	if (flags & LCB_F_MUTEX)
		return KERNEL_LOCK_MUTEX;
	if (flags & LCB_F_PERCPU)
		return flags & LCB_F_WRITE ? KERNEL_LOCK_PERCPU_WRITE : KERNEL_LOCK_PERCPU_READ;
	if (flags & LCB_F_SPIN && !(flags & LCB_F_RT))
		return flags & LCB_F_WRITE  ? KERNEL_LOCK_RWLOCK_WRITE
		       : flags & LCB_F_READ ? KERNEL_LOCK_RWLOCK_READ
					    : KERNEL_LOCK_SPIN;
	if (flags & LCB_F_READ)
		return KERNEL_LOCK_RWSEM_READ;
	if (flags & LCB_F_WRITE)
		return KERNEL_LOCK_RWSEM_WRITE;
	return flags & LCB_F_RT ? KERNEL_LOCK_RT : KERNEL_LOCK_SEMAPHORE;
}

inline_always bool kernel_lock__keeps_cpu(u32 type)
{
	return type <= KERNEL_LOCK_RWLOCK_WRITE;
}

/* No state of the thread is made here: that takes memory, whose locks may be what is waited for. */
inline_always bool kernel__wants(struct task_struct *task)
{
	struct watched *w = watched__peek(task);

	return w && w->generation == *(volatile u64 *)&control.generation + 1 ? w->wanted
									      : target__wants(task);
}

inline_always u64 kernel_lock__place(struct task_struct *task, u64 lock)
{
	struct mm_struct *mm = READ(task__cast(task), mm);

	if (lock >= config.kernel_data[0] && lock < config.kernel_data[1])
		return lock;
	return mm && lock == (u64)mm + bpf_core_field_offset(struct mm_struct, mmap_lock)
		       ? KERNEL_PLACE_MMAP
		       : KERNEL_PLACE_DYNAMIC;
}

#define SPIN_NEVER_NS 1000000000 /* nobody spins so long: the end was not reported */

/*
 * A place for a wait that keeps the CPU. An interrupt's end may be missed, when it comes while this very
 * program is at work. What it leaves behind is known by the lock, for which nobody waits twice at once on one
 * CPU, or by its age.
 */
inline_always struct kernel_wait *spin__claim(struct kernel_waits *k, u64 lock, u64 now, struct loss *l)
{
	u32 found = SPIN_LEVELS - 1;

	for (u32 i = 0; i < SPIN_LEVELS; i++) {
		u32 level = i;
		struct kernel_wait *w;

		opaque(level);
		w = &k->spin[level & (SPIN_LEVELS - 1)];
		if (w->lock == lock) {
			found = i;
			break;
		}
		if (!w->lock || now - w->since > SPIN_NEVER_NS)
			found = i;
	}
	opaque(found);
	found &= SPIN_LEVELS - 1;
	if (k->spin[found].lock) {
		loss__count(l, LOCKS, HITS);
		loss__count(l, LOCKS, MISSED);
	}
	return &k->spin[found];
}

inline_always void kernel_wait__began(void *ctx, struct kernel_waits *k, u64 lock, u32 flags, u64 now,
				      struct loss *l)
{
	struct task_struct *task = task__current();
	u32 pid = READ(task, pid), type = kernel_lock__of_flags(flags);
	u32 which = PLACE_SWEEP + 1 +
		    bpf_get_smp_processor_id(); /* of its CPU: those with interrupts off have the other */
	struct kernel_wait *before, fresh = {.lock = lock, .since = now, .type = type};
	bool published;

	/* A mutex tells twice: when it begins to spin, and when it goes to sleep. */
	before = kernel_lock__keeps_cpu(type) ? NULL : bpf_map_lookup_elem(&sleepers, &pid);
	if ((before && before->lock == lock) || !kernel__wants(task))
		return;
	fresh.place = kernel_lock__place(task, lock);
	fresh.stack = stack__capture(ctx, which, task, false, NULL, l, 0, &published);
	if (kernel_lock__keeps_cpu(type)) {
		*spin__claim(k, lock, now, l) = fresh;
		return;
	}
	if (bpf_map_update_elem(&sleepers, &pid, &fresh, BPF_ANY)) {
		loss__count(l, LOCKS, HITS);
		loss__count(l, LOCKS, MAP_FULL);
	}
}

HOOK("contention_begin")
int BPF_PROG(on_contention_begin, void *lock, u32 flags)
{
	struct kernel_waits *k = kernel_waits__here();
	u64 now = bpf_ktime_get_ns();
	struct loss *l = loss__here();

	if (!l || !k)
		return 0;
	count__add(&l->runs, 1);
	if (*(volatile u64 *)&k->inside || !control__running(now))
		return 0;
	inside__enter(k);
	kernel_wait__began(ctx, k, (u64)lock, flags, now, l);
	inside__leave(k);
	return 0;
}

static __noinline void kernel_wait__tell(struct task_struct *task, const struct kernel_wait *w, u64 wait,
					 u64 now, struct loss *l)
{
	struct event_record *e = event__begin(PART_LOCKS, CELL_KERNEL, now, l);

	if (!e)
		return;
	event__who(e, task);
	e->duration_ns = wait;
	e->stack = w->stack;
	e->value[LOCK_VALUE_CALL] = w->type;
	e->value[LOCK_VALUE_PLACE] = w->place;
	event__send(e, l);
}

/* The lock is held: of our own maps only lookups may wait for nothing. What does is guarded by `inside`. */
inline_always void kernel_wait__ended(const struct kernel_wait *w, u64 now, struct loss *l)
{
	struct cell_key key = {.kind = CELL_KERNEL, .state = w->type, .a = w->stack, .b = w->place};
	u64 wait = now > w->since ? now - w->since : 0;

	loss__count(l, LOCKS, HITS);
	if (wait < config.min_ns) {
		loss__count(l, LOCKS, FILTERED);
		return;
	}
	key.slot = slot__of_ns(wait);
	if (!cell__add(&key, 1, untold_ns(w->since, *(volatile u64 *)&control.previous_cut, now))) {
		loss__count(l, LOCKS, MAP_FULL);
		return;
	}
	loss__count(l, LOCKS, AGGREGATED);
	/* A spinning lock may be the ring's own: those do not cross. */
	if (config.slow_ns && wait >= config.slow_ns && !kernel_lock__keeps_cpu(w->type))
		kernel_wait__tell(task__current(), w, wait, now, l);
}

/* Takes out the wait for this lock that is open here; false: none was seen to begin. */
inline_always bool kernel_wait__take(struct kernel_waits *k, u64 lock, struct kernel_wait *to)
{
	u32 pid = (u32)bpf_get_current_pid_tgid();
	struct kernel_wait *w;

	for (u32 i = 0; i < SPIN_LEVELS; i++) {
		u32 level = i;

		opaque(level); /* or pointers are moved where the verifier cannot follow */
		w = &k->spin[level & (SPIN_LEVELS - 1)];
		if (w->lock == lock) {
			*to = *w;
			w->lock = 0;
			return true;
		}
	}
	w = bpf_map_lookup_elem(&sleepers, &pid);
	if (!w || w->lock != lock)
		return false;
	*to = *w;
	bpf_map_delete_elem(&sleepers, &pid);
	return true;
}

HOOK("contention_end")
int BPF_PROG(on_contention_end, void *lock, int result)
{
	struct kernel_waits *k = kernel_waits__here();
	u64 now = bpf_ktime_get_ns();
	struct loss *l = loss__here();
	struct kernel_wait wait;

	if (!l || !k)
		return 0;
	count__add(&l->runs, 1);
	if (*(volatile u64 *)&k->inside)
		return 0;
	inside__enter(k);
	if (kernel_wait__take(k, (u64)lock, &wait))
		kernel_wait__ended(&wait, now, l);
	inside__leave(k);
	return 0;
}

#endif
