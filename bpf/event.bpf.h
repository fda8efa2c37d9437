/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Events that cross by themselves: the rare ones, each with its whole context. A token bucket per CPU bounds
 * them; what it holds back is counted. Without wake-ups: the timer that drains the ring brings them.
 */
#ifndef SONDE_EVENT_BPF_H
#define SONDE_EVENT_BPF_H

#include "common.bpf.h"

const volatile u64 event_gap_ns = 10000000; /* one every so often, per CPU, in the long run ... */
#define EVENT_BURST 100			    /* ... and so many at once */

/* When the bucket is full again, per CPU: as much ahead of now as is taken out. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} event_buckets SEC(".maps");

inline_always bool event__may_cross(u64 now)
{
	u64 *full, at;
	u32 key = 0;

	full = bpf_map_lookup_elem(&event_buckets, &key);
	if (!full)
		return false;
	at = *full > now ? *full : now;
	if (at - now > EVENT_BURST * event_gap_ns)
		return false;
	*full = at + event_gap_ns;
	return true;
}

/*
 * Room in the ring for one event; NULL: counted as suppressed or lost. Values and text are zero. What is
 * returned must be given to event__send().
 */
inline_always struct event_record *event__begin(u32 part, u32 kind, u64 now, struct loss *l)
{
	struct event_record *e;

	loss__count(l, EVENT, HITS);
	if (!event__may_cross(now)) {
		loss__count(l, EVENT, SUPPRESSED);
		return NULL;
	}
	e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	if (!e) {
		loss__count(l, EVENT, RING_FULL);
		return NULL;
	}
	zero(e, sizeof(*e));
	e->type = RECORD_EVENT;
	e->part = part;
	e->kind = kind;
	e->time_ns = now;
	return e;
}

/* Of whom the event is. */
inline_always void event__who(struct event_record *e, struct task_struct *task)
{
	struct pids pids = pids__of(task);

	e->tgid = pids.tgid;
	e->tid = pids.tid;
	e->start_boot_ns = READ(task__cast(task), group_leader, start_boottime);
	e->cgroup = task__cgroup(task);
	task__comm(e->comm, task);
}

inline_always void event__send(struct event_record *e, struct loss *l)
{
	loss__count(l, EVENT, EMITTED);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

#endif
