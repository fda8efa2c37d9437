// SPDX-License-Identifier: Apache-2.0
/* sonde check: what this kernel and these privileges allow, tried for real. */
#include "command/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/msg.h"
#include "base/text.h"
#include "command/command.h"

struct options {
	long long pid;
	bool json;
};

static const struct cli_option rows[] = {
	{"pid", 'p', CLI_INT, offsetof(struct options, pid), .arg = "PID", .min = 1, .max = 4194304,
	 .help = "what of this process unwinds and has names, and the package that mends the rest"},
	{"json", 0, CLI_FLAG, offsetof(struct options, json), .help = "as a JSON object (docs/check.md)"},
	{0},
};

static const struct cli_group groups[] = {{"Check", rows}, {0}};

enum verdict { UNTRIED, POSSIBLE, IMPOSSIBLE };

/* A row of the report: a feature of the kernel, or a command. */
struct row {
	const struct feature *feature;	     /* NULL: a command */
	const struct check_command *command; /* NULL: a feature */
	enum verdict verdict;
	int err; /* of a feature that is impossible */
	bool wanted;
	struct buf why, instead, lost; /* instead and lost of a command: of the features that it misses */
};

struct report {
	struct privileges privileges;
	struct row *rows;
	size_t count;
	bool all; /* none was named */
};

static const char *row__name(const struct row *r)
{
	return r->feature ? r->feature->name : r->command->name;
}

static struct row *report__find(const struct report *report, const char *name)
{
	for (size_t i = 0; i < report->count; i++)
		if (!strcmp(row__name(&report->rows[i]), name))
			return &report->rows[i];
	return NULL;
}

static int report__open(struct report *report)
{
	size_t features = 0, commands = 0;

	while (try__features[features].name)
		features++;
	while (check__commands[commands].name)
		commands++;
	report->rows = calloc(features + commands, sizeof(*report->rows));
	if (!report->rows)
		return -ENOMEM;
	report->count = features + commands;
	for (size_t i = 0; i < features; i++)
		report->rows[i].feature = &try__features[i];
	for (size_t i = 0; i < commands; i++)
		report->rows[features + i].command = &check__commands[i];
	privileges__read(&report->privileges);
	return 0;
}

static void report__close(struct report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		buf__free(&report->rows[i].why);
		buf__free(&report->rows[i].instead);
		buf__free(&report->rows[i].lost);
	}
	free(report->rows);
}

/* --- trying */

/* A refusal is the caller's business: which capability it was, or what else. */
static void explain(const struct privileges *p, unsigned needs, int err, struct buf *why)
{
	struct buf missing = {0};
	const char *suspect;

	if (err != -EPERM && err != -EACCES)
		return;
	privileges__missing(p, needs, &missing);
	suspect = missing.len ? NULL : privileges__suspect(p);
	if (missing.len)
		buf__printf(why, "; missing: %s", buf__text(&missing));
	else if (suspect)
		buf__printf(why, "; %s", suspect);
	buf__free(&missing);
}

static void add_part(struct buf *list, const char *text)
{
	if (*text && strcmp(text, "nothing") && !strstr(buf__text(list), text))
		buf__printf(list, "%s%s", list->len ? ", " : "", text);
}

static void try_feature(struct report *report, struct row *r)
{
	const struct feature *f = r->feature;
	struct row *instead = f->instead ? report__find(report, f->instead) : NULL;
	int err = f->attempt(&r->why);

	r->verdict = err ? IMPOSSIBLE : POSSIBLE;
	r->err = err;
	if (!err)
		return;
	explain(&report->privileges, f->needs, err, &r->why);
	if (instead && instead->verdict == UNTRIED)
		try_feature(report, instead);
	if (instead && instead->verdict == IMPOSSIBLE) {
		buf__puts(&r->lost, f->what);
		return;
	}
	buf__puts(&r->instead, f->instead ? f->instead : "");
	buf__puts(&r->lost, f->lost);
}

