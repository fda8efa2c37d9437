/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The account of a thread's time: where it is now, since when, and how long it was in each state so far.
 *
 * A thread is watched if, and only if, it has this state; the hot path asks nothing else. It is created when
 * the thread is forked, execs or is found by the sweep, never inside the scheduler.
 *
 * Writers are serialized by the scheduler's own locks (a thread is switched out, woken and switched in one
 * after the other). The sweep reads without a lock, by a sequence count. Accounts are cumulative and closed
 * at a cut: user space announces an instant a little ahead; the first change after it saves the account as it
 * was at that very instant. So all threads are closed at one timestamp, nothing is reset and nothing can be
 * lost between two intervals.
 */
#ifndef SONDE_THREAD_BPF_H
#define SONDE_THREAD_BPF_H

#include "target.bpf.h"

/*
 * In task storage the value begins 8 bytes into a cache line, and that is cold when many threads take turns.
 * What each switch touches lies in the first 56 bytes, up to the sums of running and runnable; those of the
 * frequent reasons to block come in the next line.
 */
struct thread {
	u32 sequence; /* odd while being written */
	u32 ewma_us;  /* running mean of its blocks */
	u64 cut;      /* the instant of `at_cut` */
	struct account now;
	u64 known_stack; /* last stack whose record user space has */
	u64 waker;	 /* hash of the waker's stack, from sched_waking to sched_wakeup */
	u64 visited;	 /* the open block that was visited last, as in account.open; 0: none */
	u64 visit_stack; /* of that block */
	struct account at_cut;
	u64 watched_ns;
	u64 utime_ns, stime_ns; /* when it was first watched */
	u64 start_ns; /* with `key` its identity for user space; in the task itself an exec by a thread that
			 is not */
	u32 key;      /* the leader would change both */
	u32 dead;
};

#ifdef RAW_TP
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096); /* user space knows how many threads there are */
	__type(key, u32);
	__type(value, struct thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct thread);
} fresh_threads SEC(".maps"); /* stays all zero: the value of a new entry */

inline_always struct thread *thread__get(struct task_struct *task)
{
	u32 pid = READ(task, pid);

	return bpf_map_lookup_elem(&threads, &pid);
}

inline_always struct thread *thread__create(struct task_struct *task)
{
	u32 pid = READ(task, pid), key = 0;
	struct thread *fresh = bpf_map_lookup_elem(&fresh_threads, &key);

	if (fresh)
		bpf_map_update_elem(&threads, &pid, fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&threads, &pid);
}

inline_always void thread__delete(struct task_struct *task)
{
	u32 pid = READ(task, pid);

	bpf_map_delete_elem(&threads, &pid);
}

/* BPF_CMPXCHG is not there before 5.12; the window that it closes is a few instructions wide. */
inline_always void thread__open_first(struct thread *t, u64 open)
{
	if (!t->now.open)
		t->now.open = open;
}
#else
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

inline_always struct thread *thread__get(struct task_struct *task)
{
	return bpf_task_storage_get(&threads, task, NULL, 0);
}

