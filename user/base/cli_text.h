/* SPDX-License-Identifier: Apache-2.0 */
/* What help, man page and completions share: words made from the rows of an option table. Used by base/cli*.c
 * only. */
#ifndef SONDE_BASE_CLI_TEXT_H
#define SONDE_BASE_CLI_TEXT_H

#include "base/cli.h"

/* for (each group) for (each option of it) in one loop head. */
#define cli__each_option(command, group, option)                                                \
	for (const struct cli_group *group = (command)->groups; group && group->title; group++) \
		for (const struct cli_option *option = group->options; option->name; option++)

bool cli__takes_value(const struct cli_option *o);
void cli__add_arg(struct buf *out, const struct cli_option *o); /* "PID[,PID]", "table|json" */
void cli__add_time(struct buf *out, uint64_t ns);		/* exact: "1500us" */
void cli__add_range(struct buf *out,
		    const struct cli_option *o); /* "from 1 to 10", "at least 1ms" or nothing */
void cli__add_help(struct buf *out, const struct cli_option *o); /* the help with choices and default */
void cli__usage(struct buf *out, const struct cli_command *c);	 /* "sonde profile [OPTION...] ..." */
/* A group that several commands share is documented once. */
bool cli__is_shared(const struct cli_command *const *commands, const struct cli_group *group);
/* The first listed command that has this group: where a shared one is documented. */
const struct cli_command *cli__first_with(const struct cli_command *const *commands,
					  const struct cli_group *group);

/* What can stand in the place of an argument, as far as a shell can complete it. */
enum cli_values { CLI_ANY, CLI_WORDS, CLI_FILES, CLI_FOLDERS, CLI_PIDS, CLI_USERS };
enum cli_values cli__values(const struct cli_option *o);
enum cli_values cli__positional_values(const struct cli_command *c);
/* The words of a choice or of "a|b|c", separated by spaces. */
void cli__add_words(struct buf *out, const struct cli_option *o);
void cli__add_positional_words(struct buf *out, const struct cli_command *c);

void cli__man(struct buf *out, const struct cli_command *const *commands);
void cli__readme(struct buf *out, const struct cli_command *const *commands);
void cli__bash(struct buf *out, const struct cli_command *const *commands);
void cli__zsh(struct buf *out, const struct cli_command *const *commands);
void cli__fish(struct buf *out, const struct cli_command *const *commands);

#endif
