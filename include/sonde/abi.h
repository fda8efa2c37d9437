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
#include "sonde/unwind.h"

#define COMM_LEN	16
#define STACK_DEPTH	127 /* frames that the kernel's walkers return */
#define STACK_DEPTH_MAX 512 /* of the format */

/* States of a thread's time, docs/DESIGN.md section 4: (enum name, word in output, letter in bars). */
#define STATES(X)                      \
	X(RUNNING, "cpu", 'u')         \
	X(RUNNABLE, "runq", 'r')       \
	X(THROTTLED, "throttled", 't') \
	X(STOPPED, "stopped", 'S')     \
	X(MEMORY, "memory", 'm')       \
	X(DISK, "disk", 'd')           \
	X(LOCK, "lock", 'l')           \
	X(SLEEP, "sleep", 'z')         \
	X(NETWORK, "network", 'n')     \
	X(PIPE, "pipe", 'p')           \
	X(IDLE, "idle", '.')           \
	X(CHILD, "child", 'c')         \
	X(IPC, "ipc", 'i')             \
	X(IO_URING, "io_uring", 'o')   \
	X(TTY, "tty", 'y')             \
	X(OTHER, "other", 'x')         \
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
	RECORD_STACK = 1, /* struct stack_record: a stack not seen before */
	RECORD_EXIT,	  /* struct thread_record: last words of a thread */
	RECORD_BUSY,	  /* struct thread_record from the sweep, without accounts: ask again */
	RECORD_SWEEP,	  /* struct plain_record: membership of a cgroup changed, run the sweep */
	RECORD_SNAPSHOT,  /* struct snapshot_record: a stack that user space unwinds */
	RECORD_EVENT,	  /* struct event_record: one thing that happened */
	RECORD_LOCK,	  /* struct lock_record (locks.h): a lock that was not seen before */
};

/* How a user stack ended. Words in user/stack/store.c. */
enum stack_end {
	STACK_COMPLETE,	    /* reached the start of its thread, or there is no user stack (kernel thread) */
	STACK_NO_FRAME_PTR, /* the walk stopped short of the thread's start: code without frame pointers */
	STACK_DEPTH_LIMIT,  /* as many frames as the limit allows */
	STACK_FAULT,	    /* user memory could not be read */
	STACK_NOT_CAPTURED, /* the thread was not running when it was looked at, and this kernel cannot read
			       its stack */
	STACK_NO_TABLE,	    /* the unwind table of some code was not there */
	STACK_NO_MAPPING,   /* a caller's address lies where nothing is mapped */
	STACK_UNSUPPORTED,  /* code that is described in a way that is not understood */
	STACK_END_COUNT,
};

struct plain_record {
	__u32 type;
	__u32 tgid;
};

/* In a user frame of a record: the address is that of the next instruction, not of a return: a signal came
 * there.
 */
#define STACK_FRAME_EXACT (1ULL << 63)

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
	__u64 mark; /* with which tables it was walked, or UNWIND_MARK_STALE (unwind.h); 0: not by tables */
	__u64 stack_start; /* mm->start_stack: a frame-pointer walk of the main thread ends near it; 0:
			      unknown */
	__u32 flags;	   /* STACK_FLAG_ */
	__u16 end;	   /* enum stack_end as far as the kernel side can tell */
	__u16 reserved;
	char comm[COMM_LEN];	    /* of the thread */
	char leader_comm[COMM_LEN]; /* of the process */
	__u64 frames[];
};

#define SNAPSHOT_BYTES 65536 /* of memory, at most */

/* A stack that the kernel's side could not unwind for want of a table. `stack` has the kernel frames and
 * those user frames that it found; from `registers` on it goes on. Its hash is its own. Behind its frames:
 * `bytes` of memory, from registers.sp on. */
struct snapshot_record {
	__u32 type, bytes;
	__u64 exec_pages; /* mm->exec_vm */
	__u64 mark;	  /* of the process: unwind.h */
	struct unwind_registers registers;
	struct stack_record stack;
};

