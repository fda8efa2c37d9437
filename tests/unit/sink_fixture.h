/* SPDX-License-Identifier: Apache-2.0 */
/* What the sinks' tests share: metrics of every shape, points built by hand, and comparison with golden
 * files. */
#ifndef SONDE_TESTS_SINK_FIXTURE_H
#define SONDE_TESTS_SINK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/buf.h"
#include "sink/sink.h"

#define S  1000000000ULL
#define MS 1000000ULL
#define US 1000ULL

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define U(n)                                                                                \
	{                                                                                   \
		.name = (n), .object = "api", .address = 0x55d0c0de1000, .kind = FRAME_USER \
	}
#define LIB(n)                                                                                       \
	{                                                                                            \
		.name = (n), .object = "libc.so.6", .address = 0x7f0000001234, .kind = FRAME_LIBRARY \
	}
#define K(n)                                                                                           \
	{                                                                                              \
		.name = (n), .object = "[kernel]", .address = 0xffffffff81000010, .kind = FRAME_KERNEL \
	}
#define MARK(n)                                               \
	{                                                     \
		.name = (n), .object = "", .kind = FRAME_MARK \
	}

/* Bytes that must not reach a terminal, a line's end or a JSON string as they are. */
#define HOSTILE "a\"b\\c;d\ne\033]52;c;x\007\xff\xc3(\xe2\x80\xae<&>"

static const struct metric metric_samples = {
	.name = "sonde_cpu_samples", .unit = "{sample}", .kind = POINT_STACK, .shape = SHAPE_FUNCTIONS};
static const struct metric metric_waits = {.name = "sonde_offcpu_seconds",
					   .unit = "ns",
					   .kind = POINT_STACK,
					   .shape = SHAPE_STACKS,
					   .labels = {"reason"}};
static const struct metric metric_latency = {.name = "sonde_runq_latency_seconds",
					     .unit = "ns",
					     .kind = POINT_HIST,
					     .shape = SHAPE_HISTOGRAM,
					     .labels = {"cpu"}};
static const struct metric metric_sizes = {
	.name = "sonde_io_size_bytes", .unit = "By", .kind = POINT_HIST, .shape = SHAPE_HISTOGRAM};
static const struct metric metric_states = {.name = "sonde_thread_time_seconds",
					    .unit = "ns",
					    .kind = POINT_COUNTER,
					    .shape = SHAPE_STATES,
					    .labels = {"state", "letter"}};
static const struct metric metric_instead = {.name = "sonde_runq_instead_seconds",
					     .unit = "ns",
					     .title = "waits over 1 ms, who ran instead",
					     .kind = POINT_COUNTER,
					     .shape = SHAPE_RANKING};
static const struct metric metric_counter = {
	.name = "sonde_forks_total", .unit = "{fork}", .kind = POINT_COUNTER, .shape = SHAPE_VALUE};
static const struct metric metric_gauge = {.name = "sonde_load_ratio",
					   .unit = "1",
					   .kind = POINT_GAUGE,
					   .shape = SHAPE_VALUE,
					   .labels = {"window"}};
static const struct metric metric_event = {.name = "sonde_process", .unit = "", .kind = POINT_EVENT};

/* Sends points to the sink at hand. */
struct outlet {
	struct sink *sink;
};

/* Sends the points of one interval. */
typedef void (*filler)(struct outlet *);

static inline void emit(struct outlet *out, const struct point *point)
{
	assert_int_equal(out->sink->type->point(out->sink, point), 0);
}

static inline void emit_stack(struct outlet *out, const struct metric *metric, struct who who,
			      const char *label, struct sample sample)
{
	emit(out, &(struct point){.metric = metric, .who = who, .label = {label}, .sample = sample});
}

static inline void emit_count(struct outlet *out, const struct metric *metric, struct who who,
			      const char *label, const char *second, uint64_t value)
{
	emit(out, &(struct point){.metric = metric, .who = who, .label = {label, second}, .counter = value});
}

static inline void emit_hist(struct outlet *out, const struct metric *metric, struct who who,
			     const struct hist *hist)
{
	emit(out, &(struct point){.metric = metric, .who = who, .hist = hist});
}

static inline void hist_add(struct hist *h, uint64_t value_ns, uint64_t count)
{
	h->slot[hist__slot_ns(value_ns)] += count;
	h->count += count;
	h->sum += value_ns * count;
	h->max = value_ns > h->max ? value_ns : h->max;
}

static inline struct interval an_interval(const char *subject, const char *headline)
{
	return (struct interval){.number = 1,
				 .last = true,
				 .start_ns = 5 * S,
				 .end_ns = 15 * S,
				 .wall_start = {.tv_sec = 1700000000, .tv_nsec = 7000001},
				 .subject = subject,
				 .headline = headline,
				 .note = "",
				 .accounted = true,
				 .own_cost = 0.002};
}

/* Compares with the file; UPDATE_GOLDEN=1 writes it instead. Run from the top of the tree. */
static inline void check_golden(const char *path, const char *text)
{
	struct buf expected = {0};
	FILE *file;

	if (getenv("UPDATE_GOLDEN")) {
		file = fopen(path, "w");
		assert_non_null(file);
		assert_true(fputs(text, file) >= 0);
		assert_int_equal(fclose(file), 0);
		return;
	}
	assert_int_equal(buf__read_file(&expected, path, 1 << 24), 0);
	if (strcmp(buf__text(&expected), text))
		fprintf(stderr, "%s differs; now it is:\n%s", path, text);
	assert_string_equal(text, buf__text(&expected));
	buf__free(&expected);
}

/* A file appears with close(keep), whole and nothing beside it; with `expected` in it unless that is NULL. */
static inline void check_whole_or_absent(const struct sink_type *type, const char *expected)
{
	struct interval i = an_interval("sleep[5]", "0 samples");
	char dir[] = "/tmp/sonde-sink-XXXXXX", path[64];
	struct buf content = {0};
	struct sink *sink;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/out", dir);
	for (int keep = 0; keep < 2; keep++) {
		sink = type->open(&(struct sink_options){.path = path});
		assert_non_null(sink);
		assert_int_equal(type->begin(sink, &i), 0);
		assert_int_equal(type->end(sink, &i), 0);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(type->close(sink, keep), 0);
		assert_int_equal(access(path, F_OK), keep - 1);
	}
	assert_int_equal(buf__read_file(&content, path, 1 << 20), 0);
	assert_true(content.len > 0);
	if (expected)
		assert_string_equal(content.data, expected);
	buf__free(&content);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0); /* no temporary file is left */
	errno = 0;
	assert_null(type->open(&(struct sink_options){.path = "/nowhere/at/all"}));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(type->close(NULL, true), 0);
}

/* The end of an interval says that nobody reads any more. */
static inline void check_gone_reader(const struct sink_type *type,
				     struct sink *(*to)(FILE *, const struct sink_options *))
{
	struct interval i = an_interval("sleep[5]", "0 samples");
	struct sink *sink;
	FILE *stream;
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	stream = fdopen(ends[1], "w");
	sink = to(stream, &(struct sink_options){.columns = 80});
	assert_int_equal(type->begin(sink, &i), 0);
	assert_int_equal(type->end(sink, &i), -EPIPE);
	type->close(sink, false);
	fclose(stream);
}

#endif
