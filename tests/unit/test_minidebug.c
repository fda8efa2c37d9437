/* SPDX-License-Identifier: Apache-2.0 */
/* .gnu_debugdata, made as Fedora makes it: a stripped file in which a static function has its name. */
#include "ask.h"

#include <errno.h>

#include "object/minidebug.h"

static const char program[] =
	"#include <stdio.h>\n"
	"int counter;\n"
	"__attribute__((noinline)) int exported(int n) { counter += n; return counter * 3; }\n"
	"static __attribute__((noinline)) int hidden(int n) { return exported(n) + exported(n + 1); }\n"
	"int main(int c, char **v) { printf(\"%d\\n\", hidden(c)); return v[0][0] == 1; }\n";

static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = fixture__new();
	fixture__write(dir, "p.c", program);
	return fixture__run(
		dir,
		"set -e; gcc -O1 -g -rdynamic -Wl,--build-id=none -o full p.c;"
		"nm -D --defined-only -f posix full | cut -d' ' -f1 | sort > dynamic;"
		"nm --defined-only -f posix full | awk '$2 ~ /^[Tt]$/ { print $1 }' | sort > code;"
		"comm -13 dynamic code > keep; objcopy --only-keep-debug full full.debug;"
		"objcopy -S --keep-symbols=keep full.debug mini; xz -k mini; strip -o bare full;"
		"objcopy --add-section .gnu_debugdata=mini.xz bare stripped;"
		"head -c 300 mini.xz > short; objcopy --add-section .gnu_debugdata=short bare cut;"
		"head -c 200000000 /dev/zero | xz -0 > bomb.xz;"
		"objcopy --add-section .gnu_debugdata=bomb.xz bare bomb;"
		"objcopy --add-section .gnu_debugdata=mini bare raw;"
		"printf 'no ELF file' | xz > words.xz; objcopy --add-section .gnu_debugdata=words.xz bare "
		"words;"
		"xz -kc --lzma2=preset=0,dict=96MiB mini > greedy.xz;"
		"objcopy --add-section .gnu_debugdata=greedy.xz bare greedy",
		NULL);
}

static int teardown(void **state)
{
	(void)state;
	fixture__remove(dir);
	return 0;
}

/* The file offset of a function's second byte: the first segment of code begins at the same one. */
static uint64_t offset_of(const char *symbol)
{
	char command[256];
	struct buf out = {0};
	uint64_t address;

	snprintf(command, sizeof(command), "nm full | awk '$3 == \"%s\" { print $1 }'", symbol);
	assert_int_equal(fixture__run(dir, command, &out), 0);
	address = strtoull(buf__text(&out), NULL, 16);
	buf__free(&out);
	assert_true(address != 0);
	return address + 1;
}

static struct asked ask_both(const char *file)
{
	struct symbolizer *s = symbolizer__new();
	const uint64_t at[] = {offset_of("hidden"), offset_of("exported")};
	static char names[2][32]; /* the symbolizer's die with it */
	int fd = fixture__open(dir, file);
	struct asked a = ask(s, fd, NULL, NULL, at, 2);

	for (int i = 0; i < 2; i++) {
		if (!a.symbols[i].name)
			continue;
		snprintf(names[i], sizeof(names[i]), "%s", a.symbols[i].name);
		a.symbols[i].name = names[i];
	}
	close(fd);
	symbolizer__free(s);
	return a;
}

static void static_function_has_its_name(void **state)
{
	struct asked a = ask_both("stripped");

	(void)state;
	assert_int_equal(a.err, 0);
	assert_string_equal(a.symbols[0].name, "hidden");
	assert_int_equal(a.symbols[0].offset, 1);
	assert_string_equal(a.symbols[1].name, "exported");
	assert_null(ask_both("bare").symbols[0].name);
}

/* What cannot be unpacked costs its own names only. */
static void broken_data_costs_its_names(void **state)
{
	static const struct {
		const char *file;
		int err;
	} rows[] = {{"bare", -ENOENT}, {"cut", -EBADMSG},   {"bomb", -EFBIG},
		    {"raw", -EBADMSG}, {"words", -ENOEXEC}, {"greedy", -EFBIG}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct minidebug m;
		struct elf_file f;
		struct asked a = ask_both(rows[i].file);
		int fd = fixture__open(dir, rows[i].file);

		assert_int_equal(a.err, 0);
		assert_null(a.symbols[0].name);
		assert_string_equal(a.symbols[1].name, "exported");
		assert_int_equal(elf__open(&f, fd), 0);
		assert_int_equal(minidebug__open(&m, &f), rows[i].err);
		minidebug__close(&m);
		elf__close(&f);
		close(fd);
	}
}

/* Each byte of the packed section changed in turn: a name or none, and the others as ever. */
static void no_byte_breaks_it(void **state)
{
	struct buf bytes = {0};
	struct minidebug m;
	size_t opened = 0;

	(void)state;
	assert_int_equal(fixture__run(dir, "cat mini.xz", &bytes), 0);
	for (size_t i = 0; i < bytes.len; i += 3) {
		struct elf_file f = {.fd = -1, .memory = bytes.data, .size_bytes = bytes.len};
		const struct elf_section packed = {.size = bytes.len};

		bytes.data[i] ^= (char)(1 << i % 8);
		opened += !minidebug__unpack(&m, &f, &packed);
		minidebug__close(&m);
		bytes.data[i] ^= (char)(1 << i % 8);
	}
	assert_int_equal(opened, 0); /* xz keeps checksums */
	buf__free(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(static_function_has_its_name),
		cmocka_unit_test(broken_data_costs_its_names),
		cmocka_unit_test(no_byte_breaks_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
