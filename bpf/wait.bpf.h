/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Why a thread is blocked: one of the states of docs/DESIGN.md section 4, from what the thread was doing.
 * Reads its system call and, where that names a descriptor, the file behind it. No state is a residual: what
 * cannot be told apart is `unknown`.
 */
#ifndef SONDE_WAIT_BPF_H
#define SONDE_WAIT_BPF_H

#include "stack.bpf.h"
#include "descriptors.bpf.h"

const volatile struct sched_config config;

#define NAME4(a, b, c, d) ((u32)(a) | (u32)(b) << 8 | (u32)(c) << 16 | (u32)(d) << 24)

/* Anonymous inodes tell what they are only by the name of their dentry: fs/eventfd.c, fs/timerfd.c,
 * fs/signalfd.c ... */
inline_always u32 state__of_anonymous(u32 name)
{
	switch (name) {
	case NAME4('[', 'e', 'v', 'e'): /* [eventfd], [eventpoll] */
		return STATE_PIPE;
	case NAME4('[', 't', 'i', 'm'):
	case NAME4('[', 's', 'i', 'g'):
		return STATE_SLEEP;
	case NAME4('[', 'p', 'i', 'd'):
		return STATE_CHILD;
	case NAME4('[', 'i', 'o', '_'):
		return STATE_IO_URING;
	default: /* inotify, fanotify, perf events, userfaultfd, ... */
		return STATE_OTHER;
	}
}

#define TTY_MAJOR_FIRST 4
#define TTY_MAJOR_AUX	5
#define PTY_MAJOR_FIRST 128
#define PTY_MAJOR_LAST	143

inline_always u32 state__of_device(u32 device)
{
	u32 major = device >> 20;

	return major == TTY_MAJOR_FIRST || major == TTY_MAJOR_AUX ||
			       (major >= PTY_MAJOR_FIRST && major <= PTY_MAJOR_LAST)
		       ? STATE_TTY
		       : STATE_OTHER;
}

/* What the file behind a slot of a descriptor table is. Global, so verified once for all its callers. */
__noinline int state__of_slot(u64 table, u32 size, u32 fd)
{
	struct file_kind kind = {};
	void *file;

	if (fd >= size)
		return STATE_UNKNOWN;
	file = pointer_at((void *)(table + 8ULL * fd));
	if (!file)
		return STATE_UNKNOWN;
	file__kind(file, &kind);
	switch (kind.mode & S_IFMT) {
	case S_IFSOCK:
		return STATE_NETWORK;
	case S_IFIFO:
		return STATE_PIPE;
	case S_IFCHR:
		return state__of_device(kind.device);
	case 0:
		return state__of_anonymous(kind.name);
	default:
		return STATE_DISK;
	}
}

inline_always bool user__readable(enum user_access access)
{
	return access == USER_REMOTE || (access == USER_CURRENT && config.user_reads);
}

#define POLL_LOOK 16 /* descriptors of one poll that are looked at */

/* Network if all descriptors are sockets; one of another kind: idle. The poll's array lies in the stack's
 * scratch. */
__noinline int state__of_poll_copy(u32 which, u32 count, u64 table, u32 size)
{
	struct stack_place *p = place__get(which);
	u32 state = STATE_IDLE;

	for (u32 i = 0; p && i < POLL_LOOK; i++) {
		int fd = i < count ? (int)p->scratch.record.frames[i] : -1;

		if (fd < 0)
			continue;
		state = state__of_slot(table, size, fd);
		if (state != STATE_NETWORK)
			return STATE_IDLE;
	}
	return state;
}

inline_always u32 state__of_poll(struct task_struct *task, u64 array, u64 count, enum user_access access)
{
	u32 which = access == USER_REMOTE ? PLACE_SWEEP : PLACE_HERE;
	struct stack_place *p = place__get(which);
	struct descriptors d;

	if (!count)
		return STATE_SLEEP;
	if (count > POLL_LOOK || !user__readable(access) || !p)
		return STATE_IDLE;
	if (user__read(p->scratch.record.frames, (count * sizeof(struct pollfd)) & 255, array, task, access))
		return STATE_UNKNOWN;
	descriptors__of(task, &d);
	return state__of_poll_copy(which, count, d.table, d.size);
}

