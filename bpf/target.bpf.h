/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who is watched. The verdict is asked for at rare events (start, fork, exec, rename, change of cgroup) and
 * by the CPU sampler; the scheduler's hot path never asks: a watched thread is one that has state.
 */
#ifndef SONDE_TARGET_BPF_H
#define SONDE_TARGET_BPF_H

#include "common.bpf.h"
#include "sonde/glob.h"

const volatile struct target_filter target;

/* Marks of processes (on the group leader) or threads. User space sets them through pidfds, so in any PID
 * namespace. */
#ifdef RAW_TP
struct mark {
	u64 start_boot_ns; /* guards against a reused PID */
	u32 value, reserved;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32); /* number in sonde's PID namespace */
	__type(value, struct mark);
} marks SEC(".maps");

inline_always u32 mark__get(struct task_struct *task)
{
	u32 pid = pids__of(task).tid;
	struct mark *m = bpf_map_lookup_elem(&marks, &pid);

	/* User space knows starts in clock ticks (10 ms) only. */
	if (!m || m->start_boot_ns / 10000000 != READ(task, start_boottime) / 10000000)
		return 0;
	return m->value;
}

inline_always void mark__set(struct task_struct *task, u32 value)
{
	struct mark m = {.start_boot_ns = READ(task, start_boottime), .value = value};
	u32 pid = pids__of(task).tid;

	bpf_map_update_elem(&marks, &pid, &m, BPF_ANY);
}
#else
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u32);
} marks SEC(".maps");

inline_always u32 mark__get(struct task_struct *task)
{
	u32 *m = bpf_task_storage_get(&marks, task, NULL, 0);

	return m ? *m : 0;
}

inline_always void mark__set(struct task_struct *task, u32 value)
{
	u32 *m = bpf_task_storage_get(&marks, task, &value, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (m)
		*m = value;
}
#endif

/* The cgroup or one of its ancestors is the target's. Direct loads through cgrp->ancestors[] are refused by
 * the verifier, so walk the parents. */
inline_always bool target__has_cgroup(struct cgroup *cgroup)
{
	for (int level = 0; level < 32; level++) {
		struct cgroup_subsys_state *parent;

		if (READ(cgroup, kn, id) == target.cgroup)
			return true;
		parent = READ(cgroup, self.parent);
		if (!parent)
			return false;
		cgroup = READ(parent, cgroup);
	}
	return false;
}

/* All conditions but that of the cgroup. */
inline_always bool target__wants_anywhere(struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);
	u32 conditions = target.conditions, mark;

	mark = mark__get(conditions & TARGET_THREADS ? task : leader);
	if (pid_namespace && !pids__of(task).tgid)
		return false;
	if (mark == MARK_NEVER || ((conditions & TARGET_MARKED) && mark != MARK_WANTED))
		return false;
	if ((conditions & TARGET_UID) && READ(task, cred, uid.val) != target.uid)
		return false;
	if (conditions & TARGET_COMM) {
		char comm[COMM_LEN];

		task__comm(comm, leader);
		if (!glob__matches(&target.comm, comm))
			return false;
	}
	return true;
}

inline_always bool target__wants(struct task_struct *task)
{
	return target__wants_anywhere(task) &&
	       (!(target.conditions & TARGET_CGROUP) || target__has_cgroup(READ(task, cgroups, dfl_cgrp)));
}

/* At exec: what was started for the measurement becomes the target. */
inline_always void target__on_exec(struct task_struct *task)
{
	if ((target.conditions & TARGET_MARKED) && mark__get(task) == MARK_EXEC)
		mark__set(task, MARK_WANTED);
}

/*
 * At exit. When a thread that is not the leader executes a program, all others end, the leader too, and it
 * takes the leader's place: then it needs its mark. Marks by number stay with the number.
 */
inline_always void target__on_exit(struct task_struct *task)
{
#ifndef RAW_TP
	struct task_struct *heir;
	u32 mark;

	if (!(target.conditions & TARGET_MARKED) || READ(task, pid) != READ(task, tgid) ||
	    !bpf_core_field_exists(task->signal->group_exec_task))
		return;
	heir = READ(task, signal, group_exec_task);
	mark = mark__get(task);
	if (heir && mark && heir != task)
		mark__set(heir, mark);
#endif
}

/* At fork: a thread shares its leader's mark; a child process inherits it with --follow, unless it has one.
 */
inline_always void target__on_fork(struct task_struct *parent, struct task_struct *child, u64 clone_flags)
{
	struct task_struct *leader = READ(parent, group_leader);

	if (!(target.conditions & TARGET_MARKED) || !target.follow || (clone_flags & CLONE_THREAD))
		return;
	if (mark__get(target.conditions & TARGET_THREADS ? parent : leader) == MARK_WANTED)
		mark__set(child, MARK_WANTED);
}

#endif
