// SPDX-License-Identifier: Apache-2.0
/* `sonde document`: what is made from the option tables, for `make install` and the README. Not listed in
 * help. */
#include <string.h>

#include "base/msg.h"
#include "command/command.h"

static const char *const kinds[] = {
	[CLI_MAN] = "man",   [CLI_BASH] = "bash",     [CLI_ZSH] = "zsh",
	[CLI_FISH] = "fish", [CLI_README] = "readme",
};

static int run(void *options, const struct cli_rest *rest)
{
	const size_t count = sizeof(kinds) / sizeof(kinds[0]);
	struct buf text = {0};
	size_t kind = 0;

	(void)options;
	while (kind < count && strcmp(kinds[kind], rest->argv[0]))
		kind++;
	if (kind == count) {
		msg__usage("document", "no document %s: one of man, bash, zsh, fish, readme", rest->argv[0]);
		return EXIT_USAGE;
	}
	cli__document(&text, (enum cli_document)kind, commands__all);
	return cli__print(&text) ? EXIT_RUN_FAILED : EXIT_DONE;
}

const struct cli_command command_document = {
	.name = "document",
	.positionals = "man|bash|zsh|fish|readme",
	.description = "Prints the man page, a completion script or the tables of the README, made from the "
		       "tables of "
		       "options.",
	.run = run,
};
