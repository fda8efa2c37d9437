/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For hooks that see every thread often: whether it is watched, and as whom it is counted, is asked once per
 * thread and kept in task storage, with what the object keeps of a thread. It is asked again when something
 * changes: an exec or a rename asks about that thread, a move between cgroups about everybody.
 *
 * An object that keeps something of a thread defines WATCHED_STATE, its type, before it includes this; it is
 * zero at first.
 */
#ifndef SONDE_WATCHED_BPF_H
#define SONDE_WATCHED_BPF_H

#include "target.bpf.h"

#ifndef WATCHED_STATE
#define WATCHED_STATE u64
#endif

const volatile u32 key_by; /* enum key_by */

struct watched {
	u64 generation; /* control.generation of the verdict, + 1 */
	u64 a, b;	/* whose: of a cell's key. By process, b is its number */
	u64 wanted;
	WATCHED_STATE state;
};

/* Names of processes that were counted, for user space, which may come too late to ask them. */
struct process_key {
	u64 start_boot_ns;
	u64 tgid;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct process_key);
	__type(value, char[COMM_LEN]);
} process_names SEC(".maps");

#ifdef RAW_TP
/* By number, which may be used again: the start tells. */
struct watched_entry {
	u64 start_ns;
	struct watched watched;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct watched_entry);
} watched_threads SEC(".maps");

inline_always struct watched *watched__peek(struct task_struct *task)
{
	u32 pid = READ(task, pid);
	struct watched_entry *e = bpf_map_lookup_elem(&watched_threads, &pid);

	return e && e->start_ns == READ(task, start_time) ? &e->watched : NULL;
}

inline_always struct watched *watched__make(struct task_struct *task)
{
	struct watched *w = watched__peek(task);
	struct watched_entry fresh = {};
	u32 pid = READ(task, pid);

	if (w)
		return w;
	fresh.start_ns = READ(task, start_time);
	bpf_map_update_elem(&watched_threads, &pid, &fresh, BPF_ANY);
	return watched__peek(task);
}
#else
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct watched);
} watched_threads SEC(".maps");

inline_always struct watched *watched__peek(struct task_struct *task)
{
	return bpf_task_storage_get(&watched_threads, task, NULL, 0);
}

inline_always struct watched *watched__make(struct task_struct *task)
{
	return bpf_task_storage_get(&watched_threads, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}
#endif

/* Fills a, b: as whom a thread is counted. */
inline_always void key__of(struct task_struct *task, u64 *a, u64 *b)
{
	struct task_struct *leader = READ(task, group_leader);
	struct process_key process;
	char comm[COMM_LEN];

	*a = *b = 0;
	switch (key_by) {
	case BY_PID:
		process.start_boot_ns = *a = READ(leader, start_boottime);
		process.tgid = *b = pids__of(task).tgid;
		task__comm(comm, leader);
		bpf_map_update_elem(&process_names, &process, comm, BPF_ANY);
		break;
	case BY_COMM:
		task__comm(comm, task);
		*a = ((u64 *)comm)[0];
		*b = ((u64 *)comm)[1];
		break;
	case BY_CGROUP:
		*a = task__cgroup(task);
		break;
	}
}

static __noinline void watched__ask(struct watched *w, struct task_struct *task)
{
	w->generation = *(volatile u64 *)&control.generation + 1;
	w->wanted = target__wants(task);
	if (w->wanted)
		key__of(task, &w->a, &w->b);
}

/* Whether it is `wanted` stands in what is returned, beside its state. NULL: (counted) no memory to tell. */
inline_always struct watched *watched__look(struct task_struct *task, struct loss *l)
{
	struct watched *w = watched__make(task);

	if (!w) {
		loss__count(l, THREAD, HITS);
		loss__count(l, THREAD, NO_MEMORY);
		return NULL;
	}
	if (w->generation != *(volatile u64 *)&control.generation + 1)
		watched__ask(w, task);
	return w;
}

/* NULL: not watched, or no memory to tell. */
inline_always struct watched *watched__get(struct task_struct *task, struct loss *l)
{
	struct watched *w = watched__look(task, l);

	return w && w->wanted ? w : NULL;
}

inline_always void watched__ask_again(struct task_struct *task)
{
	struct watched *w = watched__peek(task);

	if (w)
		w->generation = 0;
}

HOOK("sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	target__on_exec(task);
	watched__ask_again(task);
	return 0;
}

/* Children of marked processes, with --follow. */
HOOK("task_newtask")
int BPF_PROG(on_newtask, struct task_struct *task, u64 clone_flags)
{
	target__on_fork(task__current(), task, clone_flags);
	return 0;
}

/* When a thread executes that is not the leader. */
HOOK("sched_process_exit")
int BPF_PROG(on_leader_exit, struct task_struct *task)
{
	target__on_exit(task);
	return 0;
}

/* The leader's name is that of its process. */
HOOK("task_rename")
int BPF_PROG(on_rename, struct task_struct *task)
{
	if ((target.conditions & TARGET_COMM) && READ(task, pid) == READ(task, tgid))
		__sync_fetch_and_add(&control.generation, 1);
	else
		watched__ask_again(task);
	return 0;
}

HOOK("cgroup_attach_task")
int BPF_PROG(on_cgroup_attach)
{
	__sync_fetch_and_add(&control.generation, 1);
	return 0;
}

#endif
