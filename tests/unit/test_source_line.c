/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and inlined functions, in every form in which compilers and distributions store them. */
#include "ask.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "object/debugfile.h"
#include "object/elf.h"

/* Where each label stands is known: the line is in its name, who inlines whom is in the text. */
static const char program[] =
	"#define INLINE static inline __attribute__((always_inline))\n"			    /* 1 */
	"#define LABEL(name) __asm__ volatile(\".globl \" #name \"\\n\" #name \": nop\")\n" /* 2 */
	"volatile int sum;\n"								    /* 3 */
	"INLINE int inner(int n)\n"							    /* 4 */
	"{\n"										    /* 5 */
	"	LABEL(label_6);\n"							    /* 6 */
	"	return n * sum;\n"							    /* 7 */
	"}\n"										    /* 8 */
	"INLINE int outer(int n)\n"							    /* 9 */
	"{\n"										    /* 10 */
	"	int r = inner(n + 1);\n"						    /* 11 */
	"	LABEL(label_12);\n"							    /* 12 */
	"	return r + sum;\n"							    /* 13 */
	"}\n"										    /* 14 */
	"__attribute__((noinline)) int holder(int n)\n"					    /* 15 */
	"{\n"										    /* 16 */
	"	int r = outer(n);\n"							    /* 17 */
	"	LABEL(label_18);\n"							    /* 18 */
	"	return r * 3;\n"							    /* 19 */
	"}\n"										    /* 20 */
	"int main(int c, char **v)\n"							    /* 21 */
	"{\n"										    /* 22 */
	"	sum = holder(c) + (v != 0);\n"						    /* 23 */
	"	return 0;\n"								    /* 24 */
	"}\n";										    /* 25 */

static const char cxx[] =
	"volatile int sum;\n"
	"template <typename T> struct box { T v; [[gnu::always_inline]] inline T get(int n) const {\n"
	"	__asm__ volatile(\".globl label_3\\nlabel_3: nop\");\n"
	"	return v * n * sum; } };\n"
	"namespace far { [[gnu::noinline]] int holder(int n) {\n"
	"	box<int> b{n};\n"
	"	auto f = [&](int k) __attribute__((always_inline)) { return b.get(k); };\n"
	"	return f(3) + sum; } }\n"
	"int main(int c, char **) { return far::holder(c) == 7; }\n";

/* Compiled twice, so that dwz has something to share. */
static const char shared[] =
	"struct big { int a, b, c, d; char name[33]; struct big *next; double x; long y; volatile int z; };\n"
	"static inline __attribute__((always_inline)) int function_in_a_shared_unit(struct big *b)\n"
	"{\n"
	"	__asm__ volatile(\".globl label_4\\nlabel_4: nop\");\n"
	"	return b->a * b->z;\n"
	"}\n"
	"__attribute__((noinline)) int HOLDER(int n)\n"
	"{\n"
	"	struct big b = {n};\n"
	"	return function_in_a_shared_unit(&b);\n"
	"}\n"
	"int main(int c, char **v) { return HOLDER(c) + (v != 0); }\n";

static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = fixture__new();
	fixture__write(dir, "p.c", program);
	fixture__write(dir, "cc.cc", cxx);
	fixture__write(dir, "s.c", shared);
	return fixture__run(
		dir,
		"set -e; for v in 2 3 4 5; do gcc -O2 -gdwarf-$v -o dwarf$v p.c; done;"
		"gcc -O2 -g -gz -o compressed p.c; gcc -O2 -g -flto -o lto p.c;"
		"clang -O2 -g -o clang p.c; gcc -O2 -g -ffunction-sections -o sections p.c;"
		"gcc -O2 -g -no-pie -o fixed p.c; gcc -O2 -o nolines p.c; g++ -O2 -g -o cc cc.cc;"
		"gcc -O2 -g -Wl,--build-id=none -o full p.c; objcopy --only-keep-debug full full.debug;"
		"strip -o linked full; objcopy --add-gnu-debuglink=full.debug linked;"
		"strip -g -o named full; objcopy --add-gnu-debuglink=full.debug named;"
		"gcc -O2 -g -DHOLDER=holder -o shared1 s.c; gcc -O2 -g -DHOLDER=other -o shared2 s.c;"
		"mkdir -p usr/lib/debug/.dwz/x; "
		"dwz -m common.debug -M /usr/lib/debug/.dwz/x/common.debug shared1 shared2;"
		"mv common.debug usr/lib/debug/.dwz/x/",
		NULL);
}

