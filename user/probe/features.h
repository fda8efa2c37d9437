/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel's type information says it has, for people and for hints. Probes do not ask: they try to
 * load with everything, then with less (user/probe/unit.c), because being listed is not the same as being
 * allowed.
 */
#ifndef SONDE_PROBE_FEATURES_H
#define SONDE_PROBE_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct features {
	bool switch_state;   /* sched_switch has a fourth argument */
	bool copy_user_task; /* bpf_copy_from_user_task(): sleepable iterators can read another task's memory
			      */
	bool preempt_guard;  /* bpf_preempt_disable() */
	bool stack_per_cpu;  /* programs may have their stack there, where whoever preempts them finds it */
};

/* 0, or -errno if there is no type information at all. */
int features__ask(struct features *f);

/* How many arguments each raw tracepoint hands over; -1: there is no such. 0, or -errno likewise. */
int features__tracepoints(const char *const *names, int *arguments, size_t count);

/* The code that enters interrupts, [from, to), by /proc/kallsyms. False: no such symbols, or their addresses
 * are hidden. */
bool features__irq_text(uint64_t range[2]);
/* A function's code, likewise: up to the symbol behind it. */
bool features__function_text(const char *function, uint64_t range[2]);

#endif
