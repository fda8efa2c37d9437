/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer. Errors stick: after a failed allocation every further call does nothing and
 * `failed` stays set, so that a writer checks once, at its end. Always NUL-terminated after the first write.
 */
#ifndef SONDE_BASE_BUF_H
#define SONDE_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct buf {
	char *data; /* owned */
	size_t len, cap;
	bool failed;
};

void buf__add(struct buf *b, const void *bytes, size_t len);
void buf__puts(struct buf *b, const char *text);
void buf__putc(struct buf *b, char c);
void buf__printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf__vprintf(struct buf *b, const char *format, va_list args);
void buf__clear(struct buf *b);		    /* forgets the content, keeps the memory */
const char *buf__text(const struct buf *b); /* never NULL */
int buf__read_file(struct buf *b, const char *path, size_t limit_bytes); /* appends; 0, -EFBIG or -errno */
int buf__read_fd(struct buf *b, int fd, size_t limit_bytes);
int buf__write(const struct buf *b, FILE *out); /* 0 or -errno */
void buf__free(struct buf *b);			/* also of a zeroed one; leaves it zeroed */

#endif
