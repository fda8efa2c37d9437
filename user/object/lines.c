/* SPDX-License-Identifier: Apache-2.0 */
#include "object/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int lines__open(struct lines *r, int fd, uint64_t limit_bytes)
{
	*r = (struct lines){.fd = fd, .bytes_left = limit_bytes, .buffer = malloc(LINES_BUFFER_BYTES + 1)};
	return r->buffer ? 0 : -ENOMEM;
}

/* Moves what is left to the front and reads once behind it. False: nothing more comes. */
static bool fill(struct lines *r)
{
	size_t room;
	ssize_t n;

	memmove(r->buffer, r->buffer + r->start, r->end - r->start);
	r->end -= r->start;
	r->start = 0;
	if (r->end == LINES_BUFFER_BYTES) {
		r->end = 0;
		r->skipping = true;
	}
	room = LINES_BUFFER_BYTES - r->end;
	if (room > r->bytes_left)
		room = r->bytes_left;
	do
		n = room ? read(r->fd, r->buffer + r->end, room) : 0;
	while (n < 0 && errno == EINTR);
	if (n < 0)
		r->err = -errno;
	r->at_end = n <= 0;
	if (n > 0) {
		r->end += (size_t)n;
		r->bytes_left -= (size_t)n;
	}
	return n > 0;
}

char *lines__next(struct lines *r, size_t *len)
{
	char *line, *newline;

	do {
		while ((newline = memchr(r->buffer + r->start, '\n', r->end - r->start))) {
			line = r->buffer + r->start;
			r->start = (size_t)(newline - r->buffer) + 1;
			if (r->skipping) {
				r->skipping = false;
				continue;
			}
			*newline = 0;
			*len = (size_t)(newline - line);
			return line;
		}
	} while (!r->at_end && fill(r));
	return NULL;
}

void lines__close(struct lines *r)
{
	free(r->buffer);
	r->buffer = NULL;
}

/* Values of hexadecimal digits, plus one; 0: no digit. */
static const unsigned char digit_values[256] = {
	['0'] = 1,  ['1'] = 2,	['2'] = 3,  ['3'] = 4,	['4'] = 5,  ['5'] = 6,	['6'] = 7,  ['7'] = 8,
	['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
	['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool lines__hex(const char **text, uint64_t *value)
{
	const char *p = *text;
	uint64_t v = 0;
	unsigned char digit;

	if (p[0] == '0' && (p[1] | 32) == 'x')
		p += 2;
	*text = p;
	for (; (digit = digit_values[(unsigned char)*p]); p++) {
		if (v >> 60)
			return false;
		v = v << 4 | (digit - 1u);
	}
	if (p == *text)
		return false;
	*text = p;
	*value = v;
	return true;
}
