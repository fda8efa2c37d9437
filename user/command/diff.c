// SPDX-License-Identifier: Apache-2.0
/* `sonde diff`: what changed between two profiles, and whether chance would explain it. */
#include "model/diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/text.h"
#include "base/units.h"
#include "command/command.h"
#include "command/picture.h"

struct options {
	const char *output;
	int format; /* index of formats; -1: from the extension, a table without -o */
	int by;	    /* index of bases */
	bool negate;
	long long rows;
	struct picture_options picture;
};

static const char *const formats[] = {"table", "folded", "svg", "html", NULL};
static const char *const bases[] = {"self", "total", NULL};

static const struct cli_option rows[] = {
	{"output", 'o', CLI_STRING, offsetof(struct options, output), "FILE",
	 "write a differential flame graph: .svg, .html or .folded (two columns, for flamegraph.pl)"},
	{"format", 'f', CLI_CHOICE, offsetof(struct options, format), "FORMAT", "format of the output",
	 .choices = formats, .fallback = "from the extension, else table"},
	{"negate", 0, CLI_FLAG, offsetof(struct options, negate), NULL,
	 "widths of A instead of B, so that what vanished can be seen; red still means more in B"},
	{"by", 0, CLI_CHOICE, offsetof(struct options, by), "WHAT",
	 "compare functions by their own share or with what they call", .choices = bases, .fallback = "self"},
	{"rows", 'n', CLI_INT, offsetof(struct options, rows), "ROWS", "rows of the table", 1, 1000000,
	 .fallback = "20"},
	PICTURE_ROWS(struct options, picture),
	{0},
};

static const struct cli_group groups[] = {{"Output", rows}, {0}};

static void defaults(void *options)
{
	struct options *o = options;

	o->format = -1;
	o->rows = 20;
	picture_options__defaults(&o->picture);
}

/* Everything of one run. */
struct comparison {
	const struct options *options;
	struct flamegraph before, after; /* as read */
	struct flamegraph both;		 /* self: before, other_self: after, not normalised */
	struct flame counts;		 /* the waits behind weights, of both; empty if they are not known */
	struct diff diff;
	const struct flame *tested; /* what the tests are made on; NULL: nothing known */
	struct buf verdict;
};

/* --- the numbers */

static int compare(struct comparison *c)
{
	bool weighted = flamegraph__is_weighted(&c->before);
	int err = flame__merge(&c->both.tree, &c->before.tree, false, false);

	if (!err)
		err = flame__merge(&c->both.tree, &c->after.tree, false, true);
	if (!err && weighted && c->before.tree.root.other_total && c->after.tree.root.other_total) {
		err = flame__merge(&c->counts, &c->before.tree, true, false);
		if (!err)
			err = flame__merge(&c->counts, &c->after.tree, true, true);
	}
	if (!weighted)
		c->tested = &c->both.tree;
	else if (c->counts.root.total)
		c->tested = &c->counts;
	flame__sort(&c->both.tree);
	flame__sort(&c->counts);
	return err ? err : diff__compare(&c->diff, &c->both.tree, c->tested, c->options->by == 1);
}

static const char *unit_of(const struct flamegraph *g)
{
	const char *unit = flamegraph__get(g, "unit");

	return *unit ? unit : "samples";
}

static bool is_significant(const struct diff *d)
{
	return d->significant || (d->p >= 0 && d->p <= DIFF_LEVEL);
}

static double least_q(const struct diff *d)
{
	double least = 1;

	for (size_t i = 0; i < d->count; i++) {
		if (d->rows[i].q >= 0 && d->rows[i].q < least)
			least = d->rows[i].q;
	}
	return least;
}

static void add_p(struct buf *out, const char *name, double p)
{
	if (p < 0.0001)
		buf__printf(out, "%s < 0.0001", name);
	else
		buf__printf(out, p < 0.01 ? "%s = %.4f" : "%s = %.2f", name, p);
}

static void add_sizes(struct comparison *c, const char *noun)
{
	units__count(&c->verdict, c->diff.samples[0]);
	buf__printf(&c->verdict, " %s vs ", noun);
	units__count(&c->verdict, c->diff.samples[1]);
}

