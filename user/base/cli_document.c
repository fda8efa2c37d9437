// SPDX-License-Identifier: Apache-2.0
/* The tables of all commands as a man page (roff) and as Markdown. */
#include "base/cli_text.h"

#include <string.h>

/* Text that begins a roff line: no control lines, real dashes; `code` becomes bold. */
static void roff(struct buf *out, const char *text, size_t len)
{
	bool bold = false, line_start = true;

	for (size_t i = 0; i < len; i++) {
		if (line_start && (text[i] == '.' || text[i] == '\''))
			buf__puts(out, "\\&");
		line_start = text[i] == '\n';
		if (text[i] == '`') {
			bold = !bold;
			buf__puts(out, bold ? "\\fB" : "\\fR");
		} else if (text[i] == '\\') {
			buf__puts(out, "\\e");
		} else if (text[i] == '-') {
			buf__puts(out, "\\-");
		} else {
			buf__putc(out, text[i]);
		}
	}
}

static void roff_line(struct buf *out, const char *text)
{
	roff(out, text, strlen(text));
	buf__putc(out, '\n');
}

static void roff_block(struct buf *out, const char *text, size_t len)
{
	buf__puts(out, ".PP\n.RS 4\n.nf\n");
	roff(out, text, len);
	buf__puts(out, text[len - 1] == '\n' ? ".fi\n.RE\n" : "\n.fi\n.RE\n");
}

static void roff_paragraphs(struct buf *out, const char *text)
{
	const char *end;

	for (; *text; text = end + strspn(end, "\n")) {
		end = strstr(text, "\n\n");
		if (!end)
			end = text + strlen(text);
		if (*text == ' ') {
			roff_block(out, text, (size_t)(end - text));
			continue;
		}
		buf__puts(out, ".PP\n");
		roff(out, text, (size_t)(end - text));
		buf__putc(out, '\n');
	}
}

static void roff_option(struct buf *out, const struct cli_option *o)
{
	struct buf text = {0};

	if (o->letter)
		buf__printf(&text, "`-%c`, ", o->letter);
	buf__printf(&text, "`--%s`", o->name);
	if (cli__takes_value(o)) {
		buf__putc(&text, ' ');
		cli__add_arg(&text, o);
	}
	buf__puts(out, ".TP\n");
	roff_line(out, buf__text(&text));
	buf__clear(&text);
	cli__add_help(&text, o);
	roff(out, buf__text(&text), text.len);
	buf__clear(&text);
	cli__add_range(&text, o);
	if (text.len) {
		buf__puts(out, "; ");
		roff(out, buf__text(&text), text.len);
	}
	buf__puts(out, out->len && out->data[out->len - 1] == '.' ? "\n" : ".\n");
	buf__free(&text);
}

static void roff_group(struct buf *out, const struct cli_group *group)
{
	for (const struct cli_option *o = group->options; o->name; o++) {
		if (!o->hidden)
			roff_option(out, o);
	}
}

/* "Also the options under Target, Output below." What stands in parentheses behind a title is said there, not
 * here. */
static void shared_groups(struct buf *out, const struct cli_command *c,
			  const struct cli_command *const *commands)
{
	const char *before = ".PP\nAlso the options under ";

	for (const struct cli_group *g = c->groups; g && g->title; g++) {
		const char *more = strstr(g->title, " (");

		if (!cli__is_shared(commands, g))
			continue;
		buf__printf(out, "%s\\fI%.*s\\fR", before,
			    (int)(more ? more - g->title : (ptrdiff_t)strlen(g->title)), g->title);
		before = ", ";
	}
	if (*before == ',')
		buf__puts(out, " below.\n");
}

static void roff_command(struct buf *out, const struct cli_command *c,
			 const struct cli_command *const *commands)
{
	struct buf usage = {0};

	cli__usage(&usage, c);
	buf__puts(out, ".SS ");
	roff_line(out, buf__text(&usage));
	roff_paragraphs(out, c->description ? c->description : c->summary);
	for (const struct cli_group *g = c->groups; g && g->title; g++) {
		if (!cli__is_shared(commands, g))
			roff_group(out, g);
	}
	shared_groups(out, c, commands);
	buf__free(&usage);
}

static void roff_shared(struct buf *out, const struct cli_command *const *commands)
{
	for (const struct cli_command *const *c = commands; *c; c++) {
		for (const struct cli_group *g = (*c)->groups; (*c)->summary && g && g->title; g++) {
			if (!cli__is_shared(commands, g) || cli__first_with(commands, g) != *c)
				continue;
			buf__puts(out, ".SS ");
			roff_line(out, g->title);
			roff_group(out, g);
		}
	}
	buf__puts(out, ".SS Every command\n.TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nshow usage and options.\n");
}

