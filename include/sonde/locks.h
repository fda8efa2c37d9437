/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What both sides of the locks probe share. Times are CLOCK_MONOTONIC nanoseconds. */
#ifndef SONDE_LOCKS_H
#define SONDE_LOCKS_H

#include "sonde/abi.h"

/* How a thread waits on a futex: as much as its system call tells. */
#define LOCK_CALLS(X)                                                                                    \
	X(PLAIN)      /* FUTEX_WAIT */                                                                   \
	X(CONTENDED)  /* and what it expects is how C libraries and runtimes mark a lock with waiters */ \
	X(PI)	      /* FUTEX_LOCK_PI: the kernel itself hands the lock on */                           \
	X(REQUEUE_PI) /* FUTEX_WAIT_REQUEUE_PI: a condition variable of such a lock */                   \
	X(SEVERAL)    /* futex_waitv(): the first one's address stands for all */

enum lock_call {
#define X(name) LOCK_CALL_##name,
	LOCK_CALLS(X)
#undef X
		LOCK_CALL_COUNT
};

/* The kernel's own locks, as include/trace/events/lock.h tells them apart. */
#define KERNEL_LOCKS(X)                 \
	X(SPIN, "spinlock")             \
	X(RWLOCK_READ, "rwlock read")   \
	X(RWLOCK_WRITE, "rwlock write") \
	X(MUTEX, "mutex")               \
	X(RWSEM_READ, "rwsem read")     \
	X(RWSEM_WRITE, "rwsem write")   \
	X(PERCPU_READ, "percpu read")   \
	X(PERCPU_WRITE, "percpu write") \
	X(RT, "rtmutex")                \
	X(SEMAPHORE, "semaphore")

enum kernel_lock {
#define X(name, word) KERNEL_LOCK_##name,
	KERNEL_LOCKS(X)
#undef X
		KERNEL_LOCK_COUNT
};

enum lock_cell {
	CELL_LOCK = 1, /* a: stack, b: the waker's or 0, tgid: the lock's number, state: enum lock_call. slot:
			  of the whole wait; ns: the part that was not told before */
	CELL_HOLDER, /* a: thread id of who held it when the wait began, in the PID namespace of its process;
			tgid, state: likewise. count: waits */
	CELL_KERNEL, /* a: stack, b: KERNEL_PLACE_ or the address of a lock that the kernel's image holds,
			state: enum kernel_lock. slot, ns: as CELL_LOCK */
};

#define KERNEL_PLACE_DYNAMIC 0
#define KERNEL_PLACE_MMAP    1 /* mmap_lock of the thread's own memory */

/* A lock by its number, which is a hash of the rest; 0 stands for locks that found no room. */
struct lock_entry {
	__u64 start_boot_ns; /* of the process */
	__u64 address;	     /* of the futex in it */
	__u32 tgid, number;
};

/* Crosses when a lock is seen first: its process may be gone a moment later. */
struct lock_record {
	__u32 type, reserved;
	struct lock_entry lock;
};

/* A wait that is open when the sweep comes by. */
struct lock_open {
	__u64 stack;
	__u64 ns; /* what was not told before */
	__u32 number, call, owner, reserved;
};

/* What the programs are told before they are loaded: parts that are off are removed by the verifier. */
struct locks_config {
	__u32 futex, futex_waitv, futex_wait; /* system call numbers; those that do not exist: ~0 */
	__u8 user, kernel;
	__u8 switch_state; /* sched_switch has a fourth argument, prev_state: since fa2c3254d7cf (5.18) */
	__u8 rcu_lock;	   /* bpf_rcu_read_lock() may be called: since 9bb00b2895cb (6.2) */
	__u8 user_reads;   /* bpf_probe_read_user() may be called: not under lockdown=confidentiality */
	__u8 waker;
	__u8 reserved[6];
	__u64 min_ns;	      /* shorter waits are not reported */
	__u64 slow_ns;	      /* longer ones cross by themselves; 0: none does */
	__u64 kernel_data[2]; /* [from, to) of the kernel's image; 0: not known */
};

/* Events: enum lock_cell is the kind; value: */
enum lock_value { LOCK_VALUE_NUMBER, LOCK_VALUE_CALL, LOCK_VALUE_OWNER, LOCK_VALUE_WAKER, LOCK_VALUE_PLACE };

#endif
