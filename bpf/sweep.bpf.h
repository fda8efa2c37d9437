/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sweep: a pass over all tasks, driven by user space, which reads one struct thread_record per watched
 * thread. It begins to watch threads that are the target's and are not watched yet (at the start all of them;
 * later after a rename or a change of cgroup), lets go of those that are the target's no longer, and reports
 * the accounts as of the last cut.
 *
 * A thread that is blocked when it is found gets its stack here: its waiting may have begun before sonde did
 * and may never end. Reading its user stack needs a program that may sleep.
 */
#ifndef SONDE_SWEEP_BPF_H
#define SONDE_SWEEP_BPF_H

#include "stack.bpf.h"
#include "thread.bpf.h"
#include "wait.bpf.h"

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

/* What a thread that was just found is doing. The kernel state and `on_cpu` are read after its account
 * exists, so that a change meanwhile is seen by the scheduler's hooks and wins. */
inline_always void sweep__seed(struct task_struct *task, struct thread *t, bool may_sleep, struct loss *l)
{
	u64 since = control.sweep_ns, born = READ(task, start_time);
	u32 task_state = task__state(task), state;
	struct stack_place *p = place__get(PLACE_SWEEP);

	if (!p)
		return;
	if (!task_state)
		state = READ(task, on_cpu) ? STATE_RUNNING : STATE_RUNNABLE;
	else
		state = forget(&p->hash.h,
			       state__of_block(task, task_state, may_sleep ? USER_REMOTE : USER_NONE));
	if (since < born)
		since = born;
	if (config.offcpu && state >= STATE_FIRST_BLOCKED)
		t->now.stack = stack__of_blocked(task, may_sleep, l);
	t->now.weight = 1;
	thread__begin(t, task, since);
	thread__open_first(t, open__make(since, state));
}

#define SWEEP_TRIES 4
#define SWEEP_SPINS 16

/* Both accounts and the instant of the second, all of one moment. */
inline_always bool sweep__read(struct thread *t, struct thread_record *r)
{
	for (int i = 0; i < SWEEP_TRIES; i++) {
		u32 sequence = 1;

		for (int spin = 0; spin < SWEEP_SPINS && (sequence & 1); spin++)
			sequence = *(volatile u32 *)&t->sequence;
		barrier();
		copy(&r->now, &t->now, sizeof(r->now));
		copy(&r->at_cut, &t->at_cut, sizeof(r->at_cut));
		r->cut = t->cut;
		barrier();
		if (!(sequence & 1) && *(volatile u32 *)&t->sequence == sequence)
			return true;
	}
	return false;
}

#ifndef RAW_TP
extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;
#endif

/* Where programs that may sleep must say that they follow RCU pointers, the kernel has the words for it
 * (9bb00b2895cb, 6.2). The raw variant hands no pointers to helpers. */
inline_always bool sweep__wants(struct task_struct *task, bool may_sleep)
{
	bool wanted;

#ifndef RAW_TP
	if (may_sleep && config.rcu_lock)
		bpf_rcu_read_lock();
#endif
	wanted = target__wants(task);
#ifndef RAW_TP
	if (may_sleep && config.rcu_lock)
		bpf_rcu_read_unlock();
#endif
	return wanted;
}

inline_always int sweep__task(struct bpf_iter__task *ctx, bool may_sleep)
{
	struct task_struct *task = ctx->task;
	struct loss *l = loss__here();
	struct thread_record *r;
	struct thread *t;
	bool wanted;

	if (!task || !l)
		return 0;
	wanted = sweep__wants(task, may_sleep);
	t = thread__get(task);
	if (!t && wanted && !READ(task, exit_state)) { /* a zombie has nothing to tell any more */
		t = thread__create(task);
		loss__count(l, THREAD, HITS);
		if (!t) {
			loss__count(l, THREAD, NO_MEMORY);
			return 0;
		}
		loss__count(l, THREAD, AGGREGATED);
		sweep__seed(task, t, may_sleep, l);
	}
	if (!t || t->dead)
		return 0;
	r = thread__describe(t, task, pids__of(task), 1);
	if (!r)
		return 0;
	if (!sweep__read(t, r)) {
		r->type = RECORD_BUSY;
		if (bpf_seq_write(ctx->meta->seq, r, sizeof(*r)))
			return 1;
		loss__count(l, SWEEP, HITS);
		loss__count(l, SWEEP, BUSY);
		return 0;
	}
	if (r->cut != control.cut) {
		r->cut = control.cut;
		copy(&r->at_cut, &r->now, sizeof(r->now));
		account__visited(&r->at_cut, t);
		account__add(&r->at_cut, open__state(r->now.open), open__since(r->now.open), r->cut);
	}
	if (!wanted) {
		r->type = RECORD_EXIT;
		r->end_ns = bpf_ktime_get_ns();
	}
	if (bpf_seq_write(ctx->meta->seq, r, sizeof(*r)))
		return 1; /* the buffer was full: the kernel asks for this task again */
	if (!wanted) {	  /* let go: these were its last words */
		loss__count(l, EXIT, HITS);
		loss__count(l, EXIT, EMITTED);
		thread__delete(task);
		return 0;
	}
	loss__count(l, SWEEP, HITS);
	loss__count(l, SWEEP, EMITTED);
	return 0;
}

SEC("?iter/task")
int sweep(struct bpf_iter__task *ctx)
{
	return sweep__task(ctx, false);
}

SEC("?iter.s/task")
int sweep_sleepable(struct bpf_iter__task *ctx)
{
	return sweep__task(ctx, true);
}

#ifndef RAW_TP
/*
 * The visit, with importance sampling: a pass over all tasks, some times a second, that takes the stacks of
 * watched threads which have been blocked for a while. A block that was visited counts once, with the visit's
 * stack; any other counts as was decided when it began. Whether a block is visited depends on its instants
 * and on its thread's earlier blocks only, never on that decision, so in both cases it counts once on
 * average: long blocks become exact, short ones stay sampled, none counts twice.
 *
 * The wakeup may run on another CPU meanwhile. So nothing that it uses is written: the visit leaves the stack
 * aside and then says for which block it is, in one word. The block's end compares that word with its own. No
 * other block has the same start, so a stack that comes too late is nobody's.
 */
SEC("?iter.s/task")
int visit(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct loss *l = loss__here();
	u64 open, now, stack;
	struct thread *t;

	if (!task || !l)
		return 0;
	t = thread__get(task);
	if (!t || t->dead || !control.visits_left)
		return 0;
	open = *(volatile u64 *)&t->now.open;
	if (open__state(open) < STATE_FIRST_BLOCKED || t->visited == open ||
	    *(volatile u16 *)&t->now.weight == 1)
		return 0;
	now = bpf_ktime_get_ns();
	if (now < open__since(open) + control.visit_ns)
		return 0;
	control.visits_left--;
	stack = stack__of_blocked(task, true, l);
	if (!stack)
		return 0;
	*(volatile u64 *)&t->visit_stack = stack;
	__sync_lock_test_and_set(&t->visited, open);
	*(volatile u16 *)&t->now.visited = 1; /* another block's, if that began meanwhile: it looks in vain */
	return 0;
}
#endif

#endif