static const char man_begin[] = ".SH NAME\nsonde \\- where does the time go: an eBPF profiler\n"
				".SH SYNOPSIS\n.B sonde\n.I COMMAND\n[\\fIOPTION\\fR...] [\\fITARGET\\fR] "
				"[\\-\\- \\fICOMMAND\\fR [\\fIARG\\fR...]]\n.br\n"
				".B sonde help\n[\\fICOMMAND\\fR]\n"
				".SH DESCRIPTION\n"
				"Samples what runs, accounts for what waits and for every state between, for "
				"a process, a thread, a cgroup, a command or\n"
				"the whole machine: with BPF programs on the scheduler that aggregate in the "
				"kernel. Loss is counted and reported always.\n"
				".PP\n"
				"Data goes to standard output, words to standard error. On a terminal the "
				"output is a table. Without a duration a run\n"
				"lasts until Ctrl\\-C. Times need a unit: ns, us, ms, s, m, h or d. Options "
				"may follow or precede other words.\n";

static const char man_end[] =
	".SH EXIT STATUS\n"
	".TP\n.B 0\ndone; also when the target ended, the reader closed the pipe, or Ctrl\\-C ended a run "
	"without a duration.\n"
	".TP\n.B 1\nfailed while running.\n"
	".TP\n.B 2\nwrong usage or configuration.\n"
	".TP\n.B 3\na privilege or a feature of the kernel is missing; \\fBsonde check\\fR tells which.\n"
	".TP\n.B 4\nthe target was not found or gone, or the command could not be started.\n"
	".TP\n.B 5\na budget or threshold was violated.\n"
	".TP\n.B 130, 143\nCtrl\\-C or SIGTERM cut a run with a duration short; its results were written all "
	"the same.\n"
	".SH ENVIRONMENT\n"
	".TP\n.B NO_COLOR\nif it is set and not empty, no colour is used.\n"
	".TP\n.B SUDO_UID, SUDO_GID\nset by sudo: output files belong to this user and group, and a command "
	"to run becomes this user.\n";

static void man_examples(struct buf *out, const struct cli_command *const *commands)
{
	buf__puts(out, ".SH EXAMPLES\n");
	for (; *commands; commands++) {
		if ((*commands)->summary && (*commands)->examples && *(*commands)->examples)
			roff_block(out, (*commands)->examples, strlen((*commands)->examples));
	}
}

void cli__man(struct buf *out, const struct cli_command *const *commands)
{
	buf__puts(out, ".TH SONDE 1 \"\" \"sonde " SONDE_VERSION "\" \"User Commands\"\n.nh\n.ad l\n");
	buf__puts(out, man_begin);
	buf__puts(out, ".SH COMMANDS\n");
	for (const struct cli_command *const *c = commands; *c; c++) {
		if ((*c)->summary)
			roff_command(out, *c, commands);
	}
	buf__puts(out, ".SH OPTIONS\n");
	roff_shared(out, commands);
	buf__puts(out, man_end);
	man_examples(out, commands);
}

/* A cell of a Markdown table: a bar would end it. */
static void cell(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			buf__puts(out, "\\|");
		else
			buf__putc(out, *text == '\n' ? ' ' : *text);
	}
}

static void readme_group(struct buf *out, const char *command, const struct cli_group *group)
{
	struct buf text = {0};

	buf__printf(out, "\n| %s%s%s | |\n|---|---|\n", command ? command : "", command ? ": " : "",
		    group->title);
	for (const struct cli_option *o = group->options; o->name; o++) {
		if (o->hidden)
			continue;
		buf__clear(&text);
		if (o->letter)
			buf__printf(&text, "-%c, ", o->letter);
		buf__printf(&text, "--%s", o->name);
		if (cli__takes_value(o)) {
			buf__putc(&text, ' ');
			cli__add_arg(&text, o);
		}
		buf__puts(out, "| `");
		cell(out, buf__text(&text));
		buf__puts(out, "` | ");
		buf__clear(&text);
		cli__add_help(&text, o);
		cell(out, buf__text(&text));
		buf__puts(out, " |\n");
	}
	buf__free(&text);
}

void cli__readme(struct buf *out, const struct cli_command *const *commands)
{
	buf__puts(out, "| command | |\n|---|---|\n");
	for (const struct cli_command *const *c = commands; *c; c++) {
		if ((*c)->summary) {
			buf__printf(out, "| `sonde %s` | ", (*c)->name);
			cell(out, (*c)->summary);
			buf__puts(out, " |\n");
		}
	}
	for (const struct cli_command *const *c = commands; *c; c++) {
		for (const struct cli_group *g = (*c)->groups; (*c)->summary && g && g->title; g++) {
			if (!cli__is_shared(commands, g))
				readme_group(out, (*c)->name, g);
			else if (cli__first_with(commands, g) == *c)
				readme_group(out, NULL, g);
		}
	}
}

void cli__document(struct buf *out, enum cli_document kind, const struct cli_command *const *commands)
{
	static void (*const writers[])(struct buf *, const struct cli_command *const *) = {
		[CLI_MAN] = cli__man,	[CLI_BASH] = cli__bash,	    [CLI_ZSH] = cli__zsh,
		[CLI_FISH] = cli__fish, [CLI_README] = cli__readme,
	};

	writers[kind](out, commands);
}
