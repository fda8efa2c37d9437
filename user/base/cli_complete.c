// SPDX-License-Identifier: Apache-2.0
/* Completion scripts for bash, zsh and fish. */
#include <string.h>

#include "base/cli_text.h"

#define each_listed(commands, c)                                                                \
	for (const struct cli_command *const *c##_at = (commands), *c; (c = *c##_at); c##_at++) \
		if (c->summary)

static void words_of(struct buf *out, const struct cli_option *o)
{
	if (cli__values(o) == CLI_WORDS)
		cli__add_words(out, o);
}

static void positional_words(struct buf *out, const struct cli_command *c)
{
	if (cli__positional_values(c) == CLI_WORDS)
		cli__add_positional_words(out, c);
}

/* --- bash: words by compgen; what an option takes is decided by the word before the cursor --- */

static const char *const bash_actions[] = {
	[CLI_ANY] = "return",
	[CLI_WORDS] = "", /* the words themselves */
	[CLI_FILES] =
		"compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return",
	[CLI_FOLDERS] =
		"compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return",
	[CLI_PIDS] = "words=$(cd /proc && echo [0-9]*)",
	[CLI_USERS] = "mapfile -t COMPREPLY < <(compgen -u -- \"$cur\"); return",
};

static void bash_action(struct buf *out, enum cli_values values, const char *words)
{
	if (values == CLI_WORDS)
		buf__printf(out, "words='%s'", words);
	else
		buf__puts(out, bash_actions[values]);
}

static void bash_option(struct buf *out, const struct cli_option *o)
{
	struct buf words = {0};

	if (!cli__takes_value(o) || o->hidden)
		return;
	words_of(&words, o);
	buf__puts(out, "\t\t");
	if (o->letter)
		buf__printf(out, "-%c|", o->letter);
	buf__printf(out, "--%s) ", o->name);
	bash_action(out, cli__values(o), buf__text(&words));
	buf__puts(out, " ;;\n");
	buf__free(&words);
}

static void bash_command(struct buf *out, const struct cli_command *c)
{
	struct buf words = {0};

	buf__printf(out, "\t%s)\n\t\toptions='", c->name);
	cli__each_option(c, group, o)
	{
		if (!o->hidden && o->letter)
			buf__printf(out, "-%c ", o->letter);
		if (!o->hidden)
			buf__printf(out, "--%s ", o->name);
	}
	buf__puts(out, "-h --help'\n\t\tcase $prev in\n");
	cli__each_option(c, value_group, o) bash_option(out, o);
	buf__puts(out, "\t\t*)\n\t\t\tif [[ $cur != -* ]]; then\n\t\t\t\t");
	positional_words(&words, c);
	bash_action(out, cli__positional_values(c), buf__text(&words));
	buf__puts(out, "\n\t\t\telse\n\t\t\t\twords=$options\n\t\t\tfi ;;\n\t\tesac ;;\n");
	buf__free(&words);
}

static void names(struct buf *out, const struct cli_command *const *commands)
{
	each_listed(commands, c) buf__printf(out, "%s ", c->name);
	buf__puts(out, "help");
}

void cli__bash(struct buf *out, const struct cli_command *const *commands)
{
	buf__puts(out,
		  "# bash completion for sonde; made by `sonde document bash`\n_sonde()\n{\n"
		  "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= options= i\n"
		  "\tCOMPREPLY=()\n"
		  "\t# bash splits at the equals sign: `--format=sv` is three words\n"
		  "\tif [[ $cur == = ]]; then\n\t\tcur=\n"
		  "\telif [[ $prev == = ]]; then\n\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n\tfi\n"
		  "\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
		  "\t\tif [[ ${COMP_WORDS[i]} == -- ]]; then\n"
		  "\t\t\tdeclare -F _command_offset > /dev/null && _command_offset $((i + 1))\n"
		  "\t\t\treturn\n\t\tfi\n\tdone\n"
		  "\tif ((COMP_CWORD == 1)); then\n\t\twords='");
	names(out, commands);
	buf__puts(out, " --help --version'\n\telse\n\tcase ${COMP_WORDS[1]} in\n");
	each_listed(commands, c) bash_command(out, c);
	buf__puts(out, "\thelp) words='");
	names(out, commands);
	buf__puts(out,
		  "' ;;\n\tesac\n\tfi\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n"
		  "complete -F _sonde sonde\n");
}

/* --- zsh: _arguments --- */

/* Inside single quotes; brackets and colons separate the parts of a specification. */
static void zsh_text(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			buf__puts(out, "'\\''");
		else if (strchr("[]:\\", *text))
			buf__printf(out, "\\%c", *text);
		else
			buf__putc(out, *text == '\n' ? ' ' : *text);
	}
}

static const char *const zsh_actions[] = {
	[CLI_ANY] = " ",      [CLI_WORDS] = "",	      [CLI_FILES] = "_files", [CLI_FOLDERS] = "_files -/",
	[CLI_PIDS] = "_pids", [CLI_USERS] = "_users",
};

static void zsh_value(struct buf *out, const char *label, enum cli_values values, const char *words)
{
	buf__putc(out, ':');
	zsh_text(out, label);
	buf__putc(out, ':');
	if (values == CLI_WORDS)
		buf__printf(out, "(%s)", words);
	else
		buf__puts(out, zsh_actions[values]);
}

