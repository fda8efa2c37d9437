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
	[PICTURE_TABLE] = "table", [PICTURE_FOLDED] = "folded", [PICTURE_SVG] = "svg",
	[PICTURE_HTML] = "html",   [PICTURE_PPROF] = "pprof",	[PICTURE_SPEEDSCOPE] = "speedscope",
	[PICTURE_JSON] = "json",
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

int picture__read_profile(struct profile *p, struct flamegraph *g, bool *is_tree, const char *path,
			  const struct picture_options *o)
{
	struct buf text = {0}, shown = {0}, why = {0};
	bool found = false;
	int err;

	text__puts(&shown, strcmp(path, "-") == 0 ? "standard input" : path, TEXT_TERMINAL);
	err = read_text(&text, path);
	if (err)
		buf__printf(&why, ": %s", strerror(-err));
	else
		err = profile__read(p, g, buf__text(&text), text.len, is_tree, &why);
	if (!err)
		found = *is_tree ? g->tree.root.total || g->tree.root.other_total : p->sample_count > 0;
	if (!err && !found)
		buf__puts(&why, ": no stacks inside");
	if (!found)
		msg__error("%s%s", buf__text(&shown), buf__text(&why));
	if (found && *is_tree && o->unit && !*flamegraph__get(g, "unit"))
		flamegraph__set(g, "unit", o->unit);
	buf__free(&text);
	buf__free(&shown);
	buf__free(&why);
	return found ? EXIT_DONE : EXIT_RUN_FAILED;
}

static void add_types(struct buf *out, const struct profile *p)
{
	for (size_t i = 0; i < p->type_count; i++) {
		buf__puts(out, i ? ", " : "");
		text__puts(out, p->types[i].name, TEXT_TERMINAL);
	}
}

int picture__fold(const struct profile *p, struct flamegraph *g, const char *path,
		  const struct picture_options *o)
{
	struct buf shown = {0}, types = {0};
	int err = profile__fold(p, g, o->value), code = EXIT_DONE;

	text__puts(&shown, strcmp(path, "-") == 0 ? "standard input" : path, TEXT_TERMINAL);
	add_types(&types, p);
	if (err == -ENOENT) {
		msg__error("--value %s: %s has %s", o->value, buf__text(&shown), buf__text(&types));
		code = EXIT_USAGE;
	} else if (err) {
		msg__error("%s: %s", buf__text(&shown), strerror(-err));
		code = EXIT_RUN_FAILED;
	} else if (!g->tree.root.total) {
		msg__error("%s: nothing of the value %s inside (--value: %s)", buf__text(&shown),
			   o->value ? o->value : p->types[p->main_type].name, buf__text(&types));
		code = EXIT_RUN_FAILED;
	}
	buf__free(&shown);
	buf__free(&types);
	return code;
}

int picture__read(struct flamegraph *g, const char *path, const struct picture_options *o)
{
	struct profile p;
	bool is_tree;
	int code;

	profile__init(&p);
	code = picture__read_profile(&p, g, &is_tree, path, o);
	if (!code && !is_tree)
		code = picture__fold(&p, g, path, o);
	profile__free(&p);
	return code;
}

/* Writes a file whole or not at all; `out` may have failed. */
static int write_file(const struct buf *out, const char *path)
{
	struct outfile *file = outfile__open(path);
	struct buf shown = {0};
	int err = file ? 0 : -errno;

	if (!err)
		err = buf__write(out, outfile__stream(file));
	if (!err)
		err = outfile__commit(file);
	outfile__close(file);
	text__puts(&shown, strcmp(path, "-") == 0 ? "standard output" : path, TEXT_TERMINAL);
	if (err && err != -EPIPE)
		msg__error("%s: %s", buf__text(&shown), strerror(-err));
	buf__free(&shown);
	return err && err != -EPIPE ? EXIT_RUN_FAILED : EXIT_DONE;
}

int picture__write(struct flamegraph *g, const char *path, enum picture_format format,
		   const struct picture_options *o)
{
	struct flamegraph_style style;
	struct buf out = {0};
	int code = picture_options__style(o, &style);

	if (code)
		return code;
	if (o->title)
		flamegraph__set(g, "title", o->title);
	if (format == PICTURE_SVG)
		flamegraph__write_svg(&out, g, &style);
	else if (format == PICTURE_HTML)
		flamegraph__write_html(&out, g, &style);
	else
		flamegraph__write_folded(&out, g, o->facts);
	code = write_file(&out, path);
	buf__free(&out);
	return code;
}

/* As a session would have written it. */
static int write_by_sink(const struct profile *p, const struct flamegraph *facts, const char *path,
			 const struct sink_type *type)
{
	const struct sink_options options = {
		.path = path,
		.command_line = flamegraph__get(facts, "command"),
		.title = flamegraph__get(facts, "title"),
	};
	struct sink *sink = type->open(&options);
	struct buf shown = {0};
	int err = sink ? profile__emit(p, facts, sink) : -errno, closed;

	if (sink) {
		closed = type->close(sink, !err);
		err = err ? err : closed;
	}
	text__puts(&shown, strcmp(path, "-") == 0 ? "standard output" : path, TEXT_TERMINAL);
	if (err && err != -EPIPE)
		msg__error("%s: %s", buf__text(&shown), strerror(-err));
	buf__free(&shown);
	return err && err != -EPIPE ? EXIT_RUN_FAILED : EXIT_DONE;
}

int picture__write_profile(const struct profile *p, struct flamegraph *facts, const char *path,
			   enum picture_format format, const struct picture_options *o)
{
	struct buf out = {0};
	int code;

	if (o->title)
		flamegraph__set(facts, "title", o->title);
	if (format == PICTURE_JSON || format == PICTURE_TABLE)
		return write_by_sink(p, facts, path, sink__find(sink_names[format]));
	if (format == PICTURE_PPROF)
		pprof__write(&out, p, facts);
	else
		speedscope__write(&out, p, facts);
	code = write_file(&out, path);
	buf__free(&out);
	return code;
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
