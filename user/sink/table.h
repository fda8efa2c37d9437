/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people. The shape of a metric decides how it is drawn: one renderer per enum metric_shape, one
 * view per metric and interval. A view copies what it needs of a point; nothing of a point outlives the call.
 */
#ifndef SONDE_SINK_TABLE_H
#define SONDE_SINK_TABLE_H

#include "sink/sink.h"
#include "sink/table_page.h"

struct table_view; /* what a renderer has gathered of one metric */

struct table_shape {
	struct table_view *(*open)(const struct metric *); /* NULL and errno */
	int (*point)(struct table_view *,
		     const struct point *);		  /* 0 or -errno; -EINVAL: wrong kind for the shape */
	void (*draw)(struct table_view *, struct page *); /* a failed allocation shows in page->out.failed */
	void (*free)(struct table_view *);
};

extern const struct table_shape table_values, table_functions, table_stacks, table_histograms, table_states,
	table_rankings, table_rows;

/* "slow call: api[812] 12ms read fd=5", and below it the stack. */
void table__event(struct buf *out, const struct point *point);

extern const struct sink_type sink_table;

/* A table to a stream that stays the caller's, e.g. the top lines for stderr beside a file. NULL and errno.
 */
struct sink *table_sink__to(FILE *out, const struct sink_options *options);

#endif
