// SPDX-License-Identifier: Apache-2.0
#include "base/cli.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cli_text.h"
#include "base/msg.h"
#include "base/text.h"
#include "base/units.h"

struct parser {
	const struct cli_command *command;
	void *options;
	struct cli_rest *rest;
	int argc, at; /* at: the word that is next */
	char **argv;
};

/* An option as it was typed, for messages: "-d" or "--duration". */
struct given {
	const struct cli_option *option;
	char as[64];
};

typedef int setter(const struct parser *p, const struct given *g, const char *value);

static void *target(const struct parser *p, const struct given *g)
{
	return (char *)p->options + g->option->offset;
}

static int no_memory(const struct parser *p)
{
	msg__usage(p->command->name, "out of memory");
	return -ENOMEM;
}

static int out_of_range(const struct parser *p, const struct given *g, const char *value)
{
	struct buf range = {0};

	cli__add_range(&range, g->option);
	msg__usage(p->command->name, "%s %s: must be %s", g->as, value, range.len ? range.data : "smaller");
	buf__free(&range);
	return -EINVAL;
}

static long long upper_limit(const struct cli_option *o)
{
	return o->max || o->min < 0 ? o->max : LLONG_MAX;
}

static bool in_range(const struct cli_option *o, uint64_t value)
{
	return value >= (uint64_t)o->min && value <= (uint64_t)upper_limit(o);
}

static int set_flag(const struct parser *p, const struct given *g, const char *value)
{
	(void)value;
	*(bool *)target(p, g) = true;
	return 0;
}

static int set_value(const struct parser *p, const struct given *g, const char *value)
{
	(void)value;
	*(int *)target(p, g) = g->option->value;
	return 0;
}

static int set_choice(const struct parser *p, const struct given *g, const char *value)
{
	const char *const *choices = g->option->choices;
	struct buf words = {0};
	const char *near;

	for (int i = 0; choices[i]; i++) {
		if (!strcmp(value, choices[i])) {
			*(int *)target(p, g) = i;
			return 0;
		}
	}
	near = text__nearest(value, choices);
	cli__add_words(&words, g->option);
	if (near)
		msg__usage(p->command->name, "%s %s: no such word; did you mean %s?", g->as, value, near);
	else
		msg__usage(p->command->name, "%s %s: must be one of: %s", g->as, value, buf__text(&words));
	buf__free(&words);
	return -EINVAL;
}

static int set_int(const struct parser *p, const struct given *g, const char *value)
{
	long long *n = target(p, g);
	int err = units__parse_int(value, g->option->min, upper_limit(g->option), n);

	if (err == -ERANGE)
		return out_of_range(p, g, value);
	if (err)
		msg__usage(p->command->name, "%s %s: not a whole number", g->as, value);
	return err;
}

/* Where less than a millisecond makes sense, two units are offered: perf's bare numbers are ms, bcc's us. */
static int needs_unit(const struct parser *p, const struct given *g, const char *value)
{
	if (g->option->min < 1000000)
		msg__usage(p->command->name, "%s %s: needs a unit: `%s %sms` or `%s %sus`", g->as, value,
			   g->as, value, g->as, value);
	else
		msg__usage(p->command->name, "%s %s: needs a unit: `%s %ss`", g->as, value, g->as, value);
	return -EINVAL;
}

static int set_duration(const struct parser *p, const struct given *g, const char *value)
{
	uint64_t ns;
	int err = units__parse_duration(value, &ns);

	if (err == -ERANGE || (!err && !in_range(g->option, ns)))
		return out_of_range(p, g, value);
	if (err && *value && value[strspn(value, "0123456789.")] == '\0')
		return needs_unit(p, g, value);
	if (err)
		msg__usage(p->command->name, "%s %s: not a time: a number and ns, us, ms, s, m, h or d",
			   g->as, value);
	else
		*(uint64_t *)target(p, g) = ns;
	return err;
}

