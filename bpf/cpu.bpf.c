// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* On-CPU samples: one perf event per CPU, filtered here. Runs in NMI where the CPU has a PMU. */
#include "cells.bpf.h"
#include "follow.bpf.h"
#include "stack.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("perf_event")
int on_tick(struct bpf_perf_event_data *ctx)
{
	struct cell_key key = {.kind = CELL_SAMPLE};
	struct loss *l = loss__here();
	struct task_struct *task;
	bool published;

	if (!l)
		return 0;
	l->runs++;
	if (!control__running(bpf_ktime_get_ns()))
		return 0;
	task = task__current();
	loss__count(l, CPU, HITS);
	if (!READ(task, pid) || !target__wants(task)) {
		loss__count(l, CPU, FILTERED);
		return 0;
	}
	key.a = stack__capture(ctx, PLACE_HERE, task, false, SAMPLED_IN_USER(&ctx->regs) ? &ctx->regs : NULL,
			       l, 0, &published);
	if (cell__add(&key, 1, 0))
		loss__count(l, CPU, AGGREGATED);
	else
		loss__count(l, CPU, MAP_FULL);
	return 0;
}
