/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an ELF file, or as the .eh_frame of a sound one (of arm64 if the first byte is odd): unwind
 * tables of several chunks, whose blobs must be sound.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object/eh_frame.h"
#include "object/unwind_table.h"

#include "../unit/eh_file.h"

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_blob(const struct buf *blob, const struct unwind_chunk *chunk)
{
	const unsigned char *rows;
	struct unwind_header h;
	uint32_t word, n = 0;

	check(blob->len >= chunk->header + sizeof(h) && chunk->header % 64 == 32);
	check(blob->len == chunk->header + sizeof(h) + 2 * (size_t)chunk->rows && blob->len <= 64u << 10);
	memcpy(&h, blob->data + chunk->header, sizeof(h));
	rows = (unsigned char *)blob->data + chunk->header + sizeof(h);
	check(chunk->rows && rows[0] == 0 && h.count[0]);
	for (size_t b = 0; b < 256; b++) {
		check(b % 16 || h.group[b / 16] == n);
		for (size_t i = 0; i < h.count[b]; i++, n++) {
			check(n < chunk->rows && (!i || rows[2 * n] > rows[2 * n - 2]));
			check(4 * (rows[2 * n + 1] + 1u) <= chunk->header);
			memcpy(&word, blob->data + chunk->header - 4 * (rows[2 * n + 1] + 1u), 4);
			check(UNWIND_KIND(word) <= UNWIND_WIDE);
			check(UNWIND_KIND(word) != UNWIND_WIDE ||
			      4 * (rows[2 * n + 1] + 3u) <= chunk->header);
		}
	}
	check(n == chunk->rows);
}

struct previous {
	uint64_t address, rows;
	uint32_t words[UNWIND_WIDE_WORDS];
};

static int check_row(void *context, uint64_t address, const uint32_t *words)
{
	struct previous *p = context;

	check(!p->rows || (address > p->address && memcmp(words, p->words, sizeof(p->words))));
	p->address = address;
	memcpy(p->words, words, sizeof(p->words));
	return ++p->rows > 100000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unwind_table *t = NULL;
	struct elf_file f = {0};
	struct buf blob = {0};
	struct unwind_chunk chunk;
	struct previous p = {0};
	int fd;

	if (size >= 4 && !memcmp(data, ELFMAG, SELFMAG)) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		if (fd >= 0 && write(fd, data, size) != (ssize_t)size)
			goto out;
	} else {
		fd = size < 2 ? -1
			      : eh_file__new(data[0] & 1 ? EM_AARCH64 : EM_X86_64,
					     data[0] & 2 ? EH_SEGMENTS : EH_SECTIONS, data + 1, size - 1);
	}
	if (fd < 0 || elf__open(&f, fd))
		goto out;
	check(eh_frame__frame_pointer_percent(&f) <= 100);
	t = unwind_table__open(&f);
	for (uint64_t i = 0; t && i < 5; i++) {
		buf__clear(&blob);
		check(!unwind_table__build(t, i < 4 ? i : 0x40, &blob, &chunk));
		if (chunk.kind == UNWIND_CHUNK_TABLE)
			check_blob(&blob, &chunk);
	}
	if (t)
		unwind_table__rows(t, 0, UINT64_MAX, check_row, &p);
out:
	unwind_table__close(t);
	elf__close(&f);
	buf__free(&blob);
	if (fd >= 0)
		close(fd);
	return 0;
}
