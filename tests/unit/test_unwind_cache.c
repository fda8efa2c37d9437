/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "blob.h"
#include "object/unwind_table.h"
#include "object/unwind_blob.h"
#include "stack/unwind_cache.h"

#include <errno.h>
#include <sys/stat.h>

static const struct unwind_cache_file some_file = {
	.build_id = "0123456789abcdef0123456789abcdef01234567",
	.size_bytes = 2000000,
	.load_count = 2,
	.loads = {{0x26000, 0x27000, 0x156000}, {0x200000, 0x400000, 0x1000}},
};

/* Chunks 2, 3 and 64: a table, a gap, a table. */
static void make_chunks(struct buf blobs[2], struct unwind_cache_chunk chunks[3])
{
	blob__make(&blobs[0], 7, 300);
	blob__make(&blobs[1], 8, 1);
	for (size_t i = 0; i < 3; i++)
		chunks[i] = (struct unwind_cache_chunk){.number = i + 2, .what.kind = UNWIND_CHUNK_GAP};
	for (size_t i = 0; i < 2; i++) {
		chunks[2 * i].what = (struct unwind_chunk){.kind = UNWIND_CHUNK_TABLE, .header = BLOB_HEADER};
		chunks[2 * i].blob = blobs[i].data;
		chunks[2 * i].blob_bytes = blobs[i].len;
	}
	chunks[2].number = 64;
}

static void save(struct unwind_cache *c, const struct unwind_cache_file *f)
{
	struct buf blobs[2] = {{0}};
	struct unwind_cache_chunk chunks[3];

	make_chunks(blobs, chunks);
	assert_int_equal(unwind_cache__save(c, f, chunks, 3), 0);
	buf__free(&blobs[0]);
	buf__free(&blobs[1]);
}

static int load(struct unwind_cache *c, const struct unwind_cache_file *f)
{
	struct unwind_cache_view view;
	struct buf bytes = {0};
	int err = unwind_cache__load(c, f, &bytes, &view);

	buf__free(&bytes);
	return err;
}

static void blobs_that_are_sound(void **state)
{
	(void)state;
	for (uint32_t rows = 1; rows < 3000; rows += 17) {
		struct buf blob = {0};

		blob__make(&blob, rows, rows);
		assert_true(unwind_blob__is_sound(blob.data, blob.len, BLOB_HEADER));
		assert_int_equal(unwind_blob__rows(blob.data, BLOB_HEADER), rows);
		assert_int_equal(blob__lookup(blob.data + BLOB_HEADER, 0xffff), blob__rule(rows));
		assert_false(unwind_blob__is_sound(blob.data, blob.len - 1, BLOB_HEADER));
		assert_false(unwind_blob__is_sound(blob.data, blob.len, BLOB_HEADER + 1));
		assert_false(unwind_blob__is_sound(blob.data, blob.len, BLOB_HEADER + UNWIND_LINE));
		assert_false(unwind_blob__is_sound(blob.data, blob.len, 0xffffffe0));
		buf__free(&blob);
	}
}

/* What our own builder makes passes: all of this program and of the C library. */
static void real_blobs_are_sound(void **state)
{
	static const char *const paths[] = {"/proc/self/exe", "/lib/x86_64-linux-gnu/libc.so.6",
					    "/lib/aarch64-linux-gnu/libc.so.6"};
	struct unwind_table *table;
	struct unwind_chunk chunk;
	struct elf_file elf;
	uint32_t tables = 0;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		assert_int_equal(elf__open(&elf, fd), 0);
		table = unwind_table__open(&elf);
		assert_non_null(table);
		for (uint64_t n = 0; n < 64; n++) {
			struct buf blob = {0};

			assert_int_equal(unwind_table__build(table, n, &blob, &chunk), 0);
			if (chunk.kind == UNWIND_CHUNK_TABLE) {
				assert_true(unwind_blob__is_sound(blob.data, blob.len, chunk.header));
				assert_int_equal(unwind_blob__rows(blob.data, chunk.header), chunk.rows);
				tables++;
			}
			buf__free(&blob);
		}
		unwind_table__close(table);
		elf__close(&elf);
		close(fd);
	}
	assert_true(tables > 10);
}

/* The last rule of a dictionary may not be a wide one: its words would lie before the blob. */
static void wide_rules_are_inside(void **state)
{
	struct buf blob = {0};
	uint32_t wide = UNWIND_WIDE;
	char *exact;

	(void)state;
	blob__make(&blob, 1, 1);
	for (uint32_t rule = 0; rule < 10; rule++) {
		exact = malloc(blob.len);
		memcpy(exact, blob.data, blob.len);
		if (rule < BLOB_HEADER / 4)
			memcpy(exact + BLOB_HEADER - 4 * (rule + 1), &wide, 4);
		exact[blob.len - 1] = (char)rule; /* of the only row */
		assert_int_equal(unwind_blob__is_sound(exact, blob.len, BLOB_HEADER),
				 rule + UNWIND_WIDE_WORDS <= BLOB_HEADER / 4);
		if (unwind_blob__is_sound(exact, blob.len, BLOB_HEADER))
			blob__lookup(exact + BLOB_HEADER, 0x1234);
		free(exact);
	}
	buf__free(&blob);
}

