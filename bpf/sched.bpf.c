// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The scheduler's view of time: one program on sched_switch and one per wakeup hook serve run-queue latency,
 * off-CPU stacks and wall-clock states together. Parts that are off are removed by the verifier (config is
 * read-only).
 */
#define USES_CASTS
#include "wait.bpf.h"
#include "thread.bpf.h"
#include "stack.bpf.h"
#include "sweep.bpf.h"
#include "cells.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct runq_hist);
} runq_hists SEC(".maps");

/* Where the part of a wait begins that belongs to this interval. */
inline_always u64 interval__from(u64 since, u64 now)
{
	u64 cut = *(volatile u64 *)&control.cut;
	u64 start = now >= cut ? cut : control.previous_cut;

	return since > start ? since : start;
}

/* --- run queue */

#define HISTORY 32

/* What ran on this CPU lately, newest at head - 1. */
struct history {
	u64 switched_ns;
	u32 head, reserved;
	struct run {
		u64 from, to;
		u32 tgid, reserved;
		char comm[COMM_LEN];
	} runs[HISTORY];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct history);
} histories SEC(".maps");

inline_always void history__add(struct task_struct *prev, u64 now)
{
	u32 key = 0, tgid = pids__of(prev).tgid;
	struct history *h = bpf_map_lookup_elem(&histories, &key);
	struct run *run;

	if (!h)
		return;
	if (READ(prev, pid)) {
		run = &h->runs[h->head++ & (HISTORY - 1)];
		run->from = h->switched_ns;
		run->to = now;
		run->tgid = tgid;
		task__comm(run->comm, prev);
	}
	h->switched_ns = now;
}

inline_always void ran__add(struct run *run, u64 ns, struct loss *l)
{
	struct cell_key key = {.kind = CELL_RAN, .tgid = run->tgid};

	key.a = ((u64 *)run->comm)[0];
	key.b = ((u64 *)run->comm)[1];
	loss__count(l, RAN, HITS);
	if (cell__add(&key, 1, ns))
		loss__count(l, RAN, AGGREGATED);
	else
		loss__count(l, RAN, MAP_FULL);
}

/* Who ran here during a wait that began at `since`, each with the time that overlaps it. */
__noinline int history__blame(u64 since)
{
	u32 key = 0;
	struct history *h = bpf_map_lookup_elem(&histories, &key);
	struct loss *l = loss__here();

	if (!h || !l)
		return 0;
	for (u32 i = 1; i <= HISTORY; i++) {
		struct run *run = &h->runs[(h->head - i) & (HISTORY - 1)];

		if (run->to <= since || !run->from)
			break;
		ran__add(run, run->to - (run->from > since ? run->from : since), l);
	}
	return 0;
}

inline_always void runq_key__fill(struct cell_key *key, struct task_struct *task)
{
	key->kind = CELL_RUNQ;
	switch (config.runq_key) {
	case BY_PID:
		key->tgid = READ(task, tgid);
		key->a = READ(task__cast(task), group_leader, start_boottime);
		break;
	case BY_COMM: {
		char comm[COMM_LEN];

		task__comm(comm, task);
		key->a = ((u64 *)comm)[0];
		key->b = ((u64 *)comm)[1];
		break;
	}
	case BY_CGROUP:
		key->a = task__cgroup(task);
		break;
	}
}

/* The exact maximum per interval: a cut that has passed starts it anew. */
inline_always void runq_hist__max(struct runq_hist *h, u64 wait, u64 now)
{
	u64 cut = *(volatile u64 *)&control.cut;

	if (h->max_cut != cut && now >= cut) {
		h->max_before = h->max_cut == *(volatile u64 *)&control.previous_cut ? h->max : 0;
		h->max_cut = cut;
		h->max = 0;
	}
	if (wait > h->max)
		h->max = wait;
}

