/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks with values and labels: what pprof, speedscope and JSON files have in common with each other and
 * with a session's points, so that each can be written as another. What is said about a profile (command,
 * losses,
 * ...) stands beside it, as the facts of a flamegraph.
 *
 * Everything is stored once: equal stacks with equal labels are one sample. Strings are raw bytes, escaped
 * where they are written.
 */
#ifndef SONDE_SINK_PROFILE_H
#define SONDE_SINK_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "model/point.h"
#include "sink/flamegraph.h"
#include "sink/sink.h"

#define PROFILE_TYPES_MAX 8
#define PROFILE_BYTES_MAX ((size_t)512 << 20) /* of an unpacked file */

/* What a value is: ("samples", "count"), ("time", "nanoseconds"), ("space", "bytes"). */
struct profile_type {
	const char *name, *unit;
};

struct profile_label {
	const char *key;
	const char *text; /* NULL: a number */
	const char *unit; /* of a number; "": none */
	int64_t number;
};

struct profile_sample {
	const uint32_t *frames; /* indexes of profile.frames, leaf first */
	const struct profile_label *labels;
	uint32_t frame_count, label_count;
	uint64_t values[PROFILE_TYPES_MAX];
};

struct profile {
	struct profile_type types[PROFILE_TYPES_MAX];
	size_t type_count;
	size_t main_type; /* the one that a picture shows */
	struct frame *frames;
	size_t frame_count, frame_capacity;
	struct profile_sample *samples;
	size_t sample_count, sample_capacity;
	uint64_t time_ns;		 /* CLOCK_REALTIME at its start; 0: not known */
	uint64_t duration_ns, period_ns; /* period: what a sample stands for; 0: not known */
	struct strings strings, arrays;	 /* arrays: of frame indexes and labels, and images */
	struct table frame_index, sample_index;
};

void profile__init(struct profile *p);
void profile__free(struct profile *p);

/* Errors: -ENOMEM, and what is said. */
/* The index of a type, which is added if need be. -E2BIG: more than PROFILE_TYPES_MAX. */
int profile__type(struct profile *p, const char *name, const char *unit);
const char *profile__string(struct profile *p, const char *text, size_t len); /* NULL: no memory */
/* The index of a frame; its strings and image are copied. */
int profile__frame(struct profile *p, const struct frame *frame, uint32_t *index);
/* The sample of this stack (leaf first) and labels, zeroed if it is new; NULL: no memory. The labels' strings
 * are those of profile__string. Valid until the next call. */
struct profile_sample *profile__sample(struct profile *p, const uint32_t *frames, size_t frame_count,
				       const struct profile_label *labels, size_t label_count);
/* -EOVERFLOW: the sum does not fit. */
int profile__add(struct profile_sample *sample, int type, uint64_t value);
/* NULL: the sample has no such text. */
const char *profile__label(const struct profile_sample *sample, const char *key);
uint64_t profile__label_number(const struct profile_sample *sample, const char *key); /* 0: none */
/* A metric's name without what all of them have: "sonde_x_time" -> "x". */
void profile__short_name(char *name, size_t size, const char *metric);
uint64_t profile__total(const struct profile *p, size_t type);

/* Adds a point if it is a stack. The waker's stack is joined as in folded stacks. */
int profile__add_point(struct profile *p, const struct point *point);
/* The samples as points of one metric, and the facts as interval, into an open sink. */
int profile__emit(const struct profile *p, const struct flamegraph *facts, struct sink *sink);

/* The tree of one type's values (the default: `value` NULL), and its unit as a fact. -ENOENT: no type of this
 * name; others as flame__add. */
int profile__fold(const struct profile *p, struct flamegraph *g, const char *value);
/* The stacks of a tree as samples. -EINVAL: it is a difference. */
int profile__unfold(struct profile *p, const struct flamegraph *g);
/* What files say by their names: of an object whether it is kernel, JIT, library or program; of a name
 * without an object whether it is a remark. */
enum frame_kind profile__kind(const char *name, const char *object);

/*
 * Reads a file of any format: folded stacks, SVG, HTML (into the graph's tree: *is_tree), or pprof,
 * speedscope JSON, JSON lines (into the profile, facts into the graph). 0 or -errno; then `why` says what is
 * wrong, as it follows the file's name: ":12: not a folded stack".
 */
int profile__read(struct profile *p, struct flamegraph *g, const char *data, size_t len, bool *is_tree,
		  struct buf *why);
int pprof__read(struct profile *p, struct flamegraph *g, const char *data, size_t len, struct buf *why);
int speedscope__read(struct profile *p, struct flamegraph *g, const char *data, size_t len, struct buf *why);
int json_lines__read(struct profile *p, struct flamegraph *g, const char *data, size_t len, struct buf *why);
bool pprof__is(const char *data, size_t len);

/* Errors stick in `out`. */
void pprof__write(struct buf *out, const struct profile *p, const struct flamegraph *facts);
void speedscope__write(struct buf *out, const struct profile *p, const struct flamegraph *facts);

extern const struct sink_type sink_pprof, sink_speedscope;
typedef void profile_writer(struct buf *out, const struct profile *p, const struct flamegraph *facts);
/* The functions of their sink types: an interval becomes one profile, written at its end. */
struct sink *profile_sink__open(const struct sink_type *type, const struct sink_options *options,
				profile_writer *write);
int profile_sink__begin(struct sink *s, const struct interval *interval);
int profile_sink__point(struct sink *s, const struct point *point);
int profile_sink__end(struct sink *s, const struct interval *interval);
int profile_sink__close(struct sink *s, bool keep);

#endif
