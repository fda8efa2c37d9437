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

#include "remote.bpf.h"
#include "thread.bpf.h"
#include "wait.bpf.h"

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

inline_always int sweep__task(struct bpf_iter__task *ctx, bool may_sleep)
{
	struct task_struct *task = ctx->task;
	struct loss *l = loss__here();
	struct thread_record *r;
	struct thread *t;
	bool wanted;

	if (!task || !l)
		return 0;
	wanted = remote__wants(task, may_sleep, config.rcu_lock);
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