/* Whatever byte is changed: it is refused, or every lookup stays inside. */
static void broken_blobs(void **state)
{
	struct buf blob = {0};
	char *exact;

	(void)state;
	blob__make(&blob, 5, 700);
	exact = malloc(blob.len);
	for (size_t i = 0; i < blob.len; i++) {
		for (int bit = 0; bit < 8; bit += 1 + (i > 340)) {
			memcpy(exact, blob.data, blob.len);
			exact[i] ^= (char)(1 << bit);
			if (!unwind_blob__is_sound(exact, blob.len, BLOB_HEADER))
				continue;
			for (uint32_t at = 0; at < 65536; at += 251)
				blob__lookup(exact + BLOB_HEADER, at);
		}
	}
	free(exact);
	buf__free(&blob);
}

static void there_and_back(void **state)
{
	char *dir = fixture__new(), path[128];
	struct buf blobs[2] = {{0}}, bytes = {0};
	struct unwind_cache_chunk chunks[3], c;
	struct unwind_cache_view view;
	struct unwind_cache *cache;
	struct stat st;
	size_t n = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s/cache", dir);
	cache = unwind_cache__open(path, 1 << 20);
	assert_non_null(cache);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(load(cache, &some_file), -ENOENT);
	save(cache, &some_file);
	save(cache, &some_file);
	make_chunks(blobs, chunks);
	assert_int_equal(unwind_cache__load(cache, &some_file, &bytes, &view), 0);
	for (; unwind_cache__next(&view, &c); n++) {
		assert_int_equal(c.number, chunks[n].number);
		assert_int_equal(c.what.kind, chunks[n].what.kind);
		assert_int_equal(c.what.header, chunks[n].what.header);
		assert_int_equal(c.blob_bytes, chunks[n].blob_bytes);
		if (c.blob_bytes)
			assert_memory_equal(c.blob, chunks[n].blob, c.blob_bytes);
	}
	assert_int_equal(n, 3);
	assert_int_equal(fixture__run(path, "test $(ls -A | wc -l) = 1", NULL), 0); /* nothing left over */
	buf__free(&bytes);
	buf__free(&blobs[0]);
	buf__free(&blobs[1]);
	unwind_cache__close(cache);
	fixture__remove(dir);
}

/* The tables of another file with the same build id are not this one's. */
static void another_file(void **state)
{
	char *dir = fixture__new();
	struct unwind_cache *cache = unwind_cache__open(dir, 1 << 20);
	struct unwind_cache_file f = some_file;

	(void)state;
	save(cache, &some_file);
	f.size_bytes++;
	assert_int_equal(load(cache, &f), -EINVAL);
	f = some_file;
	f.loads[1].address += 4096;
	assert_int_equal(load(cache, &f), -EINVAL);
	f = some_file;
	f.load_count = 1;
	assert_int_equal(load(cache, &f), -EINVAL);
	assert_int_equal(load(cache, &some_file), 0);
	unwind_cache__close(cache);
	fixture__remove(dir);
}

static void build_ids_are_no_paths(void **state)
{
	static const char *const bad[] = {"",
					  "../../../etc/passwd",
					  "0123456789abcdeg",
					  "0123",
					  "/tmp/abcdef0123",
					  "0123456789ABCDEF",
					  "01234567.uw/abcdef"};
	char *dir = fixture__new();
	struct unwind_cache *cache = unwind_cache__open(dir, 1 << 20);
	struct unwind_cache_file f = some_file;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(f.build_id, sizeof(f.build_id), "%s", bad[i]);
		assert_int_equal(load(cache, &f), -EINVAL);
		assert_int_equal(unwind_cache__save(cache, &f, NULL, 0), -EINVAL);
	}
	unwind_cache__close(cache);
	fixture__remove(dir);
}

