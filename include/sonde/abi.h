/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Everything that crosses the border between the kernel and user space: fixed-size types, no padding.
 * Times are CLOCK_MONOTONIC nanoseconds unless a name says boot.
 */
#ifndef SONDE_ABI_H
#define SONDE_ABI_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define COMM_LEN	 16
#define STACK_DEPTH	 127 /* frames that the kernel's walkers return */
#define STACK_DEPTH_MAX	 512 /* of the format */

/* States of a thread's time, docs/DESIGN.md section 4: (enum name, word in output, letter in bars). */
#define STATES(X)                                                                                                      \
	X(RUNNING, "cpu", 'u')                                                                                         \
	X(RUNNABLE, "runq", 'r')                                                                                       \
	X(THROTTLED, "throttled", 't')                                                                                 \
	X(STOPPED, "stopped", 's')                                                                                     \
	X(MEMORY, "memory", 'm')                                                                                       \
	X(DISK, "disk", 'd')                                                                                           \
	X(LOCK, "lock", 'l')                                                                                           \
	X(SLEEP, "sleep", 'z')                                                                                         \
	X(NETWORK, "network", 'n')                                                                                     \
	X(PIPE, "pipe", 'p')                                                                                           \
	X(IDLE, "idle", '.')                                                                                           \
	X(CHILD, "child", 'c')                                                                                         \
	X(IPC, "ipc", 'i')                                                                                             \
	X(IO_URING, "io_uring", 'o')                                                                                   \
	X(TTY, "tty", 'y')                                                                                             \
	X(OTHER, "other", 'x')                                                                                         \
	X(UNKNOWN, "unknown", '?')

enum thread_state {
#define X(name, word, letter) STATE_##name,
	STATES(X)
#undef X
	STATE_COUNT,
	STATE_FIRST_BLOCKED = STATE_STOPPED,
};

/* What a ring-buffer record is; its first field. */
enum record_type {
	RECORD_STACK = 1,   /* struct stack_record: a stack not seen before */
	RECORD_EXIT,	    /* struct thread_record: last words of a thread */
	RECORD_EXEC,	    /* struct exec_record: a process has become another program */
	RECORD_SWEEP,	    /* struct plain_record: membership of a cgroup changed, run the sweep */
};

/* How a user stack ended. Words in user/stack/store.c. */
enum stack_end {
	STACK_COMPLETE,	     /* reached the start of its thread, or there is no user stack (kernel thread) */
	STACK_NO_FRAME_PTR,  /* the walk stopped short of the thread's start: code without frame pointers */
	STACK_DEPTH_LIMIT,   /* as many frames as the limit allows */
	STACK_FAULT,	     /* user memory could not be read */
	STACK_NOT_CAPTURED,  /* the thread was not running when it was looked at, and this kernel cannot read its stack */
	STACK_END_COUNT,
};

struct plain_record {
	__u32 type;
	__u32 tgid;
};

struct exec_record {
	__u32 type;
	__u32 tgid;
	__u64 start_boot_ns;
	__u64 exec_id;
	char comm[COMM_LEN];
};

/* A stack and whose it is; crosses once per session. frames: kernel leaf first, then user leaf first. */
struct stack_record {
	__u32 type;
	__u32 tgid;
	__u32 tid; /* the thread that was seen first */
	__u16 kernel_frames, user_frames;
	__u64 hash;
	__u64 start_boot_ns; /* of the process */
	__u64 exec_id;	     /* which program of this process */
	__u64 cgroup;
	__u64 stack_start; /* mm->start_stack: a frame-pointer walk of the main thread ends near it; 0: unknown */
	__u32 flags;	   /* STACK_FLAG_ */
	__u16 end;	   /* enum stack_end as far as the kernel side can tell */
	__u16 reserved;
	char comm[COMM_LEN];	    /* of the thread */
	char leader_comm[COMM_LEN]; /* of the process */
	__u64 frames[];
};

#define STACK_FLAG_KTHREAD 1
#define STACK_FLAG_HARDIRQ 2 /* a waker in interrupt context: no user stack, no comm */
#define STACK_FLAG_SOFTIRQ 4

#endif
