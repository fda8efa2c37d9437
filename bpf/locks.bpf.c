// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Waits for locks: of threads in futex(), from the switch away from the CPU to the wakeup, and of the kernel
 * for its own, between contention_begin and contention_end.
 *
 * Not a part of the sched object: that accounts each state of each thread, and pays for it at each switch.
 * Here a switch costs three loads unless the thread blocks in futex().
 */
#define USES_CASTS
#define INTERRUPTED /* contention_begin may be; the scheduler's hooks then come in between */
#include "common.bpf.h"
#include "sonde/locks.h"

/* A thread's wait, from the switch away on. */
struct lock_wait {
	u64 since; /* 0: it does not wait */
	u64 told;  /* what lies before was told as open, at an interval's end */
	u64 stack, waker;
	u32 number, call, owner, reserved;
};
#define WATCHED_STATE struct lock_wait
#include "contention.bpf.h"
#include "remote.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* --- futexes: which, and how */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct lock_entry);
} locks SEC(".maps");

/* include/uapi/linux/futex.h */
#define FUTEX_WAIT	      0
#define FUTEX_LOCK_PI	      6
#define FUTEX_WAIT_BITSET     9
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_LOCK_PI2	      13
#define FUTEX_CMD_MASK	      127
#define FUTEX_TID_MASK	      0x3fffffff
#define FUTEX_WAITERS	      0x80000000
#define TID_MAX		      0x400000 /* PID_MAX_LIMIT (include/linux/threads.h) */
/* glibc, Go and Rust mark a lock that has waiters by 2, musl by this bit beside the holder. glibc's locks for
 * reading and writing add 1. */
#define CONTENDED 2

struct futex_waitv {
	u64 value, address;
	u32 flags, reserved;
};

struct futex_call {
	u64 address;
	u32 call;
};

/* All ones is no lock of musl's: so Rust's threads park, and QEMU's wait for events. */
inline_always u32 call__of_value(u32 value)
{
	u32 holder = value & FUTEX_TID_MASK;

	return value == CONTENDED || (value & FUTEX_WAITERS && holder && holder < TID_MAX)
		       ? LOCK_CALL_CONTENDED
		       : LOCK_CALL_PLAIN;
}

inline_always u32 call__of_operation(u32 operation, u32 value)
{
	switch (operation & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return call__of_value(value);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return LOCK_CALL_PI;
	case FUTEX_WAIT_REQUEUE_PI:
		return LOCK_CALL_REQUEUE_PI;
	default:
		return LOCK_CALL_COUNT;
	}
}

/* What the thread waits for; false: it is in no such system call. */
inline_always bool futex__of(struct task_struct *task, struct futex_call *f, enum user_access access)
{
	struct pt_regs *regs;
	u32 number;

	if (READ(task, flags) & PF_KTHREAD)
		return false;
	regs = registers__at(task, access);
	number = READ(regs, REGS_SYSCALL);
	if (number != config.futex && number != config.futex_waitv && number != config.futex_wait)
		return false;
	if (REGS_COMPAT(regs))
		return false;
	f->address = READ(regs, REGS_ARG1);
	f->call = LOCK_CALL_SEVERAL;
	if (number == config.futex)
		f->call = call__of_operation(READ(regs, REGS_ARG2), READ(regs, REGS_ARG3));
	else if (number == config.futex_wait)
		f->call = call__of_value(READ(regs, REGS_ARG2));
	return f->call < LOCK_CALL_COUNT;
}

/* The first of several, whose list is all that the registers show. */
inline_always u64 futex__first(const struct futex_call *f)
{
	struct futex_waitv first = {};

	if (f->call != LOCK_CALL_SEVERAL || !config.user_reads ||
	    bpf_probe_read_user(&first, sizeof(first), (void *)f->address))
		return f->address;
	return first.address;
}

/*
 * Who holds it, as a thread id of its process's PID namespace; 0: not known. The futex of a lock with
 * priority inheritance, and musl's, have it; in glibc's pthread_mutex_t it stands 8 bytes further, which is
 * anything in what is no pthread_mutex_t: user space asks whether there is such a thread.
 */
inline_always u32 futex__owner(const struct futex_call *f)
{
	u32 words[3] = {};

	if (!config.user_reads || (f->call != LOCK_CALL_CONTENDED && f->call != LOCK_CALL_PI))
		return 0;
	if (bpf_probe_read_user(words, sizeof(words), (void *)f->address) &&
	    bpf_probe_read_user(words, sizeof(words[0]), (void *)f->address))
		return 0;
	if (f->call == LOCK_CALL_CONTENDED && words[0] <= CONTENDED)
		return words[2];
	return words[0] & FUTEX_TID_MASK;
}

#define NUMBER_K 0x9fb21c651e98df25ULL

/* The lock's number. One that was not seen before is told to user space, which finds it in the map as well.
 */
