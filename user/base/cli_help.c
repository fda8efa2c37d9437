// SPDX-License-Identifier: Apache-2.0
/* --help of one command, wrapped to the columns of the terminal. */
#include <string.h>

#include "base/cli_text.h"
#include "base/text.h"

#define LEFT_MAX 26 /* of the option column; longer ones take a line of their own */

/* Words from `text`, wrapped; lines begin at `indent`, the first one stands at column `at` already. */
static void wrap(struct buf *out, const char *text, size_t len, size_t indent, size_t at, size_t columns)
{
	struct buf word = {0};
	size_t n, width;
	bool first = true;

	for (; len; text += n, len -= n) {
		n = strspn(text, " \n") < len ? strspn(text, " \n") : len;
		text += n;
		len -= n;
		n = strcspn(text, " \n") < len ? strcspn(text, " \n") : len;
		if (!n)
			break;
		buf__clear(&word);
		buf__add(&word, text, n);
		width = text__width(buf__text(&word));
		if (!first && at + 1 + width > columns) {
			buf__printf(out, "\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		buf__printf(out, "%s%s", first ? "" : " ", buf__text(&word));
		at += width + !first;
		first = false;
	}
	buf__putc(out, '\n');
	buf__free(&word);
}

/* Paragraphs, separated by empty lines; one that begins with a space keeps its lines. */
static void paragraphs(struct buf *out, const char *text, size_t columns)
{
	const char *end;

	for (; *text; text = end + strspn(end, "\n")) {
		end = strstr(text, "\n\n");
		if (!end)
			end = text + strlen(text);
		if (*text == ' ')
			buf__printf(out, "%.*s%s", (int)(end - text), text, end[-1] == '\n' ? "" : "\n");
		else
			wrap(out, text, (size_t)(end - text), 0, 0, columns);
		buf__putc(out, '\n');
	}
}

static void add_left(struct buf *out, const struct cli_option *o)
{
	if (o->letter)
		buf__printf(out, "  -%c, --%s", o->letter, o->name);
	else
		buf__printf(out, "      --%s", o->name);
	if (cli__takes_value(o)) {
		buf__putc(out, ' ');
		cli__add_arg(out, o);
	}
}

static size_t left_width(const struct cli_command *c)
{
	struct buf left = {0};
	size_t best = strlen("  -h, --help"), width;

	cli__each_option(c, group, o)
	{
		buf__clear(&left);
		if (!o->hidden)
			add_left(&left, o);
		width = text__width(buf__text(&left));
		if (width > best && width <= LEFT_MAX)
			best = width;
	}
	buf__free(&left);
	return best + 2;
}

static void option_line(struct buf *out, const struct cli_option *o, size_t indent, size_t columns)
{
	struct buf left = {0}, right = {0};
	size_t width;

	add_left(&left, o);
	cli__add_help(&right, o);
	width = text__width(buf__text(&left));
	if (width + 2 > indent)
		buf__printf(out, "%s\n%*s", buf__text(&left), (int)indent, "");
	else
		buf__printf(out, "%s%*s", buf__text(&left), (int)(indent - width), "");
	wrap(out, buf__text(&right), right.len, indent, indent, columns);
	buf__free(&left);
	buf__free(&right);
}

static void indented(struct buf *out, const char *lines)
{
	size_t len;

	for (; *lines; lines += len + (lines[len] == '\n')) {
		len = strcspn(lines, "\n");
		buf__printf(out, "%s%.*s\n", len ? "  " : "", (int)len, lines);
	}
}

void cli__help(struct buf *out, const struct cli_command *c, int columns)
{
	static const struct cli_option help = {"help", 'h', CLI_FLAG, .help = "show this text"};
	size_t indent = left_width(c), width = columns > 0 ? (size_t)columns : 80;
	struct buf usage = {0};

	cli__usage(&usage, c);
	buf__puts(out, "Usage: ");
	wrap(out, buf__text(&usage), usage.len, 7, 7, width);
	buf__putc(out, '\n');
	if (c->description)
		paragraphs(out, c->description, width);
	for (const struct cli_group *g = c->groups; g && g->title; g++) {
		buf__printf(out, "%s:\n", g->title);
		for (const struct cli_option *o = g->options; o->name; o++) {
			if (!o->hidden)
				option_line(out, o, indent, width);
		}
		buf__putc(out, '\n');
	}
	option_line(out, &help, indent, width);
	if (c->examples && *c->examples) {
		buf__puts(out, "\nExamples:\n");
		indented(out, c->examples);
	}
	buf__free(&usage);
}
