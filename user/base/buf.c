// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Room for `more` bytes and a NUL behind them. */
static bool reserve(struct buf *b, size_t more)
{
	size_t need, cap = b->cap ? b->cap : 64;
	char *data;

	if (b->failed)
		return false;
	if (__builtin_add_overflow(b->len, more, &need) || need >= SIZE_MAX / 2)
		goto fail;
	if (need < b->cap)
		return true;
	while (cap <= need)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data)
		goto fail;
	b->data = data;
	b->cap = cap;
	return true;
fail:
	b->failed = true;
	return false;
}

void buf__add(struct buf *b, const void *bytes, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf__puts(struct buf *b, const char *text)
{
	buf__add(b, text, strlen(text));
}

void buf__putc(struct buf *b, char c)
{
	buf__add(b, &c, 1);
}

void buf__vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;
	int len;

	if (!reserve(b, 0))
		return;
	va_copy(again, args);
	len = vsnprintf(b->data + b->len, b->cap - b->len, format, args);
	if (len >= 0 && (size_t)len >= b->cap - b->len && reserve(b, (size_t)len))
		len = vsnprintf(b->data + b->len, b->cap - b->len, format, again);
	va_end(again);
	if (len < 0)
		b->failed = true;
	if (b->failed)
		b->data[b->len] = '\0'; /* no half of a text */
	else
		b->len += (size_t)len;
}

void buf__printf(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf__vprintf(b, format, args);
	va_end(args);
}

void buf__clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

const char *buf__text(const struct buf *b)
{
	return b->data ? b->data : "";
}

int buf__read_fd(struct buf *b, int fd, size_t limit_bytes)
{
	size_t total = 0;
	ssize_t got;

	for (;;) {
		if (!reserve(b, 4096))
			return -ENOMEM;
		got = read(fd, b->data + b->len, b->cap - b->len - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		b->len += (size_t)got;
		b->data[b->len] = '\0';
		total += (size_t)got;
		if (total > limit_bytes)
			return -EFBIG;
		if (got == 0)
			return 0;
	}
}

int buf__read_file(struct buf *b, const char *path, size_t limit_bytes)
{
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = buf__read_fd(b, fd, limit_bytes);
	close(fd);
	return err;
}

int buf__write(const struct buf *b, FILE *out)
{
	if (b->failed)
		return -ENOMEM;
	errno = 0;
	if (b->len && fwrite(b->data, 1, b->len, out) != b->len)
		return errno ? -errno : -EIO;
	return 0;
}

void buf__free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}
