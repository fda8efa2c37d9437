// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cli.h"
#include "base/text.h"

static const char *const formats[] = {"table", "json", "svg", NULL};

struct options {
	struct cli_numbers pids;
	uint64_t duration, min, size;
	long long rows;
	int format;
	const char *output;
	bool all, kernel, habit;
};

#define AT(field) offsetof(struct options, field)

static const struct cli_option target_rows[] = {
	{"pid", 'p', CLI_NUMBERS, AT(pids), "PID[,PID]", "these processes", 1, 4194304},
	{"all", 'a', CLI_FLAG, AT(all), .help = "the whole machine"},
	{"kernel-stacks-only", 'K', CLI_FLAG, AT(kernel), .help = "no user frames"},
	{"call-graph", 'g', CLI_FLAG, AT(habit), .help = "-g: stacks are always recorded", .hidden = true},
	{0},
};

static const struct cli_option output_rows[] = {
	{"duration", 'd', CLI_DURATION, AT(duration), "TIME", "stop after this time", 1000000, 3600000000000},
	{"min", 0, CLI_DURATION, AT(min), "TIME", "shorter waits are left out", .fallback = "1ms"},
	{"output", 'o', CLI_STRING, AT(output), "FILE", "where to write"},
	{"format", 'f', CLI_CHOICE, AT(format), .help = "how to write", .choices = formats,
	 .fallback = "table"},
	{"json", 0, CLI_SET, AT(format), .help = "the same as -f json", .value = 1},
	{"rows", 'n', CLI_INT, AT(rows), "ROWS", "rows of the table", 1, 1000},
	{"memory", 0, CLI_SIZE, AT(size), "SIZE", "at most", 4096, 1 << 30},
	{0},
};

static const struct cli_group groups[] = {{"Target", target_rows}, {"Output", output_rows}, {0}};

static void defaults(void *options)
{
	((struct options *)options)->rows = 20;
}

static int run(void *options, const struct cli_rest *rest)
{
	(void)options;
	(void)rest;
	return 0;
}

static const struct cli_command profile = {
	.name = "profile",
	.summary = "where CPU time goes",
	.takes_target = true,
	.description = "First paragraph, long enough that it must be wrapped into several lines, whatever "
		       "the width.\n\n"
		       "Second one with `code`.\n\n  kept  as  it  is",
	.examples = "sonde profile -p 1\nsonde profile -a",
	.groups = groups,
	.options_size = sizeof(struct options),
	.defaults = defaults,
	.run = run,
};

static const struct cli_command convert = {
	.name = "convert", .summary = "one into another", .positionals = "IN OUT", .run = run};
static const struct cli_command check = {
	.name = "check", .summary = "what works", .positionals = "[FEATURE...]", .run = run};
static const struct cli_command schema = {.name = "schema", .summary = "the schema", .run = run};
static const struct cli_command offcpu = {
	.name = "offcpu", .summary = "blocked time", .groups = groups, .run = run};
static const struct cli_command hidden = {.name = "hidden", .run = run};
static const struct cli_command *const all[] = {&profile, &offcpu, &convert, &check, &schema, &hidden, NULL};

struct parsed {
	struct options options;
	struct cli_rest rest;
	int result;
	struct buf said; /* what the parser wrote to stderr */
};

/* Parses `line`, split at spaces; "_" stands for an empty word. */
static struct parsed parse(const struct cli_command *c, const char *line)
{
	static char words[16][64];
	static char *argv[17];
	struct parsed p = {0};
	int argc = 1, saved = dup(2), capture = memfd_create("stderr", 0);

	argv[0] = words[0];
	for (const char *at = line + strspn(line, " "); *at; at += strspn(at, " ")) {
		size_t len = strcspn(at, " ");

		snprintf(words[argc], sizeof(words[argc]), "%.*s", (int)len, *at == '_' ? "" : at);
		argv[argc] = words[argc];
		argc++;
		at += len;
	}
	argv[argc] = NULL;
	dup2(capture, 2);
	p.result = cli__parse(c, argc, argv, &p.options, &p.rest);
	dup2(saved, 2);
	close(saved);
	lseek(capture, 0, SEEK_SET);
	assert_int_equal(buf__read_fd(&p.said, capture, 1 << 16), 0);
	close(capture);
	return p;
}

static void drop(const struct cli_command *c, struct parsed *p)
{
	cli__free(c, &p->options, &p->rest);
	buf__free(&p->said);
}

static void accepts_every_spelling(void **state)
{
	static const char *const lines[] = {
		"--rows=5 --duration 10s -p 1,2 -a",
		"-n5 -d10s -p1 -p2 -a",
		"-n 5 -d 10s -ap1,2",
		"-an5 --duration=10s --pid=1 --pid 2",
		"-aKn5 -d 10s -p 1 --pid=2",
		"-n 7 -n 5 -d 1s -d 10s -p 1 -p 2 -a",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct parsed p = parse(&profile, lines[i]);

		assert_int_equal(p.result, 0);
		assert_int_equal(p.options.rows, 5);
		assert_true(p.options.duration == 10000000000);
		assert_int_equal(p.options.pids.count, 2);
		assert_int_equal(p.options.pids.items[0], 1);
		assert_int_equal(p.options.pids.items[1], 2);
		assert_true(p.options.all);
		assert_string_equal(buf__text(&p.said), "");
		drop(&profile, &p);
	}
}

