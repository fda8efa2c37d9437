/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A picture of stacks as its three files know it: the tree, and what is said about it as `key: value` lines.
 * SVG and HTML carry both inside, so that each can be read back and written as another.
 *
 * Keys: sonde (version), command, title, subject, start, duration-ns, headline, note, metric, unit
 * ("samples", "us",
 * ...: of the weights), lost, loss ("part/reason count", a line each), stacks, complete, incomplete-reason,
 * incomplete-object, own-cost, period-ns; of a difference also negate, before, after, verdict.
 */
#ifndef SONDE_SINK_FLAMEGRAPH_H
#define SONDE_SINK_FLAMEGRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/flame.h"

struct flamegraph_fact {
	char *key, *value; /* one line each, safe to print */
};

struct flamegraph {
	/* other_self: of a difference the weights after; else the number of waits or samples behind `self`,
	 * if known */
	struct flame tree;
	struct flamegraph_fact *facts; /* in the order of their first setting; `loss` may repeat */
	size_t count;
	bool failed; /* out of memory while setting a fact */
};

struct flamegraph_style {
	double min_width;  /* pixels; narrower boxes are left out */
	double width;	   /* of the SVG, pixels */
	bool inverted;	   /* root at the top */
	const char *title; /* NULL: from the facts */
};

enum { FLAMEGRAPH_WIDTH = 1200 };

void flamegraph__init(struct flamegraph *g); /* the address must not change afterwards */
void flamegraph__free(struct flamegraph *g);

/* Sets a fact, or adds one more `loss`. Escapes the value. */
void flamegraph__set(struct flamegraph *g, const char *key, const char *value);
void flamegraph__setf(struct flamegraph *g, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
const char *flamegraph__get(const struct flamegraph *g, const char *key); /* "" if it is not known */
uint64_t flamegraph__number(const struct flamegraph *g, const char *key); /* 0 if it is not known */
/* Of metrics that count, the unit and its word: "{sample}" and "samples", "{call}" and "calls". NULL:
 * another. */
const char *flamegraph__word_of_count(const char *unit);
const char *flamegraph__unit_of_count(const char *word);
bool flamegraph__is_weighted(const struct flamegraph *g); /* weights are times or bytes, not counts */

/*
 * Reads folded text, or the folded text inside an SVG or HTML of sonde, whichever it is. 0; -EINVAL: *line is
 * the first line that is not folded; -ENODATA: an SVG or HTML without a profile inside; -EOVERFLOW, -ENOMEM.
 */
int flamegraph__read(struct flamegraph *g, const char *text, size_t len, size_t *line);

/* The three files. The tree is sorted by the way. `with_facts` puts them before the lines. Errors stick in
 * `out`. */
void flamegraph__write_folded(struct buf *out, struct flamegraph *g, bool with_facts);
void flamegraph__write_svg(struct buf *out, struct flamegraph *g, const struct flamegraph_style *style);
void flamegraph__write_html(struct buf *out, struct flamegraph *g, const struct flamegraph_style *style);

/* What svg.c and html.c share. */
void flamegraph__embed(struct buf *out, struct flamegraph *g, const char *element);
void flamegraph__title(struct buf *out, const struct flamegraph *g, const struct flamegraph_style *style);
/* "10.0s, 1.89 CPUs, 1 873 samples at 99 Hz, 0 lost, 94 % complete": safe text, not yet XML. */
void flamegraph__subtitle(struct buf *out, const struct flamegraph *g);
/* "2.31s" or "1,234 samples". */
void flamegraph__weight(struct buf *out, const struct flamegraph *g, uint64_t weight);

struct asset {
	const char *start, *end;
};
extern const struct asset asset_keys_js, asset_svg_css, asset_svg_js, asset_html_css, asset_html_js;
void asset__add(struct buf *out, const char *before, const struct asset *a, const char *after);

#endif