static void zsh_option(struct buf *out, const struct cli_option *o)
{
	struct buf words = {0}, arg = {0};
	bool takes = cli__takes_value(o);

	if (o->hidden)
		return;
	if (o->letter)
		buf__printf(out, " \\\n\t\t\t'*'{-%c%s,--%s%s}'[", o->letter, takes ? "+" : "", o->name,
			    takes ? "=" : "");
	else
		buf__printf(out, " \\\n\t\t\t'*--%s%s[", o->name, takes ? "=" : "");
	zsh_text(out, o->help ? o->help : "");
	buf__putc(out, ']');
	if (takes) {
		words_of(&words, o);
		cli__add_arg(&arg, o);
		zsh_value(out, buf__text(&arg), cli__values(o), buf__text(&words));
	}
	buf__putc(out, '\'');
	buf__free(&words);
	buf__free(&arg);
}

static void zsh_command(struct buf *out, const struct cli_command *c)
{
	struct buf words = {0};

	buf__printf(out, "\t\t%s)\n\t\t\t_arguments -s -S", c->name);
	cli__each_option(c, group, o) zsh_option(out, o);
	buf__puts(out, " \\\n\t\t\t'(- *)'{-h,--help}'[show the options]'");
	if (c->positionals) {
		positional_words(&words, c);
		buf__puts(out, " \\\n\t\t\t'*");
		zsh_value(out, c->positionals, cli__positional_values(c), buf__text(&words));
		buf__putc(out, '\'');
	}
	if (c->takes_target)
		buf__puts(out, " \\\n\t\t\t'*:: :_normal'");
	buf__puts(out, " ;;\n");
	buf__free(&words);
}

void cli__zsh(struct buf *out, const struct cli_command *const *commands)
{
	buf__puts(out,
		  "#compdef sonde\n# made by `sonde document zsh`\n_sonde()\n{\n"
		  "\tlocal context state state_descr line\n\ttypeset -A opt_args\n\tlocal -a commands=(");
	each_listed(commands, c)
	{
		buf__printf(out, "\n\t\t'%s:", c->name);
		zsh_text(out, c->summary);
		buf__putc(out, '\'');
	}
	buf__puts(out, "\n\t\t'help:show the commands or the options of one'\n\t)\n"
		       "\t_arguments -C '--version[show the version]' '--help[show the commands]' \\\n"
		       "\t\t'1:command:->command' '*::argument:->argument'\n"
		       "\tcase $state in\n\tcommand) _describe command commands ;;\n"
		       "\targument)\n\t\tcase $words[1] in\n");
	each_listed(commands, c) zsh_command(out, c);
	buf__puts(out, "\t\thelp) _describe command commands ;;\n\t\tesac ;;\n\tesac\n}\n"
		       "if [[ $funcstack[1] == _sonde ]]; then\n\t_sonde \"$@\"\nelse\n\tcompdef _sonde "
		       "sonde\nfi\n");
}

/* --- fish: one line an option --- */

static void fish_text(struct buf *out, const char *text)
{
	buf__putc(out, '\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			buf__putc(out, '\\');
		buf__putc(out, *text == '\n' ? ' ' : *text);
	}
	buf__putc(out, '\'');
}

static const char *const fish_actions[] = {
	[CLI_ANY] = " -x",
	[CLI_WORDS] = " -xa ",
	[CLI_FILES] = " -rF",
	[CLI_FOLDERS] = " -xa '(__fish_complete_directories)'",
	[CLI_PIDS] = " -xa '(__fish_complete_pids)'",
	[CLI_USERS] = " -xa '(__fish_complete_users)'",
};

static void fish_option(struct buf *out, const struct cli_command *c, const struct cli_option *o)
{
	struct buf words = {0};

	if (o->hidden)
		return;
	buf__printf(out, "complete -c sonde -n '__fish_seen_subcommand_from %s' -l %s", c->name, o->name);
	if (o->letter)
		buf__printf(out, " -s %c", o->letter);
	if (cli__takes_value(o))
		buf__puts(out, fish_actions[cli__values(o)]);
	if (cli__values(o) == CLI_WORDS) {
		words_of(&words, o);
		fish_text(out, buf__text(&words));
	}
	buf__puts(out, " -d ");
	fish_text(out, o->help ? o->help : "");
	buf__putc(out, '\n');
	buf__free(&words);
}

static void fish_command(struct buf *out, const struct cli_command *c)
{
	struct buf words = {0};

	cli__each_option(c, group, o) fish_option(out, c, o);
	if (!c->positionals)
		return;
	buf__printf(out, "complete -c sonde -n '__fish_seen_subcommand_from %s'%s", c->name,
		    fish_actions[cli__positional_values(c)]);
	if (cli__positional_values(c) == CLI_WORDS) {
		positional_words(&words, c);
		fish_text(out, buf__text(&words));
	}
	buf__putc(out, '\n');
	buf__free(&words);
}

void cli__fish(struct buf *out, const struct cli_command *const *commands)
{
	buf__puts(out, "# fish completion for sonde; made by `sonde document fish`\ncomplete -c sonde -f\n"
		       "complete -c sonde -n __fish_use_subcommand -l version -d 'show the version'\n"
		       "complete -c sonde -s h -l help -d 'show usage and options'\n"
		       "complete -c sonde -n __fish_use_subcommand -a help -d 'show the commands or the "
		       "options of one'\n");
	each_listed(commands, c)
	{
		buf__printf(out, "complete -c sonde -n __fish_use_subcommand -a %s -d ", c->name);
		fish_text(out, c->summary);
		buf__putc(out, '\n');
	}
	each_listed(commands, c) fish_command(out, c);
	buf__puts(out, "complete -c sonde -n '__fish_seen_subcommand_from help' -xa '");
	names(out, commands);
	buf__puts(out, "'\n");
}
