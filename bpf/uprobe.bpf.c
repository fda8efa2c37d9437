// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Calls of a function, or returns from it, by the stack that leads there: a uprobe or a uretprobe. Such
 * programs run preemptible.
 *
 * Since 7d1cd70d4b16 (6.13) programs may have a stack per CPU, which the next run then overwrites. So the
 * body runs with preemption disabled where the kernel has the words for it (fc7566ad0a82, 6.10). Before that
 * call nothing may lie on the stack.
 */
#define PREEMPTIBLE
#include "cells.bpf.h"
#include "follow.bpf.h"
#include "stack.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile bool preempt_guard;
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

/* The registers are the user's: at the function's first instruction, or where it returns to. */
inline_always void count_stack(struct sampled_regs *ctx, struct task_struct *task, struct loss *l)
{
	struct cell_key key = {.kind = CELL_SAMPLE};
	u32 which = place__claim();
	bool published;

	if (which == PLACE_NONE) {
		loss__count(l, UPROBE, NO_PLACE);
		return;
	}
	key.a = stack__capture(ctx, which, task, false, ctx, l, 0, &published);
	place__release(which);
	if (cell__add(&key, 1, 0))
		loss__count(l, UPROBE, AGGREGATED);
	else
		loss__count(l, UPROBE, MAP_FULL);
}

inline_always void count_hit(struct sampled_regs *ctx)
{
	struct loss *l = loss__here();
	struct task_struct *task;

	if (!l)
		return;
	count__add(&l->runs, 1);
	if (!control__running(bpf_ktime_get_ns()))
		return;
	task = task__current();
	loss__count(l, UPROBE, HITS);
	if (target__wants(task))
		count_stack(ctx, task, l);
	else
		loss__count(l, UPROBE, FILTERED);
}

SEC("?uprobe")
int on_hit(struct sampled_regs *ctx)
{
	if (preempt_guard)
		bpf_preempt_disable();
	count_hit(ctx);
	if (preempt_guard)
		bpf_preempt_enable();
	return 0;
}