/* What a working command misses is what the features that it uses lose. */
static void try_command(struct report *report, struct row *r)
{
	int err = r->command->attempt(&r->why);

	r->verdict = err ? IMPOSSIBLE : POSSIBLE;
	if (err) {
		explain(&report->privileges, r->command->needs, err, &r->why);
		buf__puts(&r->lost, "the command");
		return;
	}
	for (const char *const *name = r->command->uses; *name; name++) {
		struct row *used = report__find(report, *name);

		if (used->verdict == UNTRIED)
			try_feature(report, used);
		if (used->verdict == IMPOSSIBLE) {
			add_part(&r->instead, buf__text(&used->instead));
			add_part(&r->lost, buf__text(&used->lost));
		}
	}
}

static void report__try(struct report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		struct row *r = &report->rows[i];

		if (r->wanted && r->verdict == UNTRIED) {
			if (r->feature)
				try_feature(report, r);
			else
				try_command(report, r);
		}
	}
}

/* Whether this kernel has a loop for them: what these privileges refuse, others are allowed. */
static bool walks_tables(struct report *report)
{
	static const char *const loops[] = {"bpf_loop", "for_each_map_elem"};

	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		struct row *r = report__find(report, loops[i]);

		if (r->verdict == UNTRIED)
			try_feature(report, r);
		if (!r->err || r->err == -EPERM || r->err == -EACCES)
			return true;
	}
	return false;
}

/* --- the words */

static size_t widest(const struct report *report, const char *(*cell)(const struct row *))
{
	size_t width = 0, len;

	for (size_t i = 0; i < report->count; i++) {
		len = report->rows[i].wanted ? strlen(cell(&report->rows[i])) : 0;
		width = len > width ? len : width;
	}
	return width;
}

static const char *row__instead(const struct row *r)
{
	return buf__text(&r->instead);
}

static void print_line(struct buf *out, int name, int instead, const char *const cells[4])
{
	buf__printf(out, "%-*s  %-3s  %-*s  %s", name, cells[0], cells[1], instead, cells[2], cells[3]);
	while (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = 0;
	buf__putc(out, '\n');
}

static void print_table(const struct report *report, struct buf *out)
{
	int name = widest(report, row__name), instead = widest(report, row__instead);

	name = name < 7 ? 7 : name;
	instead = instead < 7 ? 7 : instead;
	print_line(out, name, instead, (const char *const[]){"feature", "", "instead", "lost"});
	for (size_t i = 0; i < report->count; i++) {
		const struct row *r = &report->rows[i];

		if (r->wanted)
			print_line(out, name, instead,
				   (const char *const[]){row__name(r), r->verdict == POSSIBLE ? "ok" : "no",
							 buf__text(&r->instead), buf__text(&r->lost)});
	}
}

/* Each reason once, behind the names of those that have it. */
static void print_reasons(const struct report *report, struct buf *out)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct row *first = &report->rows[i];
		size_t start = out->len;

		for (size_t j = 0; j < report->count; j++) {
			const struct row *r = &report->rows[j];

			if (!r->wanted || !first->wanted || !r->why.len ||
			    strcmp(buf__text(&r->why), buf__text(&first->why)))
				continue;
			if (j < i)
				break;
			buf__printf(out, "%s%s", out->len > start ? ", " : "", row__name(r));
		}
		if (out->len > start)
			buf__printf(out, ": %s\n", buf__text(&first->why));
	}
}

static void print_system(const struct report *report, struct buf *out)
{
	struct utsname name;

	if (!uname(&name))
		buf__printf(out, "kernel %s %s\n", name.release, name.machine);
	privileges__print(&report->privileges, out);
}

static void add_text(struct json_object *to, const char *key, const struct buf *text)
{
	json_object_object_add(to, key, text->len ? json_object_new_string(buf__text(text)) : NULL);
}

static struct json_object *row__json(const struct row *r)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "name", json_object_new_string(row__name(r)));
	json_object_object_add(o, "kind", json_object_new_string(r->feature ? "feature" : "command"));
	json_object_object_add(o, "for",
			       json_object_new_string(r->feature ? r->feature->what : r->command->what));
	json_object_object_add(o, "ok", json_object_new_boolean(r->verdict == POSSIBLE));
	add_text(o, "instead", &r->instead);
	add_text(o, "lost", &r->lost);
	add_text(o, "reason", &r->why);
	return o;
}

