/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a file or of /proc, through one small buffer, whatever the size of the file. */
#ifndef SONDE_OBJECT_LINES_H
#define SONDE_OBJECT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINES_BUFFER_BYTES (64u << 10)

struct lines {
	int fd;	      /* borrowed; read from its position */
	char *buffer; /* owned; LINES_BUFFER_BYTES and a NUL */
	size_t start, end;
	uint64_t bytes_left; /* of the limit */
	int err;	     /* 0 or -errno of the read that failed */
	bool at_end, skipping;
};

int lines__open(struct lines *r, int fd, uint64_t limit_bytes); /* 0 or -ENOMEM */
/*
 * The next whole line without its newline, NUL-terminated, valid until the next call; NULL at the end or on
 * an error. A last line without a newline (its writer may be in the middle of it) and lines over the buffer's
 * size are left out.
 */
char *lines__next(struct lines *r, size_t *len);
void lines__close(struct lines *r);

/* Hexadecimal digits at *text, with or without 0x; moves *text behind them. False: none, or over 64 bits. */
bool lines__hex(const char **text, uint64_t *value);

#endif
