// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

static void empty_is_text(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_string_equal(buf__text(&b), "");
	buf__add(&b, NULL, 0);
	assert_string_equal(buf__text(&b), "");
	assert_false(b.failed);
	buf__free(&b);
	buf__free(&b);
	assert_null(b.data);
}

/* Around every size at which the memory grows, a printed text must come out whole. */
static void prints_across_growth(void **state)
{
	char expected[5000];

	(void)state;
	for (size_t before = 0; before < 300; before++) {
		struct buf b = {0};

		for (size_t i = 0; i < before; i++)
			buf__putc(&b, 'x');
		buf__printf(&b, "%d-%s", 4711, "abcdefghij");
		memset(expected, 'x', before);
		memcpy(expected + before, "4711-abcdefghij", 16);
		assert_int_equal(b.len, before + 15);
		assert_string_equal(buf__text(&b), expected);
		buf__free(&b);
	}
}

static void keeps_zero_bytes(void **state)
{
	struct buf b = {0};

	(void)state;
	buf__add(&b, "a\0b", 3);
	buf__puts(&b, "c");
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.data, "a\0bc", 5);
	buf__clear(&b);
	assert_string_equal(buf__text(&b), "");
	buf__puts(&b, "again");
	assert_string_equal(buf__text(&b), "again");
	buf__free(&b);
}

static void failure_sticks(void **state)
{
	struct buf b = {0};

	(void)state;
	buf__puts(&b, "kept");
	buf__add(&b, "x", SIZE_MAX - 2); /* no such amount of memory: refused before anything is copied */
	assert_true(b.failed);
	buf__puts(&b, "more");
	buf__printf(&b, "%d", 1);
	assert_string_equal(buf__text(&b), "kept");
	assert_int_equal(buf__write(&b, stderr), -ENOMEM);
	buf__free(&b);
	assert_false(b.failed);
}

static void reads_within_limit(void **state)
{
	char path[] = "/tmp/test_buf.XXXXXX", bytes[10000];
	int fd = mkstemp(path);
	struct buf b = {0};

	(void)state;
	memset(bytes, 'y', sizeof(bytes));
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	buf__puts(&b, "head");
	assert_int_equal(buf__read_file(&b, path, sizeof(bytes)), 0);
	assert_int_equal(b.len, sizeof(bytes) + 4);
	assert_memory_equal(b.data, "heady", 5);
	assert_int_equal(b.data[b.len], 0);
	buf__clear(&b);
	assert_int_equal(buf__read_file(&b, path, sizeof(bytes) - 1), -EFBIG);
	assert_int_equal(buf__read_file(&b, "/tmp", 10), -EISDIR);
	unlink(path);
	assert_int_equal(buf__read_file(&b, path, 10), -ENOENT);
	buf__free(&b);
}

static void write_tells_full_disk(void **state)
{
	FILE *full = fopen("/dev/full", "w");
	struct buf b = {0};

	(void)state;
	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	buf__puts(&b, "text");
	assert_int_equal(buf__write(&b, full), -ENOSPC);
	fclose(full);
	buf__free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_is_text),      cmocka_unit_test(prints_across_growth),
		cmocka_unit_test(keeps_zero_bytes),   cmocka_unit_test(failure_sticks),
		cmocka_unit_test(reads_within_limit), cmocka_unit_test(write_tells_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