static void every_kind_arrives(void **state)
{
	struct parsed p = parse(&profile, "-o a -o - -f svg --memory 64k --min 0s");

	(void)state;
	assert_int_equal(p.result, 0);
	assert_string_equal(p.options.output, "-");
	assert_int_equal(p.options.format, 2);
	assert_true(p.options.size == 65536);
	assert_int_equal(p.options.rows, 20); /* by defaults */
	assert_false(p.options.all);
	drop(&profile, &p);
	p = parse(&profile, "-f svg --json");
	assert_int_equal(p.options.format, 1);
	drop(&profile, &p);
	p = parse(&profile, "-g -a");
	assert_int_equal(p.result, 0);
	assert_true(p.options.habit);
	assert_string_equal(buf__text(&p.said), "sonde: -g: stacks are always recorded\n");
	drop(&profile, &p);
}

static void words_and_commands(void **state)
{
	struct parsed p = parse(&profile, "-a -- xz -n 5 --help");

	(void)state;
	assert_int_equal(p.result, 0);
	assert_string_equal(p.rest.command[0], "xz");
	assert_string_equal(p.rest.command[3], "--help");
	assert_null(p.rest.command[4]);
	assert_int_equal(p.rest.argc, 0);
	drop(&profile, &p);
	p = parse(&convert, "a -- -b");
	assert_int_equal(p.result, 0);
	assert_int_equal(p.rest.argc, 2);
	assert_string_equal(p.rest.argv[1], "-b");
	assert_null(p.rest.command);
	drop(&convert, &p);
	p = parse(&check, "");
	assert_int_equal(p.result, 0);
	drop(&check, &p);
	p = parse(&check, "one two three 4");
	assert_int_equal(p.rest.argc, 4);
	drop(&check, &p);
}

static const struct {
	const struct cli_command *command;
	const char *line, *said;
} refusals[] = {
	{&profile, "--duratoin 5s", "sonde profile: unknown option --duratoin; did you mean --duration?\n"},
	{&profile, "--duratoin=5s", "sonde profile: unknown option --duratoin; did you mean --duration?\n"},
	{&profile, "--colour", "sonde profile: unknown option --colour; `sonde profile --help` lists them\n"},
	{&profile, "--call-grap",
	 "sonde profile: unknown option --call-grap; `sonde profile --help` lists them\n"},
	{&profile, "-A", "sonde profile: unknown option -A; did you mean -a (--all)?\n"},
	{&profile, "-z", "sonde profile: unknown option -z; `sonde profile --help` lists them\n"},
	{&profile, "-duration 5s", "sonde profile: unknown option -duration; did you mean --duration?\n"},
	{&profile, "5", "sonde profile: unexpected word 5: `-d 5s` or `-p 5`?\n"},
	{&profile, "5s", "sonde profile: unexpected word 5s: `-d 5s`?\n"},
	{&profile, "xz",
	 "sonde profile: unexpected word xz; a command to run stands behind --: `sonde profile -- "
	 "xz`\n"},
	{&profile, "-f -o x",
	 "sonde profile: -f needs a value (table|json|svg), but the option -o stands in its place\n"},
	{&profile, "-o -- xz",
	 "sonde profile: -o needs a value (FILE), but the option -- stands in its place\n"},
	{&profile, "-o", "sonde profile: -o needs a value: -o FILE\n"},
	{&profile, "--output", "sonde profile: --output needs a value: --output FILE\n"},
	{&profile, "-o _", "sonde profile: -o: the value is empty\n"},
	{&profile, "--output=", "sonde profile: --output: the value is empty\n"},
	{&profile, "--all=yes", "sonde profile: --all takes no value\n"},
	{&profile, "-d 10", "sonde profile: -d 10: needs a unit: `-d 10s`\n"},
	{&profile, "--min 10", "sonde profile: --min 10: needs a unit: `--min 10ms` or `--min 10us`\n"},
	{&profile, "-d soon", "sonde profile: -d soon: not a time: a number and ns, us, ms, s, m, h or d\n"},
	{&profile, "-d -5s", "sonde profile: -d -5s: not a time: a number and ns, us, ms, s, m, h or d\n"},
	{&profile, "-d 1us", "sonde profile: -d 1us: must be from 1ms to 1h\n"},
	{&profile, "-d 61m", "sonde profile: -d 61m: must be from 1ms to 1h\n"},
	{&profile, "-d 99999999999h", "sonde profile: -d 99999999999h: must be from 1ms to 1h\n"},
	{&profile, "-n 0", "sonde profile: -n 0: must be from 1 to 1000\n"},
	{&profile, "-n 1001", "sonde profile: -n 1001: must be from 1 to 1000\n"},
	{&profile, "-n ten", "sonde profile: -n ten: not a whole number\n"},
	{&profile, "-p 1,x", "sonde profile: -p x: not a whole number\n"},
	{&profile, "-p 1,,2", "sonde profile: -p : not a whole number\n"},
	{&profile, "-p 0", "sonde profile: -p 0: must be from 1 to 4194304\n"},
	{&profile, "-f jsno", "sonde profile: -f jsno: no such word; did you mean json?\n"},
	{&profile, "-f pprof", "sonde profile: -f pprof: must be one of: table json svg\n"},
	{&profile, "--memory 1k", "sonde profile: --memory 1k: must be from 4.0KiB to 1.0GiB\n"},
	{&profile, "--memory much",
	 "sonde profile: --memory much: not a size: a number of bytes, or with k, M, G or T\n"},
	{&profile, "--", "sonde profile: -- needs a command behind it: `-- COMMAND [ARG...]`\n"},
	{&profile, "-o a\x1b[31m\n -d 1", "sonde profile: -d 1: needs a unit: `-d 1s`\n"},
	{&profile, "--\x1b[31m",
	 "sonde profile: unknown option --\\x1b[31m; `sonde profile --help` lists them\n"},
	{&convert, "a", "sonde convert: a word is missing: `sonde convert IN OUT`\n"},
	{&convert, "a b c", "sonde convert: unexpected word c; `sonde convert --help` shows the usage\n"},
	{&schema, "5", "sonde schema: unexpected word 5; `sonde schema --help` shows the usage\n"},
	{&schema, "--hepl", "sonde schema: unknown option --hepl; did you mean --help?\n"},
};

