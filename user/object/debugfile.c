/* SPDX-License-Identifier: Apache-2.0 */
#include "object/debugfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "object/safefile.h"

#define CHECKED_BYTES_MAX (1ULL << 30) /* a second's worth of CRC; larger files need a build id */
#define CHUNK_BYTES	  (64u << 10)
#define TARGET_DEBUG	  "/usr/lib/debug"

struct search {
	const struct elf_file *f;
	const struct debug_places *places;
	int root; /* descriptor of places->root, or -errno */
	char link[NAME_MAX + 1];
	uint32_t crc;
};

static bool has_same_build_id(const struct search *s, int fd)
{
	struct elf_file d;
	bool same;

	if (elf__open(&d, fd))
		return false;
	same = d.build_id_len == s->f->build_id_len && !memcmp(d.build_id, s->f->build_id, d.build_id_len);
	elf__close(&d);
	return same;
}

static bool has_same_crc(const struct search *s, int fd)
{
	unsigned char *chunk = malloc(CHUNK_BYTES);
	uLong crc = crc32(0, NULL, 0);
	uint64_t at = 0;
	ssize_t n = 0;

	while (chunk && at < CHECKED_BYTES_MAX && (n = safefile__read_at(fd, chunk, CHUNK_BYTES, at)) > 0) {
		crc = crc32(crc, chunk, (uInt)n);
		at += (uint64_t)n;
	}
	free(chunk);
	return chunk && !n && crc == s->crc;
}

typedef bool proof(const struct search *, int fd);

/* `path` is absolute; in the target's root or in the host's. */
static int try(const struct search *s, bool in_target, const char *path, proof *is_right)
{
	struct stat st;
	int fd;

	if (in_target)
		fd = s->root < 0 ? -ENOENT : safefile__open_in_root(s->root, path, true, &st);
	else
		fd = safefile__open(AT_FDCWD, path, &st);
	if (fd >= 0 && !is_right(s, fd)) {
		close(fd);
		fd = -ENOENT;
	}
	return fd;
}

static int by_build_id(const struct search *s)
{
	char hex[2 * BUILD_ID_MAX + 1], path[PATH_MAX];
	int fd = -ENOENT;

	if (s->f->build_id_len < 2)
		return -ENOENT;
	elf__build_id_hex(s->f, hex);
	snprintf(path, sizeof(path), TARGET_DEBUG "/.build-id/%.2s/%s.debug", hex, hex + 2);
	fd = try(s, true, path, has_same_build_id);
	if (fd < 0 && s->places->directory) {
		snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", s->places->directory, hex,
			 hex + 2);
		fd = try(s, false, path, has_same_build_id);
	}
	return fd;
}

/* The section: a file name, zeros up to a multiple of four, a CRC. */
static bool read_link(struct search *s)
{
	struct elf_section section;
	char bytes[NAME_MAX + 8] = {0};
	size_t len, at;
	ssize_t n;

	if (!elf__section_by_name(s->f, ".gnu_debuglink", &section))
		return false;
	n = safefile__read_at(s->f->fd, bytes, section.size < sizeof(bytes) ? section.size : sizeof(bytes),
			      section.offset);
	if (n <= 0)
		return false;
	len = strnlen(bytes, (size_t)n);
	at = (len + 4) & ~(size_t)3;
	if (!len || len > NAME_MAX || at + sizeof(s->crc) > (size_t)n || memchr(bytes, '/', len))
		return false;
	memcpy(s->link, bytes, len + 1);
	memcpy(&s->crc, bytes + at, sizeof(s->crc));
	return strcmp(s->link, ".") && strcmp(s->link, "..");
}

static int by_link(struct search *s)
{
	static const struct {
		const char *before, *after; /* around the directory of the file */
	} in_target[] = {{"", ""}, {"", "/.debug"}, {TARGET_DEBUG, ""}};
	const char *slash = s->places->path && *s->places->path == '/' ? strrchr(s->places->path, '/') : NULL;
	char path[2 * PATH_MAX];
	int fd = -ENOENT, dir;

	if (!slash || slash - s->places->path >= PATH_MAX || !read_link(s))
		return -ENOENT;
	dir = (int)(slash - s->places->path);
	for (size_t i = 0; i < sizeof(in_target) / sizeof(*in_target) && fd < 0; i++) {
		snprintf(path, sizeof(path), "%s%.*s%s/%s", in_target[i].before, dir, s->places->path,
			 in_target[i].after, s->link);
		fd = try(s, true, path, has_same_crc);
	}
	if (fd < 0 && s->places->directory && strlen(s->places->directory) < NAME_MAX) {
		snprintf(path, sizeof(path), "%s%.*s/%s", s->places->directory, dir, s->places->path,
			 s->link);
		fd = try(s, false, path, has_same_crc);
	}
	return fd;
}

int debugfile__open(const struct elf_file *f, const struct debug_places *places)
{
	struct search s = {.f = f, .places = places, .root = -ENOENT};
	int fd;

	if (places->root)
		s.root = open(places->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = by_build_id(&s);
	if (fd < 0)
		fd = by_link(&s);
	if (s.root >= 0)
		close(s.root);
	return fd < 0 ? -ENOENT : fd;
}