static __noinline u32 lock__number(u64 address, u64 start_boot_ns, u32 tgid)
{
	struct lock_record r = {.type = RECORD_LOCK,
				.lock = {.start_boot_ns = start_boot_ns, .address = address, .tgid = tgid}};
	u64 hash = ((start_boot_ns ^ ((u64)tgid << 40)) * NUMBER_K ^ address) * NUMBER_K;
	u32 number = (u32)(hash >> 32) ?: 1;
	struct lock_entry *known = bpf_map_lookup_elem(&locks, &number);

	if (known)
		return known->address == address && known->start_boot_ns == start_boot_ns ? number : 0;
	r.lock.number = number;
	if (bpf_map_update_elem(&locks, &number, &r.lock, BPF_NOEXIST))
		return 0;
	bpf_ringbuf_output(&ring, &r, sizeof(r), BPF_RB_FORCE_WAKEUP);
	return number;
}

inline_always u32 lock__of(struct task_struct *task, u64 address)
{
	return lock__number(address, READ(task__cast(task), group_leader, start_boottime),
			    pids__of(task).tgid);
}

/* --- futexes: the waits */

/* A long wait: at once, with whom and what. */
static __noinline void wait__tell(struct task_struct *task, struct lock_wait *w, u64 wait, u64 now,
				  struct loss *l)
{
	struct event_record *e = event__begin(PART_LOCKS, CELL_LOCK, now, l);

	if (!e)
		return;
	event__who(e, task);
	e->duration_ns = wait;
	e->stack = w->stack;
	e->value[LOCK_VALUE_NUMBER] = w->number;
	e->value[LOCK_VALUE_CALL] = w->call;
	e->value[LOCK_VALUE_OWNER] = w->owner;
	e->value[LOCK_VALUE_WAKER] = w->waker;
	event__send(e, l);
}

inline_always void holder__count(const struct lock_wait *w)
{
	struct cell_key key = {.kind = CELL_HOLDER, .state = w->call, .tgid = w->number, .a = w->owner};

	if (w->owner)
		cell__add(&key, 1, 0);
}

/* `woken`: the kernel reported the wakeup; else it ends at the thread's next wait, long after perhaps. */
inline_always void wait__ended(struct task_struct *task, struct lock_wait *w, u64 now, bool woken,
			       struct loss *l)
{
	u64 since = w->since, wait = now > since ? now - since : 0, ns = untold_ns(since, w->told, now);
	struct cell_key key = {.kind = CELL_LOCK, .state = w->call, .tgid = w->number, .a = w->stack};

	w->since = 0;
	loss__count(l, LOCKS, HITS);
	if (wait < config.min_ns) {
		loss__count(l, LOCKS, FILTERED);
		return;
	}
	if (!woken) {
		loss__count(l, LOCKS, MISSED);
		return;
	}
	key.b = w->waker;
	key.slot = slot__of_ns(wait);
	if (!cell__add(&key, 1, ns)) {
		loss__count(l, LOCKS, MAP_FULL);
		return;
	}
	loss__count(l, LOCKS, AGGREGATED);
	holder__count(w);
	if (config.slow_ns && wait >= config.slow_ns)
		wait__tell(task, w, wait, now, l);
}

inline_always void wait__began(void *ctx, struct task_struct *task, struct watched *w, struct futex_call *f,
			       u64 now, struct loss *l)
{
	bool published;

	f->address = futex__first(f);
	w->state.call = f->call;
	w->state.number = lock__of(task, f->address);
	w->state.owner = futex__owner(f);
	w->state.stack = stack__capture(ctx, PLACE_HERE, task, false, NULL, l, 0, &published);
	w->state.told = 0;
	w->state.since = now;
}

HOOK("sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	u32 prev_state = config.switch_state ? (u32)ctx[3] : task__state(prev);
	struct loss *l = loss__here();
	struct kernel_waits *k;
	struct futex_call f;
	struct watched *w;
	u64 now;

	if (!l)
		return 0;
	count__add(&l->runs, 1);
	if (preempt || !(prev_state & TASK_INTERRUPTIBLE) || !futex__of(prev, &f, USER_CURRENT))
		return 0;
	now = bpf_ktime_get_ns();
	k = kernel_waits__here();
	if (!k || !control__running(now))
		return 0;
	inside__enter(k);
	w = watched__get(prev, l);
	if (w) {
		if (w->state.since)
			wait__ended(prev, &w->state, now, false, l);
		wait__began(ctx, prev, w, &f, now, l);
	}
	inside__leave(k);
	return 0;
}

/* In the waker's context. One that is about to block may be woken before it is switched out: its kernel state
 * tells, as our own cannot yet; on_wakeup takes back what was not needed. */
