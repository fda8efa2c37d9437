/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The prelude of every BPF program: kernel types, the two ways to read them, the ring buffer and the loss
 * account.
 *
 * Each bpf/X.bpf.c is compiled twice. X: tp_btf programs, direct loads through trusted pointers (faster, and
 * allowed under lockdown=confidentiality), thread state in task storage. X_raw (-DRAW_TP): raw tracepoints,
 * probe reads, thread state in a hash by thread id: for kernels that refuse tp_btf or have no task storage
 * (before 5.11).
 */
#ifndef SONDE_COMMON_BPF_H
#define SONDE_COMMON_BPF_H

#include "base.h"
#include "sched.h"
#include "cgroup.h"
#include "bpf.h"
#if defined(__TARGET_ARCH_arm64)
#include "arm64.h"
#else
#include "x86.h"
#endif
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "sonde/abi.h"
#include "sonde/hist.h"

#ifdef RAW_TP
#define HOOK(name)	   SEC("?raw_tp/" name)
#define READ(p, ...)	   BPF_CORE_READ(p, __VA_ARGS__)
#define READ_BIT(p, field) BPF_CORE_READ_BITFIELD_PROBED(p, field)
#else
#define HOOK(name)	   SEC("?tp_btf/" name)
#define READ(p, ...)	   ___arrow(p, __VA_ARGS__)
#define READ_BIT(p, field) BPF_CORE_READ_BITFIELD(p, field)
#endif

#define inline_always static __always_inline
#define barrier()     asm volatile("" ::: "memory")
/* Keeps clang 14 from merging a mask with a check, so that the verifier sees the bound where it is used. */
#define opaque(x) asm volatile("" : "+r"(x))

/* The C library's memcpy is not there; clang lowers these for sizes known at compile time. */
#define copy(to, from, size) __builtin_memcpy(to, from, size)
#define zero(to, size)	     __builtin_memset(to, 0, size)

/*
 * Objects that define PREEMPTIBLE have programs that others of their kind may come in between, on the same
 * CPU (uprobes). They count by atomic instructions; so do those that define INTERRUPTED, which have programs
 * that run with interrupts off and others that may be interrupted.
 *
 * A global function is verified once, not once per path that leads to it. With preemption disabled the
 * verifier let nobody call one before 6.15, so in these objects they are static.
 */
#ifdef PREEMPTIBLE
#define GLOBAL static __noinline
#else
#define GLOBAL __noinline
#endif
#if defined(PREEMPTIBLE) || defined(INTERRUPTED)
#define count__add(at, by) ((void)__sync_fetch_and_add(at, by))
#else
#define count__add(at, by) ((void)(*(at) += (by)))
#endif

/* Records of include/sonde/abi.h. Written without wake-ups, drained by a timer: a wake-up per record costs a
 * ping-pong two thirds of its throughput. Shared by all probes of a session; sized by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct loss);
} losses SEC(".maps");

inline_always struct loss *loss__here(void)
{
	u32 zero_key = 0;

	return bpf_map_lookup_elem(&losses, &zero_key);
}

/* A value that went through a map is unknown to the verifier: paths that differ only in it become one again.
 * `cell` is map memory that nobody else uses meanwhile. */
inline_always u64 forget(u64 *cell, u64 value)
{
	*(volatile u64 *)cell = value;
	return *(volatile u64 *)cell;
}

#define loss__count(l, part, outcome) count__add(&(l)->count[PART_##part][OUTCOME_##outcome], 1)

struct control control; /* .bss: written by user space through mmap */

/* Between the start of the counting and its end; outside of that nothing is counted, not even as seen. */
inline_always bool control__running(u64 now)
{
	u64 stop = *(volatile u64 *)&control.stop_ns;

	return *(volatile u64 *)&control.cut && !(stop && now >= stop);
}

inline_always struct task_struct *task__current(void)
{
#ifdef RAW_TP
	return (struct task_struct *)bpf_get_current_task();
#else
	return bpf_get_current_task_btf();
#endif
}

inline_always void task__comm(char *to, struct task_struct *task)
{
#ifdef RAW_TP
	bpf_core_read(to, COMM_LEN, &task->comm);
#else
	((u64 *)to)[0] = ((u64 *)task->comm)[0];
	((u64 *)to)[1] = ((u64 *)task->comm)[1];
#endif
}

/*
 * Pointers to kernel types out of numbers, read by exception-table loads. For objects that define USES_CASTS,
 * and in the tp_btf variant only: where a kfunc is missing, libbpf looks for it in the type information of
 * all modules, for which it needs CAP_SYS_ADMIN.
 */
#if defined(USES_CASTS) && !defined(RAW_TP)
const volatile bool casts; /* the kernel has bpf_rdonly_cast(): since fd264ca02094 (6.2) */
extern void *bpf_rdonly_cast(void *obj, u32 btf_id) __ksym __weak;
#else
#define casts false
inline_always void *bpf_rdonly_cast(void *obj, u32 btf_id)
{
	return NULL;
}
#endif

/* For reading pointers through: when a trusted pointer is read through, the verifier searches all type
 * information by name for each field that is a pointer (57539b1c0ac2, 6.3), half a millisecond a time. */
inline_always struct task_struct *task__cast(struct task_struct *task)
{
	return casts ? bpf_rdonly_cast(task, bpf_core_type_id_kernel(struct task_struct)) : task;
}

/* The inode of sonde's PID namespace, if it is not the initial one: then records carry that namespace's
 * numbers, and who has none in it is no target. */
const volatile u64 pid_namespace;

struct pids {
	u32 tgid, tid;
};

#define PID_LEVELS 33 /* MAX_PID_NS_LEVEL (include/linux/pid_namespace.h) + 1 */

/* The number of a struct pid in sonde's namespace; 0: it has none. */
static __noinline u32 pid__number(struct pid *pid)
{
	void *numbers = (void *)pid + bpf_core_field_offset(struct pid, numbers);
	u32 last = 0, inode = 0;
	struct upid number;

	bpf_probe_read_kernel(&last, sizeof(last), (void *)pid + bpf_core_field_offset(struct pid, level));
	for (u32 level = 0; level < PID_LEVELS; level++) {
		if (level > last ||
		    bpf_probe_read_kernel(&number, sizeof(number), numbers + level * sizeof(number)))
			break;
		bpf_probe_read_kernel(&inode, sizeof(inode),
				      (void *)number.ns +
					      bpf_core_field_offset(struct pid_namespace, ns.inum));
		if (inode == pid_namespace)
			return number.nr;
	}
	return 0;
}

inline_always struct pids pids__of(struct task_struct *task)
{
	struct task_struct *cast = task__cast(task);
	struct pids p = {.tgid = READ(task, tgid), .tid = READ(task, pid)};

	if (pid_namespace) {
		p.tgid = pid__number(READ(cast, group_leader, thread_pid));
		p.tid = pid__number(READ(cast, thread_pid));
	}
	return p;
}

inline_always u32 task__state(struct task_struct *task)
{
	struct task_struct___state *old = (void *)task;

	if (bpf_core_field_exists(task->__state))
		return READ(task, __state);
	return READ(old, state);
}

inline_always u64 task__cgroup(struct task_struct *task)
{
	return READ(task__cast(task), cgroups, dfl_cgrp, kn, id);
}

#endif
