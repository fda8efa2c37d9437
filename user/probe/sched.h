/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the sched probe: its three views share one object in the kernel. */
#ifndef SONDE_PROBE_SCHED_H
#define SONDE_PROBE_SCHED_H

#include "base/table.h"
#include "probe/governor.h"
#include "probe/probe.h"

extern const struct metric metric_thread_time, metric_offcpu_time, metric_runq_latency, metric_runq_ran;

/* What is known of one thread from its last record; key: struct thread_key. */
struct thread_key {
	uint64_t start_ns;
	uint32_t tid, reserved;
};

struct thread_seen {
	struct who who;
	uint64_t last[STATE_COUNT];  /* cumulative, as of the last record */
	uint64_t delta[STATE_COUNT]; /* in this interval */
	uint64_t late[STATE_COUNT];  /* after the announced cut: the next interval's */
	uint64_t utime_ns, stime_ns; /* cumulative */
	uint64_t utime_delta_ns, stime_delta_ns;
	uint64_t watched_ns, end_ns; /* end_ns: 0 while it lives */
	uint64_t open, open_stack;   /* the open state at the cut */
	uint64_t open_weight;	     /* with importance sampling */
	char leader_comm[COMM_LEN];
};

struct sched {
	struct probe probe;
	struct sched_options options;
	struct unit unit;
	struct control *control;
	struct bpf_link *sweep_link;
	struct bpf_link *visit_link; /* NULL: this kernel has no such iterator, or it is not wanted */
	struct governor governor;
	uint64_t told_ended, told_taken; /* blocks, as of the last headline */
	unsigned swept;			 /* threads that the last pass met */
	unsigned unread;		 /* threads that no pass of the last sweep could read */
	struct table threads;
	uint64_t cut_ns, emitted_cut_ns;      /* announced, and done */
	struct runq_hist runq_last, runq_now; /* cumulative, at the last drain and at this one */
	struct metric ran;		      /* metric_runq_ran, its title with the limit of this run */
	char ran_title[64];
};

/* sched_threads.c */
int sched__account(struct sched *s, const struct thread_record *r);
int sched__emit_states(struct sched *s, struct point_stream *out, struct drain *d);
void sched__end_interval(struct sched *s);

/* By what is counted: kind, a, b. */
static inline int cell_key__compare(const struct cell_key *x, const struct cell_key *y)
{
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	return x->b < y->b ? -1 : x->b > y->b;
}

/* sched_blocks.c: `rows` are the cells of the interval, room for one more per thread behind them is made
 * inside. */
int sched__emit_blocks(struct sched *s, struct cell_row *rows, size_t count, struct point_stream *out,
		       struct drain *d);

/* sched_sample.c */
bool sched__samples(const struct sched *s);
void sched__open_sample(struct sched *s);
int sched__attach_visit(struct sched *s); /* 0, also where there is none; or -errno */
uint64_t sched__visit(struct probe *probe);
double sched__mean_weight(struct sched *s); /* since it was asked last */

/* sched_runq.c */
int sched__read_runq(struct sched *s);
int sched__emit_runq(struct sched *s, struct cell_row *rows, size_t count, struct point_stream *out,
		     struct drain *d);

#endif