static int teardown(void **state)
{
	(void)state;
	fixture__remove(dir);
	return 0;
}

/* File offset of a label: of a PIE its address but for the file's one page of headers, as readelf tells. */
static uint64_t offset_of(const char *file, const char *symbol)
{
	struct buf out = {0};
	char command[512];
	uint64_t offset;

	snprintf(command, sizeof(command),
		 "a=$(nm %s | awk '$3 == \"%s\" { print $1 }');"
		 "readelf -lW %s | awk '/LOAD.* E /{ print $2, $3 }' | { read o v; echo $((0x$a - v + o)); }",
		 file, symbol, file);
	assert_int_equal(fixture__run(dir, command, &out), 0);
	offset = strtoull(buf__text(&out), NULL, 10);
	buf__free(&out);
	assert_true(offset != 0);
	return offset;
}

static struct asked ask_lines(struct symbolizer *s, const char *file, const uint64_t *at, size_t count)
{
	struct debug_places places = {.root = dir, .path = "/p"};
	struct symbol_request r = {
		.fd = fixture__open(dir, file),
		.path = "/p",
		.count = count,
		.addresses = at,
		.lines = true,
		.debug_file = debugfile__locate,
		.context = &places,
	};
	struct asked a;

	assert_true(r.fd >= 0);
	a.err = symbolizer__resolve(s, &r, a.symbols);
	close(r.fd);
	return a;
}

static void expect_file(const char *path, const char *base)
{
	assert_non_null(path);
	assert_string_equal(strrchr(path, '/') ? strrchr(path, '/') + 1 : path, base);
}

static void check(const char *file, const char *truth)
{
	const uint64_t at[] = {offset_of(truth, "label_18"), offset_of(truth, "label_6"),
			       offset_of(truth, "label_12"), 1 << 30};
	struct symbolizer *s = symbolizer__new();
	struct asked a = ask_lines(s, file, at, 4);

	assert_int_equal(a.err, 0);
	for (int i = 0; i < 3; i++) {
		assert_string_equal(a.symbols[i].name, "holder");
		expect_file(a.symbols[i].file, "p.c");
	}
	assert_int_equal(a.symbols[0].line, 18);
	assert_int_equal(a.symbols[0].inlined_count, 0);
	assert_int_equal(a.symbols[1].line, 6);
	assert_int_equal(a.symbols[1].inlined_count, 2);
	assert_string_equal(a.symbols[1].inlined[0].name, "inner");
	assert_int_equal(a.symbols[1].inlined[0].call_line, 11);
	expect_file(a.symbols[1].inlined[0].call_file, "p.c");
	assert_string_equal(a.symbols[1].inlined[1].name, "outer");
	assert_int_equal(a.symbols[1].inlined[1].call_line, 17);
	assert_int_equal(a.symbols[2].line, 12);
	assert_int_equal(a.symbols[2].inlined_count, 1);
	assert_string_equal(a.symbols[2].inlined[0].name, "outer");
	assert_null(a.symbols[3].file);
	symbolizer__free(s);
}

static void every_form_of_dwarf(void **state)
{
	static const char *const files[] = {"dwarf2", "dwarf3", "dwarf4",   "dwarf5", "compressed",
					    "lto",    "clang",	"sections", "fixed"};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		check(files[i], files[i]);
}

static void in_the_debug_file(void **state)
{
	(void)state;
	check("linked", "full");
	check("named", "full");
}

static void without_dwarf_names_stay(void **state)
{
	const uint64_t at[] = {offset_of("nolines", "label_6")};
	struct symbolizer *s = symbolizer__new();
	struct asked a = ask_lines(s, "nolines", at, 1);

	(void)state;
	assert_int_equal(a.err, 0);
	assert_string_equal(a.symbols[0].name, "holder");
	assert_null(a.symbols[0].file);
	assert_int_equal(a.symbols[0].inlined_count, 0);
	symbolizer__free(s);
}

