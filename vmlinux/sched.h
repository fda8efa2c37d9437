/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Scheduler, memory and credentials: the fields that our programs read, and no others. */
#ifndef VMLINUX_SCHED_H
#define VMLINUX_SCHED_H

#include "base.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Where uprobes run the instructions that they replaced, and where uretprobes let functions return to. */
struct xol_area {
	unsigned long vaddr;
};

struct uprobes_state {
	struct xol_area *xol_area;
};

/* A call whose return address a uretprobe has replaced. */
struct return_instance {
	unsigned long stack, orig_ret_vaddr;
	bool chained; /* a second probe on the same call */
	struct return_instance *next;
};

struct uprobe_task {
	struct return_instance *return_instances;
	unsigned long vaddr; /* the probed instruction, while its copy runs */
};

struct rw_semaphore {
}; /* where it lies is all that is asked */

struct mm_struct {
	unsigned long start_code;
	unsigned long start_stack;
	unsigned long exec_vm; /* pages mapped as code */
	unsigned long total_vm;
	struct rw_semaphore mmap_lock;
	struct uprobes_state uprobes_state;
};

/* By kind: files, anonymous, swapped out, shared memory; since f1a7941243c1 (6.2). */
struct percpu_counter {
	s64 count; /* without what the CPUs have not added yet */
};

struct mm_struct___counters {
	struct percpu_counter rss_stat[4];
};

struct mm_struct___atomics { /* before f1a7941243c1 (6.2) */
	struct {
		struct {
			s64 counter;
		} count[4];
	} rss_stat;
};

struct task_io_accounting {
	u64 rchar;	/* CONFIG_TASK_XACCT */
	u64 read_bytes; /* CONFIG_TASK_IO_ACCOUNTING */
};

struct cred {
	struct {
		u32 val;
	} uid;
};

/* Under CONFIG_CFS_BANDWIDTH; task-based throttling since kernel commit e1fad12dcb66 (6.18). */
struct cfs_rq {
	unsigned throttle_count;
};

struct sched_entity {
	struct cfs_rq *cfs_rq;
	u64 sum_exec_runtime; /* ns, up to the last tick or switch */
};

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned level;
	struct upid numbers[1];
};

/* What the threads of a process share. */
struct signal_struct {
	struct {
		int counter;
	} live; /* threads that have not begun to exit */
	int group_exit_code;
	struct task_struct *group_exec_task; /* the thread that executes; since 5.17 */
	unsigned flags;			     /* SIGNAL_GROUP_EXIT */
	u64 sum_sched_runtime;		     /* of threads that are gone, ns */
	unsigned long maxrss;		     /* pages, at the end of the last thread */
};

struct linux_binprm {
	const char *filename;
};

struct task_struct {
	unsigned int __state; /* `state` before 2f064a59a11f (5.14): task_struct___state */
	void *stack;
	unsigned int flags;
	unsigned on_cpu; /* u8 since 7.3: unsigned, so that libbpf may adjust the load's size */
	struct sched_entity se;
	struct mm_struct *mm;
	unsigned exit_state;
	int exit_code;
	unsigned in_iowait : 1;
	unsigned in_memstall : 1; /* CONFIG_PSI */
	unsigned pid, tgid;
	struct task_struct *real_parent, *group_leader;
	struct signal_struct *signal;
	struct pid *thread_pid;
	u64 utime, stime;
	unsigned long min_flt, maj_flt, nvcsw;
	struct task_io_accounting ioac;
	u64 start_time;	    /* CLOCK_MONOTONIC, ns */
	u64 start_boottime; /* CLOCK_BOOTTIME, ns */
	const struct cred *cred;
	struct uprobe_task *utask;
	char comm[16];
	struct files_struct *files;
	struct css_set *cgroups;
	u64 self_exec_id; /* u32 before d1e7fd6462ca (5.7) */
};

struct task_struct___state {
	long state;
};

#pragma clang attribute pop

/* include/linux/sched.h; values are part of no ABI but unchanged over the whole matrix */
#define TASK_INTERRUPTIBLE   0x1
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_STOPPED	     0x4
#define TASK_TRACED	     0x8
#define TASK_DEAD	     0x80
#define TASK_NOLOAD	     0x400
#define PF_WQ_WORKER	     0x00000020
#define PF_KTHREAD	     0x00200000
#define CLONE_THREAD	     0x00010000
#define SIGNAL_GROUP_EXIT    0x4

#endif