#define STACK_FLAG_KTHREAD  1
#define STACK_FLAG_IRQ	    2 /* a waker in an interrupt: no user stack, no comm */
#define STACK_FLAG_COMPARE  4 /* a snapshot of the stack with this hash, which was walked (tests) */
#define STACK_FLAG_STAND_IN 8 /* along frame pointers for want of a table: who keeps none was passed over */

/*
 * Cells: everything that is counted by key, in one map, so that one flip per interval hands all of it over.
 * `a` and `b` depend on the kind.
 */
enum cell_kind {
	CELL_SAMPLE = 1, /* a: stack hash. count: samples */
	CELL_BLOCK,	 /* a: stack hash, b: the waker's or 0, tgid: 1 if these stand for others, too
			    (sampling). slot: of the whole wait; ns: the part in this interval */
	CELL_RUNQ,	 /* a, b: see enum key_by. slot: of the wait */
	CELL_RAN, /* a: tgid, b: unused. comm in the next two: who ran while somebody waited long. ns: for how
		     long */
};

/* Whose it is, in a cell's key: `--by`. */
enum key_by {
	BY_NONE,   /* everybody's together */
	BY_PID,	   /* a: start_boot_ns of the process; its number: `tgid`, or where that is taken, b */
	BY_COMM,   /* a, b: the 16 bytes of the thread's name */
	BY_CGROUP, /* a: cgroup id */
};

struct cell_key {
	__u64 a, b;
	__u16 slot;
	__u8 kind, state;
	__u32 tgid;
};

struct cell {
	__u64 count, ns;
};

/* Run-queue latency of everybody watched: one per CPU, cumulative. */
struct runq_hist {
	__u64 sum, max, max_cut,
		max_before; /* max: since `max_cut`; max_before: in the interval that ended there */
	__u64 slot[512];    /* HIST_SLOTS */
};

/* An event that crosses by itself, e.g. a slow call: with whom, where and what. What kind, values and text
 * mean is for the probe whose part it is. */
#define EVENT_VALUES 8
#define EVENT_TEXT   64

struct event_record {
	__u32 type;
	__u16 part; /* enum loss_part */
	__u16 kind;
	__u64 time_ns; /* when it ended */
	__u64 duration_ns;
	__u64 stack; /* its hash; 0: none was taken */
	__u64 start_boot_ns;
	__u64 cgroup;
	__u32 tgid, tid;
	char comm[COMM_LEN]; /* of the thread */
	__u64 value[EVENT_VALUES];
	char text[EVENT_TEXT]; /* foreign; zeroed behind its end, the last byte is NUL */
};

/*
 * One thread's account. From the sweep (every watched thread, once per interval) and from the thread's exit.
 * Numbers are cumulative since the thread was first watched; `at_cut` is the account at exactly `cut`.
 */
#define OPEN_SHIFT 5 /* 2^59 ns: 18 years of uptime */
#define OPEN_STATE 31

struct account {
	__u64 open;    /* the open state: its start << OPEN_SHIFT | enum thread_state, so that both change at
			  once */
	__u64 stack;   /* of the open block, else 0 */
	__u16 weight;  /* of the open block, with importance sampling */
	__u16 visited; /* it may have been visited: look */
	__u32 taking_ns; /* how long it took to take the stack, if it stands for others */
	__u64 ns[STATE_COUNT];
};

struct thread_record {
	__u32 type; /* RECORD_EXIT, or 0 from the sweep */
	__u32 tgid, tid;
	__u32 key;	     /* thread id in the initial PID namespace */
	__u64 watched_ns;    /* since when its account is kept */
	__u64 end_ns;	     /* exit: when; sweep: 0 */
	__u64 start_ns;	     /* CLOCK_MONOTONIC, of the thread: (key, start_ns) is its identity */
	__u64 start_boot_ns; /* of the process */
	__u64 cgroup;
	__u64 utime_ns, stime_ns;		/* the kernel's split of its CPU time, since its birth */
	__u64 utime_before_ns, stime_before_ns; /* of which before it was watched */
	__u64 cut;				/* the instant of `at_cut`; 0: none since it was watched */
	char comm[COMM_LEN], leader_comm[COMM_LEN];
	struct account at_cut, now;
};