static void refusals_are_one_clear_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct parsed p = parse(refusals[i].command, refusals[i].line);

		if (p.result != -EINVAL)
			fail_msg("%s: %d", refusals[i].line, p.result);
		assert_string_equal(buf__text(&p.said), refusals[i].said);
		drop(refusals[i].command, &p);
	}
}

/* Every line of help fits, at any width; every visible option stands in it, no hidden one. */
static void help_fits_the_columns(void **state)
{
	struct buf out = {0};

	(void)state;
	for (int columns = 50; columns <= 120; columns += 5) {
		buf__clear(&out);
		cli__help(&out, &profile, columns);
		for (char *line = out.data, *end; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			if (text__width(line) > (size_t)columns)
				fail_msg("%d columns: %s", columns, line);
			*end = '\n';
		}
		for (const struct cli_group *g = groups; g->title; g++) {
			for (const struct cli_option *o = g->options; o->name; o++) {
				char name[32];

				snprintf(name, sizeof(name), "--%s", o->name);
				assert_int_equal(strstr(out.data, name) != NULL, !o->hidden);
			}
		}
	}
	assert_non_null(
		strstr(out.data, "Usage: sonde profile [OPTION...] [TARGET] [-- COMMAND [ARG...]]\n"));
	assert_non_null(strstr(out.data, "\n  kept  as  it  is\n"));
	assert_non_null(strstr(out.data, "shorter waits are left out (default 1ms)\n"));
	assert_non_null(strstr(out.data, "\nExamples:\n  sonde profile -p 1\n  sonde profile -a\n"));
	buf__free(&out);
}

static int occurrences(const char *text, const char *part)
{
	int count = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		count++;
	return count;
}

static void documents_name_every_option_once(void **state)
{
	struct buf out = {0};

	(void)state;
	cli__document(&out, CLI_MAN, all);
	assert_int_equal(occurrences(out.data, "\\fB\\-\\-duration\\fR"), 1); /* shared by two commands */
	assert_int_equal(occurrences(out.data, "from 1ms to 1h"), 1);
	assert_int_equal(occurrences(out.data, "call"), 0);
	assert_int_equal(occurrences(out.data, "hidden"), 0);
	assert_int_equal(
		occurrences(out.data, "Also the options under \\fITarget\\fR, \\fIOutput\\fR below."), 2);
	buf__clear(&out);
	cli__document(&out, CLI_README, all);
	assert_int_equal(occurrences(out.data, "| `-f, --format table\\|json\\|svg` |"), 1);
	assert_int_equal(occurrences(out.data, "hidden"), 0);
	for (int kind = CLI_BASH; kind <= CLI_FISH; kind++) {
		buf__clear(&out);
		cli__document(&out, (enum cli_document)kind, all);
		assert_non_null(strstr(out.data, "duration"));
		assert_non_null(strstr(out.data, "table json svg"));
		assert_null(strstr(out.data, "call-graph"));
		assert_null(strstr(out.data, "hidden"));
	}
	buf__free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_every_spelling), cmocka_unit_test(every_kind_arrives),
		cmocka_unit_test(words_and_commands),	  cmocka_unit_test(refusals_are_one_clear_line),
		cmocka_unit_test(help_fits_the_columns),  cmocka_unit_test(documents_name_every_option_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