static int set_size(const struct parser *p, const struct given *g, const char *value)
{
	uint64_t bytes;
	int err = units__parse_size(value, &bytes);

	if (err == -ERANGE || (!err && !in_range(g->option, bytes)))
		return out_of_range(p, g, value);
	if (err)
		msg__usage(p->command->name, "%s %s: not a size: a number of bytes, or with k, M, G or T",
			   g->as, value);
	else
		*(uint64_t *)target(p, g) = bytes;
	return err;
}

static int set_string(const struct parser *p, const struct given *g, const char *value)
{
	if (!*value) {
		msg__usage(p->command->name, "%s: the value is empty", g->as);
		return -EINVAL;
	}
	*(const char **)target(p, g) = value;
	return 0;
}

static int add_number(const struct parser *p, const struct given *g, const char *text)
{
	struct cli_numbers *numbers = target(p, g);
	long long n, *items;
	int err;

	err = units__parse_int(text, g->option->min, upper_limit(g->option), &n);
	if (err == -ERANGE)
		return out_of_range(p, g, text);
	if (err) {
		msg__usage(p->command->name, "%s %s: not a whole number", g->as, text);
		return err;
	}
	items = reallocarray(numbers->items, numbers->count + 1, sizeof(*items));
	if (!items)
		return no_memory(p);
	items[numbers->count++] = n;
	numbers->items = items;
	return 0;
}

static int add_numbers(const struct parser *p, const struct given *g, const char *value)
{
	char *copy = strdup(value), *rest = copy, *item;
	int err = copy ? 0 : no_memory(p);

	while (!err && (item = strsep(&rest, ",")))
		err = add_number(p, g, item);
	free(copy);
	return err;
}

static setter *const setters[] = {
	[CLI_FLAG] = set_flag,	   [CLI_SET] = set_value,	  [CLI_CHOICE] = set_choice,
	[CLI_INT] = set_int,	   [CLI_DURATION] = set_duration, [CLI_SIZE] = set_size,
	[CLI_STRING] = set_string, [CLI_NUMBERS] = add_numbers,
};

static const struct cli_option *find_name(const struct cli_command *c, const char *name, size_t len)
{
	cli__each_option(c, group, o)
	{
		if (!strncmp(o->name, name, len) && !o->name[len])
			return o;
	}
	return NULL;
}

static const struct cli_option *find_letter(const struct cli_command *c, char letter)
{
	cli__each_option(c, group, o)
	{
		if (letter && o->letter == letter)
			return o;
	}
	return NULL;
}

static int unknown_name(const struct parser *p, const char *name)
{
	const struct cli_command *c = p->command;
	const char **names, *near;
	size_t count = 2;

	cli__each_option(c, group, o) count++;
	names = calloc(count, sizeof(*names));
	if (!names)
		return no_memory(p);
	count = 0;
	cli__each_option(c, group, o)
	{
		if (!o->hidden)
			names[count++] = o->name;
	}
	names[count] = "help";
	near = text__nearest(name, names);
	if (near)
		msg__usage(c->name, "unknown option --%s; did you mean --%s?", name, near);
	else
		msg__usage(c->name, "unknown option --%s; `sonde %s --help` lists them", name, c->name);
	free(names);
	return -EINVAL;
}

static int unknown_letter(const struct parser *p, char letter)
{
	char other = (char)(islower((unsigned char)letter) ? toupper((unsigned char)letter)
							   : tolower((unsigned char)letter));
	const struct cli_option *o = find_letter(p->command, other);

	if (o && o->letter != letter && !o->hidden)
		msg__usage(p->command->name, "unknown option -%c; did you mean -%c (--%s)?", letter,
			   o->letter, o->name);
	else
		msg__usage(p->command->name, "unknown option -%c; `sonde %s --help` lists them", letter,
			   p->command->name);
	return -EINVAL;
}

