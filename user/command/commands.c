// SPDX-License-Identifier: Apache-2.0
#include "command/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"
#include "base/outfile.h"
#include "base/text.h"

const struct cli_command *const commands__all[] = {
	&command_profile,   &command_offcpu,  &command_runq,	 &command_wall,	  &command_locks,
	&command_syscalls,  &command_tcp,     &command_block,	 &command_memory, &command_processes,
	&command_resources, &command_check,   &command_list,	 &command_schema, &command_convert,
	&command_diff,	    &command_version, &command_document, &command_all,	  NULL,
};

static const struct cli_command *find(const char *name)
{
	for (const struct cli_command *const *c = commands__all; *c; c++) {
		if (!strcmp((*c)->name, name))
			return *c;
	}
	return NULL;
}

static int unknown(const char *name)
{
	const char *names[sizeof(commands__all) / sizeof(commands__all[0]) + 1], *near;
	struct buf shown = {0};
	size_t count = 0;

	for (const struct cli_command *const *c = commands__all; *c; c++) {
		if ((*c)->summary)
			names[count++] = (*c)->name;
	}
	names[count++] = "help";
	names[count] = NULL;
	near = text__nearest(name, names);
	text__puts(&shown, name, TEXT_TERMINAL);
	if (name[0] == '-')
		msg__error("%s: a command comes first: `sonde profile %s`; `sonde help` lists them",
			   buf__text(&shown), buf__text(&shown));
	else if (near)
		msg__error("no command %s; did you mean %s?", buf__text(&shown), near);
	else
		msg__error("no command %s; `sonde help` lists them", buf__text(&shown));
	buf__free(&shown);
	return EXIT_USAGE;
}

static void overview(struct buf *out)
{
	buf__printf(out,
		    "Usage: sonde COMMAND [OPTION...] [TARGET] [-- COMMAND [ARG...]]\n\n"
		    "Where does the time go, for a process, a cgroup, a command or the whole machine?\n\n");
	for (const struct cli_command *const *c = commands__all; *c; c++) {
		if ((*c)->summary)
			buf__printf(out, "  %-9s %s\n", (*c)->name, (*c)->summary);
	}
	buf__printf(out, "  %-9s %s\n\n`sonde help COMMAND` shows the options of one.\n", "help",
		    "this list, or the options of a command");
}

static int help(int argc, char **argv)
{
	const char *name = argc > 2 && argv[2][0] != '-' && strcmp(argv[2], "help") ? argv[2] : NULL;
	const struct cli_command *c = name ? find(name) : NULL;
	struct buf text = {0};

	if (name && !c)
		return unknown(name);
	if (c)
		cli__help(&text, c, cli__columns());
	else
		overview(&text);
	return cli__print(&text) ? EXIT_RUN_FAILED : EXIT_DONE;
}

static int usage(void)
{
	struct buf text = {0};

	overview(&text);
	(void)buf__write(&text, stderr); /* nowhere is left to complain */
	buf__free(&text);
	return EXIT_USAGE;
}

static int run(const struct cli_command *c, int argc, char **argv)
{
	void *options = calloc(1, c->options_size ? c->options_size : 1);
	struct cli_rest rest = {0};
	int code = EXIT_DONE, err;

	if (!options) {
		msg__error("out of memory");
		return EXIT_RUN_FAILED;
	}
	err = cli__parse(c, argc, argv, options, &rest);
	if (!err)
		code = c->run(options, &rest);
	else if (err < 0)
		code = err == -EINVAL ? EXIT_USAGE : EXIT_RUN_FAILED;
	cli__free(c, options, &rest);
	free(options);
	return code;
}

static int dispatch(int argc, char **argv)
{
	const struct cli_command *c;

	if (argc < 2)
		return usage();
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help(argc, argv);
	c = find(!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V") ? "version" : argv[1]);
	return c ? run(c, argc - 1, argv + 1) : unknown(argv[1]);
}

/* What stdio still holds may find the disk full; a reader that has gone is no failure. */
static int flush_output(void)
{
	struct outfile *out = outfile__open("-");
	int err = out ? outfile__commit(out) : -errno;

	outfile__close(out);
	return err == -EPIPE ? 0 : err;
}

int commands__main(int argc, char **argv)
{
	int code = dispatch(argc, argv), err = flush_output();

	if (code == EXIT_DONE && err) {
		msg__error("standard output: %s", strerror(-err));
		code = EXIT_RUN_FAILED;
	}
	return code;
}
