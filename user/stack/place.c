// SPDX-License-Identifier: Apache-2.0
#include "stack/place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "object/lines.h"

static int fill(struct place *p, const struct map_line *line, struct strings *strings)
{
	p->mapping = (struct mapping){
		.start = line->start,
		.end = line->end,
		.offset = line->offset,
		.inode = line->inode,
		.major = line->major,
		.minor = line->minor,
		.kind = maps__kind(line),
		.path = strings__add(strings, line->path, strlen(line->path)),
	};
	return p->mapping.path ? 0 : -ENOMEM;
}

/* Memory without a name right behind a file's writable mapping: its .bss most likely, as the ELF header will
 * tell. */
static bool goes_on(const struct place *file, const struct map_line *line)
{
	return file->mapping.path && file->mapping.end == line->start && line->writable && !*line->path;
}

static int look(struct lines *r, uint64_t address, struct strings *strings, struct place *p)
{
	struct map_line line;
	const char *text;
	size_t len;
	int err = 0;

	*p = (struct place){0};
	while (!err && (text = lines__next(r, &len))) {
		if (!maps__parse_line(text, &line))
			continue;
		if (line.start > address)
			break;
		if (!goes_on(p, &line) || address >= line.end)
			err = fill(p, &line, strings);
		if (address < line.end) {
			p->offset = address - p->mapping.start + p->mapping.offset;
			return err;
		}
		if (p->mapping.kind != MAPPED_FILE || !line.writable)
			p->mapping.path = NULL;
	}
	return err ? err : r->err ? r->err : -ENOENT;
}

int place__find(int dir, uint64_t address, struct strings *strings, struct place *p)
{
	int fd = openat(dir, "maps", O_RDONLY | O_CLOEXEC), err;
	struct lines r;

	if (fd < 0)
		return -ESRCH;
	err = lines__open(&r, fd, MAPS_BYTES_MAX);
	if (!err) {
		err = look(&r, address, strings, p);
		lines__close(&r);
	}
	close(fd);
	return err;
}
