// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Memory: page faults, by the kernel's own counters of each thread and, where a thread is blocked in one, by
 * the scheduler; waits for reclaim and compaction; kills when memory has run out; what reads found in the
 * page cache; and who allocates the pages that make a process grow.
 */
#include "memory_state.bpf.h"
#include "memory_cache.bpf.h"
#include "memory_kills.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* --- faults, counted */

/* What a counter has gained since it was looked at last. The sweep and the thread's exit may look at once. */
inline_always u64 counter__gain(u64 *counted, u64 now)
{
#ifdef RAW_TP
	u64 before = *counted;

	*counted = now;
#else
	u64 before = __sync_lock_test_and_set(counted, now);
#endif
	if (now >= before)
		return now - before;
	*counted = before;
	return 0;
}

/* Counts what a thread's counters have gained. Of one that was there before the programs, and was not looked
 * at then, nobody knows what it had. */
inline_always void thread__count(struct task_struct *task, struct watched *w, struct loss *l)
{
	struct memory_thread *t = &w->state;
	u64 read = 0, fetched = 0, minor, major;
	bool known = t->known || READ(task, start_time) >= *(volatile u64 *)&control.cut;

	t->known = 1;
	minor = counter__gain(&t->minor, READ(task, min_flt));
	major = counter__gain(&t->major, READ(task, maj_flt));
	if (cache_by == CACHE_BY_BYTES) {
		read = counter__gain(&t->read, READ(task, ioac.rchar));
		fetched = counter__gain(&t->fetched, READ(task, ioac.read_bytes));
	}
	if (!known)
		return;
	if (minor || major)
		cell__count(w, MEMORY_FAULTS, 0, 0, minor, major, l);
	if (read || fetched)
		cell__count(w, MEMORY_CACHE_BYTES, 0, 0, read, fetched, l);
}

/* COMMAND's process is counted from its beginning, so that the sum is what getrusage() says at its end. */
inline_always void thread__leave_out(struct task_struct *task)
{
	bool is_command = mark__get(READ(task, group_leader)) == MARK_EXEC;
	struct watched *w = is_command ? watched__make(task) : watched__peek(task);

	if (!w)
		return;
	w->state.known = is_command;
	w->state.minor = is_command ? 0 : READ(task, min_flt);
	w->state.major = is_command ? 0 : READ(task, maj_flt);
}

/* At the beginning, and at each interval's end. */
SEC("?iter/task")
int sweep(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct loss *l = loss__here();
	struct watched *w;

	if (!task || !l)
		return 0;
	if (!target__wants(task)) {
		thread__leave_out(task);
		return 0;
	}
	w = watched__get(task, l);
	if (w)
		thread__count(task, w, l);
	return 0;
}

inline_always void thread__last_count(struct task_struct *task, struct loss *l)
{
	struct watched *w = watched__peek(task);

	if (!w && !target__wants(task))
		return;
	w = watched__get(task, l);
	if (w)
		thread__count(task, w, l);
}

/* --- faults, blocked */

inline_always void fault__end(struct watched *w, struct task_struct *task, u64 since, u64 now, struct loss *l)
{
	struct event_record *e;

	if (!control__running(now))
		return;
	cell__count(w, MEMORY_BLOCKED, slot__of_ns(now - since), 0, 1, now - since, l);
	if (!slow_ns || now - since < slow_ns)
		return;
	e = event__begin(PART_MEMORY, MEMORY_EVENT_FAULT, now, l);
	if (!e)
		return;
	event__who(e, task);
	e->duration_ns = now - since;
	event__send(e, l);
}

/* Whether one of the frames at the place lies in the code that handles faults. Verified once. */
GLOBAL int stack__has_fault(u32 which, u32 count)
{
	struct stack_place *p = place__get(which);

	for (u32 i = 0; p && i < FAULT_DEPTH && i < count; i++) {
		u64 address = p->scratch.record.frames[i];

		if (address >= fault_text[0] && address < fault_text[1])
			return 1;
	}
	return 0;
}

