/* SPDX-License-Identifier: Apache-2.0 */
/* The locks probe: its parts. */
#ifndef SONDE_PROBE_LOCKS_H
#define SONDE_PROBE_LOCKS_H

#include "probe/locks_names.h"
#include "probe/tracer.h"
#include "sonde/locks.h"

struct bpf_link;

/* What a wait is for: somebody who holds a lock; from LOCK_FIRST_ELSE on, nobody knows for what; from
 * LOCK_FIRST_IDLE on, work. */
#define LOCK_KINDS(X)             \
	X(MUTEX, "mutex")         \
	X(RWLOCK, "rwlock")       \
	X(PI, "pi")               \
	X(ONCE, "once")           \
	X(OTHER, "other")         \
	X(CONDITION, "condition") \
	X(SEMAPHORE, "semaphore") \
	X(BARRIER, "barrier")     \
	X(JOIN, "join")           \
	X(PARK, "park")

enum lock_kind {
#define X(name, word) LOCK_##name,
	LOCK_KINDS(X)
#undef X
		LOCK_KIND_COUNT,
	LOCK_FIRST_ELSE = LOCK_OTHER,
	LOCK_FIRST_IDLE = LOCK_CONDITION,
};

const char *lock_kind__word(enum lock_kind kind);
/* By the functions that wait, if one of them is known; else by the system call. `held`: a thread is known to
 * hold it. */
enum lock_kind lock_kind__of(enum lock_call call, const struct stack_view *view, bool held);
const char *kernel_lock__word(enum kernel_lock type);
/* Who wants a lock of the kernel: the innermost function that is no lock's own; "" if there is none. */
const char *kernel_lock__caller(const struct stack_view *view);

struct locks {
	struct tracer tracer;
	struct locks_options options;
	bool has_contention; /* the kernel has the tracepoints of its own locks */
	bool has_user;	     /* waits in futex() are watched */
	struct bpf_link *sweep_link;
	struct lock_names names;
	uint64_t told_ns; /* the end of the interval that was told last */
};

extern const struct metric metric_lock_wait, metric_lock_holders, metric_lock_else, metric_lock_kernel,
	metric_lock_stacks, metric_lock_slow;

/* Cells and open waits of an interval as points. `rows` are changed. 0 or -errno. */
int locks__emit(struct locks *l, struct cell_row *rows, size_t count, struct point_stream *out,
		struct drain *d);
int locks__event(struct tracer *t, const struct event_record *e);

#endif