inline_always void runq__waited(struct task_struct *next, u64 since, u64 now, struct loss *l)
{
	u64 wait = now > since ? now - since : 0;
	u32 zero_key = 0, slot = slot__of_ns(wait);
	struct runq_hist *h = bpf_map_lookup_elem(&runq_hists, &zero_key);

	if (!h)
		return;
	opaque(slot);
	h->slot[slot & (HIST_SLOTS - 1)]++;
	h->sum += wait;
	runq_hist__max(h, wait, now);
	if (config.runq_key) {
		struct cell_key key = {.slot = slot};

		runq_key__fill(&key, next);
		if (!cell__add(&key, 1, wait)) {
			loss__count(l, RUNQ, MAP_FULL);
			return;
		}
	}
	loss__count(l, RUNQ, AGGREGATED);
	if (config.long_wait_ns && wait >= config.long_wait_ns)
		history__blame(since);
}

inline_always void runq__ended(struct task_struct *next, u64 open, u64 now, struct loss *l)
{
	if (open__state(open) == STATE_RUNNABLE)
		runq__waited(next, open__since(open), now, l);
	else if (open__state(open) == STATE_THROTTLED) /* kept away by its quota, not by others */
		loss__count(l, RUNQ, FILTERED);
	else
		loss__count(l, RUNQ, MISSED);
}

/* --- off-CPU */

/* Whether the stack of the block that begins now is taken, and with which weight. Fixed before its length is
 * known, so that the estimate is unbiased: a block is taken with probability 1/weight. */
inline_always u32 sample__weight(struct thread *t)
{
	u64 around = *(volatile u64 *)&control.sample_us, weight;

	if (!config.weight_cap || around <= t->ewma_us)
		return 1;
	weight = around / ((u64)t->ewma_us + 1);
	if (weight <= 1)
		return 1;
	if (weight > config.weight_cap)
		weight = config.weight_cap;
	return bpf_get_prandom_u32() % (u32)weight ? 0 : (u32)weight;
}

/* `now`: when it began. Taking the stack makes a block longer, a short one by much: that must not count for
 * those that were left out, whose blocks are as short as ever. */
inline_always void offcpu__began(void *ctx, struct task_struct *prev, struct thread *t, u64 now,
				 struct loss *l)
{
	u32 weight = sample__weight(t);
	bool published;
	u64 hash;

	t->now.weight = weight;
	t->now.visited = 0;
	if (!weight) {
		t->now.stack = 0;
		return;
	}
	hash = stack__capture(ctx, PLACE_HERE, prev, false, NULL, l, t->known_stack, &published);
	if (published)
		t->known_stack = hash;
	t->now.stack = hash;
	if (config.weight_cap && weight > 1)
		t->now.taking_ns = bpf_ktime_get_ns() - now;
}

/* Whether the block that ends now was visited: then its stack is known and it stands for itself. */
inline_always bool visit__ended(struct thread *t, u64 open)
{
#ifdef RAW_TP
	return false;
#else
	if (!config.visits || !*(volatile u16 *)&t->now.visited || *(volatile u64 *)&t->visited != open)
		return false;
	return __sync_val_compare_and_swap(&t->visited, open, 0) == open; /* for its order, too */
#endif
}

/* `woken`: the kernel reported the wakeup; else it ends when the thread runs, with its wait for a CPU. */
inline_always void offcpu__ended(struct thread *t, u32 state, u64 since, u64 now, bool woken, struct loss *l)
{
	u64 wait = now > since ? now - since : 0, from = interval__from(since, now), weight = t->now.weight;
	u64 ns = now > from ? now - from : 0;
	struct cell_key key = {.a = t->now.stack, .kind = CELL_BLOCK, .state = state};

	loss__count(l, OFFCPU, HITS);
	if (config.weight_cap) {
		u64 us = wait / 1000;

		t->ewma_us = (7 * (u64)t->ewma_us + (us < (1u << 28) ? us : 1u << 28)) >> 3;
		if (visit__ended(t, open__make(since, state))) {
			key.a = t->visit_stack;
			weight = 1;
		}
		if (!weight) {
			loss__count(l, OFFCPU, SAMPLED_OUT);
			return;
		}
	}
	if (weight > 1 && from == since) {
		ns -= ns < t->now.taking_ns ? ns : t->now.taking_ns;
		wait = ns;
	}
	if (wait < config.min_ns) {
		loss__count(l, OFFCPU, FILTERED);
		return;
	}
	if (config.waker)
		key.b = t->waker;
	key.tgid = weight > 1;
	key.slot = slot__of_ns(wait);
	if (!cell__add(&key, weight, ns * weight))
		loss__count(l, OFFCPU, MAP_FULL);
	else if (woken)
		loss__count(l, OFFCPU, AGGREGATED);
	else
		loss__count(l, OFFCPU, UNSEEN);
}

