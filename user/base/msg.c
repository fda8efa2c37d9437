// SPDX-License-Identifier: Apache-2.0
#include "base/msg.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/text.h"

/* One write for the whole line: lines of several processes on one terminal do not mix. */
static void finish(struct buf *line)
{
	buf__putc(line, '\n');
	if (!line->failed)
		(void)buf__write(line, stderr); /* nowhere is left to complain */
	fflush(stderr);
	buf__free(line);
}

/* What is escaped already stays as it is. */
static void say(const char *before, const char *format, va_list args)
{
	struct buf line = {0}, text = {0};

	buf__vprintf(&text, format, args);
	buf__printf(&line, "sonde%s%s: ", *before ? " " : "", before);
	text__puts(&line, buf__text(&text), TEXT_TERMINAL);
	finish(&line);
	buf__free(&text);
}

void msg__error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("", format, args);
	va_end(args);
}

void msg__note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("", format, args);
	va_end(args);
}

void msg__usage(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(command, format, args);
	va_end(args);
}
