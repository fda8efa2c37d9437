// SPDX-License-Identifier: Apache-2.0
/* `sonde convert`: one picture of stacks into another. */
#include <string.h>

#include "base/msg.h"
#include "base/text.h"
#include "command/command.h"
#include "command/picture.h"

struct options {
	int format; /* index of formats; -1: from the extension */
	struct picture_options picture;
};

static const char *const formats[] = {"folded", "svg", "html", NULL};

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

/* Folded, SVG or HTML, from -f or the extension; PICTURE_UNKNOWN after a message. */
static enum picture_format output_format(const struct options *o, const char *path)
{
	enum picture_format format = picture__format(path);
	struct buf shown = {0};

	if (o->format >= 0)
		format = (enum picture_format)(PICTURE_FOLDED + o->format);
	if (format != PICTURE_UNKNOWN && format != PICTURE_TABLE)
		return format;
	text__puts(&shown, path, TEXT_TERMINAL);
	if (!strcmp(path, "-"))
		msg__error("standard output has no extension: say `-f folded`, `-f svg` or `-f html`");
	else
		msg__error("%s: want .folded, .svg or .html, or -f", buf__text(&shown));
	buf__free(&shown);
	return PICTURE_UNKNOWN;
}

static int run(void *options, const struct cli_rest *rest)
{
	const struct options *o = options;
	struct flamegraph_style style;
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
	code = picture__read(&g, rest->argv[0], &o->picture);
	if (!code)
		code = picture__write(&g, rest->argv[1], format, &o->picture);
	flamegraph__free(&g);
	return code;
}

const struct cli_command command_convert = {
	.name = "convert",
	.summary = "turn folded stacks, SVG and HTML into one another",
	.positionals = "IN OUT",
	.description =
		"Reads IN, which may be folded stacks of any tool or an SVG or HTML of sonde, and writes OUT "
		"in the "
		"format of its extension. SVG and HTML of sonde carry their stacks, command line, losses and "
		"completeness inside, so nothing is lost between them. Folded output holds the stacks alone; "
		"--facts "
		"adds the rest. `-` is standard input or output.\n\n"
		"The boxes of an SVG are those that flamegraph.pl draws from the same folded file.",
	.examples = "sonde convert cpu.folded cpu.svg\n"
		    "sonde convert --inverted cpu.svg cpu.html\n"
		    "perf script | stackcollapse-perf.pl | sonde convert - cpu.html\n"
		    "sonde convert -f folded cpu.svg - | grep futex",
	.groups = groups,
	.options_size = sizeof(struct options),
	.defaults = defaults,
	.run = run,
};
