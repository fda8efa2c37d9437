// SPDX-License-Identifier: Apache-2.0
/*
 * Folded stacks: `comm;root;...;leaf_[k] N` and nothing else, because the tools that read them choke on
 * anything else. What was lost stands in the summary on stderr, and inside SVG and HTML.
 */
#include "sink/picture.h"

static void write_lines(struct buf *out, struct flamegraph *g, const struct flamegraph_style *style)
{
	(void)style;
	flamegraph__write_folded(out, g, false);
}

static struct sink *folded__open(const struct sink_options *options)
{
	return picture__open(&sink_folded, options, write_lines);
}

const struct sink_type sink_folded = {
	.name = "folded",
	.summary = "one stack a line, for flamegraph.pl and its kin (times in us)",
	.extensions = "folded,collapsed",
	.needs_file_per_interval = true,
	.open = folded__open,
	.begin = picture__begin,
	.point = picture__point,
	.end = picture__end,
	.close = picture__close,
};
