/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "object/symbolizer.h"

#include <errno.h>

struct row {
	uint64_t address;
	const char *name;
	uint64_t offset;
};

/* Asks for all addresses at once, in the order given. */
static void check(const char *map, size_t size, const struct row *rows, size_t count)
{
	struct symbolizer *s = symbolizer__new();
	uint64_t *addresses = calloc(count, sizeof(*addresses));
	struct symbol *symbols = calloc(count, sizeof(*symbols));
	struct symbol_request r = {.source = SYMBOLS_PERF_MAP,
				   .fd = fixture__file(map, size),
				   .count = count,
				   .addresses = addresses};

	for (size_t i = 0; i < count; i++)
		addresses[i] = rows[i].address;
	assert_int_equal(symbolizer__resolve(s, &r, symbols), 0);
	for (size_t i = 0; i < count; i++) {
		if (!rows[i].name) {
			assert_null(symbols[i].name);
			continue;
		}
		assert_non_null(symbols[i].name);
		assert_string_equal(symbols[i].name, rows[i].name);
		assert_true(symbols[i].offset == rows[i].offset);
	}
	close(r.fd);
	free(addresses);
	free(symbols);
	symbolizer__free(s);
}
#define CHECK(map, rows) check(map, strlen(map), rows, sizeof(rows) / sizeof(*(rows)))

/* Each runtime's way of writing, unsorted. */
static void dialects(void **state)
{
	static const char map[] = "0x00007f2d90ec7600 0x0000000000000078 long Spin.mix(long)\n"
				  "7f6c900063c0 240 JS:*leafWork /path/spin.js:2:18\n"
				  "7f40c45f34f0 c0 $spin:leaf_work/2\n"
				  "563440200a30 77 TRACE-1$leafWork$2\n"
				  "7f5d277a2000 1c leaf_work\r\n"
				  "0X7F202040E7C7 B py::leaf_work:/path/a  b.py  \n";
	static const struct row rows[] = {
		{0x7f202040e7c7, "py::leaf_work:/path/a  b.py", 0},
		{0x7f202040e7d1, "py::leaf_work:/path/a  b.py", 10},
		{0x7f202040e7d2, NULL, 0},
		{0x7f2d90ec7600, "long Spin.mix(long)", 0},
		{0x7f2d90ec7677, "long Spin.mix(long)", 0x77},
		{0x7f2d90ec7678, NULL, 0},
		{0x7f2d90ec75ff, NULL, 0},
		{0x7f6c900063c0 + 0x23f, "JS:*leafWork /path/spin.js:2:18", 0x23f},
		{0x7f40c45f34f1, "$spin:leaf_work/2", 1},
		{0x563440200a31, "TRACE-1$leafWork$2", 1},
		{0x7f5d277a2000, "leaf_work", 0},
		{0x7f2d90ec7600, "long Spin.mix(long)", 0}, /* asked twice */
	};

	(void)state;
	CHECK(map, rows);
}

/* What looks mangled and turns out not to be, after much of it was written. */
static void mangled_for_a_while(void **state)
{
	static const char name[] = "_RYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYY";
	static const struct row rows[] = {{0x1000, name, 0}, {0x1010, "f", 0}};
	char map[256];

	(void)state;
	snprintf(map, sizeof(map), "1000 10 %s\n1010 10 _R\n1010 10 f\n", name);
	CHECK(map, rows);
}

/* Memory is used again: the later line is the newer code, whichever part of the older one it covers. */
static void later_lines_win(void **state)
{
	static const char map[] = "1000 100 old\n1040 20 new\n0ff0 20 before\n1080 1 old\n";
	static const struct row rows[] = {
		{0x1000, "before", 0x10}, {0x1010, "old", 0x10}, {0x103f, "old", 0x3f}, {0x1040, "new", 0},
		{0x105f, "new", 0x1f},	  {0x1060, "old", 0x60}, {0x1080, "old", 0},
	};

	(void)state;
	CHECK(map, rows);
}