/* "-5" is a number, "-" standard output; other words that begin with a dash are options. */
static bool looks_like_option(const char *word)
{
	return word[0] == '-' && word[1] && !isdigit((unsigned char)word[1]);
}

/* The word behind an option that needs a value, or NULL after a message. */
static const char *next_value(struct parser *p, const struct given *g)
{
	struct buf arg = {0};
	const char *word = p->at < p->argc ? p->argv[p->at] : NULL;

	if (word && !looks_like_option(word)) {
		p->at++;
		return word;
	}
	cli__add_arg(&arg, g->option);
	if (word)
		msg__usage(p->command->name, "%s needs a value (%s), but the option %s stands in its place",
			   g->as, buf__text(&arg), word);
	else
		msg__usage(p->command->name, "%s needs a value: %s %s", g->as, g->as, buf__text(&arg));
	buf__free(&arg);
	return NULL;
}

static int apply(struct parser *p, const struct given *g, const char *value)
{
	if (cli__takes_value(g->option) && !value) {
		value = next_value(p, g);
		if (!value)
			return -EINVAL;
	}
	if (g->option->hidden && g->option->help)
		msg__note("%s", g->option->help);
	return setters[g->option->kind](p, g, value);
}

static int long_option(struct parser *p, const char *name)
{
	const char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	struct given g = {.option = find_name(p->command, name, len)};
	char typed[64];

	snprintf(typed, sizeof(typed), "%.*s", (int)(len < sizeof(typed) ? len : sizeof(typed) - 1), name);
	if (!g.option)
		return unknown_name(p, typed);
	snprintf(g.as, sizeof(g.as), "--%.60s", typed);
	if (equals && !cli__takes_value(g.option)) {
		msg__usage(p->command->name, "%s takes no value", g.as);
		return -EINVAL;
	}
	return apply(p, &g, equals ? equals + 1 : NULL);
}

/* "-abn5": letters up to the first that takes a value; what follows that one is the value. */
static int letters(struct parser *p, const char *word)
{
	const char *value;
	int err = 0;

	if (word[1] && find_name(p->command, word, strlen(word))) {
		msg__usage(p->command->name, "unknown option -%s; did you mean --%s?", word, word);
		return -EINVAL;
	}
	for (; *word && !err; word++) {
		struct given g = {.option = find_letter(p->command, *word)};

		if (!g.option)
			return unknown_letter(p, *word);
		snprintf(g.as, sizeof(g.as), "-%c", *word);
		value = cli__takes_value(g.option) && word[1] ? word + 1 : NULL;
		err = apply(p, &g, value);
		if (cli__takes_value(g.option))
			break;
	}
	return err;
}

/* A word where none is taken. Other tools take a bare number there, as a PID or as seconds. */
static int stray(const struct parser *p, const char *word)
{
	const struct cli_command *c = p->command;
	bool has_time = find_letter(c, 'd'), has_pid = find_letter(c, 'p');
	uint64_t ns;

	if (!word[strspn(word, "0123456789")] && *word && has_time && has_pid)
		msg__usage(c->name, "unexpected word %s: `-d %ss` or `-p %s`?", word, word, word);
	else if (!word[strspn(word, "0123456789")] && *word && has_pid)
		msg__usage(c->name, "unexpected word %s: `-p %s`?", word, word);
	else if (has_time && !units__parse_duration(word, &ns))
		msg__usage(c->name, "unexpected word %s: `-d %s`?", word, word);
	else if (c->takes_target)
		msg__usage(c->name, "unexpected word %s; a command to run stands behind --: `sonde %s -- %s`",
			   word, c->name, word);
	else
		msg__usage(c->name, "unexpected word %s; `sonde %s --help` shows the usage", word, c->name);
	return -EINVAL;
}

