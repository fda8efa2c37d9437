// SPDX-License-Identifier: Apache-2.0
/* Words made from the rows of an option table. */
#include "base/cli_text.h"

#include <string.h>

#include "base/units.h"

bool cli__takes_value(const struct cli_option *o)
{
	return o->kind != CLI_FLAG && o->kind != CLI_SET;
}

static void join(struct buf *out, const char *const *words, const char *between)
{
	for (size_t i = 0; words[i]; i++) {
		if (i)
			buf__puts(out, between);
		buf__puts(out, words[i]);
	}
}

void cli__add_arg(struct buf *out, const struct cli_option *o)
{
	static const char *const usual[] = {
		[CLI_FLAG] = "",	 [CLI_SET] = "",      [CLI_CHOICE] = "WORD", [CLI_INT] = "N",
		[CLI_DURATION] = "TIME", [CLI_SIZE] = "SIZE", [CLI_STRING] = "TEXT", [CLI_NUMBERS] = "N[,N]",
	};

	if (o->arg)
		buf__puts(out, o->arg);
	else if (o->kind == CLI_CHOICE)
		join(out, o->choices, "|");
	else
		buf__puts(out, usual[o->kind]);
}

void cli__add_time(struct buf *out, uint64_t ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"d", 86400000000000}, {"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
		{"ms", 1000000},       {"us", 1000},	     {"ns", 1},
	};
	size_t i = 0;

	while (units[i].ns > 1 && (ns < units[i].ns || ns % units[i].ns))
		i++;
	buf__printf(out, "%llu%s", (unsigned long long)(ns / units[i].ns), units[i].name);
}

static void add_number(struct buf *out, const struct cli_option *o, long long n)
{
	if (o->kind == CLI_DURATION)
		cli__add_time(out, (uint64_t)n);
	else if (o->kind == CLI_SIZE)
		units__bytes(out, (uint64_t)n);
	else
		buf__printf(out, "%lld", n);
}

void cli__add_range(struct buf *out, const struct cli_option *o)
{
	bool has_max = o->max || o->min < 0;

	if (o->kind != CLI_INT && o->kind != CLI_DURATION && o->kind != CLI_SIZE && o->kind != CLI_NUMBERS)
		return;
	if (!has_max && !o->min)
		return;
	buf__puts(out, has_max ? "from " : "at least ");
	add_number(out, o, o->min);
	if (!has_max)
		return;
	buf__puts(out, " to ");
	add_number(out, o, o->max);
}

void cli__add_help(struct buf *out, const struct cli_option *o)
{
	buf__puts(out, o->help ? o->help : "");
	if (o->kind == CLI_CHOICE && o->arg) {
		buf__puts(out, ": ");
		join(out, o->choices, ", ");
	}
	if (o->fallback)
		buf__printf(out, " (default %s)", o->fallback);
}

void cli__usage(struct buf *out, const struct cli_command *c)
{
	buf__printf(out, "sonde %s", c->name);
	if (c->groups && c->groups->title)
		buf__puts(out, " [OPTION...]");
	if (c->positionals)
		buf__printf(out, " %s", c->positionals);
	if (c->takes_target)
		buf__puts(out, " [TARGET] [-- COMMAND [ARG...]]");
}

static bool has_group(const struct cli_command *c, const struct cli_group *group)
{
	for (const struct cli_group *g = c->groups; g && g->title; g++) {
		if (g->options == group->options)
			return true;
	}
	return false;
}

bool cli__is_shared(const struct cli_command *const *commands, const struct cli_group *group)
{
	int users = 0;

	for (; *commands; commands++)
		users += (*commands)->summary && has_group(*commands, group);
	return users > 1;
}

const struct cli_command *cli__first_with(const struct cli_command *const *commands,
					  const struct cli_group *group)
{
	for (; *commands; commands++) {
		if ((*commands)->summary && has_group(*commands, group))
			return *commands;
	}
	return NULL;
}

/* The first name of a placeholder decides: "PID[,PID]" is PIDs, "OUT.svg" a file. */
static enum cli_values classify(const char *arg)
{
	static const struct {
		const char *name;
		enum cli_values values;
	} rows[] = {
		{"FILE", CLI_FILES}, {"IN", CLI_FILES},	  {"OUT", CLI_FILES},	{"A", CLI_FILES},
		{"B", CLI_FILES},    {"PATH", CLI_FILES}, {"DIR", CLI_FOLDERS}, {"CGROUP", CLI_FOLDERS},
		{"PID", CLI_PIDS},   {"TID", CLI_PIDS},	  {"USER", CLI_USERS},
	};
	size_t len;

	arg += strspn(arg, "[");
	len = strspn(arg, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strlen(rows[i].name) == len && !strncmp(rows[i].name, arg, len))
			return rows[i].values;
	}
	return CLI_ANY;
}

enum cli_values cli__values(const struct cli_option *o)
{
	return o->kind == CLI_CHOICE ? CLI_WORDS : o->arg ? classify(o->arg) : CLI_ANY;
}

enum cli_values cli__positional_values(const struct cli_command *c)
{
	if (!c->positionals)
		return CLI_ANY;
	return strchr(c->positionals, '|') ? CLI_WORDS : classify(c->positionals);
}

void cli__add_words(struct buf *out, const struct cli_option *o)
{
	join(out, o->choices, " ");
}

void cli__add_positional_words(struct buf *out, const struct cli_command *c)
{
	for (const char *at = c->positionals; *at; at++) {
		if (*at == '|')
			buf__putc(out, ' ');
		else if (!strchr("[].", *at))
			buf__putc(out, *at);
	}
}
