// SPDX-License-Identifier: Apache-2.0
/* The flame graph as one SVG: complete without its script, which only adds zoom, search and hover. */
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/text.h"
#include "model/layout.h"
#include "sink/flamegraph.h"
#include "sink/picture.h"

enum {
	PAD = 10,	 /* left and right of the boxes */
	ROW_HEIGHT = 16, /* of which one pixel is the gap */
	TOP = 78,	 /* title, subtitle, legend */
	BOTTOM = 30,	 /* the line for the hovered box */
	CONTROLS = 420,	 /* kept free at the top right for search and buttons */
	SHADES = 6,	 /* of each colour in svg.css, so that neighbours differ */
	DIFF_LEVELS = 9,
};
static const double column_width = 6.62; /* of the 11 px monospace font */

struct kind_style {
	char letter; /* of the colour classes */
	const char *label;
};

static const struct kind_style kind_styles[FRAME_KINDS] = {
	[FRAME_USER] = {'u', "user"}, [FRAME_LIBRARY] = {'l', "library"}, [FRAME_KERNEL] = {'k', "kernel"},
	[FRAME_JIT] = {'j', "JIT"},   [FRAME_INLINED] = {'i', "inlined"}, [FRAME_MARK] = {'m', "mark"},
};

struct drawing {
	struct buf *out;
	struct flamegraph *graph;
	const struct flamegraph_style *style;
	struct flame_layout layout;
	double scale;	       /* pixels for one unit of weight */
	double largest_change; /* of a share, over all boxes of a difference */
	int height;
	bool negate;
};

/* How much the share of this frame grew: after minus before. */
static double change_of(const struct drawing *d, const struct flame_node *n)
{
	const struct flame_node *root = &d->graph->tree.root;
	double before = root->total ? (double)n->total / (double)root->total : 0;
	double after = root->other_total ? (double)n->other_total / (double)root->other_total : 0;

	return d->negate ? before - after : after - before;
}

static double absolute(double x)
{
	return x < 0 ? -x : x;
}

static void find_largest_change(struct drawing *d)
{
	for (size_t i = 0; i < d->layout.count; i++) {
		double change = absolute(change_of(d, d->layout.boxes[i].node));

		if (change > d->largest_change)
			d->largest_change = change;
	}
}

/* The class of a box in svg.css: "k3", "r7". Small changes must be seen: the scale is that of the square
 * root. */
static void add_class(const struct drawing *d, const struct flame_node *n)
{
	double change, share;
	int level = DIFF_LEVELS;

	if (!d->graph->tree.is_difference) {
		char letter = n->depth == 0 ? 'a' : n->depth == 1 ? 'p' : kind_styles[n->kind].letter;

		buf__printf(d->out, "%c%u", letter,
			    n->depth ? (unsigned)(hash__bytes(n->name, strlen(n->name), 0) % SHADES) : 0);
		return;
	}
	change = change_of(d, n);
	share = d->largest_change > 0 ? absolute(change) / d->largest_change : 0;
	if (share == 0) {
		buf__puts(d->out, "n0");
		return;
	}
	while (level > 1 && share <= (double)((level - 1) * (level - 1)) / (DIFF_LEVELS * DIFF_LEVELS))
		level--;
	buf__printf(d->out, "%c%d", change > 0 ? 'r' : 'b', level);
}

/* "name (1,234 samples, 5.67%)": other tools read pictures by this form. */
static void add_box_title(const struct drawing *d, const struct flame_box *box)
{
	struct buf weight = {0};
	double share = d->layout.total ? 100.0 * (double)box->weight / (double)d->layout.total : 0;

	flamegraph__weight(&weight, d->graph, box->weight);
	buf__puts(d->out, "<title>");
	text__puts(d->out, box->node->depth ? box->node->name : "all", TEXT_XML);
	buf__puts(d->out, " (");
	text__puts(d->out, buf__text(&weight), TEXT_XML);
	buf__printf(d->out, box->node->depth ? ", %.2f%%" : ", %.0f%%", share);
	if (d->graph->tree.is_difference && box->node->depth)
		buf__printf(d->out, "; %+.2f%%", 100 * change_of(d, box->node));
	buf__puts(d->out, ")</title>");
	buf__free(&weight);
}

