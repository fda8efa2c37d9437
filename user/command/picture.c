// SPDX-License-Identifier: Apache-2.0
#include "command/picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/outfile.h"
#include "base/text.h"
#include "sink/sink.h"

#define INPUT_LIMIT ((size_t)1 << 30) /* bytes; it is held in memory */

static const char *const sink_names[] = {
	[PICTURE_TABLE] = "table",
	[PICTURE_FOLDED] = "folded",
	[PICTURE_SVG] = "svg",
	[PICTURE_HTML] = "html",
};

void picture_options__defaults(struct picture_options *o)
{
	o->width = FLAMEGRAPH_WIDTH;
}

int picture_options__style(const struct picture_options *o, struct flamegraph_style *style)
{
	char *end;

	*style = (struct flamegraph_style){
		.min_width = 0.1,
		.width = (double)o->width,
		.inverted = o->inverted,
		.title = o->title,
	};
	if (!o->min_width)
		return EXIT_DONE;
	style->min_width = strtod(o->min_width, &end);
	if (end == o->min_width || *end || !(style->min_width >= 0 && style->min_width <= 1000)) {
		msg__error("--minwidth: pixels from 0 to 1000, such as 0.5");
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

enum picture_format picture__format(const char *path)
{
	const struct sink_type *type = sink__by_extension(path);

	for (int i = 0; type && i < PICTURE_UNKNOWN; i++) {
		if (!strcmp(type->name, sink_names[i]))
			return i;
	}
	return PICTURE_UNKNOWN;
}

static int read_text(struct buf *text, const char *path)
{
	return strcmp(path, "-") == 0 ? buf__read_fd(text, STDIN_FILENO, INPUT_LIMIT)
				      : buf__read_file(text, path, INPUT_LIMIT);
}

static void explain(const char *shown, int err, size_t line)
{
	if (err == -EINVAL)
		msg__error("%s:%zu: not a folded stack: want `frame;frame;frame NUMBER`", shown, line);
	else if (err == -EOVERFLOW)
		msg__error("%s:%zu: the numbers add up to more than 64 bits", shown, line);
	else if (err == -ENODATA)
		msg__error("%s: no profile inside: only SVG and HTML written by sonde can be read back",
			   shown);
	else
		msg__error("%s: %s", shown, strerror(-err));
}

int picture__read(struct flamegraph *g, const char *path, const struct picture_options *o)
{
	struct buf text = {0}, shown = {0};
	size_t line = 0;
	int err;

	text__puts(&shown, strcmp(path, "-") == 0 ? "standard input" : path, TEXT_TERMINAL);
	err = read_text(&text, path);
	if (!err)
		err = flamegraph__read(g, buf__text(&text), text.len, &line);
	if (!err && !g->tree.root.total && !g->tree.root.other_total)
		msg__error("%s: no stacks inside", buf__text(&shown));
	else if (err)
		explain(buf__text(&shown), err, line);
	if (!err && o->unit && !*flamegraph__get(g, "unit"))
		flamegraph__set(g, "unit", o->unit);
	buf__free(&text);
	buf__free(&shown);
	return !err && (g->tree.root.total || g->tree.root.other_total) ? EXIT_DONE : EXIT_RUN_FAILED;
}

int picture__write(struct flamegraph *g, const char *path, enum picture_format format,
		   const struct picture_options *o)
{
	struct flamegraph_style style;
	struct outfile *file;
	struct buf out = {0}, shown = {0};
	int err = picture_options__style(o, &style);

	if (err)
		return err;
	if (o->title)
		flamegraph__set(g, "title", o->title);
	file = outfile__open(path);
	err = file ? 0 : -errno;
	if (format == PICTURE_SVG)
		flamegraph__write_svg(&out, g, &style);
	else if (format == PICTURE_HTML)
		flamegraph__write_html(&out, g, &style);
	else
		flamegraph__write_folded(&out, g, o->facts);
	if (!err)
		err = buf__write(&out, outfile__stream(file));
	if (!err)
		err = outfile__commit(file);
	outfile__close(file);
	text__puts(&shown, strcmp(path, "-") == 0 ? "standard output" : path, TEXT_TERMINAL);
	if (err && err != -EPIPE)
		msg__error("%s: %s", buf__text(&shown), strerror(-err));
	buf__free(&shown);
	buf__free(&out);
	return err && err != -EPIPE ? EXIT_RUN_FAILED : EXIT_DONE;
}

int picture__check_output(const char *path)
{
	struct buf shown = {0};
	int err = outfile__check(path);

	if (!err)
		return EXIT_DONE;
	text__puts(&shown, path, TEXT_TERMINAL);
	msg__error("%s: %s", buf__text(&shown), strerror(-err));
	buf__free(&shown);
	return EXIT_USAGE;
}