__noinline int state__of_set(u64 bits, u32 count, u64 table, u32 size)
{
	u32 state = STATE_IDLE;

	for (u32 fd = 0; fd < 64; fd++) {
		if (fd >= count)
			break;
		if (!(bits >> fd & 1))
			continue;
		state = state__of_slot(table, size, fd);
		if (state != STATE_NETWORK)
			return STATE_IDLE;
	}
	return state;
}

/* select() with one word of descriptors to read; more, or another kind among them: idle. */
inline_always u32 state__of_select(struct task_struct *task, u64 count, u64 set, enum user_access access)
{
	struct descriptors d;
	u64 bits = 0;

	if (!count)
		return STATE_SLEEP;
	if (count > 64 || !set || !user__readable(access))
		return STATE_IDLE;
	if (user__read(&bits, sizeof(bits), set, task, access))
		return STATE_UNKNOWN;
	descriptors__of(task, &d);
	return state__of_set(bits, count, d.table, d.size);
}

inline_always u32 state__of_syscall(struct task_struct *task, struct registers *r, enum user_access access)
{
	u32 number = r->syscall;
	struct descriptors d;

	opaque(number);
	if (number >= WAIT_CLASSES || r->compat)
		return STATE_OTHER;
	switch (config.wait_class[number]) {
	case WAIT_SLEEP:
		return STATE_SLEEP;
	case WAIT_LOCK:
		return STATE_LOCK;
	case WAIT_NETWORK:
		return STATE_NETWORK;
	case WAIT_DISK:
		return STATE_DISK;
	case WAIT_FD:
		descriptors__of(task, &d);
		return state__of_slot(d.table, d.size, r->arg1);
	case WAIT_POLL:
		return state__of_poll(task, r->arg1, r->arg2, access);
	case WAIT_SELECT:
		return state__of_select(task, r->arg1, r->arg2, access);
	case WAIT_IDLE:
		return STATE_IDLE;
	case WAIT_CHILD:
		return STATE_CHILD;
	case WAIT_IPC:
		return STATE_IPC;
	case WAIT_IO_URING:
		return STATE_IO_URING;
	case WAIT_STOPPED:
		return STATE_STOPPED;
	default:
		return STATE_OTHER;
	}
}

/* A blocked thread. The order of the questions is the design's. */
inline_always u32 state__of_block(struct task_struct *task, u32 task_state, enum user_access access)
{
	struct registers r;

	if (task_state & (TASK_STOPPED | TASK_TRACED))
		return STATE_STOPPED;
	if (!config.classify)
		return STATE_OTHER;
	if (bpf_core_field_exists(task->in_memstall) && READ_BIT(task, in_memstall))
		return STATE_MEMORY;
	if (!registers__of(task, &r, access)) {
		if (READ_BIT(task, in_iowait))
			return STATE_DISK;
		return (task_state & TASK_INTERRUPTIBLE) || (task_state & TASK_NOLOAD) ? STATE_IDLE
										       : STATE_OTHER;
	}
	if (REGS_IN_EXCEPTION(r.syscall))
		return STATE_MEMORY;
	if (READ_BIT(task, in_iowait))
		return STATE_DISK;
	return state__of_syscall(task, &r, access);
}

/* Runnable, or kept off the CPU by its cgroup's quota. */
inline_always u32 state__of_runnable(struct task_struct *task)
{
	struct cfs_rq *queue = NULL;

	if (!bpf_core_field_exists(queue->throttle_count))
		return STATE_RUNNABLE;
	queue = READ(task__cast(task), se.cfs_rq);
	return queue && READ(queue, throttle_count) > 0 ? STATE_THROTTLED : STATE_RUNNABLE;
}

#endif