/* --- the hooks */

inline_always bool state__is_block(u32 state)
{
	return state >= STATE_FIRST_BLOCKED;
}

/* A thread that is switched out ran before; if its account says that it waits for a CPU, the kernel did not
 * report when that wait ended. Waits are short beside what runs after them: all of it counts as running. */
inline_always bool switch__in_was_missed(struct thread *t)
{
	u64 open = t->now.open;

	if (open__state(open) != STATE_RUNNABLE && open__state(open) != STATE_THROTTLED)
		return false;
	t->now.open = open__make(open__since(open), STATE_RUNNING);
	return true;
}

inline_always void switch__out(void *ctx, bool preempt, struct task_struct *prev, u32 prev_state, u64 now,
			       struct loss *l)
{
	struct thread *t = thread__get(prev);
	u32 state;
	u64 open;

	loss__count(l, WALL_PREV, HITS);
	if (!t) {
		loss__count(l, WALL_PREV, FILTERED);
		return;
	}
	if (switch__in_was_missed(t))
		loss__count(l, WALL_PREV, UNSEEN);
	else
		loss__count(l, WALL_PREV, AGGREGATED);
	if (preempt || !prev_state)
		state = state__of_runnable(prev);
	else if (prev_state & TASK_DEAD)
		state = STATE_UNKNOWN;
	else
		state = forget(&l->scratch, state__of_block(prev, prev_state, USER_CURRENT));
	open = t->now.open;
	thread__enter(t, state, now, STATE_RUNNING);
	if (state__is_block(open__state(open)) &&
	    config.offcpu) /* neither its wakeup nor its switch in was reported */
		offcpu__ended(t, open__state(open), open__since(open), now, false, l);
	if (!preempt && (prev_state & TASK_DEAD)) {
		t->dead = 1;
		thread__last_words(t, prev, now, l);
#ifdef RAW_TP
		thread__delete(prev);
#endif
		return;
	}
	if (config.offcpu && state__is_block(state))
		offcpu__began(ctx, prev, t, now, l);
}

inline_always void switch__in(struct task_struct *next, u64 now, struct loss *l)
{
	struct thread *t = thread__get(next);
	u64 open;

	loss__count(l, WALL_NEXT, HITS);
	if (config.runq)
		loss__count(l, RUNQ, HITS);
	if (!t) {
		loss__count(l, WALL_NEXT, FILTERED);
		if (config.runq)
			loss__count(l, RUNQ, FILTERED);
		return;
	}
	loss__count(l, WALL_NEXT, AGGREGATED);
	open = t->now.open ?: open__make(control.sweep_ns, STATE_RUNNABLE);
	thread__enter(t, STATE_RUNNING, now, STATE_RUNNABLE);
	if (state__is_block(open__state(open)) && config.offcpu) /* its wakeup was not reported */
		offcpu__ended(t, open__state(open), open__since(open), now, false, l);
	if (config.runq)
		runq__ended(next, open, now, l);
}

HOOK("sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	u64 now = bpf_ktime_get_ns();
	struct loss *l = loss__here();
	u32 prev_state;

	if (!l)
		return 0;
	l->runs++;
	if (!control__running(now))
		return 0;
	prev_state = config.switch_state ? (u32)ctx[3] : task__state(prev);
	if (READ(prev, pid))
		switch__out(ctx, preempt, prev, prev_state, now, l);
	if (config.runq && config.long_wait_ns)
		history__add(prev, now);
	if (READ(next, pid))
		switch__in(next, now, l);
	return 0;
}

