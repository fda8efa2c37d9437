/* SPDX-License-Identifier: Apache-2.0 */
/* Where points go: the sink that the options choose, one file or one per interval, and the top lines on
 * stderr. */
#ifndef SONDE_SESSION_OUTPUT_H
#define SONDE_SESSION_OUTPUT_H

#include "session/options.h"
#include "sink/sink.h"

struct output {
	const struct sink_type *type;
	struct sink_options options;
	struct sink *sink;    /* open; NULL between numbered files */
	struct sink *preview; /* the top lines on stderr beside a file; NULL: none */
	char *command_line, *path;
	char *numbered_path; /* of the last numbered file */
	bool numbered, reader_gone;
	bool complained;      /* the one line about an error of the result is written */
	bool chosen_for_pipe; /* the format is one that the user may not expect */
};

/* Chooses and opens, before anything is attached. 0 or an exit code after one line on stderr. */
int output__open(struct output *out, const struct options *o, const char *pipe_format, bool needs_stacks);
/* One note, once the run is sure to begin: what stdout gets, if that was not asked for. */
void output__announce(const struct output *out);
/* 0 or -errno, after one line if it is the result's and not EPIPE. An error of the preview ends the preview
 * alone. */
int output__begin(struct output *out, const struct interval *interval);
int output__point(struct output *out, const struct point *point);
/* An event, as it comes: within an interval or between two. Sinks that draw pictures take none. */
int output__event(struct output *out, const struct interval *current, const struct point *point);
int output__end(struct output *out,
		const struct interval *interval); /* 0 or -errno; EPIPE sets reader_gone */
/* keep false: no partial file stays behind. 0 or -errno after one line. */
int output__close(struct output *out, bool keep);

#endif
