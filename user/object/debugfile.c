/* SPDX-License-Identifier: Apache-2.0 */
#include "object/debugfile.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "object/safefile.h"

#define CHECKED_BYTES_MAX (1ULL << 30) /* a second's worth of CRC; larger files need a build id */
#define CHUNK_BYTES	  (64u << 10)
#define ATTEMPTS_MAX	  16

/* What the right file must have. */
struct proof {
	bool (*is_given)(const struct proof *, int fd);
	const unsigned char *build_id;
	size_t build_id_len;
	uint32_t crc;
};

static bool has_same_build_id(const struct proof *p, int fd)
{
	struct elf_file d;
	bool same;

	if (elf__open(&d, fd))
		return false;
	same = d.build_id_len == p->build_id_len && !memcmp(d.build_id, p->build_id, d.build_id_len);
	elf__close(&d);
	return same;
}

static bool has_same_crc(const struct proof *p, int fd)
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
	return chunk && !n && crc == p->crc;
}

static int ask(const struct debug_asker *asker, struct debug_wanted *wanted, const struct proof *proof)
{
	int fd = -ENOENT;

	if (!asker->debug_file)
		return -ENOENT;
	for (wanted->attempt = 0; wanted->attempt < ATTEMPTS_MAX; wanted->attempt++) {
		fd = asker->debug_file(asker->context, wanted);
		if (fd < 0 || proof->is_given(proof, fd))
			break;
		close(fd);
		fd = -ENOENT;
	}
	return fd < 0 ? -ENOENT : fd;
}

static int by_build_id(const struct elf_file *f, const struct debug_asker *asker)
{
	struct debug_wanted wanted = {.kind = DEBUG_BY_BUILD_ID, .build_id_len = (uint32_t)f->build_id_len};
	struct proof proof = {has_same_build_id, f->build_id, f->build_id_len};

	if (f->build_id_len < 2)
		return -ENOENT;
	memcpy(wanted.build_id, f->build_id, f->build_id_len);
	return ask(asker, &wanted, &proof);
}

/* The bytes of a section that begins with a name; the name's length, 0: it is not sound. */
static size_t read_name(const struct elf_file *f, const char *section_name, char *bytes, size_t size,
			size_t *got)
{
	struct elf_section section;
	size_t len;
	ssize_t n;

	if (!elf__section_by_name(f, section_name, &section))
		return 0;
	n = safefile__read_at(f->fd, bytes, section.size < size ? section.size : size, section.offset);
	if (n <= 0)
		return 0;
	*got = (size_t)n;
	len = strnlen(bytes, *got);
	return len < *got ? len : 0;
}

/* The section: a file name, zeros up to a multiple of four, a CRC. */
static int by_link(const struct elf_file *f, const struct debug_asker *asker)
{
	struct debug_wanted wanted = {.kind = DEBUG_BY_LINK};
	struct proof proof = {.is_given = has_same_crc};
	char bytes[sizeof(wanted.name) + 8] = {0};
	size_t got = 0, len = read_name(f, ".gnu_debuglink", bytes, sizeof(bytes), &got);
	size_t at = (len + 4) & ~(size_t)3;

	if (!len || len >= sizeof(wanted.name) || at + sizeof(proof.crc) > got)
		return -ENOENT;
	memcpy(wanted.name, bytes, len);
	memcpy(&proof.crc, bytes + at, sizeof(proof.crc));
	return ask(asker, &wanted, &proof);
}

int debugfile__open(const struct elf_file *f, const struct debug_asker *asker)
{
	int fd = by_build_id(f, asker);

	return fd < 0 ? by_link(f, asker) : fd;
}

/* The section: a file name, a build id. */
int debugfile__open_supplement(const struct elf_file *debug, const struct debug_asker *asker)
{
	struct debug_wanted wanted = {.kind = DEBUG_SUPPLEMENT};
	struct proof proof = {.is_given = has_same_build_id, .build_id = wanted.build_id};
	char bytes[sizeof(wanted.name) + BUILD_ID_MAX] = {0};
	size_t got = 0, len = read_name(debug, ".gnu_debugaltlink", bytes, sizeof(bytes), &got);

	if (!len || len >= sizeof(wanted.name) || got - len - 1 < 2)
		return -ENOENT;
	proof.build_id_len = got - len - 1 < BUILD_ID_MAX ? got - len - 1 : BUILD_ID_MAX;
	wanted.build_id_len = (uint32_t)proof.build_id_len;
	memcpy(wanted.name, bytes, len);
	memcpy(wanted.build_id, bytes + len + 1, proof.build_id_len);
	return ask(asker, &wanted, &proof);
}