/*
 * The loss account: every part of the hot path counts what came and what became of it, per CPU.
 * HITS = the sum of all other outcomes, for each part. Both sides use these two lists, so no branch lacks a
 * counter.
 */
#define PARTS(X)                                                              \
	X(CPU, "cpu")		  /* samples of the CPU profiler */           \
	X(UPROBE, "uprobe")	  /* calls and returns of a function */       \
	X(RUNQ, "runq")		  /* switches to a thread (subject: next) */  \
	X(OFFCPU, "offcpu")	  /* blocks that ended */                     \
	X(WALL_PREV, "wall.prev") /* switches away from a thread */           \
	X(WALL_NEXT, "wall.next") /* switches to a thread */                  \
	X(WALL_WAKE, "wall.wake") /* wakeups */                               \
	X(STACK, "stack")	  /* stacks seen for the first time */        \
	X(SNAPSHOT, "snapshot")	  /* stacks whose tables were not there */    \
	X(THREAD, "thread")	  /* threads that should be watched */        \
	X(EXIT, "exit")		  /* last words of watched threads */         \
	X(RAN, "ran")		  /* who ran during a long wait */            \
	X(SWEEP, "sweep")	  /* watched threads that the sweep met */    \
	X(SYSCALLS, "syscalls")	  /* system calls that ended */               \
	X(TCP, "tcp")		  /* changes of a connection's state */       \
	X(BLOCK, "block")	  /* requests that block devices completed */ \
	X(MEMORY, "memory")	  /* faults, reclaims, compactions, kills */  \
	X(PROCESSES, "processes") /* forks, execs and exits */                \
	X(LOCKS, "locks")	  /* waits for a lock that ended */           \
	X(EVENT, "event")	  /* events that cross by themselves */       \
	X(PROGRAM, "program")	  /* runs that the kernel left out */

#define OUTCOMES(X)                                                                                         \
	X(HITS, "hits", 0)                                                                                  \
	X(FILTERED, "filtered", 0)	 /* not the target's, or below --min */                             \
	X(SAMPLED_OUT, "sampled_out", 0) /* stands in the weight of another */                              \
	X(AGGREGATED, "aggregated", 0)                                                                      \
	X(EMITTED, "emitted", 0) /* into the ring buffer */                                                 \
	X(MAP_FULL, "map_full", 1)                                                                          \
	X(RING_FULL, "ring_full", 1)                                                                        \
	X(POSTPONED, "postponed",                                                                           \
	  0) /* a stack's frames did not fit into the ring: sent when it is met again */                    \
	X(NO_PLACE, "no_place", 1) /* to put a stack together: too many programs were preempted */          \
	X(NO_MEMORY, "no_memory", 1)                                                                        \
	X(COLLISION, "collision", 1) /* two stacks with one hash */                                         \
	X(MISSED, "missed", 1) /* the kernel did not report the wakeup: when the wait ended is not known */ \
	X(UNSEEN, "unseen", 0) /* the kernel did not report when a thread was woken or began to run */      \
	X(SUPPRESSED, "suppressed",                                                                         \
	  0) /* more events than may cross in a second; they are aggregated all the same */                 \
	X(RECURSION, "recursion", 1) /* another run of the program was preempted on that CPU */             \
	X(BUSY, "busy", 0)	     /* changed all the time while it was read: read again at once */

enum loss_part {
#define X(name, word) PART_##name,
	PARTS(X)
#undef X
		PART_COUNT
};

enum loss_outcome {
#define X(name, word, is_drop) OUTCOME_##name,
	OUTCOMES(X)
#undef X
		OUTCOME_COUNT
};

