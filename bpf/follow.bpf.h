/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For objects that keep no state of threads: what is started for the measurement, and children, become the
 * target. */
#ifndef SONDE_FOLLOW_BPF_H
#define SONDE_FOLLOW_BPF_H

#include "target.bpf.h"

HOOK("sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	target__on_exec(task);
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

#endif
