// SPDX-License-Identifier: Apache-2.0
/* `sonde convert`: one file of stacks into another. */
#include <errno.h>
#include <string.h>

#include "base/msg.h"
#include "base/text.h"
#include "command/command.h"
#include "command/picture.h"

struct options {
	int format; /* index of formats; -1: from the extension */
	struct picture_options picture;
};

static const char *const formats[] = {"folded", "svg", "html", "pprof", "speedscope", "json", "table", NULL};

static const struct cli_option rows[] = {
	{"format", 'f', CLI_CHOICE, offsetof(struct options, format), "FORMAT", "format of OUT",
	 .choices = formats, .fallback = "from the extension"},
	PICTURE_ROWS(struct options, picture),
	{0},
};

static const struct cli_group groups[] = {{"Output", rows}, {0}};

static void defaults(void *options)
{
	struct options *o = options;

	o->format = -1;
	picture_options__defaults(&o->picture);
}

/* From -f or the extension; PICTURE_UNKNOWN after a message. */
static enum picture_format output_format(const struct options *o, const char *path)
{
	enum picture_format format = picture__format(path);
	struct buf shown = {0};

	if (o->format >= 0)
		format = !strcmp(formats[o->format], "table")
				 ? PICTURE_TABLE
				 : (enum picture_format)(PICTURE_FOLDED + o->format);
	if (format != PICTURE_UNKNOWN)
		return format;
	text__puts(&shown, path, TEXT_TERMINAL);
	if (!strcmp(path, "-"))
		msg__error("standard output has no extension: say `-f folded`, `-f svg`, `-f pprof`...");
	else
		msg__error("%s: want .folded, .svg, .html, .pb.gz, .speedscope.json, .json or .txt, or -f",
			   buf__text(&shown));
	buf__free(&shown);
	return PICTURE_UNKNOWN;
}

static bool is_picture(enum picture_format format)
{
	return format == PICTURE_FOLDED || format == PICTURE_SVG || format == PICTURE_HTML;
}

static int unfold(struct profile *p, const struct flamegraph *g, const char *path)
{
	struct buf shown = {0};
	int err = profile__unfold(p, g);

	text__puts(&shown, !strcmp(path, "-") ? "standard input" : path, TEXT_TERMINAL);
	if (err == -EINVAL)
		msg__error("%s: a difference, which only folded, SVG and HTML can hold", buf__text(&shown));
	else if (err)
		msg__error("%s: %s", buf__text(&shown), strerror(-err));
	buf__free(&shown);
	return err ? EXIT_RUN_FAILED : EXIT_DONE;
}

static int convert(struct profile *p, struct flamegraph *g, char **names, enum picture_format format,
		   const struct picture_options *o)
{
	bool is_tree;
	int code = picture__read_profile(p, g, &is_tree, names[0], o);

	if (code)
		return code;
	if (is_picture(format)) {
		if (!is_tree)
			code = picture__fold(p, g, names[0], o);
		return code ? code : picture__write(g, names[1], format, o);
	}
	if (is_tree)
		code = unfold(p, g, names[0]);
	return code ? code : picture__write_profile(p, g, names[1], format, o);
}

static int run(void *options, const struct cli_rest *rest)
{
	const struct options *o = options;
	struct flamegraph_style style;
	struct profile p;
	struct flamegraph g;
	enum picture_format format;
	int code;

	format = output_format(o, rest->argv[1]);
	if (format == PICTURE_UNKNOWN || picture_options__style(&o->picture, &style))
		return EXIT_USAGE;
	code = picture__check_output(rest->argv[1]);
	if (code)
		return code;
	flamegraph__init(&g);
	profile__init(&p);
	code = convert(&p, &g, rest->argv, format, &o->picture);
	profile__free(&p);
	flamegraph__free(&g);
	return code;
}

const struct cli_command command_convert = {
	.name = "convert",
	.summary = "turn profiles of any format into one another",
	.positionals = "IN OUT",
	.description = "Reads IN and writes OUT in the format of its extension. Both may be folded stacks, "
		       "an SVG or HTML of "
		       "sonde, pprof, speedscope JSON, or JSON lines; OUT a table (.txt), too. IN may come "
		       "from any tool; its "
		       "format is seen from its content. `-` is standard input or output.\n\n"
		       "SVG and HTML of sonde carry their stacks, command line, losses and completeness "
		       "inside, and so does "
		       "pprof in its comments: nothing of these is lost between them. pprof and JSON lines "
		       "have addresses, "
		       "files, source lines, processes and the labels of each stack besides, which pictures "
		       "have not. Folded "
		       "output holds the stacks alone; --facts adds the rest. speedscope has neither labels "
		       "nor losses. A "
		       "profile with several values (samples and time) is drawn by one of them: --value.\n\n"
		       "The boxes of an SVG are those that flamegraph.pl draws from the same folded file.",
	.examples = "sonde convert cpu.folded cpu.svg\n"
		    "sonde convert --inverted cpu.svg cpu.html\n"
		    "sonde convert cpu.pb.gz cpu.speedscope.json\n"
		    "sonde convert --value samples go.pb.gz go.svg\n"
		    "perf script | stackcollapse-perf.pl | sonde convert - cpu.html\n"
		    "sonde convert -f folded cpu.svg - | grep futex",
	.groups = groups,
	.options_size = sizeof(struct options),
	.defaults = defaults,
	.run = run,
};
