/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options by table: one row gives parsing, range check, help, man page, completions and the README table.
 */
#ifndef SONDE_BASE_CLI_H
#define SONDE_BASE_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum cli_kind {
	CLI_FLAG,     /* bool *: true */
	CLI_SET,      /* int *: `value` (shorthands such as --json) */
	CLI_CHOICE,   /* int *: index of the word in `choices` */
	CLI_INT,      /* long long * in [min, max] */
	CLI_DURATION, /* uint64_t * ns in [min, max]; needs a unit */
	CLI_SIZE,     /* uint64_t * bytes in [min, max] */
	CLI_STRING,   /* const char ** into argv */
	CLI_NUMBERS,  /* struct cli_numbers *: comma separated, repeatable, each in [min, max] */
};

struct cli_option {
	const char *name; /* without dashes; NULL ends a table */
	char letter;	  /* 0: long form only */
	enum cli_kind kind;
	size_t offset; /* into the command's option struct */
	const char *arg, *help;
	long long min, max;	    /* min >= 0 and max 0: no upper limit */
	const char *const *choices; /* NULL-terminated */
	int value;
	const char *fallback; /* the default, for people */
	bool hidden; /* accepted, not shown (habits of other tools); its `help` is a note printed on use */
};

struct cli_numbers {
	long long *items; /* owned */
	size_t count;
};

struct cli_group {
	const char *title;
	const struct cli_option *options;
};

struct cli_rest {
	int argc; /* positional arguments, in order */
	char **argv;
	char **command; /* what follows `--`, NULL-terminated, or NULL */
};

struct cli_command {
	const char *name, *summary; /* summary NULL: not listed */
	/* "IN OUT", "[FEATURE...]", "man|bash": shown, and their number is checked; NULL: none are taken */
	const char *positionals;
	bool takes_target;		/* `-- COMMAND` is allowed and [TARGET] shown */
	const char *description;	/* paragraphs for --help and the man page */
	const char *examples;		/* lines */
	const struct cli_group *groups; /* ends with a NULL title */
	size_t options_size;		/* of the struct that `run` receives, zeroed and parsed */
	void (*defaults)(void *options);
	int (*run)(void *options, const struct cli_rest *rest); /* returns an exit code */
};

/*
 * Calls defaults, then parses argv[1..] into the zeroed `options`. Returns 0; 1 if --help was printed on
 * stdout; or, after one line on stderr, -EINVAL for wrong usage (it names the option and the nearest valid
 * one; for a bare number the two things it may have meant; for an option where a value was expected, that)
 * and another -errno if something failed. Frees nothing on failure that it allocated into `options`: call
 * cli__free in any case.
 */
int cli__parse(const struct cli_command *c, int argc, char **argv, void *options, struct cli_rest *rest);
void cli__free(const struct cli_command *c, void *options, struct cli_rest *rest);

/* Writes the text to standard output and frees it: 0 (also if the reader has gone), or -errno after one line
 * on stderr. */
int cli__print(struct buf *text);
/* --help in at most `columns` columns. */
void cli__help(struct buf *out, const struct cli_command *c, int columns);
/* Columns for help: of the terminal, within reason; 80 where there is none. */
int cli__columns(void);

enum cli_document { CLI_MAN, CLI_BASH, CLI_ZSH, CLI_FISH, CLI_README };
/* All commands (NULL-terminated array of pointers) as a man page, a completion script or Markdown tables. */
void cli__document(struct buf *out, enum cli_document kind, const struct cli_command *const *commands);

#endif