/* Safe text that fits `columns`; a cut one ends in an ellipsis. */
static void add_clipped(struct buf *out, const char *text, double columns)
{
	struct buf b = {0};
	size_t width = columns > 0 ? (size_t)columns : 0;
	bool cut = text__width(text) > width;

	text__clip(&b, text, width);
	if (cut && b.len)
		b.len--; /* the mark of text__clip */
	text__add(out, buf__text(&b), b.len, TEXT_XML);
	if (cut && width)
		buf__puts(out, "\342\200\246");
	out->failed |= b.failed;
	buf__free(&b);
}

static void add_box(const struct drawing *d, const struct flame_box *box)
{
	double left, right, width;
	int depth = (int)box->node->depth;
	int y = d->style->inverted ? TOP + depth * ROW_HEIGHT
				   : d->height - BOTTOM - (depth + 1) * ROW_HEIGHT + 1;
	char number[2][32];

	/* The width is that between the rounded sides: neighbours neither overlap nor gape. */
	snprintf(number[0], sizeof(number[0]), "%.1f", PAD + (double)box->start * d->scale);
	snprintf(number[1], sizeof(number[1]), "%.1f",
		 depth ? PAD + (double)(box->start + box->weight) * d->scale : d->style->width - PAD);
	left = strtod(number[0], NULL);
	right = strtod(number[1], NULL);
	width = right - left;
	buf__puts(d->out, "<g class=\"");
	add_class(d, box->node);
	buf__printf(d->out, "\" data-w=\"%llu,%llu\">", (unsigned long long)box->start,
		    (unsigned long long)box->weight);
	add_box_title(d, box);
	buf__printf(d->out, "<rect x=\"%s\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"1\"/>", number[0], y,
		    width, ROW_HEIGHT - 1);
	if ((width - 6) / column_width >= 3) {
		buf__printf(d->out, "<text x=\"%.1f\" y=\"%.1f\">", left + 3, y + 11.5);
		add_clipped(d->out, depth ? box->node->name : "all", (width - 6) / column_width);
		buf__puts(d->out, "</text>");
	}
	buf__puts(d->out, "</g>\n");
}

/* --- what stands above the boxes */

static double add_legend_entry(struct buf *out, double x, const char *class, const char *label)
{
	buf__printf(out, "<circle class=\"%s\" cx=\"%.0f\" cy=\"61\" r=\"5\"/>", class, x + 5);
	buf__printf(out, "<text x=\"%.0f\" y=\"65\">%s</text>\n", x + 14, label);
	return x + 30 + 7.0 * (double)strlen(label);
}

static void add_difference_legend(const struct drawing *d, double x)
{
	static const char *const classes[] = {"b9", "b6", "b3", "n0", "r3", "r6", "r9"};
	struct buf label = {0};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++, x += 12)
		buf__printf(d->out, "<circle class=\"%s\" cx=\"%.0f\" cy=\"61\" r=\"5\"/>", classes[i],
			    x + 5);
	buf__printf(&label, "share fell (blue) or grew (red), by up to %.2f points; widths: the profile %s",
		    100 * d->largest_change, d->negate ? "before" : "after");
	buf__printf(d->out, "<text x=\"%.0f\" y=\"65\">%s</text>\n", x + 6, buf__text(&label));
	buf__free(&label);
}