static void broken_lines(void **state)
{
	static const char map[] = "\n"
				  "   \n"
				  "junk\n"
				  "1000\n"
				  "1000 10\n"
				  "1000 10 \n"
				  "1000 0 empty\n"
				  "-1000 10 minus\n"
				  "0x 10 nothing\n"
				  "fffffffffffffff0 20 around\n"
				  "11111111111111111 10 too_wide\n"
				  "2000 10 good\n"
				  "1000 10 unfinished";
	static const struct row rows[] = {
		{0x1000, NULL, 0},     {0x2000, "good", 0}, {0, NULL, 0}, {0xfffffffffffffff8, NULL, 0},
		{UINT64_MAX, NULL, 0},
	};
	static const struct row none[] = {{0x1000, NULL, 0}};

	(void)state;
	CHECK(map, rows);
	check("", 0, none, 1);
	check("\0\0\0\n1000 10\0good\n", 17, none, 1);
}

/* Lines at and over the size of every buffer on the way. */
static void long_names(void **state)
{
	static const struct {
		size_t length;
		int is_kept;
	} sizes[] = {{100, 1}, {4000, 1}, {8000, 1}, {8300, 0}, {65500, 0}, {70000, 0}, {300000, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct buf map = {0}, name = {0};
		struct row rows[2] = {{0x1000, NULL, 0}, {0x5000, "after", 0}};

		for (size_t j = 0; j < sizes[i].length; j++)
			buf__putc(&name, (char)('a' + j % 26));
		if (sizes[i].is_kept)
			rows[0].name = buf__text(&name);
		buf__printf(&map, "1000 10 %s\n5000 1 after\n", buf__text(&name));
		check(map.data, map.len, rows, 2);
		buf__free(&map);
		buf__free(&name);
	}
}

/* Many lines, so that they cross the reader's buffer at every place: each name stays with its own address. */
static void many_lines(void **state)
{
	enum { LINES = 20000 };
	struct row *rows = calloc(LINES, sizeof(*rows));
	struct buf map = {0}, names = {0};
	size_t *at = calloc(LINES, sizeof(*at));

	(void)state;
	for (size_t i = 0; i < LINES; i++) {
		size_t n = i * 7919 % LINES; /* a permutation: unsorted */

		at[n] = names.len;
		buf__printf(&names, "f%zu name%.*s", n, (int)(n % 40),
			    "........................................");
		buf__putc(&names, 0);
		buf__printf(&map, "%zx 10 %s\n", 0x10000 + n * 16, names.data + at[n]);
	}
	for (size_t i = 0; i < LINES; i++)
		rows[i] = (struct row){0x10000 + i * 16 + i % 16, names.data + at[i], i % 16};
	check(map.data, map.len, rows, LINES);
	buf__free(&map);
	buf__free(&names);
	free(rows);
	free(at);
}

/* Every line covers every address: the work is bounded, and says that it was. */
static void hostile_overlaps(void **state)
{
	enum { ADDRESSES = 4000, LINES = 60000 };
	struct symbolizer *s = symbolizer__new();
	uint64_t *addresses = calloc(ADDRESSES, sizeof(*addresses));
	struct symbol *symbols = calloc(ADDRESSES, sizeof(*symbols));
	struct symbol_request r = {.source = SYMBOLS_PERF_MAP, .count = ADDRESSES, .addresses = addresses};
	struct buf map = {0};

	(void)state;
	for (size_t i = 0; i < ADDRESSES; i++)
		addresses[i] = 0x1000 + i;
	for (size_t i = 0; i < LINES; i++)
		buf__puts(&map, "0 ffffff x\n");
	r.fd = fixture__file(map.data, map.len);
	assert_int_equal(symbolizer__resolve(s, &r, symbols), -EFBIG);
	assert_null(symbols[0].name);
	close(r.fd);
	buf__free(&map);
	free(addresses);
	free(symbols);
	symbolizer__free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialects),	    cmocka_unit_test(mangled_for_a_while),
		cmocka_unit_test(later_lines_win),  cmocka_unit_test(broken_lines),
		cmocka_unit_test(long_names),	    cmocka_unit_test(many_lines),
		cmocka_unit_test(hostile_overlaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
