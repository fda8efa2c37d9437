// SPDX-License-Identifier: Apache-2.0
/* `sonde schema`: the JSON Schema that every line of `-f json` satisfies. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/msg.h"
#include "base/outfile.h"
#include "command/command.h"
#include "sink/json.h"

struct options {
	char none; /* it takes no option */
};

static const struct cli_group groups[] = {{0}};

static int run(void *options, const struct cli_rest *rest)
{
	struct outfile *out = outfile__open("-");
	size_t len;
	const char *schema = json_sink__schema(&len);
	int err = out ? 0 : -errno;

	(void)options;
	(void)rest;
	errno = 0;
	if (!err && fwrite(schema, 1, len, outfile__stream(out)) != len)
		err = errno ? -errno : -EIO;
	if (!err)
		err = outfile__commit(out);
	outfile__close(out);
	if (!err || err == -EPIPE) /* a reader that has seen enough is no failure */
		return EXIT_DONE;
	msg__error("standard output: %s", strerror(-err));
	return EXIT_RUN_FAILED;
}

const struct cli_command command_schema = {
	.name = "schema",
	.summary = "the JSON Schema of JSON lines",
	.description = "Prints the JSON Schema (draft 2020-12) that each line of `-f json` satisfies, with "
		       "the meaning "
		       "and the unit of every field. One line is one object; its `type` tells which: start, "
		       "counter, "
		       "gauge, histogram, stack, event, loss, interval.",
	.examples = "sonde schema > sonde.schema.json",
	.groups = groups,
	.options_size = sizeof(struct options),
	.run = run,
};
