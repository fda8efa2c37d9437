/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A pass over all tasks: whether one is the target's, and the stack of one that is blocked. Reading its user
 * stack needs a program that may sleep. */
#ifndef SONDE_REMOTE_BPF_H
#define SONDE_REMOTE_BPF_H

#include "stack.bpf.h"

struct frame_record {
	u64 next, return_address;
};

struct remote_walk {
	struct task_struct *task;
	u64 ip, fp;
	u32 at, count;
};

static long walk__step(u32 index, struct remote_walk *w)
{
	struct stack_place *p = place__get(PLACE_SWEEP);
	u32 slot = w->at + index;
	struct frame_record frame;

	if (!p || slot >= 2 * STACK_DEPTH)
		return 1;
	p->scratch.record.frames[slot] = w->ip;
	w->count = index + 1;
	if (!w->fp || (w->fp & 7) || user__read(&frame, sizeof(frame), w->fp, w->task, USER_REMOTE) ||
	    !frame.return_address)
		return 1;
	w->ip = frame.return_address;
	w->fp = frame.next > w->fp ? frame.next : 0;
	return 0;
}

/* The frame-pointer walk of a task that is not running, from the registers with which it entered the kernel.
 */
inline_always void stack__remote_by_pointers(struct stack_record *record, struct task_struct *task)
{
	struct remote_walk walk = {.task = task, .at = record->kernel_frames & 127};
	struct registers r;

	if (!registers__of(task, &r, USER_REMOTE))
		return;
	walk.ip = r.ip;
	walk.fp = r.fp;
	bpf_loop(STACK_DEPTH, walk__step, &walk, 0);
	record->user_frames = walk.count;
	record->end = walk.count == STACK_DEPTH ? STACK_DEPTH_LIMIT : STACK_NO_FRAME_PTR;
}

#ifdef NO_UNWIND_TABLES
#define stack__remote_by_table(p, task, l) STACK_BY_KERNEL
#else
static long unwind__frame_remote(u32 index, struct unwind_loop *loop)
{
	return unwind__frame(loop->other, index, loop);
}

inline_always enum stack_how stack__remote_by_table(struct stack_place *p, struct task_struct *task,
						    struct loss *l)
{
	struct stack_record *r = &p->scratch.record;
	struct unwind_loop loop = {.place = p, .other = task, .at = r->kernel_frames & 127};
	bool stale, known, walked;

	if (unwind_loop != UNWIND_LOOP_BPF || !registers__from_task(&p->walk.start, task, USER_REMOTE))
		return STACK_BY_KERNEL;
	registers__returns(PLACE_SWEEP, p, task, false);
	known = unwind__begin_for(p, task, &stale);
	/* Also by tables that are too old, so that the loop stands before the snapshot and both in one place
	 * only: the verifier follows them once per path that leads there. */
	if (known) {
		bpf_loop(STACK_DEPTH_MAX, unwind__frame_remote, &loop, 0);
		r->end = p->walk.end;
	}
	walked = !stale && p->walk.end == STACK_NO_TABLE;
	if ((stale || unwind__wants_snapshot(p)) && snapshot__send(task, p, task, walked, l))
		return STACK_BY_SNAPSHOT;
	if (!known)
		return STACK_BY_KERNEL;
	return STACK_BY_TABLE;
}
#endif

inline_always u64 stack__of_blocked(struct task_struct *task, bool may_sleep, struct loss *l)
{
	struct stack_place *p = place__get(PLACE_SWEEP);
	enum stack_how how = STACK_BY_KERNEL;
	struct stack_record *r;
	long bytes;

	if (!p)
		return 0;
	r = &p->scratch.record;
	stack__owner(p, task, pids__of(task), 0);
	r->kernel_frames = r->user_frames = 0;
	r->end = STACK_COMPLETE;
	if (stack_kernel) {
		bytes = bpf_get_task_stack(task, r->frames, FRAMES_BYTES, 0);
		if (bytes > 0 && bytes <= (long)FRAMES_BYTES)
			r->kernel_frames = bytes / sizeof(u64);
	}
	if (stack_user && !(r->flags & STACK_FLAG_KTHREAD) && has_user_stack(task)) {
		r->end = STACK_NOT_CAPTURED;
		how = STACK_BY_TABLE;
		if (may_sleep)
			how = stack__remote_by_table(p, task, l);
		if (how == STACK_BY_SNAPSHOT)
			return r->hash;
		if (how == STACK_BY_KERNEL)
			stack__remote_by_pointers(r, task);
	}
	stack__hash_frames(PLACE_SWEEP, r->kernel_frames + (how == STACK_BY_TABLE ? 0 : r->user_frames));
	stack__publish(p, task, l);
	return r->hash;
}

#ifndef RAW_TP
extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;
#endif

/* Where programs that may sleep must say that they follow RCU pointers, the kernel has the words for it
 * (9bb00b2895cb, 6.2). The raw variant hands no pointers to helpers. */
inline_always bool remote__wants(struct task_struct *task, bool may_sleep, bool rcu_lock)
{
	bool wanted;

#ifndef RAW_TP
	if (may_sleep && rcu_lock)
		bpf_rcu_read_lock();
#endif
	wanted = target__wants(task);
#ifndef RAW_TP
	if (may_sleep && rcu_lock)
		bpf_rcu_read_unlock();
#endif
	return wanted;
}

#endif