/* A system call that touches memory which is not there has a fault, too: its stack tells. */
inline_always bool is_kernel_fault(void *ctx)
{
	struct stack_place *p = place__get(PLACE_HERE);
	long bytes;

	if (!p || !fault_text[1])
		return false;
	bytes = bpf_get_stack(ctx, p->scratch.record.frames, FAULT_DEPTH * sizeof(u64), 0);
	return bytes > 0 && stack__has_fault(PLACE_HERE, (u32)bytes / sizeof(u64));
}

/* In a fault from user space the registers say that the kernel was entered by an exception. Who is stopped
 * was interrupted, too, but does not wait for memory. */
inline_always void fault__block(void *ctx, struct task_struct *task, u64 now, struct loss *l)
{
	u32 state = task__state(task);
	struct watched *w;
	bool by_user;

	if (!(state & (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)) || READ(task, flags) & PF_KTHREAD)
		return;
	by_user = REGS_IN_EXCEPTION(READ(registers__at(task, USER_CURRENT), REGS_SYSCALL));
	if (!by_user && !(state & TASK_UNINTERRUPTIBLE))
		return;
	w = watched__get(task, l); /* first: looking at a stack costs ten times as much */
	if (w && (by_user || is_kernel_fault(ctx)))
		w->state.fault_since = now;
}

inline_always void fault__unblock(struct task_struct *task, u64 now, struct loss *l)
{
	struct watched *w = watched__peek(task);
	u64 since = w ? w->state.fault_since : 0;

	if (!since)
		return;
	w->state.fault_since = 0;
	if (w->wanted)
		fault__end(w, task, since, now, l);
}

/* A thread's last switch comes behind all of its faults; the hook of its exit, which is earlier since 6.16,
 * behind almost all. */
HOOK("sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct loss *l = loss__here();
	u64 now;

	if (!l)
		return 0;
	l->runs++;
	if (!*(volatile u64 *)&control.cut)
		return 0;
	now = bpf_ktime_get_ns();
	if (task__state(prev) & TASK_DEAD)
		thread__last_count(prev, l);
	else if (!preempt)
		fault__block(ctx, prev, now, l);
	fault__unblock(next, now, l);
	return 0;
}

HOOK("sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct loss *l = loss__here();

	if (!l)
		return 0;
	l->runs++;
	if (*(volatile u64 *)&control.cut)
		thread__last_count(task, l);
	return 0;
}

/* --- reclaim and compaction */

/* The thread that makes room by itself, or NULL: it is the kernel's own. */
inline_always struct watched *stall__thread(struct loss *l, bool *wanted)
{
	struct task_struct *task = task__current();

	if (READ(task, flags) & PF_KTHREAD)
		return NULL;
	*wanted = watched__get(task, l);
	return watched__peek(task);
}

inline_always void reclaim__begin(u32 pressure)
{
	struct loss *l = loss__here();
	struct watched *w;
	bool wanted;

	if (!l)
		return;
	l->runs++;
	w = stall__thread(l, &wanted);
	if (!w)
		return;
	w->state.pressure = pressure;
	w->state.reclaim_since = bpf_ktime_get_ns();
}

inline_always void stall__event(void *ctx, u32 kind, u32 pressure, u64 since, u64 now, struct loss *l)
{
	struct task_struct *task = task__current();
	struct event_record *e;
	bool published;
	u64 stack;

	if (!slow_ns || now - since < slow_ns)
		return;
	stack = stack__capture(ctx, PLACE_HERE, task, false, NULL, l, 0, &published);
	e = event__begin(PART_MEMORY, kind, now, l);
	if (!e)
		return;
	event__who(e, task);
	e->duration_ns = now - since;
	e->stack = stack;
	e->value[0] = pressure;
	event__send(e, l);
}

