/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a file of cached tables, and as a blob of one: what is found sound leads no lookup out of its
 * bytes. The checksum and the length are put right, or nothing would get past them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../unit/blob.h"
#include "object/unwind_blob.h"
#include "stack/unwind_cache.h"

#define CHECKSUM_AT 16
#define LENGTH_AT   24
#define TABLES_AT   44 /* which builder made them */

/* In memory of exactly its size, so that the sanitizer sees the first byte beyond. */
static void look_up(const void *bytes, size_t size, uint32_t header)
{
	char *blob = malloc(size ? size : 1);

	memcpy(blob, bytes, size);
	for (uint32_t at = 0; at < 65536; at += 239)
		blob__lookup(blob + header, at);
	free(blob);
}

/* As of the builder that this program was built with. */
static void put_tables(unsigned char *copy)
{
	const struct unwind_cache_file none = {.size_bytes = 0};
	struct buf ours = {0};

	unwind_cache__write(&ours, &none, NULL, 0);
	memcpy(copy + TABLES_AT, ours.data + TABLES_AT, 4);
	buf__free(&ours);
}

static void as_file(const uint8_t *data, size_t size)
{
	struct unwind_cache_view view;
	struct unwind_cache_chunk c;
	struct unwind_cache_file f;
	unsigned char *copy = malloc(size);
	uint64_t length = size, last = 0;
	uint32_t sum;

	memcpy(copy, data, size);
	put_tables(copy);
	memcpy(copy + LENGTH_AT, &length, sizeof(length));
	sum = (uint32_t)crc32_z(0, copy + CHECKSUM_AT + 4, size - CHECKSUM_AT - 4);
	memcpy(copy + CHECKSUM_AT, &sum, sizeof(sum));
	if (unwind_cache__parse(copy, size, &f, &view)) {
		if (f.load_count > TABLE_LOADS_MAX || strlen(f.build_id) >= sizeof(f.build_id))
			abort();
		for (uint32_t i = 0; unwind_cache__next(&view, &c); i++) {
			if (i && c.number <= last)
				abort();
			last = c.number;
			if (c.what.kind == UNWIND_CHUNK_TABLE)
				look_up(c.blob, c.blob_bytes, c.what.header);
		}
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 400)
		as_file(data, size);
	for (uint32_t header = 32; header < 200; header += UNWIND_LINE)
		if (unwind_blob__is_sound(data, size, header))
			look_up(data, size, header);
	return 0;
}