static void readable_names(void **state)
{
	const uint64_t at[] = {offset_of("cc", "label_3")};
	struct symbolizer *s = symbolizer__new();
	struct asked a = ask_lines(s, "cc", at, 1);

	(void)state;
	assert_string_equal(a.symbols[0].name, "far::holder");
	assert_int_equal(a.symbols[0].line, 3);
	assert_int_equal(a.symbols[0].inlined_count, 2);
	assert_string_equal(a.symbols[0].inlined[0].name, "box<int>::get");
	assert_int_equal(a.symbols[0].inlined[0].call_line, 7);
	assert_string_equal(a.symbols[0].inlined[1].name, "operator()");
	assert_int_equal(a.symbols[0].inlined[1].call_line, 8);
	symbolizer__free(s);
}

static void in_a_supplement(void **state)
{
	const uint64_t at[] = {offset_of("shared1", "label_4")};
	struct symbolizer *s = symbolizer__new();
	struct asked a = ask_lines(s, "shared1", at, 1);

	(void)state;
	assert_string_equal(a.symbols[0].name, "holder");
	assert_int_equal(a.symbols[0].line, 4);
	assert_int_equal(a.symbols[0].inlined_count, 1);
	assert_string_equal(a.symbols[0].inlined[0].name, "function_in_a_shared_unit");
	assert_int_equal(a.symbols[0].inlined[0].call_line, 10);
	symbolizer__free(s);
}

#ifndef SYS_readlink /* newer architectures, arm64 among them */
#define SYS_readlink SYS_readlinkat
#endif

/* The process in which this runs opens nothing: libdw must not try to find the supplement itself. */
static int ask_without_open(int fd, uint64_t at)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_readlink, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program_of_filter = {sizeof(filter) / sizeof(*filter), filter};
	struct symbol_request r = {.fd = fd, .count = 1, .addresses = &at, .lines = true};
	struct symbolizer *s = symbolizer__new();
	struct symbol symbol;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program_of_filter))
		return 2;
	return symbolizer__resolve(s, &r, &symbol) || !symbol.name || strcmp(symbol.name, "holder") ||
	       symbol.line != 4 || symbol.inlined_count != 1;
}

static void opens_nothing(void **state)
{
	const uint64_t at = offset_of("shared1", "label_4");
	int fd = fixture__open(dir, "shared1"), status;
	pid_t child = fork();

	(void)state;
	if (!child)
		_exit(ask_without_open(fd, at));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fd);
}

/* Whatever stands in the sections: an answer, and the names of the symbol table as ever. */
static void damaged_copies(void **state)
{
	const uint64_t at[] = {offset_of("dwarf5", "label_6"), offset_of("dwarf5", "label_18")};
	struct buf bytes = {0};
	uint64_t random = 88172645463325252u;

	(void)state;
	assert_int_equal(fixture__run(dir, "cat dwarf5", &bytes), 0);
	for (int round = 0; round < 3000; round++) {
		struct symbolizer *s = symbolizer__new();
		struct symbol_request r = {.count = 2, .addresses = at, .lines = true};
		struct symbol symbols[2];
		struct elf_file f;
		struct elf_section section;
		const char *const names[] = {".debug_info", ".debug_line", ".debug_abbrev",
					     ".debug_rnglists"};

		r.fd = fixture__file(bytes.data, bytes.len);
		assert_int_equal(elf__open(&f, r.fd), 0);
		if (elf__section_by_name(&f, names[round % 4], &section))
			for (int i = 0; i < 1 + round % 3; i++) {
				char byte;

				random ^= random << 13;
				random ^= random >> 7;
				random ^= random << 17;
				byte = (char)(random >> 56);
				assert_int_equal(pwrite(r.fd, &byte, 1,
							(off_t)(section.offset + random % section.size)),
						 1);
			}
		elf__close(&f);
		assert_int_equal(symbolizer__resolve(s, &r, symbols), 0);
		assert_string_equal(symbols[0].name, "holder");
		assert_string_equal(symbols[1].name, "holder");
		close(r.fd);
		symbolizer__free(s);
	}
	buf__free(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_of_dwarf),	    cmocka_unit_test(in_the_debug_file),
		cmocka_unit_test(without_dwarf_names_stay), cmocka_unit_test(readable_names),
		cmocka_unit_test(in_a_supplement),	    cmocka_unit_test(opens_nothing),
		cmocka_unit_test(damaged_copies),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
