/* SPDX-License-Identifier: Apache-2.0 */
/* Words for people, on stderr, one line each: `sonde: <text>`, escaped for a terminal, so that foreign
 * strings may stand in it. */
#ifndef SONDE_BASE_MSG_H
#define SONDE_BASE_MSG_H

/* Exit codes: docs/DESIGN.md section 7. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_RUN_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_IMPOSSIBLE = 3, /* privilege or kernel feature missing */
	EXIT_NO_TARGET = 4,
	EXIT_THRESHOLD = 5,
	EXIT_INTERRUPTED = 130,
	EXIT_TERMINATED = 143,
};

void msg__error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void msg__note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* `sonde COMMAND: <text>` */
void msg__usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
