/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sink writes points and emits none: one file, one row in sink__types. The session calls begin, point...,
 * end per interval; points come grouped by metric, largest first within a metric of kind POINT_STACK.
 */
#ifndef SONDE_SINK_SINK_H
#define SONDE_SINK_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "model/point.h"
#include "model/summary.h"

struct interval {
	unsigned number; /* from 1 */
	bool last;
	uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
	struct timespec wall_start;
	const char *subject;  /* "postgres[4127]", "machine, 2 CPUs" */
	const char *headline; /* the probe's words: "1.89 CPUs, 1 873 samples at 99 Hz (cpu-clock)" */
	const char *note;     /* further lines, or "" */
	const struct loss_row *loss;
	size_t loss_count;
	uint64_t lost;	/* sum of the drops */
	bool accounted; /* every law of the loss table holds */
	struct coverage coverage;
	double own_cost; /* share of the machine's CPU time, BPF run time included; NAN: not known */
};

struct sink_options {
	const char *path;	  /* output file or "-" */
	const char *command_line; /* as typed, for the record in files */
	bool colour, verbose;
	int columns;	  /* width of the terminal, 80 if there is none, 0: no truncation */
	long long rows;	  /* -n; 0: the sink's default */
	double min_width; /* of flame graphs, in pixels */
	bool inverted;
	const char *title;
};

struct sink;

struct sink_type {
	const char *name, *summary;
	const char *extensions; /* "svg", "html,htm", "pb.gz"; "" for none */
	bool needs_file_per_interval;
	struct sink *(*open)(const struct sink_options *); /* NULL and errno; the file is opened here */
	int (*begin)(struct sink *, const struct interval *);
	int (*point)(struct sink *, const struct point *);
	/* An event that is shown as it comes, also between two intervals; `current` has number, start and
	 * subject. NULL: it has no place for them. */
	int (*event)(struct sink *, const struct interval *current, const struct point *);
	int (*end)(struct sink *, const struct interval *); /* 0, -EPIPE: the reader is gone, or -errno */
	int (*close)(struct sink *, bool keep);		    /* keep false: leave no partial file behind */
};

/* First member of every sink. */
struct sink {
	const struct sink_type *type;
};

extern const struct sink_type *const sink__types[]; /* NULL-terminated; index = choice of -f */
const struct sink_type *sink__find(const char *name);
const struct sink_type *sink__by_extension(const char *path); /* NULL: unknown */
const char *sink__extension(const char *path);	/* ".svg", ".pb.gz" at the end of `path`; NULL: unknown */
void sink__cost(struct buf *out, double share); /* interval.own_cost in words */

/* The top lines of a table, for stderr beside a file. */
#endif
