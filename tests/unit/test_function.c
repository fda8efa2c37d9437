/* SPDX-License-Identifier: Apache-2.0 */
/* Functions by their names: where nm says that they are. */
#include "ask.h"

#include <errno.h>

#include "object/function.h"

static const char program[] =
	"__attribute__((noinline)) int exported(int n) { return n * 3; }\n"
	"static __attribute__((noinline)) int hidden(int n) { return exported(n) + exported(n + 1); }\n"
	"static __attribute__((noinline)) int twice(int n) { return n + hidden(n); }\n"
	"static int (*choose(void))(int) { return twice; }\n"
	"int chosen(int) __attribute__((ifunc(\"choose\")));\n"
	"int other(int), variable = 7;\n"
	"int main(int c, char **v) { return v[0][0] + hidden(c) + other(c) + chosen(c) + variable; }\n";
static const char other[] = "static __attribute__((noinline)) int twice(int n) { return n ^ 77; }\n"
			    "__attribute__((weak)) int exported(int n) { return n; }\n"
			    "int other(int n) { return twice(n); }\n";

static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = fixture__new();
	fixture__write(dir, "p.c", program);
	fixture__write(dir, "q.c", other);
	return fixture__run(
		dir,
		"set -e; gcc -O1 -rdynamic -o full p.c q.c; strip -o stripped full;"
		"nm --defined-only -f posix full | awk '$1 == \"hidden\" { print $1 }' > keep;"
		"objcopy -S --keep-symbols=keep full mini; xz -k mini;"
		"objcopy --add-section .gnu_debugdata=mini.xz stripped packed;"
		"cp full go; objcopy --add-section .go.buildinfo=keep go; head -c 3000 full > cut",
		NULL);
}

static int teardown(void **state)
{
	(void)state;
	fixture__remove(dir);
	return 0;
}

static int find(const char *file, const char *name, struct function_place *place)
{
	struct symbol_request r = {.source = SYMBOLS_ELF, .fd = fixture__open(dir, file)};
	int err = function__find(&r, name, place);

	close(r.fd);
	return err;
}

/* The code's segment lies at its offset, as ld has it for position-independent programs. */
static uint64_t address_of(const char *symbol)
{
	char command[256];
	struct buf out = {0};
	uint64_t address;

	snprintf(command, sizeof(command), "nm full | awk '$3 == \"%s\" { print $1 }'", symbol);
	assert_int_equal(fixture__run(dir, command, &out), 0);
	address = strtoull(buf__text(&out), NULL, 16);
	buf__free(&out);
	assert_true(address != 0);
	return address;
}

static void test_found(void **state)
{
	static const char *const where[][2] = {{"full", "exported"},
					       {"full", "hidden"},
					       {"full", "main"},
					       {"stripped", "exported"},
					       {"packed", "hidden"}};
	struct function_place place;

	(void)state;
	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		assert_int_equal(find(where[i][0], where[i][1], &place), 0);
		assert_int_equal(place.offset, address_of(where[i][1]));
		assert_true(place.bytes > 0 && !place.is_go && !place.is_resolver);
	}
}

static void test_refused(void **state)
{
	struct function_place place;

	(void)state;
	assert_int_equal(find("full", "twice", &place), -ENOTUNIQ);
	assert_int_equal(find("full", "export", &place), -ENOENT);
	assert_int_equal(find("full", "exported2", &place), -ENOENT);
	assert_int_equal(find("full", "variable", &place), -ENOENT);
	assert_int_equal(find("full", "", &place), -ENOENT);
	assert_int_equal(find("stripped", "hidden", &place), -ENOENT);
	assert_int_equal(find("p.c", "main", &place), -ENOEXEC);
	assert_true(find("cut", "main", &place) < 0);
	assert_int_equal(find("full", "chosen", &place), 0);
	assert_true(place.is_resolver);
	assert_int_equal(find("go", "main", &place), 0);
	assert_true(place.is_go);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
