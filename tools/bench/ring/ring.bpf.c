// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A record for each call of one system call, or for each so-manieth: what the ring takes, and what reading it
 * costs. */
#include "event.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#include "ring.h"

const volatile struct ring_config config;

inline_always void send_small(struct loss *l)
{
	struct small_record *r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);

	loss__count(l, EVENT, HITS);
	if (!r) {
		loss__count(l, EVENT, RING_FULL);
		return;
	}
	zero(r, sizeof(*r));
	r->type = RECORD_SMALL;
	r->time_ns = bpf_ktime_get_ns();
	loss__count(l, EVENT, EMITTED);
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

inline_always void send_event(struct loss *l)
{
	struct event_record *e = event__begin(PART_EVENT, 0, bpf_ktime_get_ns(), l);

	if (!e)
		return;
	event__who(e, task__current());
	e->duration_ns = 1;
	event__send(e, l);
}

HOOK("sys_enter")
int BPF_PROG(on_call, struct pt_regs *regs, long number)
{
	struct loss *l;

	if (number != config.number)
		return 0;
	l = loss__here();
	if (!l)
		return 0;
	count__add(&l->runs, 1);
	if (l->runs & config.mask || !control__running(bpf_ktime_get_ns()))
		return 0;
	if (config.event)
		send_event(l);
	else
		send_small(l);
	return 0;
}
