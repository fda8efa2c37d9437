// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Starts, execs and ends of processes, and of threads beside them.
 *
 * A process ends when the last of its threads does. Newer kernels say which one that is (sched_process_exit
 * has a second argument, group_dead). On others two that end at the same time may both find that nobody is
 * left: the first one to leave its mark is it.
 */
#include "cells.bpf.h"
#include "event.bpf.h"
#include "target.bpf.h"
#include "sonde/processes.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile u32 key_by;	     /* enum key_by: of whom the processes are */
const volatile bool each;	     /* every exec and exit is an event, too */
const volatile bool file_names;	     /* bpf_probe_read_kernel_str() may be called: not under lockdown */
const volatile bool exit_tells_last; /* sched_process_exit has a second argument */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct process_name);
} names SEC(".maps");

/* Those that live, for the interval's end. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct process_birth);
} births SEC(".maps");

struct ending {
	u64 start_boot_ns, tgid;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct ending);
	__type(value, u8);
} endings SEC(".maps");

#define EEXIST 17

/* --- who and what */

inline_always u64 mix(u64 x, u64 y)
{
	x = (x ^ (y * 0x9e3779b97f4a7c15ULL)) * 0xd6e8feb86659fd93ULL;
	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ULL;
	return x ^ (x >> 32);
}

inline_always bool same_comm(const char *a, const char *b)
{
	return ((u64 *)a)[0] == ((u64 *)b)[0] && ((u64 *)a)[1] == ((u64 *)b)[1];
}

static __noinline u64 name__keep(struct process_name *name)
{
	const u64 *words = (const u64 *)name->comm;
	u64 id = name->tgid ? mix(name->start_boot_ns, name->tgid) : mix(words[0], words[1]);
	struct process_name *known = bpf_map_lookup_elem(&names, &id);

	if (!known || !same_comm(known->comm, name->comm))
		bpf_map_update_elem(&names, &id, name, BPF_ANY);
	return id;
}

static __noinline u64 command__of(struct task_struct *leader)
{
	struct process_name name = {};

	task__comm(name.comm, leader);
	return name__keep(&name);
}

/* `a` of a cell: who started it, or where it is. */
static __noinline u64 who__of(struct task_struct *task, struct task_struct *parent)
{
	struct process_name name = {};

	switch (key_by) {
	case BY_PID:
		name.start_boot_ns = READ(parent, start_boottime);
		name.tgid = pids__of(parent).tgid;
		task__comm(name.comm, parent);
		return name__keep(&name);
	case BY_COMM:
		task__comm(name.comm, parent);
		return name__keep(&name);
	case BY_CGROUP:
		return task__cgroup(task);
	}
	return 0;
}

inline_always void count(struct loss *l, bool counted)
{
	if (counted)
		loss__count(l, PROCESSES, AGGREGATED);
	else
		loss__count(l, PROCESSES, MAP_FULL);
}

/* --- those that live */

inline_always struct process_birth *birth__of(struct task_struct *leader)
{
	u32 tgid = READ(leader, tgid);
	struct process_birth *b = bpf_map_lookup_elem(&births, &tgid);

	return b && b->start_boot_ns == READ(leader, start_boottime) ? b : NULL;
}

inline_always void birth__note(struct task_struct *leader, u64 who, struct loss *l)
{
	struct process_birth b = {.start_boot_ns = READ(leader, start_boottime), .who = who};
	u32 tgid = READ(leader, tgid);

	b.tgid = pids__of(leader).tgid;
	task__comm(b.comm, leader);
	loss__count(l, THREAD, HITS);
	if (bpf_map_update_elem(&births, &tgid, &b, BPF_ANY))
		loss__count(l, THREAD, MAP_FULL);
	else
		loss__count(l, THREAD, AGGREGATED);
}

inline_always void birth__forget(struct task_struct *leader)
{
	u32 tgid = READ(leader, tgid);

	bpf_map_delete_elem(&births, &tgid);
}

/* By whom it was started, as long as that is known: by its end it may have been given to another parent. */
inline_always u64 who__started(struct task_struct *leader)
{
	struct process_birth *b = birth__of(leader);

	if (b && key_by != BY_CGROUP)
		return b->who;
	return who__of(leader, READ(leader, real_parent, group_leader));
}

/* --- events */

inline_always struct event_record *tell(u32 kind, struct task_struct *task, u64 now, struct loss *l)
{
	struct task_struct *leader = READ(task, group_leader), *parent;
	struct event_record *e = event__begin(PART_PROCESSES, kind, now, l);

	if (!e)
		return NULL;
	parent = READ(leader, real_parent, group_leader);
	event__who(e, leader);
	e->duration_ns = bpf_ktime_get_boot_ns() - READ(leader, start_boottime);
	e->value[PROCESS_PARENT] = pids__of(parent).tgid;
	task__comm((char *)&e->value[PROCESS_PARENT_COMM], parent);
	return e;
}

/* The end of a long name says more than its beginning. */
inline_always void put_file_name(struct event_record *e, const char *name)
{
	char first[EVENT_TEXT * 4];
	long len = bpf_probe_read_kernel_str(first, sizeof(first), name);
	u32 from = len > EVENT_TEXT ? len - EVENT_TEXT : 0;

	e->value[PROCESS_CUT] = from > 0;
	bpf_probe_read_kernel_str(e->text, sizeof(e->text), name + from);
}

static __noinline void tell_exec(struct task_struct *task, struct linux_binprm *program, u64 now,
				 struct loss *l)
{
	struct event_record *e = tell(PROCESS_EVENT_EXEC, task, now, l);

