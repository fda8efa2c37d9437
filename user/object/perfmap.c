/* SPDX-License-Identifier: Apache-2.0 */
#include "object/perfmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "object/lines.h"
#include "object/safefile.h"

#define STEPS_MAX (32u << 20) /* line meets address */

struct entry {
	uint64_t start, size;
	const char *name;
};

static bool parse(char *line, size_t len, struct entry *e)
{
	const char *p = line;

	while (len && (line[len - 1] == '\r' || line[len - 1] == ' '))
		line[--len] = 0;
	if (!lines__hex(&p, &e->start) || *p != ' ')
		return false;
	p += strspn(p, " ");
	if (!lines__hex(&p, &e->size) || *p != ' ')
		return false;
	e->name = p + strspn(p, " ");
	return *e->name && e->size && e->start <= UINT64_MAX - e->size;
}

/* Remembers where in the file the name stands; it is read when no later line can replace it. */
static int offer(struct lookup *l, size_t count, const struct entry *e, uint64_t at, uint64_t *steps)
{
	uint64_t last = e->start + e->size - 1;

	for (size_t i = lookup__first(l, count, e->start); i < count && l[i].address <= last; i++) {
		if (++*steps > STEPS_MAX)
			return -EFBIG;
		l[i].rank = 1;
		l[i].value = e->start;
		l[i].size = e->size;
		l[i].name = (uint32_t)at; /* the size cap is far below 4 GB */
	}
	return 0;
}

static int take_names(int fd, struct lookup *l, size_t count, struct name_taker *names)
{
	char *text = malloc(SYMBOL_NAME_MAX);
	const struct lookup *previous = NULL;
	char *end;
	ssize_t n;
	int err = text ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && !err; i++) {
		if (!l[i].rank)
			continue;
		l[i].rank = 0;
		if (previous && previous->name == l[i].name) {
			l[i].text = previous->text;
			continue;
		}
		n = safefile__read_at(fd, text, SYMBOL_NAME_MAX - 1, l[i].name);
		end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;
		if (!end)
			continue;
		while (end > text && (end[-1] == '\r' || end[-1] == ' '))
			end--;
		*end = 0;
		if (*text)
			err = names->take(names, &l[i], text, NULL);
		previous = &l[i];
	}
	free(text);
	return err;
}

int perfmap__scan(int fd, struct lookup *l, size_t count, struct name_taker *names)
{
	struct lines r;
	struct entry e;
	uint64_t steps = 0, line_at;
	size_t len;
	char *line;
	int err, err2;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	err = lines__open(&r, fd, PERF_MAP_BYTES_MAX);
	if (err)
		return err;
	while (!err && (line = lines__next(&r, &len))) {
		line_at = PERF_MAP_BYTES_MAX - r.bytes_left - r.end + (size_t)(line - r.buffer);
		if (parse(line, len, &e))
			err = offer(l, count, &e, line_at + (size_t)(e.name - line), &steps);
	}
	if (!err)
		err = r.err;
	lines__close(&r);
	err2 = take_names(fd, l, count, names);
	return err ? err : err2;
}
