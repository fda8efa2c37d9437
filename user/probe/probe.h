/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe owns hooks. One file in bpf/, one here, one page in docs/probes/, one row in probe__types.
 * Commands are views of probes: they choose options and which metrics are wanted.
 */
#ifndef SONDE_PROBE_PROBE_H
#define SONDE_PROBE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/point.h"
#include "model/summary.h"
#include "probe/loader.h"
#include "sonde/tcp.h"
#include "stack/store.h"

struct probe_context {
	struct loader *loader;
	struct stacks *stacks;
	pid_t self;		     /* sonde's own process, never reported */
	struct point_stream *events; /* takes points of kind event at any time; NULL: nobody does */
};

/* What is told and asked at an interval's end. */
struct drain {
	uint64_t from_ns, to_ns; /* CLOCK_MONOTONIC; to_ns is the cut that was announced */
	bool last;
	struct coverage coverage; /* added to by probes with stacks */
	uint64_t lost_stacks;	  /* events whose stack's frames never arrived: counted, under a mark */
	uint64_t
		lost_threads; /* whose time comes with the next interval, or not at all if this is the last */
	struct buf headline;  /* the view's words; the first probe with some writes it */
	struct buf note;
};

/* One way to hook into the kernel, for `sonde check` and --dry-run. */
struct hook {
	const char *what;	  /* "sched_switch" */
	const char *alternatives; /* "tp_btf, raw_tp" in the order they are tried */
	const char *without;	  /* what is lost if none works */
};

struct probe {
	const struct probe_type *type;
	struct probe_context *context;
};

struct probe_type {
	const char *name, *summary;
	const struct metric *const *metrics; /* NULL-terminated */
	const struct hook *hooks;	     /* ends with a NULL what */
	/* Loads, attaches nothing. NULL and errno after one line on stderr; EBADRQC: what was asked for does
	 * not exist. */
	struct probe *(*open)(struct probe_context *, const void *options);
	int (*attach)(struct probe *);			 /* 0 or -errno after one line */
	int (*begin)(struct probe *, uint64_t start_ns); /* accounts start here: once, after attach */
	void (*cut)(struct probe *, uint64_t at_ns,
		    bool last);		/* announces an interval's end a little ahead */
	void (*detach)(struct probe *); /* before the last drain, so that nothing is in flight */
	int (*sweep)(struct probe *, uint64_t now_ns); /* membership changed; may be NULL */
	unsigned (*settle)(struct probe *); /* before the end: how many threads still owe their last words;
					       may be NULL */
	int (*record)(struct probe *, const void *record,
		      size_t size); /* a ring-buffer record; 1: not mine */
	int (*drain)(struct probe *, struct point_stream *, struct drain *);
	/* Looks at threads that wait, and at what it costs. Returns in how many ns again; 0: never. May be
	 * NULL. */
	uint64_t (*visit)(struct probe *);
	void (*tick)(struct probe *); /* once a second; may be NULL */
	const struct unit *(*unit)(
		const struct probe *); /* its object: losses, cost, memory; NULL: it has none */
	void (*close)(struct probe *);
};

extern const struct probe_type *const probe__types[]; /* NULL-terminated */
extern const struct probe_type probe_cpu, probe_uprobe, probe_sched, probe_locks, probe_syscalls,
	probe_processes, probe_resources, probe_block, probe_memory;

struct cpu_options {
	uint64_t frequency_hz;
};

struct uprobe_options {
	const char *file;     /* a path; without a slash the name of a file that the target has mapped */
	const char *function; /* its symbol */
	uint64_t offset;      /* of the instruction in it */
	bool at_return;	      /* of the function */
	unsigned places;      /* for stacks in the making; 0: as many as are needed (tests) */
};

struct processes_options {
	enum key_by by; /* pid, comm: of who started them */
	bool each;
};

struct syscalls_options {
	const char *calls; /* names with commas, checked; NULL: all */
	enum key_by by;
	uint64_t slow_ns; /* calls of this length or more are told one by one; 0: none */
	bool stacks;	  /* of the slow calls; of all if none is told */
	bool by_event;	  /* classic tracepoints, whatever the canary says (tests) */
};

struct block_options {
	enum key_by by;
	uint64_t slow_ns; /* requests that take so long are told one by one; 0: none */
};

struct memory_options {
	enum key_by by;
	bool stacks;	  /* growth by stack */
	uint64_t slow_ns; /* what takes as long is an event; 0: nothing */
};

struct sched_options {
	bool runq, offcpu, wall; /* which views are wanted */
	bool waker, reason;
	enum key_by runq_key;
	uint64_t min_ns;       /* shorter blocks are not reported */
	uint64_t long_wait_ns; /* run-queue waits of which "who ran instead" is asked */
	bool sample;	       /* importance sampling */
	uint64_t sample_ns;
	unsigned weight_cap;
};

/* What a row of the table is about. */
enum locks_by {
	LOCKS_BY_DEFAULT,
	LOCKS_BY_PID,
	LOCKS_BY_COMM,
	LOCKS_BY_CGROUP,
	LOCKS_BY_LOCK,
	LOCKS_BY_STACK
};

struct locks_options {
	bool user, kernel; /* whose locks */
	enum locks_by by;
	uint64_t min_ns;  /* shorter waits are not reported */
	uint64_t slow_ns; /* longer ones are events; 0: none is */
};

struct tcp_options {
	enum tcp_by by;
	uint64_t slow_ns; /* connections that took longer to be opened are told one by one; 0: none */
	unsigned parties; /* rows that are told apart */
};
extern const struct probe_type probe_tcp;

/* Sample for `view`, with completeness added to the drain's coverage by `weight`. */
void probe__fill_sample(struct sample *sample, struct who *who, const struct stack_view *view,
			struct drain *d, uint64_t weight);
/* Who woke it. A waker in interrupt context has kernel frames down to the interrupt's entry, no user stack
 * and no name. */
void probe__fill_waker(struct sample *sample, const struct stack_view *waker);
/* Flips the cells: what was counted by stack, each stack a point like `p`, the most frequent first. */
int probe__emit_counts(const struct probe *probe, struct unit *unit, struct point *p,
		       struct point_stream *out, struct drain *d, uint64_t *total);
/* Rows whose key.a is a stack's hash: one row for each stack, whoever unwound it, sorted by it. How many. */
size_t probe__join_stacks(const struct stacks *stacks, struct cell_row *rows, size_t count);
/* The view of a stack, or a one-frame view that says why there is none. False: its frames were lost. */
bool probe__view(const struct stacks *stacks, uint64_t hash, struct stack_view *view);

#endif