/* How many words the usage takes: "IN OUT" two, "[FEATURE...]" any number. */
static void count_positionals(const char *usage, int *min, int *max)
{
	const char *word = usage ? usage : "";
	size_t len;

	for (*min = *max = 0; *(word += strspn(word, " ")); word += len) {
		len = strcspn(word, " ");
		*min += *word != '[';
		*max = memmem(word, len, "...", 3) ? INT_MAX : *max + (*max < INT_MAX);
	}
}

static int positional(struct parser *p, char *word)
{
	int min, max;

	count_positionals(p->command->positionals, &min, &max);
	if (p->rest->argc >= max)
		return stray(p, word);
	p->rest->argv[p->rest->argc++] = word;
	return 0;
}

/* `--` begins a command to run, or, where none can be run, words that may look like options. */
static int double_dash(struct parser *p)
{
	int err = 0;

	if (!p->command->takes_target) {
		while (p->at < p->argc && !err)
			err = positional(p, p->argv[p->at++]);
		return err;
	}
	if (p->at >= p->argc || !*p->argv[p->at]) {
		msg__usage(p->command->name, "-- needs a command behind it: `-- COMMAND [ARG...]`");
		return -EINVAL;
	}
	p->rest->command = p->argv + p->at;
	p->at = p->argc;
	return 0;
}

static int next_word(struct parser *p)
{
	char *text = p->argv[p->at++];

	if (!strcmp(text, "--"))
		return double_dash(p);
	if (!strncmp(text, "--", 2))
		return long_option(p, text + 2);
	if (text[0] == '-' && text[1])
		return letters(p, text + 1);
	return positional(p, text);
}

static int missing(const struct parser *p)
{
	struct buf usage = {0};
	int min, max;

	count_positionals(p->command->positionals, &min, &max);
	if (p->rest->argc >= min)
		return 0;
	cli__usage(&usage, p->command);
	msg__usage(p->command->name, "a word is missing: `%s`", buf__text(&usage));
	buf__free(&usage);
	return -EINVAL;
}

static bool wants_help(const struct parser *p)
{
	for (int i = 1; i < p->argc && strcmp(p->argv[i], "--"); i++) {
		if (!strcmp(p->argv[i], "--help") ||
		    (!strcmp(p->argv[i], "-h") && !find_letter(p->command, 'h')))
			return true;
	}
	return false;
}

static int print_help(const struct cli_command *c)
{
	struct buf text = {0};
	int err;

	cli__help(&text, c, cli__columns());
	err = cli__print(&text);
	return err ? err : 1;
}

int cli__print(struct buf *text)
{
	int err = buf__write(text, stdout);

	if (!err && fflush(stdout))
		err = -errno;
	buf__free(text);
	if (err == -EPIPE)
		return 0;
	if (err)
		msg__error("standard output: %s", strerror(-err));
	return err;
}

int cli__columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col < 40)
		return 80;
	return size.ws_col < 100 ? size.ws_col : 100; /* long lines are hard to read */
}

int cli__parse(const struct cli_command *c, int argc, char **argv, void *options, struct cli_rest *rest)
{
	struct parser p = {
		.command = c, .options = options, .rest = rest, .argc = argc, .at = 1, .argv = argv};
	int err = 0;

	*rest = (struct cli_rest){0};
	if (c->defaults)
		c->defaults(options);
	if (wants_help(&p))
		return print_help(c);
	rest->argv = calloc((size_t)argc + 1, sizeof(*rest->argv));
	if (!rest->argv)
		return no_memory(&p);
	while (p.at < argc && !err)
		err = next_word(&p);
	if (!err)
		err = missing(&p);
	return err;
}

void cli__free(const struct cli_command *c, void *options, struct cli_rest *rest)
{
	cli__each_option(c, group, o)
	{
		struct cli_numbers *numbers = (void *)((char *)options + o->offset);

		if (o->kind != CLI_NUMBERS)
			continue;
		free(numbers->items);
		*numbers = (struct cli_numbers){0};
	}
	free(rest->argv);
	*rest = (struct cli_rest){0};
}
