/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel has and these privileges allow, feature by feature, tried for real: loaded, attached, seen
 * to work, detached. For `sonde check`; probes try their own alternatives and do not ask here.
 */
#ifndef SONDE_PROBE_TRY_H
#define SONDE_PROBE_TRY_H

#include "base/buf.h"

/* Privileges that a trial needs. */
#define NEEDS_BPF    1	/* CAP_BPF: maps and programs */
#define NEEDS_TRACE  2	/* CAP_PERFMON: programs that trace */
#define NEEDS_EVENT  4	/* perf_event_open(): CAP_SYS_ADMIN where kernel.perf_event_paranoid is 3 or more */
#define NEEDS_ADMIN  8	/* CAP_SYS_ADMIN */
#define NEEDS_SYSLOG 16 /* CAP_SYSLOG */

struct feature {
	const char *name, *what; /* what it is for */
	const char
		*instead; /* what takes its place, the name of a feature if it is one; NULL: nothing does */
	const char *lost; /* what is lost where it is missing, although something takes its place */
	unsigned needs;	  /* NEEDS_ */
	int (*attempt)(struct buf *why); /* 0, or -errno and the reason in `why`; prints nothing */
};

extern const struct feature try__features[]; /* ends with a NULL name */

/* Trials that run a program of bpf/try.bpf.c: like `attempt`. */
int try__tp_btf(struct buf *why);
int try__raw_tp(struct buf *why);
int try__task_storage(struct buf *why);
int try__ringbuf(struct buf *why);
int try__stacks(struct buf *why);
int try__bpf_loop(struct buf *why);
int try__for_each_map_elem(struct buf *why);
int try__iter_task(struct buf *why);
int try__iter_task_sleepable(struct buf *why);
int try__perf_cycles(struct buf *why);
int try__perf_cpu_clock(struct buf *why);
int try__kprobe(struct buf *why);
int try__fentry(struct buf *why);
int try__uprobe(struct buf *why);
int try__uprobe_multi(struct buf *why);
int try__cgroup_id(struct buf *why);

#endif
