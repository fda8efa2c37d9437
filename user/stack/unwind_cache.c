/* SPDX-License-Identifier: Apache-2.0 */
#include "stack/unwind_cache.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "object/unwind_blob.h"

/* Of the format of these files. */
#define VERSION 1

/* Of what stands in them: the sum of the builder's sources (Makefile). */
#ifndef UNWIND_TABLES
#define UNWIND_TABLES 0u
#endif

#define MAGIC "sondeuw"

#if defined(__x86_64__)
#define MACHINE 62 /* EM_X86_64 */
#elif defined(__aarch64__)
#define MACHINE 183 /* EM_AARCH64 */
#else
#define MACHINE 0
#endif

struct file_header {
	char magic[8];
	uint32_t version, machine;
	uint32_t checksum; /* CRC-32 of everything behind it */
	uint32_t load_count;
	uint64_t bytes; /* the whole file */
	uint64_t size_bytes;
	uint32_t chunk_count, tables;
	struct table_load loads[TABLE_LOADS_MAX];
	char build_id[48];
};

struct file_entry {
	uint64_t number;
	uint32_t kind, header, blob_bytes, reserved;
};

#define CHECKED_FROM (offsetof(struct file_header, checksum) + sizeof(uint32_t))

static uint32_t checksum(const void *bytes, size_t size)
{
	return (uint32_t)crc32_z(0, (const unsigned char *)bytes + CHECKED_FROM, size - CHECKED_FROM);
}

static bool is_entry_sound(const struct file_entry *e, const char *blob, size_t left)
{
	if (e->kind == UNWIND_CHUNK_GAP)
		return !e->blob_bytes;
	return e->kind == UNWIND_CHUNK_TABLE && e->blob_bytes <= left &&
	       unwind_blob__is_sound(blob, e->blob_bytes, e->header);
}

static bool are_entries_sound(const struct unwind_cache_view *v, size_t left)
{
	const char *blob = v->blobs;
	struct file_entry e;
	uint64_t last = 0;

	for (uint32_t i = 0; i < v->count; i++) {
		memcpy(&e, v->entries + i * sizeof(e), sizeof(e));
		if ((i && e.number <= last) || !is_entry_sound(&e, blob, left))
			return false;
		last = e.number;
		blob += e.blob_bytes;
		left -= e.blob_bytes;
	}
	return !left;
}

bool unwind_cache__parse(const void *bytes, size_t size, struct unwind_cache_file *f,
			 struct unwind_cache_view *v)
{
	struct file_header h;
	uint64_t left;

	if (size < sizeof(h))
		return false;
	memcpy(&h, bytes, sizeof(h));
	left = size - sizeof(h);
	if (memcmp(h.magic, MAGIC, sizeof(h.magic)) || h.version != VERSION || h.machine != MACHINE ||
	    h.tables != UNWIND_TABLES || h.bytes != size || h.load_count > TABLE_LOADS_MAX ||
	    h.chunk_count > left / sizeof(struct file_entry) || h.checksum != checksum(bytes, size) ||
	    strnlen(h.build_id, sizeof(h.build_id)) >= sizeof(f->build_id))
		return false;
	*f = (struct unwind_cache_file){.size_bytes = h.size_bytes, .load_count = h.load_count};
	memcpy(f->build_id, h.build_id, sizeof(f->build_id));
	memcpy(f->loads, h.loads, sizeof(f->loads));
	*v = (struct unwind_cache_view){.entries = (const char *)bytes + sizeof(h), .count = h.chunk_count};
	v->blobs = v->entries + h.chunk_count * sizeof(struct file_entry);
	return are_entries_sound(v, left - h.chunk_count * sizeof(struct file_entry));
}

bool unwind_cache__next(struct unwind_cache_view *v, struct unwind_cache_chunk *out)
{
	struct file_entry e;

	if (v->done == v->count)
		return false;
	memcpy(&e, v->entries + v->done++ * sizeof(e), sizeof(e));
	*out = (struct unwind_cache_chunk){
		.number = e.number,
		.what = {.kind = e.kind, .header = e.header},
		.blob = v->blobs,
		.blob_bytes = e.blob_bytes,
	};
	if (e.kind == UNWIND_CHUNK_TABLE)
		out->what.rows = unwind_blob__rows(v->blobs, e.header);
	v->blobs += e.blob_bytes;
	return true;
}

void unwind_cache__write(struct buf *out, const struct unwind_cache_file *f,
			 const struct unwind_cache_chunk *chunks, size_t count)
{
	struct file_header h = {
		.magic = MAGIC,
		.version = VERSION,
		.machine = MACHINE,
		.tables = UNWIND_TABLES,
		.load_count = f->load_count,
		.bytes = sizeof(h) + count * sizeof(struct file_entry),
		.size_bytes = f->size_bytes,
		.chunk_count = (uint32_t)count,
	};
	struct file_entry e;
	size_t start = out->len;
	uint32_t sum;

	memcpy(h.loads, f->loads, sizeof(h.loads));
	memcpy(h.build_id, f->build_id, sizeof(f->build_id));
	for (size_t i = 0; i < count; i++)
		h.bytes += chunks[i].blob_bytes;
	buf__add(out, &h, sizeof(h));
	for (size_t i = 0; i < count; i++) {
		e = (struct file_entry){.number = chunks[i].number,
					.kind = chunks[i].what.kind,
					.header = chunks[i].what.header,
					.blob_bytes = (uint32_t)chunks[i].blob_bytes};
		buf__add(out, &e, sizeof(e));
	}
	for (size_t i = 0; i < count; i++)
		buf__add(out, chunks[i].blob, chunks[i].blob_bytes);
	if (out->failed)
		return;
	sum = checksum(out->data + start, out->len - start);
	memcpy(out->data + start + offsetof(struct file_header, checksum), &sum, sizeof(sum));
}