/* One sentence, plain: what may be believed. */
static void judge(struct comparison *c)
{
	const struct diff *d = &c->diff;
	const char *noun = c->tested == &c->counts ? "waits" : "samples";
	struct buf *out = &c->verdict;

	if (!c->tested) {
		buf__printf(out, "significance is not known: the weights are in %s, not counts",
			    unit_of(&c->before));
		return;
	}
	if (c->tested == &c->counts)
		buf__puts(out, "judged by the number of waits, not by their time: ");
	if (d->p < 0 && !d->tested) {
		buf__puts(out, "too few to tell a difference (");
		add_sizes(c, noun);
		buf__puts(out, ")");
		return;
	}
	if (d->significant) {
		buf__printf(out, "significant difference: %zu of %zu functions changed (", d->significant,
			    d->tested);
		add_p(out, "q", least_q(d));
		buf__puts(out, d->p >= 0 ? "; all stacks: " : "; ");
	} else {
		buf__puts(out, is_significant(d) ? "significant difference, in no single function ("
						 : "no significant difference (");
	}
	if (d->p >= 0) {
		add_p(out, "p", d->p);
		buf__puts(out, ", ");
	}
	add_sizes(c, noun);
	buf__puts(out, ")");
}

/* --- the table */

static void add_change(struct buf *out, const struct diff_row *row)
{
	double points = 100 * (row->share[1] - row->share[0]);

	buf__printf(out, "%6.1f%% %6.1f%% %+7.1f  ", 100 * row->share[0], 100 * row->share[1], points);
	if (row->q < 0)
		buf__puts(out, "     -");
	else if (row->q < 0.001)
		buf__puts(out, "<0.001");
	else
		buf__printf(out, "%6.3f", row->q);
	buf__puts(out, row->q >= 0 && row->q <= DIFF_LEVEL ? " *  " : "    ");
}

static void add_table(struct buf *out, const struct comparison *c)
{
	size_t shown = (size_t)c->options->rows < c->diff.count ? (size_t)c->options->rows : c->diff.count;
	int columns = isatty(STDOUT_FILENO) ? cli__columns() : 0;

	buf__puts(out, buf__text(&c->verdict));
	buf__printf(out, "\n before   after  change       q    function (%s)\n",
		    c->options->by == 1 ? "with what it calls" : "itself");
	for (size_t i = 0; i < shown; i++) {
		const struct diff_row *row = &c->diff.rows[i];
		struct buf name = {0};

		add_change(out, row);
		buf__puts(&name, row->name);
		buf__puts(&name, flame__plain_suffix(row->kind));
		if (columns > 50)
			text__clip(out, buf__text(&name), (size_t)columns - 36);
		else
			buf__puts(out, buf__text(&name));
		buf__putc(out, '\n');
		buf__free(&name);
	}
	if (shown < c->diff.count)
		buf__printf(out, "%zu more functions: -n\n", c->diff.count - shown);
	if (c->tested && !(*flamegraph__get(&c->before, "unit") && *flamegraph__get(&c->after, "unit")))
		buf__puts(out, "taken for counts of samples; if these are times, say --unit us\n");
	if (c->tested)
		buf__puts(out, "* q <= 0.05: changed, if samples are independent; phases of a program make "
			       "them less so\n");
}

static int print_table(const struct comparison *c)
{
	struct buf out = {0};
	int err;

	add_table(&out, c);
	err = buf__write(&out, stdout);
	buf__free(&out);
	if (err == -ENOMEM)
		msg__error("out of memory");
	return err == -ENOMEM ? EXIT_RUN_FAILED : EXIT_DONE; /* a write error is seen at the end */
}

/* --- the picture */

static void state_facts(struct comparison *c, char **names)
{
	static const char *const kept[] = {"unit", "metric"};
	struct flamegraph *g = &c->both;
	const char *sides[] = {"before", "after"};
	const struct flamegraph *graphs[] = {&c->before, &c->after};

	flamegraph__set(g, "sonde", SONDE_VERSION);
	for (int i = 0; i < 2; i++)
		flamegraph__set(g, sides[i], strcmp(names[i], "-") == 0 ? "standard input" : names[i]);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (*flamegraph__get(&c->before, kept[i]))
			flamegraph__set(g, kept[i], flamegraph__get(&c->before, kept[i]));
	}
	if (*flamegraph__get(graphs[0], "lost") || *flamegraph__get(graphs[1], "lost"))
		flamegraph__setf(g, "lost", "%llu",
				 (unsigned long long)(flamegraph__number(graphs[0], "lost") +
						      flamegraph__number(graphs[1], "lost")));
	flamegraph__setf(g, "before-total", "%llu", (unsigned long long)g->tree.root.total);
	flamegraph__setf(g, "after-total", "%llu", (unsigned long long)g->tree.root.other_total);
	flamegraph__set(g, "verdict", buf__text(&c->verdict));
	if (c->options->negate)
		flamegraph__set(g, "negate", "yes");
}

/* The first profile is scaled to the total of the second, which gives the widths, as difffolded does. */
static void normalise(struct comparison *c)
{
	struct flame *f = &c->both.tree;

	f->is_difference = true;
	if (c->options->negate)
		flame__swap(f);
	flame__scale(f, f->root.other_total, f->root.total, false);
}

