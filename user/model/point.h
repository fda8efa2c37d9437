/* SPDX-License-Identifier: Apache-2.0 */
/* A point: the one thing that moves from probes through stages to sinks. Valid during the call that hands it
 * over. */
#ifndef SONDE_MODEL_POINT_H
#define SONDE_MODEL_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/frame.h"
#include "model/hist.h"

enum point_kind { POINT_COUNTER, POINT_GAUGE, POINT_HIST, POINT_STACK, POINT_EVENT };

/* The shape of a metric's data decides how a table is drawn; sinks know no probe by name. */
enum metric_shape {
	SHAPE_VALUE,	 /* one number */
	SHAPE_FUNCTIONS, /* stacks, shown as functions with self and total share */
	SHAPE_STACKS,	 /* stacks, shown one a row with time, waits, quantiles, reason, waker */
	SHAPE_HISTOGRAM, /* quantiles and bars */
	SHAPE_STATES,	 /* who x label[0]: a matrix with a bar */
	SHAPE_RANKING,	 /* who by value, in one line below: "waits over 1 ms, who ran instead: xz[9001] 77 %"
			  */
	SHAPE_ROWS, /* a row for who and labels; metrics with one `table` share it, each with its columns */
};

struct metric {
	const char *name; /* sonde_<noun>_<base unit>, or an OpenTelemetry name */
	const char *unit; /* UCUM: "ns", "{sample}", "By" */
	const char *help;
	const char *title; /* words before a ranking; NULL otherwise */
	enum point_kind kind;
	enum metric_shape shape;
	const char *labels[4]; /* names; NULL-terminated if fewer */

	/* SHAPE_ROWS */
	const char *table;   /* which table: metrics with the same pointer or text stand in one */
	const char *columns; /* "WORD[:title] ...": of a histogram count, total, mean, p50, p90, p95, p99,
				max; of a number `value`. A `*` before one: rows are sorted by it, largest
				first. SHAPE_STACKS: the title of what is counted, NULL: waits */
	bool pivot;	     /* the last label is no part of the row: columns are its values, "VALUE[:title]
				...", and values that have none are left out */
	bool percent;	     /* a share of 1, shown in per cent */
	bool spread;	     /* the last label is no part of the row: "ENOENT 13, EBADF 7" in the column */
};

/* Who it is about; what a probe does not know is 0 or "". start_ns is CLOCK_BOOTTIME: (tgid, start_ns) is a
 * key, a PID is not. */
struct who {
	uint64_t cgroup, start_ns;
	uint32_t tgid, tid;
	char comm[16];
};

/* A weighted stack. Frames leaf first, kernel before user. A waker's frames follow the same order. */
struct sample {
	const struct frame *frames;
	size_t count;
	const struct frame *waker_frames; /* NULL: none recorded */
	size_t waker_count;
	const char *waker_comm;	 /* "" for an interrupt */
	const char *incomplete;	 /* why the user stack does not reach its thread's start; NULL: complete */
	uint64_t value;		 /* the weight in the metric's unit (samples, or ns: folded writes us) */
	uint64_t occurrences;	 /* completed waits, samples */
	uint64_t open;		 /* waits still open at the end; their time is in `value` */
	const struct hist *hist; /* of the completed waits; NULL: none */
	uint64_t period_ns;	 /* time that one sample stands for; 0: it is no such sample */
};

struct event_field {
	const char *name;
	const char *text; /* NULL: number */
	uint64_t number;
	const char *unit; /* of the number, UCUM; NULL: none */
};

struct event {
	const char *type; /* "slow call" */
	uint64_t time_ns; /* when it ended, CLOCK_MONOTONIC */
	const struct event_field *fields;
	size_t count;
	uint64_t duration_ns;	    /* 0: it has none */
	const struct frame *frames; /* its stack, leaf first; NULL: none was taken */
	size_t frame_count;
};

struct point {
	const struct metric *metric;
	struct who who;
	const char *label[4];
	union {
		uint64_t counter; /* of this interval, not since the start */
		double gauge;
		const struct hist *hist;
		struct sample sample;
		const struct event *event;
	};
};

struct point_stream {
	int (*emit)(struct point_stream *, const struct point *);
};

#endif
