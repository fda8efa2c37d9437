// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * System calls: how often, how long, with which errors. What a thread is in is kept in its own storage, so a
 * call costs one look at it when it begins and one when it ends, and one cell.
 *
 * The hooks are on the way of every call of everybody: first of all those are sent away that cannot be meant.
 */
#define USES_CASTS
#include "common.bpf.h"
#include "sonde/syscalls.h"

/* Whether a call of this thread has begun or ended before. */
enum call_seen { SEEN_NONE, SEEN_UNWATCHED, SEEN_WATCHED };

struct call_state {
	u64 since_ns; /* 0: in none */
	u32 call;
	u32 seen; /* enum call_seen */
};
#define WATCHED_STATE struct call_state

#include "cells.bpf.h"
#include "event.bpf.h"
#include "descriptors.bpf.h"
#include "registers.bpf.h"
#include "stack.bpf.h"
#include "watched.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile struct syscalls_config config;

extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

/* --- the canary: known calls of sonde's own, before anything is counted. Each must come. */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} canaries SEC(".maps");

#define CANARY_CLOCKS \
	256 /* so that whoever makes them is in a program most of the time, and preempted there */

static __noinline int canary__count(u32 which)
{
	struct task_struct *task = task__current();
	struct registers r;
	u64 *count;

	if (!registers__of(task, &r, USER_CURRENT) || r.arg1 != config.canary)
		return 0;
	for (u32 i = 0; i < CANARY_CLOCKS; i++)
		if (!bpf_ktime_get_ns())
			return 0;
	count = bpf_map_lookup_elem(&canaries, &which);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

/* --- what is meant */

inline_always bool task__is_foreign(struct task_struct *task)
{
	u32 id;

	if (!config.own_count)
		return false;
	id = config.own_are_threads ? READ(task, pid) : READ(task, tgid);
	for (u32 i = 0; i < CALL_OWN; i++)
		if (i < config.own_count && config.own[i] == id)
			return false;
	return true;
}

inline_always u32 call__of(struct task_struct *task, u64 number)
{
	u32 call = 0;

	if (TASK_IN_COMPAT_CALL(task))
		call = CALL_COMPAT;
	else if (number & X32_CALL)
		call = CALL_X32;
	number = (u32)number & ~X32_CALL;
	return call | (number < CALL_NUMBERS ? (u32)number : CALL_INVALID);
}

inline_always u32 call__flags(u32 call)
{
	u32 number = call & CALL_NUMBER;

	opaque(number);
	if (number >= CALL_NUMBERS)
		return config.filtered ? 0 : CALL_WANTED;
	return call & CALL_COMPAT ? config.compat[number] : config.native[number];
}

inline_always bool call__count(const struct watched *w, u32 call, u32 kind, u32 state, u32 slot, u64 ns)
{
	struct cell_key key = {
		.a = w->a, .b = w->b, .kind = kind, .state = state, .slot = slot, .tgid = call};

	return cell__add(&key, 1, ns);
}

/* --- calls without a duration: rare */

static __noinline void call__untimed(struct watched *w, u32 call, u32 why, struct loss *l)
{
	loss__count(l, SYSCALLS, HITS);
	if (call__count(w, call, CALL_CELL_UNTIMED, why, 0, 0))
		loss__count(l, SYSCALLS, AGGREGATED);
	else
		loss__count(l, SYSCALLS, MAP_FULL);
}

inline_always bool call__failed(s64 result, u32 flags)
{
	return result < 0 && result >= -4095 && !(flags & CALL_NO_RESULT);
}

/*
 * It ends, but did not begin. What comes back from the fork that made it has begun nowhere; a thread that was
 * there before the measurement may have been in it; and what a seccomp filter refuses ends without a begin.
 */
static __noinline void call__lonely_end(struct watched *w, struct task_struct *task, u32 call, s64 result,
					struct loss *l)
{
	bool born = READ(task, start_time) >= *(volatile u64 *)&control.previous_cut;
	u32 flags = call__flags(call), seen = w->state.seen;

	w->state.seen = SEEN_WATCHED;
	if (((flags & CALL_FORKS) && !result) || (born && !seen && !config.filtered)) {
		loss__count(l, SYSCALLS, HITS);
		loss__count(l, SYSCALLS, FILTERED);
		return;
	}
	if (call__failed(result, flags))
		call__count(w, call, CALL_CELL_ERROR, 0, -result, 0);
	call__untimed(w, call, seen == SEEN_WATCHED || (born && !seen) ? UNTIMED_NO_BEGIN : UNTIMED_BEFORE,
		      l);
}

/* --- slow calls, one by one */

inline_always void slow__describe(struct event_record *e, struct task_struct *task, u32 flags)
{
	struct file_kind kind = {};
	struct descriptors d;
	struct registers r;
	void *file;

	if (!(flags & CALL_FIRST_IS_FD) || !registers__of(task, &r, USER_CURRENT))
		return;
	e->value[CALL_VALUE_FD] = (u64)(u32)r.arg1 + 1;
	descriptors__of(task, &d);
	if ((u32)r.arg1 >= d.size)
		return;
	file = pointer_at((void *)(d.table + 8ULL * (u32)r.arg1));
	if (!file)
		return;
	file__kind(file, &kind);
	e->value[CALL_VALUE_MODE] = (kind.mode & S_IFMT) | 1;
}

struct ended_call {
	u64 now, ns, stack;
	s64 result;
	u32 call, flags;
};

static __noinline void slow__tell(struct task_struct *task, const struct ended_call *c, struct loss *l)
{
	struct event_record *e = event__begin(PART_SYSCALLS, 0, c->now, l);

	if (!e)
		return;
	event__who(e, task);
	e->duration_ns = c->ns;
	e->stack = c->stack;
	e->value[CALL_VALUE_CALL] = c->call;
	e->value[CALL_VALUE_RESULT] = c->result;
	slow__describe(e, task, c->flags);
	event__send(e, l);
}

/* --- the two hooks */

inline_always void call__begins(u64 number)
{
	struct task_struct *task = task__current();
	struct loss *l = loss__here();
	struct watched *w;
	u32 call, flags;
	u64 now;

	if (!l)
		return;
	l->runs++;
	if (!*(volatile u64 *)&control.cut) {
		canary__count(0);
		return;
	}
	if (task__is_foreign(task))
		return;
	call = call__of(task, number);
	flags = call__flags(call);
	if (config.filtered && !(flags & CALL_WANTED))
		return;
	w = watched__get(task, l);
	if (!w)
		return;
	now = bpf_ktime_get_ns();
	if (!control__running(now))
		return;
	if (w->state.since_ns)
		call__untimed(w, w->state.call, UNTIMED_NO_END, l);
	w->state.seen = SEEN_WATCHED;
	w->state.call = call;
	w->state.since_ns = now;
	if (flags & CALL_NEVER_RETURNS) {
		w->state.since_ns = 0;
		call__untimed(w, call, UNTIMED_NEVER_RETURNS, l);
	}
}

/* Whose it is; NULL: nobody's that is watched (counted). */
inline_always struct watched *call__owner(struct task_struct *task, struct loss *l)
{
	struct watched *w = watched__look(task, l);

	if (w && w->wanted)
		return w;
	if (w) { /* what has begun before may be somebody's later on */
		w->state.since_ns = 0;
		w->state.seen = SEEN_UNWATCHED;
	}
	loss__count(l, SYSCALLS, HITS);
	loss__count(l, SYSCALLS, FILTERED);
	return NULL;
}

inline_always void call__ended(void *ctx, struct task_struct *task, struct watched *w, u64 now, s64 result,
			       bool with_stacks, struct loss *l)
{
	struct ended_call c = {.now = now, .ns = now - w->state.since_ns, .result = result};
	bool counted, published;
	u32 slot;

	w->state.since_ns = 0;
	c.call = w->state.call;
	c.flags = call__flags(c.call);
	loss__count(l, SYSCALLS, HITS);
	slot = slot__of_ns(c.ns);
	counted = call__count(w, c.call, CALL_CELL_TIMED, 0, slot, c.ns);
	if (call__failed(result, c.flags))
		counted &= call__count(w, c.call, CALL_CELL_ERROR, 0, -result, 0);
	if (with_stacks && c.ns >= config.stacks_ns) {
		struct cell_key key = {.kind = CALL_CELL_STACK, .slot = slot, .tgid = c.call};

		key.a = c.stack = stack__capture(ctx, PLACE_HERE, task, false, NULL, l, 0, &published);
		counted &= cell__add(&key, 1, c.ns);
	}
	if (counted)
		loss__count(l, SYSCALLS, AGGREGATED);
	else
		loss__count(l, SYSCALLS, MAP_FULL);
	if (config.slow_ns && c.ns >= config.slow_ns)
		slow__tell(task, &c, l);
}

inline_always void call__ends(void *ctx, u64 number, s64 result, bool with_stacks)
{
	struct task_struct *task = task__current();
	struct loss *l = loss__here();
	struct watched *w;
	u32 call;
	u64 now;

	if (!l)
		return;
	l->runs++;
	if (!*(volatile u64 *)&control.cut) {
		canary__count(1);
		return;
	}
	if (task__is_foreign(task))
		return;
	call = call__of(task, number);
	/* rt_sigreturn has lost its number */
	if (config.filtered && (call & CALL_NUMBER) != CALL_INVALID && !(call__flags(call) & CALL_WANTED))
		return;
	w = call__owner(task, l);
	if (!w)
		return;
	now = bpf_ktime_get_ns();
	if (!control__running(now)) /* then it was open at the end */
		return;
	if (w->state.since_ns)
		call__ended(ctx, task, w, now, result, with_stacks, l);
	else if (!config.filtered || (call__flags(call) & CALL_WANTED))
		call__lonely_end(w, task, call, result, l);
}

/* Where they can be preempted, another thread's run would come in between. */
#define GUARDED(body)                          \
	({                                     \
		if (config.guard)              \
			bpf_preempt_disable(); \
		body;                          \
		if (config.guard)              \
			bpf_preempt_enable();  \
	})

HOOK("sys_enter")
int BPF_PROG(on_begin, struct pt_regs *regs, long number)
{
	GUARDED(call__begins(number));
	return 0;
}

HOOK("sys_exit")
int BPF_PROG(on_end, struct pt_regs *regs, long result)
{
	GUARDED(call__ends(ctx, READ(regs, REGS_SYSCALL), result, false));
	return 0;
}

HOOK("sys_exit")
int BPF_PROG(on_end_stack, struct pt_regs *regs, long result)
{
	GUARDED(call__ends(ctx, READ(regs, REGS_SYSCALL), result, true));
	return 0;
}

/* The same by perf events: those of raw_syscalls, or of single calls, whose number has four bytes. */
struct begin_context {
	u64 common;
	s32 number, reserved;
	u64 arguments[6];
};

struct end_context {
	u64 common;
	s32 number, reserved;
	s64 result;
};

SEC("?tracepoint")
int on_begin_event(struct begin_context *ctx)
{
	call__begins(ctx->number);
	return 0;
}

SEC("?tracepoint")
int on_end_event(struct end_context *ctx)
{
	call__ends(ctx, ctx->number, ctx->result, false);
	return 0;
}

SEC("?tracepoint")
int on_end_event_stack(struct end_context *ctx)
{
	call__ends(ctx, ctx->number, ctx->result, true);
	return 0;
}

/* --- calls that are open at an interval's end */

/* A thread of which nothing was seen may have waited in a call all the time. */
inline_always bool open__before(struct task_struct *task, struct open_call *o)
{
	struct registers r;

	if (!task__state(task) || !registers__of(task, &r, USER_REMOTE) || REGS_INTERRUPTED(r.syscall))
		return false;
	o->call = call__of(task, r.syscall);
	if (!(call__flags(o->call) & CALL_WANTED) || !target__wants(task))
		return false;
	key__of(task, &o->a, &o->b);
	return true;
}

SEC("?iter/task")
int open_calls(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct open_call o = {};
	struct watched *w;

	if (!task || task__is_foreign(task) || READ(task, exit_state))
		return 0;
	w = watched__peek(task);
	if (w && w->state.since_ns && w->wanted) {
		o.a = w->a;
		o.b = w->b;
		o.since_ns = w->state.since_ns;
		o.call = w->state.call;
	} else if ((w && w->state.seen) || !open__before(task, &o)) {
		return 0;
	}
	return bpf_seq_write(ctx->meta->seq, &o, sizeof(o)) != 0; /* full: asked for again */
}
