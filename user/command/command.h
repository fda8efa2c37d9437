/* SPDX-License-Identifier: Apache-2.0 */
/* The sub-commands: one file and one row each. */
#ifndef SONDE_COMMAND_COMMAND_H
#define SONDE_COMMAND_COMMAND_H

#include "base/cli.h"

extern const struct cli_command command_profile, command_offcpu, command_runq, command_wall, command_locks,
	command_block, command_processes, command_resources, command_syscalls, command_memory, command_check,
	command_list, command_schema, command_convert, command_diff, command_version, command_document,
	command_all;

extern const struct cli_command command_tcp;

extern const struct cli_command *const commands__all[]; /* NULL-terminated, in the order of help */

/* Everything from argv on: finds the command, parses, runs, sees that standard output arrived. Returns an
 * exit code. */
int commands__main(int argc, char **argv);

#endif