	if (!e)
		return;
	if (file_names)
		put_file_name(e, READ(program, filename));
	event__send(e, l);
}

static __noinline void tell_exit(struct task_struct *task, u32 status, u64 now, struct loss *l)
{
	struct event_record *e = tell(PROCESS_EVENT_EXIT, task, now, l);
	struct task_struct *leader;

	if (!e)
		return;
	leader = READ(task, group_leader);
	e->value[PROCESS_STATUS] = status;
	e->value[PROCESS_CPU_NS] = READ(task, signal, sum_sched_runtime) + READ(task, se.sum_exec_runtime);
	if (leader != task)
		e->value[PROCESS_CPU_NS] += READ(leader, se.sum_exec_runtime);
	e->value[PROCESS_MAXRSS_PAGES] = READ(task, signal, maxrss);
	event__send(e, l);
}

/* --- starts */

inline_always void process__starts(struct task_struct *parent, struct task_struct *child, struct loss *l)
{
	struct cell_key key = {.kind = PROCESS_STARTED};
	bool watched = target__wants(child);

	if (READ(child, flags) & PF_KTHREAD || !(watched || target__wants(parent))) {
		loss__count(l, PROCESSES, FILTERED);
		return;
	}
	key.a = who__of(child, READ(parent, group_leader));
	key.b = command__of(child);
	if (watched)
		birth__note(child, key.a, l);
	count(l, cell__add(&key, 1, 0));
}

inline_always void thread__counts(u32 kind, struct task_struct *task, struct loss *l)
{
	struct task_struct *leader = READ(task, group_leader);
	struct cell_key key = {.kind = kind};

	if (READ(leader, flags) & PF_KTHREAD || !target__wants(task)) {
		loss__count(l, PROCESSES, FILTERED);
		return;
	}
	key.a = who__started(leader);
	key.b = command__of(leader);
	count(l, cell__add(&key, 1, 0));
}

HOOK("task_newtask")
int BPF_PROG(on_newtask, struct task_struct *task, u64 clone_flags)
{
	struct task_struct *parent = task__current();
	struct loss *l = loss__here();

	target__on_fork(parent, task, clone_flags);
	if (!l)
		return 0;
	count__add(&l->runs, 1);
	if (!control__running(bpf_ktime_get_ns()))
		return 0;
	loss__count(l, PROCESSES, HITS);
	if (clone_flags & CLONE_THREAD)
		thread__counts(PROCESS_THREAD_STARTED, task, l);
	else
		process__starts(parent, task, l);
	return 0;
}

/* --- programs */

inline_always void process__executes(struct task_struct *task, struct linux_binprm *program, u64 now,
				     struct loss *l)
{
	struct cell_key key = {.kind = PROCESS_EXECUTED};

	if (!target__wants(task)) {
		birth__forget(task);
		loss__count(l, PROCESSES, FILTERED);
		return;
	}
	key.a = who__started(task);
	key.b = command__of(task);
	birth__note(task, key.a, l);
	count(l, cell__add(&key, 1, 0));
	if (each)
		tell_exec(task, program, now, l);
}

/* The thread that calls exec has become the leader by now. */
HOOK("sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, u32 old_pid, struct linux_binprm *program)
{
	struct loss *l = loss__here();
	u64 now = bpf_ktime_get_ns();

	target__on_exec(task);
	if (!l)
		return 0;
	count__add(&l->runs, 1);
	if (!control__running(now))
		return 0;
	loss__count(l, PROCESSES, HITS);
	process__executes(task, program, now, l);
	return 0;
}

/* --- ends */

/* As wait() has it. */
inline_always u32 status__of(struct task_struct *task)
{
	return READ(task, signal, flags) & SIGNAL_GROUP_EXIT ? READ(task, signal, group_exit_code)
							     : READ(task, group_leader, exit_code);
}

inline_always bool is_last(struct task_struct *task)
{
	struct ending ending = {};
	u8 mark = 1;

	if (READ(task, signal, live.counter))
		return false;
	ending.start_boot_ns = READ(task, group_leader, start_boottime);
	ending.tgid = READ(task, tgid);
	/* An int: before 6.4 the upper half of what a map's own function returns is not that of a long. */
	return (int)bpf_map_update_elem(&endings, &ending, &mark, BPF_NOEXIST) != -EEXIST;
}

inline_always void process__ends(struct task_struct *task, u64 now, struct loss *l)
{
	struct task_struct *leader = READ(task, group_leader);
	struct cell_key key = {.kind = PROCESS_ENDED};
	u64 age_ns;

	if (READ(leader, flags) & PF_KTHREAD || !target__wants(task)) {
		birth__forget(leader);
		loss__count(l, PROCESSES, FILTERED);
		return;
	}
	age_ns = bpf_ktime_get_boot_ns() - READ(leader, start_boottime);
	key.a = who__started(leader);
	key.b = command__of(leader);
	key.tgid = status__of(task);
	key.slot = slot__of_ns(age_ns);
	count(l, cell__add(&key, 1, age_ns));
	birth__forget(leader);
	if (each)
		tell_exit(task, key.tgid, now, l);
}

HOOK("sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct loss *l = loss__here();
	u64 now = bpf_ktime_get_ns();

	target__on_exit(task);
	if (!l)
		return 0;
	count__add(&l->runs, 1);
	if (!control__running(now))
		return 0;
	loss__count(l, PROCESSES, HITS);
	if (exit_tells_last ? (bool)ctx[1] : is_last(task))
		process__ends(task, now, l);
	else
		thread__counts(PROCESS_THREAD_ENDED, task, l);
	return 0;
}
