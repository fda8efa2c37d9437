/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include <elf.h>
#include <errno.h>
#include <sys/stat.h>

static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = fixture__new();
	fixture__write(dir, "p.c",
		       "int counter;\n__attribute__((noinline)) int leaf(int n) { counter += n; return "
		       "counter * 3; }\n"
		       "int main(int c, char **v) { return leaf(c) + leaf(v[0][0]); }\n");
	return fixture__run(dir,
			    "set -e; gcc -O1 -g -o plain p.c; gcc -O1 -shared -fPIC -o library.so p.c; mkdir "
			    "linked; cp plain linked/full;"
			    "cd linked; objcopy --only-keep-debug full x.debug; cp full x; strip x;"
			    "objcopy --add-gnu-debuglink=x.debug x",
			    NULL);
}

static int teardown(void **state)
{
	(void)state;
	fixture__remove(dir);
	return 0;
}

/* Whatever is cut off: a name is the one of the whole file, or absent. */
static void truncated_copies(void **state)
{
	static const char *const files[] = {"plain", "library.so", "linked/x"};

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		int whole = fixture__open(dir, files[k]);
		struct symbolizer *s = symbolizer__new();
		struct asked expected, a;
		struct stat st;
		uint64_t at[64];
		char *bytes;

		assert_int_equal(fstat(whole, &st), 0);
		bytes = malloc((size_t)st.st_size);
		assert_int_equal(pread(whole, bytes, (size_t)st.st_size, 0), st.st_size);
		for (size_t i = 0; i < 64; i++)
			at[i] = 0x1000 + 9 * i;
		expected = ask(s, whole, NULL, NULL, at, 64);
		for (off_t size = 0; size < st.st_size; size += size < 1024 ? 7 : 97) {
			int fd = fixture__file(bytes, (size_t)size);

			a = ask(s, fd, NULL, NULL, at, 64);
			for (size_t i = 0; i < 64; i++) {
				if (!a.symbols[i].name)
					continue;
				assert_int_equal(a.err, 0);
				assert_non_null(expected.symbols[i].name);
				assert_string_equal(a.symbols[i].name, expected.symbols[i].name);
			}
			close(fd);
		}
		free(bytes);
		close(whole);
		symbolizer__free(s);
	}
}

/* Headers and tables with flipped bytes: no crash, no endless loop, no giant allocation. */
static void damaged_copies(void **state)
{
	int whole = fixture__open(dir, "linked/x");
	struct stat st;
	unsigned seed = 4711;
	char *bytes, *copy;
	uint64_t at[64];

	(void)state;
	assert_int_equal(fstat(whole, &st), 0);
	bytes = malloc((size_t)st.st_size);
	copy = malloc((size_t)st.st_size);
	assert_int_equal(pread(whole, bytes, (size_t)st.st_size, 0), st.st_size);
	for (size_t i = 0; i < 64; i++)
		at[i] = 0x1000 + 9 * i;
	for (int round = 0; round < 1500; round++) {
		struct symbolizer *s = symbolizer__new();
		struct symbol_coverage c;
		struct debug_places places = {.root = dir, .path = "/x"};
		struct symbol_request r = {.source = SYMBOLS_ELF,
					   .path = "/x",
					   .debug_file = debugfile__locate,
					   .context = &places};

		memcpy(copy, bytes, (size_t)st.st_size);
		for (int i = 0; i < 1 + round % 5; i++) {
			/* Mostly in the ELF header, the section headers and the symbol tables. */
			off_t where = rand_r(&seed) % 3 == 0 ? rand_r(&seed) % 64
				      : rand_r(&seed) % 2    ? st.st_size - 1 - rand_r(&seed) % 1800
							     : rand_r(&seed) % st.st_size;
			copy[where] = (char)rand_r(&seed);
		}
		r.fd = fixture__file(copy, (size_t)st.st_size);
		ask(s, r.fd, dir, "/linked/x", at, 64);
		symbolizer__coverage(s, &r, &c);
		assert_true(c.frame_pointer_percent <= 100);
		close(r.fd);
		symbolizer__free(s);
	}
	free(bytes);
	free(copy);
	close(whole);
}

/* Headers that promise more than any file holds cost an error, not memory. */
static void absurd_counts(void **state)
{
	struct symbolizer *s = symbolizer__new();
	const uint64_t at[] = {0x1000};
	int whole = fixture__open(dir, "plain"), fd;
	Elf64_Ehdr e;
	char bytes[4096];

	(void)state;
	assert_int_equal(pread(whole, bytes, sizeof(bytes), 0), sizeof(bytes));
	memcpy(&e, bytes, sizeof(e));
	e.e_shnum = 0xfffe;
	memcpy(bytes, &e, sizeof(e));
	fd = fixture__file(bytes, sizeof(bytes));
	assert_int_equal(ask(s, fd, NULL, NULL, at, 1).err, -E2BIG);
	close(fd);
	/* Extended numbering: the count of sections stands in the first section; the file seems endless. */
	e.e_shnum = 0;
	memcpy(bytes, &e, sizeof(e));
	fd = fixture__file(bytes, sizeof(bytes));
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	assert_int_equal(ask(s, fd, NULL, NULL, at, 1).err, -E2BIG);
	close(fd);
	close(whole);
	symbolizer__free(s);
}

/* A symbol table of terabytes, nearly all hole. */
static void endless_table(void **state)
{
	struct symbolizer *s = symbolizer__new();
	uint64_t at[64];
	struct asked sound, a;
	size_t named = 0;
	int whole = fixture__open(dir, "plain"), fd;
	struct stat st;
	Elf64_Ehdr e;
	Elf64_Shdr h;
	char *bytes;

	(void)state;
	assert_int_equal(fstat(whole, &st), 0);
	bytes = malloc((size_t)st.st_size);
	assert_int_equal(pread(whole, bytes, (size_t)st.st_size, 0), st.st_size);
	memcpy(&e, bytes, sizeof(e));
	for (unsigned i = 0; i < e.e_shnum; i++) {
		memcpy(&h, bytes + e.e_shoff + i * sizeof(h), sizeof(h));
		if (h.sh_type != SHT_SYMTAB && h.sh_type != SHT_STRTAB && h.sh_type != SHT_DYNSYM)
			continue;
		h.sh_offset = (uint64_t)st.st_size;
		h.sh_size = 1ULL << 39;
		memcpy(bytes + e.e_shoff + i * sizeof(h), &h, sizeof(h));
	}
	fd = fixture__file(bytes, (size_t)st.st_size);
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	for (size_t i = 0; i < 64; i++)
		at[i] = 0x1000 + 9 * i;
	sound = ask(s, whole, NULL, NULL, at, 64);
	a = ask(s, fd, NULL, NULL, at, 64);
	for (size_t i = 0; i < 64; i++) {
		named += sound.symbols[i].name != NULL;
		assert_null(a.symbols[i].name);
	}
	assert_true(named > 0);
	close(fd);
	close(whole);
	free(bytes);
	symbolizer__free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated_copies),
		cmocka_unit_test(damaged_copies),
		cmocka_unit_test(absurd_counts),
		cmocka_unit_test(endless_table),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
