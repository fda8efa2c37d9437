/* SPDX-License-Identifier: Apache-2.0 */
/* What the folded, SVG and HTML sinks share: stacks of an interval become one flamegraph, written at its end.
 */
#ifndef SONDE_SINK_PICTURE_H
#define SONDE_SINK_PICTURE_H

#include "sink/flamegraph.h"
#include "sink/sink.h"

extern const struct sink_type sink_folded, sink_svg, sink_html;

typedef void picture_writer(struct buf *out, struct flamegraph *g, const struct flamegraph_style *style);

/* The functions of a sink_type; `write` says what becomes of the interval's flamegraph. */
struct sink *picture__open(const struct sink_type *type, const struct sink_options *options,
			   picture_writer *write);
int picture__begin(struct sink *s, const struct interval *interval);
int picture__point(struct sink *s, const struct point *p);
int picture__end(struct sink *s, const struct interval *interval);
int picture__close(struct sink *s, bool keep);

/* What is said about an interval's result, in SVG, HTML and pprof alike. metric: NULL if there is none. */
void picture__state_facts(struct flamegraph *g, const struct sink_options *options,
			  const struct interval *interval, const char *metric);

#endif