inline_always struct thread *thread__create(struct task_struct *task)
{
	return bpf_task_storage_get(&threads, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

inline_always void thread__delete(struct task_struct *task)
{
	bpf_task_storage_delete(&threads, task);
}

inline_always void thread__open_first(struct thread *t, u64 open)
{
	__sync_val_compare_and_swap(&t->now.open, 0, open);
}
#endif

inline_always u64 open__make(u64 since, u32 state)
{
	return (since << OPEN_SHIFT) | state;
}

inline_always u32 open__state(u64 open)
{
	return open & OPEN_STATE;
}

inline_always u64 open__since(u64 open)
{
	return open >> OPEN_SHIFT;
}

/* Without them only the open state is kept: the run queue asks for no more. */
const volatile bool thread_sums = true;

inline_always void account__add(struct account *a, u32 state, u64 from, u64 to)
{
	if (!thread_sums)
		return;
	opaque(state);
	if (state < STATE_COUNT && to > from)
		a->ns[state] += to - from;
}

/* What a visit found replaces what was decided when the block began. */
inline_always void account__visited(struct account *a, const struct thread *t)
{
	if (!a->visited || *(volatile u64 *)&t->visited != a->open)
		return;
	a->stack = t->visit_stack;
	a->weight = 1;
}

/* Saves the account as it was at the cut. The open state goes on. */
inline_always void thread__snapshot(struct thread *t, u64 cut)
{
	copy(&t->at_cut, &t->now, sizeof(t->now));
	account__visited(&t->at_cut, t);
	account__add(&t->at_cut, open__state(t->now.open), open__since(t->now.open), cut);
	t->cut = cut;
}

/*
 * Ends the open state at `now` and opens another. `if_fresh`: what a thread was doing of which nothing is
 * known yet, because it was found by the sweep a moment ago.
 */
inline_always void thread__enter(struct thread *t, u32 state, u64 now, u32 if_fresh)
{
	u64 cut = *(volatile u64 *)&control.cut;

	t->sequence++;
	barrier();
	if (!t->now.open)
		t->now.open = open__make(control.sweep_ns, if_fresh);
	if (t->cut != cut && now >= cut)
		thread__snapshot(t, cut);
	account__add(&t->now, open__state(t->now.open), open__since(t->now.open), now);
	t->now.open = open__make(now, state);
	barrier();
	t->sequence++;
}

inline_always void thread__begin(struct thread *t, struct task_struct *task, u64 since)
{
	u64 cut = control.cut;

	t->watched_ns = since;
	t->cut = since >= cut ? cut : 0;
	t->key = READ(task, pid);
	t->start_ns = READ(task, start_time);
	t->utime_ns = READ(task, utime);
	t->stime_ns = READ(task, stime);
}

/* Starts to watch a thread that is `state` since `since`. */
inline_always struct thread *thread__watch(struct task_struct *task, u32 state, u64 since, struct loss *l)
{
	struct thread *t = thread__create(task);

	loss__count(l, THREAD, HITS);
	if (!t) {
		loss__count(l, THREAD, NO_MEMORY);
		return NULL;
	}
	loss__count(l, THREAD, AGGREGATED);
	if (!t->watched_ns)
		thread__begin(t, task, since);
	thread__open_first(t, open__make(since, state));
	return t;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2); /* 0: exits, interrupts off; 1: the sweep */
	__type(key, u32);
	__type(value, struct thread_record);
} thread_records SEC(".maps");

/* A record of everything but the accounts, in per-CPU scratch; NULL never happens. */
inline_always struct thread_record *thread__describe(struct thread *t, struct task_struct *task,
						     struct pids pids, u32 slot)
{
	struct task_struct *leader = READ(task__cast(task), group_leader);
	struct thread_record *r = bpf_map_lookup_elem(&thread_records, &slot);

	if (!r)
		return NULL;
	r->type = 0;
	r->tgid = pids.tgid;
	r->tid = pids.tid;
	r->key = t->key;
	r->watched_ns = t->watched_ns;
	r->end_ns = 0;
	r->start_ns = t->start_ns;
	r->start_boot_ns = READ(leader, start_boottime);
	r->cgroup = task__cgroup(task);
	r->utime_ns = READ(task, utime);
	r->stime_ns = READ(task, stime);
	r->utime_before_ns = t->utime_ns;
	r->stime_before_ns = t->stime_ns;
	task__comm(r->comm, task);
	task__comm(r->leader_comm, leader);
	return r;
}

inline_always void thread__last_words(struct thread *t, struct task_struct *task, u64 now, struct loss *l)
{
	struct thread_record *r = thread__describe(t, task, pids__of(task), 0);

	loss__count(l, EXIT, HITS);
	if (!r)
		return;
	r->type = RECORD_EXIT;
	r->end_ns = now;
	r->cut = t->cut;
	copy(&r->now, &t->now, sizeof(r->now));
	copy(&r->at_cut, &t->at_cut, sizeof(r->at_cut));
	if (bpf_ringbuf_output(&ring, r, sizeof(*r), BPF_RB_NO_WAKEUP))
		loss__count(l, EXIT, RING_FULL);
	else
		loss__count(l, EXIT, EMITTED);
}

#endif