inline_always void reclaim__end(void *ctx)
{
	struct loss *l = loss__here();
	u64 now = bpf_ktime_get_ns(), since;
	struct watched *w;
	bool wanted;

	if (!l)
		return;
	l->runs++;
	w = stall__thread(l, &wanted);
	since = w ? w->state.reclaim_since : 0;
	if (!since)
		return;
	w->state.reclaim_since = 0;
	if (!wanted || !control__running(now))
		return;
	cell__count(w, MEMORY_RECLAIM, slot__of_ns(now - since), w->state.pressure, 1, now - since, l);
	stall__event(ctx, MEMORY_EVENT_RECLAIM, w->state.pressure, since, now, l);
}

HOOK("mm_vmscan_direct_reclaim_begin")
int BPF_PROG(on_direct_reclaim)
{
	reclaim__begin(MEMORY_OF_MACHINE);
	return 0;
}

HOOK("mm_vmscan_memcg_reclaim_begin")
int BPF_PROG(on_cgroup_reclaim)
{
	reclaim__begin(MEMORY_OF_CGROUP);
	return 0;
}

HOOK("mm_vmscan_direct_reclaim_end")
int BPF_PROG(on_direct_reclaim_end)
{
	reclaim__end(ctx);
	return 0;
}

HOOK("mm_vmscan_memcg_reclaim_end")
int BPF_PROG(on_cgroup_reclaim_end)
{
	reclaim__end(ctx);
	return 0;
}

HOOK("mm_compaction_begin")
int BPF_PROG(on_compaction)
{
	struct loss *l = loss__here();
	struct watched *w;
	bool wanted;

	if (!l)
		return 0;
	l->runs++;
	w = stall__thread(l, &wanted);
	if (w)
		w->state.compaction_since = bpf_ktime_get_ns();
	return 0;
}

HOOK("mm_compaction_end")
int BPF_PROG(on_compaction_end)
{
	struct loss *l = loss__here();
	u64 now = bpf_ktime_get_ns(), since;
	struct watched *w;
	bool wanted;

	if (!l)
		return 0;
	l->runs++;
	w = stall__thread(l, &wanted);
	since = w ? w->state.compaction_since : 0;
	if (!since)
		return 0;
	w->state.compaction_since = 0;
	if (!wanted || !control__running(now))
		return 0;
	cell__count(w, MEMORY_COMPACTION, slot__of_ns(now - since), 0, 1, now - since, l);
	stall__event(ctx, MEMORY_EVENT_COMPACTION, 0, since, now, l);
	return 0;
}

/* --- growth: pages that are allocated in a fault, or zeroed for user space in a system call */
HOOK("mm_page_alloc")
int BPF_PROG(on_page_alloc, void *page, u32 order, u32 flags)
{
	struct cell_key key = {.kind = MEMORY_GROWTH};
	struct loss *l = loss__here();
	struct task_struct *task;
	bool published;
	s64 call;

	if (!l)
		return 0;
	l->runs++;
	if (!(flags & GFP_MOVABLE) || !page || !control__running(bpf_ktime_get_ns()))
		return 0;
	task = task__current();
	if (READ(task, flags) & PF_KTHREAD)
		return 0;
	call = READ(registers__at(task, USER_CURRENT), REGS_SYSCALL);
	if (!REGS_IN_EXCEPTION(call) && !(flags & GFP_ZERO))
		return 0;
	loss__count(l, MEMORY, HITS);
	if (!watched__get(task, l)) {
		loss__count(l, MEMORY, FILTERED);
		return 0;
	}
	key.a = stack__capture(ctx, PLACE_HERE, task, false, NULL, l, 0, &published);
	if (cell__add(&key, 1, page_bytes << (order & 15)))
		loss__count(l, MEMORY, AGGREGATED);
	else
		loss__count(l, MEMORY, MAP_FULL);
	return 0;
}