/* What a thread was doing that is woken before the sweep, which has just found it, could say so. */
inline_always u32 state__of_woken(struct task_struct *task, struct loss *l)
{
	if (READ(task, on_cpu))
		return STATE_RUNNING;
#ifdef RAW_TP /* no helper gives the registers of another thread */
	return STATE_UNKNOWN;
#else
	return forget(&l->scratch, state__of_block(task, TASK_INTERRUPTIBLE, USER_NONE));
#endif
}

/* A new thread needs no hook of its own at its first wakeup: it is runnable from its birth on (on_newtask).
 */
HOOK("sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task)
{
	struct loss *l = loss__here();
	struct thread *t;
	u64 now, open;
	u32 state;

	if (!l)
		return 0;
	l->runs++;
	if (!control.cut)
		return 0;
	loss__count(l, WALL_WAKE, HITS);
	t = thread__get(task);
	if (!t) {
		loss__count(l, WALL_WAKE, FILTERED);
		return 0;
	}
	open = t->now.open;
	state = open ? open__state(open) : state__of_woken(task, l);
	now = bpf_ktime_get_ns();
	/* One that is not blocked was woken before it was switched out: it never stopped running. */
	if (!state__is_block(state) || !control__running(now)) {
		if (config.waker)
			t->waker = 0;
		loss__count(l, WALL_WAKE, FILTERED);
		return 0;
	}
	loss__count(l, WALL_WAKE, AGGREGATED);
	thread__enter(t, STATE_RUNNABLE, now, state);
	if (config.offcpu)
		offcpu__ended(t, state, open ? open__since(open) : control.sweep_ns, now, true, l);
	t->now.stack = 0;
	if (config.waker)
		t->waker = 0;
	return 0;
}

/* --- wakers */

/* In the waker's context. A thread that is about to block may be woken before it is switched out: its kernel
 * state tells, as our own account cannot yet; on_wakeup takes back what was not needed. */
HOOK("sched_waking")
int BPF_PROG(on_waking, struct task_struct *task)
{
	struct thread *t = thread__get(task);
	struct loss *l = loss__here();
	bool published;

	if (!l)
		return 0;
	l->runs++;
	if (!t || !control.cut)
		return 0;
	if (state__is_block(open__state(t->now.open)) ? !t->now.stack && t->visited != t->now.open
						      : !task__state(task))
		return 0; /* not sampled; or not about to block */
	t->waker = stack__capture(ctx, PLACE_HERE, task__current(), true, NULL, l, 0, &published);
	return 0;
}

/* --- who is watched */

HOOK("task_newtask")
int BPF_PROG(on_newtask, struct task_struct *task, u64 clone_flags)
{
	struct loss *l = loss__here();
	struct task_struct *parent;

	if (!l)
		return 0;
	parent = task__current();
	target__on_fork(parent, task, clone_flags);
	if (control__running(bpf_ktime_get_ns()) && target__wants(task))
		thread__watch(task, STATE_RUNNABLE, bpf_ktime_get_ns(), l);
	return 0;
}

HOOK("sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	struct loss *l = loss__here();
	struct thread *t;
	bool wanted;

	if (!l)
		return 0;
	target__on_exec(task);
	wanted = control__running(bpf_ktime_get_ns()) && target__wants(task);
	t = thread__get(task);
	if (wanted && !t)
		thread__watch(task, STATE_RUNNING, bpf_ktime_get_ns(), l);
	/* One that is no longer wanted is let go by the next sweep, after its account was closed. */
	return 0;
}

/* Membership changed for threads that this program cannot reach: the sweep looks at all of them. */
inline_always int ask_for_sweep(u32 tgid)
{
	struct plain_record record = {.type = RECORD_SWEEP, .tgid = tgid};

	bpf_ringbuf_output(&ring, &record, sizeof(record), BPF_RB_FORCE_WAKEUP);
	return 0;
}

HOOK("cgroup_attach_task")
int BPF_PROG(on_cgroup_attach, struct cgroup *cgroup, const char *path, struct task_struct *task,
	     bool threadgroup)
{
	return ask_for_sweep(READ(task, tgid));
}

HOOK("task_rename")
int BPF_PROG(on_rename, struct task_struct *task, const char *comm)
{
	return READ(task, pid) == READ(task, tgid) ? ask_for_sweep(READ(task, tgid)) : 0;
}