static struct json_object *report__json(const struct report *report)
{
	struct json_object *o = json_object_new_object(), *kernel = json_object_new_object(),
			   *features = json_object_new_array();
	struct utsname name;

	if (!uname(&name)) {
		json_object_object_add(kernel, "release", json_object_new_string(name.release));
		json_object_object_add(kernel, "machine", json_object_new_string(name.machine));
	}
	for (size_t i = 0; i < report->count; i++)
		if (report->rows[i].wanted)
			json_object_array_add(features, row__json(&report->rows[i]));
	json_object_object_add(o, "kernel", kernel);
	json_object_object_add(o, "privileges", privileges__json(&report->privileges));
	json_object_object_add(o, "features", features);
	return o;
}

static int print(const struct report *report, const struct check_process *process, bool json)
{
	const int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
	struct json_object *object;
	struct buf out = {0};

	if (json) {
		object = report__json(report);
		if (process)
			json_object_object_add(object, "process", check_process__json(process));
		buf__printf(&out, "%s\n", json_object_to_json_string_ext(object, flags));
		json_object_put(object);
	} else {
		if (report->all)
			print_system(report, &out);
		print_table(report, &out);
		print_reasons(report, &out);
		if (process)
			check_process__print(process, &out);
	}
	return cli__print(&out) ? EXIT_RUN_FAILED : 0;
}

/* --- the command */

static int refuse(const struct report *report, const char *word)
{
	const char **names = calloc(report->count + 1, sizeof(*names)), *near = NULL;

	for (size_t i = 0; names && i < report->count; i++)
		names[i] = row__name(&report->rows[i]);
	near = names ? text__nearest(word, names) : NULL;
	if (near)
		msg__usage("check", "no feature %s; did you mean %s?", word, near);
	else
		msg__usage("check", "no feature %s; `sonde check` lists them", word);
	free(names);
	return EXIT_USAGE;
}

static int choose(struct report *report, const struct cli_rest *rest)
{
	report->all = !rest->argc;
	for (size_t i = 0; i < report->count; i++)
		report->rows[i].wanted = report->all;
	for (int i = 0; i < rest->argc; i++) {
		struct row *r = report__find(report, rest->argv[i]);

		if (!r)
			return refuse(report, rest->argv[i]);
		r->wanted = true;
	}
	return 0;
}

/* What was named must be possible; if nothing was, every command: a feature may have an alternative. */
static int exit_code_of(const struct report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct row *r = &report->rows[i];

		if (r->wanted && r->verdict == IMPOSSIBLE && (!report->all || r->command))
			return EXIT_IMPOSSIBLE;
	}
	return EXIT_DONE;
}

static int run(void *options, const struct cli_rest *rest)
{
	const struct options *o = options;
	struct check_process *process = NULL;
	struct report report = {0};
	int code = EXIT_RUN_FAILED;

	if (report__open(&report))
		msg__error("out of memory");
	else
		code = choose(&report, rest);
	if (!code && o->pid)
		process = check_process__new(o->pid, &code);
	if (!code) {
		report__try(&report);
		if (process)
			check_process__judge(process, walks_tables(&report));
		code = print(&report, process, o->json);
	}
	if (!code)
		code = exit_code_of(&report);
	check_process__free(process);
	report__close(&report);
	return code;
}

const struct cli_command command_check = {
	.name = "check",
	.summary = "what this kernel and these privileges allow, tried for real",
	.positionals = "[FEATURE...]",
	.description = "Loads, attaches and runs a small program for each feature and each command, takes it "
		       "away again, and "
		       "says which alternative is taken where something is missing, and what is lost by it. "
		       "With -p it also "
		       "says which files of a process unwind and have names, and which package mends the "
		       "rest. Exits with 3 "
		       "if a FEATURE that was named is impossible, or, if none was, if a command is.",
	.examples = "sonde check\n"
		    "sonde check profile wall\n"
		    "sonde check -p 4127\n"
		    "sonde check --json | jq -r '.features[] | select(.ok | not).name'",
	.groups = groups,
	.options_size = sizeof(struct options),
	.run = run,
};