struct loss {
	__u64 count[PART_COUNT][OUTCOME_COUNT];
	__u64 runs;    /* of all programs of the object but iterators, which run in sonde's own time */
	__u64 scratch; /* bpf/common.bpf.h: forget() */
};

/* How a system call waits; the table by number is filled by user space, which knows the numbers. */
enum wait_class {
	WAIT_OTHER,
	WAIT_SLEEP,
	WAIT_LOCK,
	WAIT_NETWORK, /* always a socket */
	WAIT_DISK,
	WAIT_FD,     /* what the first argument's file is */
	WAIT_POLL,   /* first argument: struct pollfd[], second: how many */
	WAIT_SELECT, /* first argument: highest descriptor + 1, second: fd_set to read */
	WAIT_IDLE,
	WAIT_CHILD,
	WAIT_IPC,
	WAIT_IO_URING,
	WAIT_STOPPED,
};
#define WAIT_CLASSES 512

/* What the sched programs are told before they are loaded: parts that are off are removed by the verifier. */
struct sched_config {
	__u8 runq, offcpu, wall, waker;
	__u8 classify;	   /* reasons are wanted */
	__u8 switch_state; /* sched_switch has a fourth argument, prev_state: since fa2c3254d7cf (5.18) */
	__u8 rcu_lock;	   /* bpf_rcu_read_lock() may be called: since 9bb00b2895cb (6.2) */
	__u8 user_reads;   /* bpf_probe_read_user() may be called: not under lockdown=confidentiality */
	__u8 visits;	   /* importance sampling: threads that wait are visited */
	__u8 reserved[3];
	__u32 runq_key;	  /* enum key_by */
	__u32 weight_cap; /* importance sampling: largest weight; 0: every block */
	__u32 reserved_too;
	__u64 min_ns;		       /* shorter blocks are not reported */
	__u64 long_wait_ns;	       /* runq: who ran instead is asked for longer waits; 0: never */
	__u8 wait_class[WAIT_CLASSES]; /* enum wait_class by system call number */
};

/* Written by user space while the programs run. */
struct control {
	__u64 cut; /* accounts are closed at this instant (the latest one that was set; it may lie ahead); 0:
		      not begun */
	__u64 previous_cut; /* the one before: start of the interval */
	__u64 sweep_ns;	    /* since when threads that the sweep finds unwatched are watched */
	__u64 stop_ns;	    /* nothing is counted from here on; 0: not yet known */
	__u64 sample_us;    /* importance sampling: blocks of about this length are always taken */
	__u64 visit_ns;	    /* a visit takes the stacks of blocks that have lasted so long */
	__u64 visits_left;  /* how many more of them in this pass; counted down by the program */
	__u64 generation;   /* verdicts about who is watched hold as long as it stays (bpf/watched.bpf.h) */
};

/* Which threads are watched: all conditions that are set must hold. Filled before loading, read-only in BPF.
 */
#define TARGET_MARKED  1 /* the process (or, with TARGET_THREADS, the thread) was marked */
#define TARGET_THREADS 2
#define TARGET_CGROUP  4
#define TARGET_COMM    8
#define TARGET_UID     16

/* A shell glob over at most 31 tokens, compiled to a bit-parallel automaton: no loop over the pattern in BPF.
 */
struct glob {
	__u32 accept[256]; /* bit i: token i takes this byte */
	__u32 stars;	   /* bit i: token i is `*` */
	__u32 final;	   /* the bit after the last token */
};

struct target_filter {
	__u32 conditions; /* TARGET_ */
	__u32 follow;	  /* children of marked processes are marked at fork */
	__u32 uid, reserved;
	__u64 cgroup;
	struct glob comm;
};

#define MARK_WANTED 1
#define MARK_NEVER  2 /* sonde itself */
#define MARK_EXEC   3 /* COMMAND's process: wanted from its exec on; until then it is sonde's own code */

#endif