static void add_legend(const struct drawing *d)
{
	bool seen[FRAME_KINDS] = {false};
	double x = PAD;

	buf__puts(d->out, "<g id=\"legend\">\n");
	if (d->graph->tree.is_difference) {
		add_difference_legend(d, x);
	} else {
		for (size_t i = 0; i < d->layout.count; i++) {
			if (d->layout.boxes[i].node->depth > 1)
				seen[d->layout.boxes[i].node->kind] = true;
		}
		x = add_legend_entry(d->out, x, "p0", "process");
		for (int kind = 0; kind < FRAME_KINDS; kind++) {
			char class[] = {kind_styles[kind].letter, '1', '\0'};

			if (seen[kind])
				x = add_legend_entry(d->out, x, class, kind_styles[kind].label);
		}
	}
	buf__puts(d->out, "</g>\n");
}

static void add_head(const struct drawing *d)
{
	struct buf text = {0};
	double width = d->style->width;

	buf__printf(d->out, "<rect id=\"page\" width=\"%.0f\" height=\"%d\"/>\n", width, d->height);
	flamegraph__title(&text, d->graph, d->style);
	buf__printf(d->out, "<text id=\"title\" x=\"%d\" y=\"26\">", PAD);
	add_clipped(d->out, buf__text(&text), (width - CONTROLS - 2 * PAD) / 10);
	buf__clear(&text);
	flamegraph__subtitle(&text, d->graph);
	buf__printf(d->out, "</text>\n<text id=\"subtitle\" x=\"%d\" y=\"46\">", PAD);
	add_clipped(d->out, buf__text(&text), (width - 2 * PAD) / 7);
	buf__puts(d->out, "</text>\n");
	buf__free(&text);
	add_legend(d);
	buf__printf(d->out, "<text id=\"details\" x=\"%d\" y=\"%d\"/>\n", PAD, d->height - 10);
	buf__printf(d->out, "<text id=\"matched\" x=\"%.0f\" y=\"%d\" text-anchor=\"end\"/>\n", width - PAD,
		    d->height - 10);
}

void flamegraph__write_svg(struct buf *out, struct flamegraph *g, const struct flamegraph_style *style)
{
	struct drawing d = {.out = out, .graph = g, .style = style};
	uint64_t total = g->tree.is_difference ? g->tree.root.other_total : g->tree.root.total;

	flame__sort(&g->tree);
	d.negate = !strcmp(flamegraph__get(g, "negate"), "yes");
	d.scale = total ? (style->width - 2 * PAD) / (double)total : 0;
	if (flame__layout(&d.layout, &g->tree, total ? style->min_width / d.scale : 0)) {
		out->failed = true;
		goto out;
	}
	d.height = TOP + BOTTOM + (int)(d.layout.depth + 1) * ROW_HEIGHT;
	if (g->tree.is_difference)
		find_largest_change(&d);
	buf__printf(out,
		    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%d\" viewBox=\"0 0 "
		    "%.0f %d\">\n",
		    style->width, d.height, style->width, d.height);
	flamegraph__embed(out, g, "metadata");
	asset__add(out, "<style>\n", &asset_svg_css, "</style>\n");
	add_head(&d);
	buf__puts(out, "<g id=\"frames\">\n");
	for (size_t i = 0; i < d.layout.count; i++)
		add_box(&d, &d.layout.boxes[i]);
	buf__puts(out, "</g>\n");
	asset__add(out, "<script><![CDATA[\n", &asset_keys_js, "");
	asset__add(out, "", &asset_svg_js, "]]></script>\n</svg>\n");
out:
	flame_layout__free(&d.layout);
}

static struct sink *svg__open(const struct sink_options *options)
{
	return picture__open(&sink_svg, options, flamegraph__write_svg);
}

const struct sink_type sink_svg = {
	.name = "svg",
	.summary = "flame graph, opens in every browser",
	.extensions = "svg",
	.needs_file_per_interval = true,
	.open = svg__open,
	.begin = picture__begin,
	.point = picture__point,
	.end = picture__end,
	.close = picture__close,
};