inline_always bool is_waiting(struct task_struct *task, const struct watched *w)
{
#ifndef RAW_TP /* no helper gives the registers of another thread */
	struct futex_call f;

	if (!w->state.since)
		return (task__state(task) & TASK_INTERRUPTIBLE) && futex__of(task, &f, USER_NONE);
#endif
	return w->state.since != 0;
}

HOOK("sched_waking")
int BPF_PROG(on_waking, struct task_struct *task)
{
	struct watched *w = watched__peek(task);
	struct kernel_waits *k = kernel_waits__here();
	struct loss *l = loss__here();
	bool published;

	if (!l || !k)
		return 0;
	count__add(&l->runs, 1);
	if (!w || !w->wanted || !control.cut || !is_waiting(task, w))
		return 0;
	inside__enter(k);
	w->state.waker = stack__capture(ctx, PLACE_HERE, task__current(), true, NULL, l, 0, &published);
	inside__leave(k);
	return 0;
}

HOOK("sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task)
{
	struct watched *w = watched__peek(task);
	struct kernel_waits *k = kernel_waits__here();
	struct loss *l = loss__here();
	u64 now;

	if (!l || !k)
		return 0;
	count__add(&l->runs, 1);
	if (!w)
		return 0;
	now = bpf_ktime_get_ns();
	/* After the end all waits stay open: the last sweep tells them. */
	if (w->state.since && control__running(now)) {
		inside__enter(k);
		wait__ended(task, &w->state, now, true, l);
		inside__leave(k);
	}
	w->state.waker = 0;
	return 0;
}

/* --- futexes: waits that are open */

inline_always bool remote__in_futex(struct task_struct *task, struct futex_call *f)
{
	return (task__state(task) & TASK_INTERRUPTIBLE) && futex__of(task, f, USER_REMOTE);
}

/* One that waited before it was watched. The kernel state is looked at again, so that a wakeup meanwhile
 * wins. */
inline_always void sweep__seed(struct task_struct *task, struct lock_wait *w, bool may_sleep, struct loss *l)
{
	struct futex_call f;

	if (!remote__in_futex(task, &f))
		return;
	w->call = f.call;
	w->owner = 0;
	w->number = lock__of(task, f.address);
	if (may_sleep && (f.call == LOCK_CALL_CONTENDED || f.call == LOCK_CALL_PI)) {
		u32 words[3] = {};

		if (!user__read(words, sizeof(words), f.address, task, USER_REMOTE))
			w->owner = f.call == LOCK_CALL_CONTENDED && words[0] <= CONTENDED
					   ? words[2]
					   : words[0] & FUTEX_TID_MASK;
	}
	w->stack = stack__of_blocked(task, may_sleep, l);
	w->waker = 0;
	w->told = 0;
	w->since = control.sweep_ns;
	if (!remote__in_futex(task, &f))
		w->since = 0;
}

/* What was not told of the wait, up to the cut. First it counts as told, then it is asked whether the wait is
 * still the same: a wakeup meanwhile counts the rest. */
inline_always int sweep__tell(struct seq_file *seq, struct task_struct *task, struct lock_wait *w)
{
	u64 since = *(volatile u64 *)&w->since, told = w->told, cut = *(volatile u64 *)&control.cut;
	struct lock_open open = {.stack = w->stack, .number = w->number, .call = w->call, .owner = w->owner};
	struct futex_call f;

	if (!since || cut <= since || cut - since < config.min_ns || cut <= told ||
	    !remote__in_futex(task, &f))
		return 0;
	open.ns = untold_ns(since, told, cut);
	*(volatile u64 *)&w->told = cut;
	barrier();
	if (*(volatile u64 *)&w->since != since)
		return 0;
	if (!bpf_seq_write(seq, &open, sizeof(open)))
		return 0;
	w->told = told;
	return 1; /* the buffer was full: the kernel asks for this task again */
}

inline_always int sweep__task(struct bpf_iter__task *ctx, bool may_sleep)
{
	struct task_struct *task = ctx->task;
	struct loss *l = loss__here();
	struct watched *w;
	bool wanted;

	if (!task || !l || READ(task, flags) & PF_KTHREAD)
		return 0;
	wanted = remote__wants(task, may_sleep, config.rcu_lock);
	w = wanted ? watched__make(task) : watched__peek(task);
	if (!w)
		return 0;
	w->wanted = wanted;
	w->generation = *(volatile u64 *)&control.generation + 1;
	if (!wanted) {
		w->state.since = 0;
		return 0;
	}
	if (!w->state.since)
		sweep__seed(task, &w->state, may_sleep, l);
	return sweep__tell(ctx->meta->seq, task, &w->state);
}

SEC("?iter/task")
int sweep(struct bpf_iter__task *ctx)
{
	return sweep__task(ctx, false);
}

SEC("?iter.s/task")
int sweep_sleepable(struct bpf_iter__task *ctx)
{
	return sweep__task(ctx, true);
}