static int write_picture(struct comparison *c, const char *path, enum picture_format format, char **names)
{
	state_facts(c, names);
	normalise(c);
	return picture__write(&c->both, path, format, &c->options->picture);
}

/* --- the run */

static int read_sides(struct comparison *c, char **names)
{
	struct flamegraph *graphs[] = {&c->before, &c->after};
	struct buf shown = {0};
	int code = EXIT_DONE;

	for (int i = 0; i < 2 && !code; i++) {
		code = picture__read(graphs[i], names[i], &c->options->picture);
		if (code || !graphs[i]->tree.is_difference)
			continue;
		text__puts(&shown, names[i], TEXT_TERMINAL);
		msg__error("%s: this is a difference already; want two profiles", buf__text(&shown));
		code = EXIT_RUN_FAILED;
	}
	buf__free(&shown);
	if (!code && strcmp(unit_of(&c->before), unit_of(&c->after)) != 0) {
		msg__error("one profile is in %s, the other in %s: they cannot be compared (--unit says what "
			   "plain "
			   "folded files count)",
			   unit_of(&c->before), unit_of(&c->after));
		code = EXIT_RUN_FAILED;
	}
	return code;
}

/* Where to and in which format; PICTURE_UNKNOWN after a message. */
static enum picture_format output_format(const struct options *o)
{
	enum picture_format format = o->format >= 0 ? (enum picture_format)o->format : PICTURE_TABLE;
	struct buf shown = {0};

	if (o->format < 0 && o->output)
		format = picture__format(o->output);
	if (format > PICTURE_HTML) /* a profile has no second column */
		format = PICTURE_UNKNOWN;
	if (o->output && strcmp(o->output, "-") != 0 &&
	    (format == PICTURE_TABLE || format == PICTURE_UNKNOWN)) {
		text__puts(&shown, o->output, TEXT_TERMINAL);
		msg__error("%s: want .svg, .html or .folded, or -f", buf__text(&shown));
		buf__free(&shown);
		return PICTURE_UNKNOWN;
	}
	return format == PICTURE_UNKNOWN ? PICTURE_TABLE : format;
}

static void comparison__init(struct comparison *c, const struct options *o)
{
	memset(c, 0, sizeof(*c));
	c->options = o;
	flamegraph__init(&c->before);
	flamegraph__init(&c->after);
	flamegraph__init(&c->both);
	flame__init(&c->counts);
}

static void comparison__free(struct comparison *c)
{
	diff__free(&c->diff);
	flamegraph__free(&c->before);
	flamegraph__free(&c->after);
	flamegraph__free(&c->both);
	flame__free(&c->counts);
	buf__free(&c->verdict);
}

static int run(void *options, const struct cli_rest *rest)
{
	const struct options *o = options;
	enum picture_format format = output_format(o);
	struct flamegraph_style style;
	struct comparison c;
	int code;

	if (format == PICTURE_UNKNOWN || picture_options__style(&o->picture, &style))
		return EXIT_USAGE;
	if (o->output && picture__check_output(o->output))
		return EXIT_USAGE;
	comparison__init(&c, o);
	code = read_sides(&c, rest->argv);
	if (!code && compare(&c)) {
		msg__error("out of memory");
		code = EXIT_RUN_FAILED;
	}
	if (!code) {
		judge(&c);
		if (format == PICTURE_TABLE)
			code = print_table(&c);
		else
			code = write_picture(&c, o->output ? o->output : "-", format, rest->argv);
		if (!code && format != PICTURE_TABLE)
			msg__note("%s", buf__text(&c.verdict));
	}
	comparison__free(&c);
	return code;
}

const struct cli_command command_diff = {
	.name = "diff",
	.summary = "what changed between two profiles, and whether it is more than chance",
	.positionals = "A B",
	.description =
		"Compares two profiles of any format that convert reads: A before, B after. Totals are "
		"normalised. Without -o a table "
		"of the functions whose share changed most; with -o a differential flame graph: as "
		"wide as B (with "
		"--negate as A), red where the share grew, blue where it fell.\n\n"
		"Says whether the difference is significant: chi-square over all stacks and, for each "
		"function, a "
		"two-proportion z-test corrected for their number (Benjamini-Hochberg, q). The tests "
		"count samples and take "
		"them for independent; a program with phases varies more than that, so let it run "
		"several times before "
		"believing a small change. Weights that are times have no such test: where the number "
		"of waits is known "
		"(SVG and HTML of sonde) those are tested, else significance is not known. Plain "
		"folded files do not say "
		"what they count: --unit does.",
	.examples = "sonde diff before.svg after.svg\n"
		    "sonde diff before.folded after.folded -o change.html\n"
		    "sonde diff --negate before.svg after.svg -o vanished.svg",
	.groups = groups,
	.options_size = sizeof(struct options),
	.defaults = defaults,
	.run = run,
};
