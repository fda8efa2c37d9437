// SPDX-License-Identifier: Apache-2.0
/*
 * The flame graph as one HTML page that needs nothing else: the folded text is the data, a script draws it.
 * Its content security policy forbids every request.
 */
#include "base/text.h"
#include "sink/flamegraph.h"
#include "sink/picture.h"

static void add_text(struct buf *out, const char *before, const struct buf *text, const char *after)
{
	buf__puts(out, before);
	text__add(out, buf__text(text), text->len, TEXT_XML);
	buf__puts(out, after);
	out->failed |= text->failed;
}

static void add_head(struct buf *out, const struct buf *title)
{
	buf__puts(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		       "script-src 'unsafe-inline'; style-src 'unsafe-inline'\">\n"
		       "<meta name=\"viewport\" content=\"width=device-width\">\n");
	add_text(out, "<title>", title, "</title>\n");
	asset__add(out, "<style>\n", &asset_html_css, "</style>\n</head>\n");
}

void flamegraph__write_html(struct buf *out, struct flamegraph *g, const struct flamegraph_style *style)
{
	struct buf text = {0};

	flame__sort(&g->tree);
	flamegraph__title(&text, g, style);
	add_head(out, &text);
	add_text(out, "<body>\n<header>\n<div>\n<h1>", &text, "</h1>\n");
	buf__clear(&text);
	flamegraph__subtitle(&text, g);
	add_text(out, "<p id=\"subtitle\">", &text, "</p>\n<p id=\"legend\"></p>\n</div>\n");
	buf__free(&text);
	buf__puts(out,
		  "<div class=\"ui\"><input id=\"search\" type=\"search\" placeholder=\"Search (regex)  /\" "
		  "spellcheck=\"false\" aria-label=\"Search\"> <button id=\"turn\">Icicle</button> "
		  "<button id=\"reset\">Reset zoom</button></div>\n</header>\n");
	buf__printf(out,
		    "<canvas id=\"chart\" data-min-width=\"%.3g\" data-inverted=\"%s\" "
		    "data-difference=\"%s\"></canvas>\n",
		    style->min_width, style->inverted ? "yes" : "no", g->tree.is_difference ? "yes" : "no");
	buf__puts(out,
		  "<noscript>The picture is drawn by the script in this page; its data is the text in the "
		  "element "
		  "sonde-folded.</noscript>\n"
		  "<div id=\"details\"><span id=\"hovered\"></span><span id=\"matched\"></span></div>\n");
	flamegraph__embed(out, g, "pre");
	asset__add(out, "<script>\n", &asset_keys_js, "");
	asset__add(out, "", &asset_html_js, "</script>\n</body>\n</html>\n");
}

static struct sink *html__open(const struct sink_options *options)
{
	return picture__open(&sink_html, options, flamegraph__write_html);
}

const struct sink_type sink_html = {
	.name = "html",
	.summary = "flame graph in one page: zoom, search, nothing to download",
	.extensions = "html,htm",
	.needs_file_per_interval = true,
	.open = html__open,
	.begin = picture__begin,
	.point = picture__point,
	.end = picture__end,
	.close = picture__close,
};
