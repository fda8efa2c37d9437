// SPDX-License-Identifier: Apache-2.0
#include "session/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/msg.h"
#include "base/outfile.h"
#include "base/text.h"
#include "sink/table.h"

#define PREVIEW_ROWS 5

static int columns_of(int fd)
{
	struct winsize size = {0};

	if (!isatty(fd))
		return 0;
	return !ioctl(fd, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

static bool wants_colour(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

/* The words as they were typed, for the record in files; from /proc, so that no command has to pass them on.
 */
static char *read_command_line(void)
{
	struct buf raw = {0}, text = {0};

	if (!buf__read_file(&raw, "/proc/self/cmdline", 1 << 16)) {
		for (size_t at = 0; at < raw.len; at += strlen(raw.data + at) + 1) {
			buf__puts(&text, at ? " " : "");
			buf__puts(&text, raw.data + at);
		}
	}
	buf__free(&raw);
	return text.data;
}

static bool is_file(const char *path)
{
	return !outfile__is_standard_output(path);
}

static int choose(struct output *out, const struct options *o, const char *pipe_format)
{
	struct buf shown = {0};

	if (o->format) {
		out->type = sink__types[o->format - 1];
	} else if (o->output && is_file(o->output)) {
		out->type = sink__by_extension(o->output);
		if (!out->type) {
			text__puts(&shown, o->output, TEXT_TERMINAL);
			msg__error(
				"-o %s: the extension names no format (svg html folded pb.gz speedscope.json "
				"json txt); -f "
				"chooses one",
				buf__text(&shown));
			buf__free(&shown);
			return EXIT_USAGE;
		}
	} else {
		out->type = sink__find(isatty(STDOUT_FILENO) ? "table" : pipe_format);
		out->chosen_for_pipe = !o->quiet && !isatty(STDOUT_FILENO) && strcmp(pipe_format, "table");
	}
	return 0;
}

/* One line for the first error of the result. Returns err. */
static int complain(struct output *out, int err)
{
	const char *path = out->options.path;
	struct buf shown = {0};

	if (!err || err == -EPIPE || out->complained)
		return err;
	text__puts(&shown, is_file(path) ? path : "standard output", TEXT_TERMINAL);
	msg__error("cannot write %s: %s", buf__text(&shown), strerror(-err));
	buf__free(&shown);
	out->complained = true;
	return err;
}

static int open_sink(struct output *out, const char *path)
{
	out->options.path = path;
	out->sink = out->type->open(&out->options);
	if (out->sink)
		return 0;
	complain(out, -errno);
	return EXIT_USAGE;
}

/* Documents are one a file; lines of folded stacks may follow each other. */
static int check_stream(const struct output *out, const struct options *o)
{
	if (!o->interval_ns || is_file(out->path) || !out->type->needs_file_per_interval ||
	    !strcmp(out->type->name, "folded"))
		return 0;
	msg__error("-i: standard output cannot hold one %s per interval: say -o FILE.%s, which numbers them",
		   out->type->name, out->type->name);
	return EXIT_USAGE;
}

/* Beside a file or stacks for another program, people get the top lines on stderr. A stream of JSON is for
 * programs alone. */
static int open_preview(struct output *out, const struct options *o)
{
	struct sink_options preview = {
		.path = "-",
		.colour = wants_colour(STDERR_FILENO),
		.columns = columns_of(STDERR_FILENO) ? columns_of(STDERR_FILENO) : 80,
		.rows = PREVIEW_ROWS,
		.verbose = o->verbose,
	};

	if (o->quiet || !strcmp(out->type->name, "table") ||
	    (!strcmp(out->type->name, "json") && !is_file(out->path)))
		return 0;
	out->preview = table_sink__to(stderr, &preview);
	return out->preview ? 0 : EXIT_RUN_FAILED;
}

int output__open(struct output *out, const struct options *o, const char *pipe_format, bool needs_stacks)
{
	int code;

	*out = (struct output){0};
	code = choose(out, o, pipe_format);
	if (code)
		return code;
	if (!needs_stacks && (!strcmp(out->type->name, "folded") || out->type->needs_file_per_interval)) {
		msg__error("%s is for stacks, and this command has none: -f table or -f json",
			   out->type->name);
		return EXIT_USAGE;
	}
	out->command_line = read_command_line();
	out->path = strdup(o->output ? o->output : "-");
	out->numbered = o->interval_ns && is_file(out->path) &&
			(out->type->needs_file_per_interval || !strcmp(out->type->name, "folded"));
	out->options = (struct sink_options){
		.command_line = out->command_line,
		.colour = !is_file(out->path) && wants_colour(STDOUT_FILENO),
		.columns = is_file(out->path) ? 0 : columns_of(STDOUT_FILENO),
		.rows = o->rows,
		.verbose = o->verbose,
		.inverted = o->inverted,
		.min_width = 0.1,
		.title = o->title,
	};
	code = check_stream(out, o);
	if (!code)
		code = open_sink(out, out->path);
	if (!code && out->numbered) { /* the place can be written: files are opened one by one */
		out->sink->type->close(out->sink, false);
		out->sink = NULL;
	}
	return code ? code : open_preview(out, o);
}

void output__announce(const struct output *out)
{
	if (out->chosen_for_pipe)
		msg__note("stdout is no terminal: writing %s stacks (-f table for the table)",
			  out->type->name);
}

/* The name stays as long as its sink may ask for it. */
static int open_numbered(struct output *out, unsigned number)
{
	free(out->numbered_path);
	out->numbered_path = outfile__numbered(out->path, sink__extension(out->path), number);
	if (!out->numbered_path)
		return -ENOMEM;
	return open_sink(out, out->numbered_path) ? -EIO : 0;
}

/* The preview is a courtesy: if stderr cannot be written, it ends and the result goes on. */
static void keep_preview(struct output *out, int err)
{
	if (!err)
		return;
	out->preview->type->close(out->preview, false);
	out->preview = NULL;
}

int output__begin(struct output *out, const struct interval *interval)
{
	int err = out->sink ? 0 : open_numbered(out, interval->number);

	if (!err)
		err = complain(out, out->sink->type->begin(out->sink, interval));
	if (!err && out->preview)
		keep_preview(out, out->preview->type->begin(out->preview, interval));
	return err;
}

int output__point(struct output *out, const struct point *point)
{
	int err = complain(out, out->sink->type->point(out->sink, point));

	if (!err && out->preview)
		keep_preview(out, out->preview->type->point(out->preview, point));
	return err;
}

int output__event(struct output *out, const struct interval *current, const struct point *point)
{
	int err = 0;

	if (out->sink && out->type->event)
		err = complain(out, out->type->event(out->sink, current, point));
	if (err == -EPIPE)
		out->reader_gone = true;
	if (out->preview && out->preview->type->event)
		keep_preview(out, out->preview->type->event(out->preview, current, point));
	return err;
}

static int close_sink(struct output *out, bool keep)
{
	int err = 0;

	if (out->sink)
		err = complain(out, out->sink->type->close(out->sink, keep));
	out->sink = NULL;
	return err;
}

int output__end(struct output *out, const struct interval *interval)
{
	int err = complain(out, out->sink->type->end(out->sink, interval));

	if (!err && out->numbered)
		err = close_sink(out, true);
	if (err == -EPIPE) {
		out->reader_gone = true;
		return 0;
	}
	if (!err && out->preview)
		keep_preview(out, out->preview->type->end(out->preview, interval));
	return err;
}

int output__close(struct output *out, bool keep)
{
	int err = close_sink(out, keep);

	if (out->preview)
		out->preview->type->close(out->preview, false);
	free(out->command_line);
	free(out->numbered_path);
	free(out->path);
	*out = (struct output){.reader_gone = out->reader_gone};
	return err == -EPIPE ? 0 : err;
}