/* Each byte changed, each length: nothing of it is believed. */
static void broken_files(void **state)
{
	struct buf blobs[2] = {{0}}, bytes = {0};
	struct unwind_cache_chunk chunks[3];
	struct unwind_cache_view view;
	struct unwind_cache_file f;

	(void)state;
	make_chunks(blobs, chunks);
	unwind_cache__write(&bytes, &some_file, chunks, 3);
	assert_true(unwind_cache__parse(bytes.data, bytes.len, &f, &view));
	assert_string_equal(f.build_id, some_file.build_id);
	for (size_t i = 0; i < bytes.len; i++) {
		bytes.data[i] ^= 0x20;
		assert_false(unwind_cache__parse(bytes.data, bytes.len, &f, &view));
		bytes.data[i] ^= 0x20;
		assert_false(unwind_cache__parse(bytes.data, i, &f, &view));
	}
	buf__free(&bytes);
	chunks[2].number = chunks[1].number; /* twice the same */
	unwind_cache__write(&bytes, &some_file, chunks, 3);
	assert_false(unwind_cache__parse(bytes.data, bytes.len, &f, &view));
	buf__free(&bytes);
	make_chunks(blobs, chunks);
	chunks[0].what.kind = UNWIND_CHUNK_FAILED;
	unwind_cache__write(&bytes, &some_file, chunks, 3);
	assert_false(unwind_cache__parse(bytes.data, bytes.len, &f, &view));
	buf__free(&bytes);
	buf__free(&blobs[0]);
	buf__free(&blobs[1]);
}

/* Directories and files that others may write to, links, and what is no file. */
static void not_ours(void **state)
{
	static const char name[] = "0123456789abcdef0123456789abcdef01234567.uw";
	char *dir = fixture__new(), command[256];
	struct unwind_cache *cache = unwind_cache__open(dir, 1 << 20);

	(void)state;
	save(cache, &some_file);
	snprintf(command, sizeof(command), "chmod 0666 %s", name);
	assert_int_equal(fixture__run(dir, command, NULL), 0);
	assert_int_equal(load(cache, &some_file), -EPERM);
	snprintf(command, sizeof(command), "chmod 0600 %s && mv %s other && ln -s other %s", name, name,
		 name);
	assert_int_equal(fixture__run(dir, command, NULL), 0);
	assert_int_equal(load(cache, &some_file), -ELOOP);
	snprintf(command, sizeof(command), "rm %s && mkfifo %s", name, name);
	assert_int_equal(fixture__run(dir, command, NULL), 0);
	assert_int_equal(load(cache, &some_file), -EPERM);
	save(cache, &some_file); /* takes its place */
	assert_int_equal(load(cache, &some_file), 0);
	unwind_cache__close(cache);
	assert_int_equal(fixture__run(dir, "mkdir real && ln -s real link && chmod 0777 real", NULL), 0);
	snprintf(command, sizeof(command), "%s/link", dir);
	assert_null(unwind_cache__open(command, 1));
	assert_true(errno == ELOOP || errno == ENOTDIR);
	snprintf(command, sizeof(command), "%s/real", dir);
	assert_null(unwind_cache__open(command, 1));
	assert_int_equal(errno, EPERM);
	assert_null(unwind_cache__open("/nowhere/at/all", 1));
	fixture__remove(dir);
}

/* The directory stays under its limit; who was used last stays longest. Other files are not touched. */
static void old_files_go(void **state)
{
	char *dir = fixture__new(), command[256];
	struct unwind_cache *cache = unwind_cache__open(dir, 5000);
	struct unwind_cache_file f = some_file;

	(void)state;
	for (int i = 0; i < 10; i++) {
		snprintf(f.build_id, sizeof(f.build_id), "0123456789%02d", i);
		save(cache, &f);
		snprintf(command, sizeof(command), "touch -d '2001-01-01 00:00:%02d' %s.uw", i, f.build_id);
		assert_int_equal(fixture__run(dir, command, NULL), 0);
	}
	snprintf(f.build_id, sizeof(f.build_id), "012345678900");
	assert_int_equal(load(cache, &f), 0); /* the oldest, but used now */
	assert_int_equal(fixture__run(dir, "echo > notes.txt; touch -d 2001-01-01 .new-1-abcdef.uw", NULL),
			 0);
	unwind_cache__close(cache);
	assert_int_equal(
		fixture__run(dir, "test -e 012345678900.uw -a -e 012345678909.uw -a -e notes.txt", NULL), 0);
	assert_int_equal(fixture__run(dir, "test ! -e 012345678901.uw -a ! -e .new-1-abcdef.uw", NULL), 0);
	assert_int_equal(fixture__run(dir, "test $(cat *.uw | wc -c) -le 5000", NULL), 0);
	fixture__remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blobs_that_are_sound),
		cmocka_unit_test(real_blobs_are_sound),
		cmocka_unit_test(wide_rules_are_inside),
		cmocka_unit_test(broken_blobs),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(another_file),
		cmocka_unit_test(build_ids_are_no_paths),
		cmocka_unit_test(broken_files),
		cmocka_unit_test(not_ours),
		cmocka_unit_test(old_files_go),
	};

	return cmocka_run_group_tests_name("unwind_cache", tests, NULL, NULL);
}
