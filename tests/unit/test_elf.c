/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "object/vdso.h"

struct truth {
	uint64_t value, size;
	char name[256]; /* without a version */
};
struct truths {
	struct truth *at;
	size_t count;
};

static int by_value(const void *a, const void *b)
{
	const struct truth *x = a, *y = b;

	return x->value < y->value ? -1 : x->value > y->value;
}

/* Functions and unmarked code of `table` (".symtab" or ".dynsym"), ascending. */
static struct truths read_truth(const char *path, const char *table)
{
	struct truths t = {0};
	struct buf out = {0};
	char command[512], type[32], bind[32], section[32], name[256];
	unsigned long long value;
	char size[32];
	bool inside = false;

	snprintf(command, sizeof(command), "readelf -sW '%s'", path);
	assert_int_equal(fixture__run("/", command, &out), 0);
	for (char *line = out.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		if (!strncmp(line, "Symbol table", 12))
			inside = strstr(line, table) != NULL;
		if (!inside || sscanf(line, " %*u: %llx %31s %31s %31s %*s %31s %255s", &value, size, type,
				      bind, section, name) != 6)
			continue;
		if ((strcmp(type, "FUNC") && strcmp(type, "IFUNC") && strcmp(type, "NOTYPE")) ||
		    !strcmp(section, "UND") || !strcmp(section, "ABS"))
			continue;
		if (strchr(name + 1, '@'))
			*strchr(name + 1, '@') = 0;
		t.at = reallocarray(t.at, t.count + 1, sizeof(*t.at));
		t.at[t.count] = (struct truth){.value = value, .size = strtoull(size, NULL, 0)};
		memcpy(t.at[t.count++].name, name, sizeof(name));
	}
	buf__free(&out);
	if (t.count)
		qsort(t.at, t.count, sizeof(*t.at), by_value);
	return t;
}

/* Is `name` (NULL: none) what the table allows for the address? Mangled names are compared as such only. */
static bool is_right(const struct truths *t, uint64_t address, const char *name)
{
	bool covered = false;

	for (size_t i = 0; i < t->count && t->at[i].value <= address; i++) {
		if (address - t->at[i].value >= (t->at[i].size ? t->at[i].size : 1))
			continue;
		covered = true;
		if (name && (!strcmp(name, t->at[i].name) || !strncmp(t->at[i].name, "_Z", 2)))
			return true;
	}
	return !name && !covered;
}

/* File offset of a virtual address, by the program headers; UINT64_MAX: not in the file. */
static uint64_t to_offset(int fd, uint64_t address)
{
	Elf64_Ehdr e;
	Elf64_Phdr p;

	assert_int_equal(pread(fd, &e, sizeof(e), 0), sizeof(e));
	for (int i = 0; i < e.e_phnum; i++) {
		assert_int_equal(pread(fd, &p, sizeof(p), (off_t)(e.e_phoff + (unsigned)i * sizeof(p))),
				 sizeof(p));
		if (p.p_type == PT_LOAD && p.p_flags & PF_X && address >= p.p_vaddr &&
		    address < p.p_vaddr + p.p_filesz)
			return address - p.p_vaddr + p.p_offset;
	}
	return UINT64_MAX;
}

static uint64_t offset_of(const char *dir, const char *file, const char *symbol, uint64_t plus)
{
	char path[512];
	struct truths t;
	uint64_t offset = UINT64_MAX;
	int fd = fixture__open(dir, file);

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	t = read_truth(path, ".symtab");
	for (size_t i = 0; i < t.count; i++)
		if (!strcmp(t.at[i].name, symbol))
			offset = to_offset(fd, t.at[i].value + plus);
	free(t.at);
	close(fd);
	assert_true(offset != UINT64_MAX);
	return offset;
}

static const char program[] =
	"#include <stdio.h>\n"
	"int counter;\n"
	"__attribute__((noinline)) int leaf(int n) { counter += n; return counter * 3; }\n"
	"static __attribute__((noinline)) int middle(int n) { return leaf(n) + leaf(n + 1); }\n"
	"int main(int c, char **v) { printf(\"%d\\n\", middle(c)); return v[0][0] == 1; }\n";

/* By hand: `short_one` says that it is one byte long, `unsized` says nothing, `whole` covers itself. */
static const char gaps[] =
	".text\n.globl short_one\n.type short_one,@function\nshort_one: ret\n"
	"nop\nnop\nnop\nnop\nnop\nnop\nnop\n.size short_one,1\n"
	".globl unsized\nunsized: nop\nnop\nnop\nnop\nret\n"
	".type whole,@function\n.globl whole\n.globl __whole\n.weak weak_whole\n"
	".type __whole,@function\n.type weak_whole,@function\n.type local_whole,@function\n"
	"local_whole:\nweak_whole:\n__whole:\nwhole: nop\nnop\nret\n"
	".size whole,.-whole\n.size __whole,.-__whole\n.size weak_whole,.-weak_whole\n"
	".size local_whole,.-local_whole\n"
	".data\n.globl data\n.type data,@object\n.size data,64\ndata: .zero 64\n"
	".section .note.GNU-stack,\"\",@progbits\n";

/* Enough functions for the compiler's habits to outweigh the C library's few start files. */
static const char many[] = "int g(int);\n#define F(n) int f##n(int a) { return g(a + n) * g(a) + g(n); }\n"
			   "#define T(n) F(n##0) F(n##1) F(n##2) F(n##3) F(n##4) F(n##5) F(n##6) F(n##7)\n"
			   "T(1) T(2) T(3) T(4)\n__attribute__((noinline)) int g(int a) { return a / 3; }\n"
			   "int main(int c, char **v) { return f10(c) + (v != 0); }\n";

static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = fixture__new();
	fixture__write(dir, "p.c", program);
	fixture__write(dir, "g.s", gaps);
	fixture__write(dir, "many.c", many);
	fixture__write(dir, "cc.cc",
		       "namespace ns { struct C { int m(int) __attribute__((noinline)); }; int C::m(int a) { "
		       "return a * 7; } }\n"
		       "int main(int c, char **) { ns::C o; return o.m(c); }\n");
	return fixture__run(
		dir,
		"set -e; gcc -O1 -g -o plain p.c; gcc -O1 -shared -nostdlib -fPIC -o gaps.so g.s;"
		"gcc -O1 -g -no-pie -Wl,-Ttext-segment=0x10000000 -o fixed p.c; g++ -O1 -o cc cc.cc;"
		"gcc -O2 -fno-omit-frame-pointer -o with_fp many.c;"
		"gcc -O2 -fomit-frame-pointer -o without_fp many.c;"
		"for d in linked dotted system crooked byid; do mkdir -p $d;"
		" gcc -O1 -g -Wl,--build-id=$([ $d = byid ] && echo sha1 || echo none) -o $d/full p.c;"
		" (cd $d; objcopy --only-keep-debug full x.debug; cp full x; strip x;"
		"  [ $d = byid ] || objcopy --add-gnu-debuglink=x.debug x); done;"
		"mkdir dotted/.debug; mv dotted/x.debug dotted/.debug/;"
		"mkdir -p system/root/usr/lib/debug/opt/app system/root/opt/app; mv system/x.debug "
		"system/root/usr/lib/debug/opt/app/;"
		"printf x >> crooked/x.debug;"
		"id=$(readelf -n byid/x | sed -n 's/.*Build ID: //p'); "
		"b=byid/root/usr/lib/debug/.build-id/$(echo $id | cut -c1-2);"
		"mkdir -p $b; mv byid/x.debug $b/$(echo $id | cut -c3-).debug",
		NULL);
}

static int teardown(void **state)
{
	(void)state;
	fixture__remove(dir);
	return 0;
}

static void names_and_offsets(void **state)
{
	struct symbolizer *s = symbolizer__new();
	const uint64_t at[] = {offset_of(dir, "plain", "middle", 3), offset_of(dir, "plain", "leaf", 0),
			       offset_of(dir, "plain", "_start", 8), 1 << 30};
	int fd = fixture__open(dir, "plain");
	struct asked a = ask(s, fd, NULL, NULL, at, 4);

	(void)state;
	assert_int_equal(a.err, 0);
	assert_string_equal(a.symbols[0].name, "middle");
	assert_int_equal(a.symbols[0].offset, 3);
	assert_string_equal(a.symbols[1].name, "leaf");
	assert_int_equal(a.symbols[1].offset, 0);
	assert_int_equal(a.symbols[1].start, SYMBOL_NO_START);
	assert_string_equal(a.symbols[2].name, "_start");
	assert_int_equal(a.symbols[2].start, SYMBOL_START);
	assert_null(a.symbols[3].name);
	close(fd);
	symbolizer__free(s);
}

static void offsets_are_not_addresses(void **state)
{
	struct symbolizer *s = symbolizer__new();
	const uint64_t at[] = {offset_of(dir, "fixed", "leaf", 1)};
	int fd = fixture__open(dir, "fixed");
	struct asked a = ask(s, fd, NULL, NULL, at, 1);

	(void)state;
	assert_string_equal(a.symbols[0].name, "leaf");
	assert_true(a.symbols[0].address > 0x10000000 && a.symbols[0].address - 0x10000000 == at[0]);
	close(fd);
	symbolizer__free(s);
}

static void sizes_decide(void **state)
{
	struct symbolizer *s = symbolizer__new();
	const uint64_t one = offset_of(dir, "gaps.so", "short_one", 0),
		       un = offset_of(dir, "gaps.so", "unsized", 0),
		       whole = offset_of(dir, "gaps.so", "whole", 0);
	const uint64_t at[] = {one, one + 1, one + 7, un, un + 1, whole - 1, whole, whole + 2, whole + 3};
	static const char *const expected[] = {"short_one", NULL,    NULL,    "unsized", NULL,
					       NULL,	    "whole", "whole", NULL};
	int fd = fixture__open(dir, "gaps.so");
	struct asked a = ask(s, fd, NULL, NULL, at, 9);

	(void)state;
	assert_int_equal(a.err, 0);
	for (size_t i = 0; i < 9; i++) {
		if (expected[i])
			assert_string_equal(a.symbols[i].name, expected[i]);
		else
			assert_null(a.symbols[i].name);
	}
	close(fd);
	symbolizer__free(s);
}

static void cxx_names(void **state)
{
	struct symbolizer *s = symbolizer__new();
	const uint64_t at[] = {offset_of(dir, "cc", "_ZN2ns1C1mEi", 1)};
	int fd = fixture__open(dir, "cc");
	struct asked a = ask(s, fd, NULL, NULL, at, 1);

	(void)state;
	assert_string_equal(a.symbols[0].name, "ns::C::m");
	close(fd);
	symbolizer__free(s);
}

/* A stripped program: its debug file is found in four places, and refused if it is not the right one. */
static void debug_files(void **state)
{
	static const struct {
		const char *place, *root, *path;
		bool found;
	} rows[] = {
		{"linked", "", "/x", true},
		{"dotted", "", "/x", true},
		{"system", "/root", "/opt/app/x", true},
		{"byid", "/root", "/anywhere/x", true},
		{"crooked", "", "/x", false},
		{"linked", "", "/elsewhere/x", false},
		{"linked", NULL, "/x", false},
	};
	char place[256], root[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct symbolizer *s = symbolizer__new();
		uint64_t at[2];
		struct asked a;
		int fd;

		snprintf(place, sizeof(place), "%s/%s", dir, rows[i].place);
		snprintf(root, sizeof(root), "%s%s", place, rows[i].root ? rows[i].root : "");
		at[0] = offset_of(place, "full", "middle", 2);
		at[1] = offset_of(place, "full", "_start", 8);
		fd = fixture__open(place, "x");
		a = ask(s, fd, rows[i].root ? root : NULL, rows[i].path, at, 2);
		assert_int_equal(a.err, 0);
		if (rows[i].found)
			assert_string_equal(a.symbols[0].name, "middle");
		else
			assert_null(a.symbols[0].name);
		/* With or without names, the start of the program is known: by the ELF header. */
		assert_int_equal(a.symbols[0].start, SYMBOL_NO_START);
		assert_int_equal(a.symbols[1].start, SYMBOL_START);
		close(fd);
		symbolizer__free(s);
	}
}

/* Samples of a file's whole text against readelf: every name that is given is right, none is missing. */
static void check_against_readelf(const char *path, const char *table, size_t samples)
{
	struct symbolizer *s = symbolizer__new();
	struct truths t = read_truth(path, table);
	int fd = open(path, O_RDONLY);
	uint64_t at[64], vaddr[64];
	size_t n = 0, step;

	assert_true(fd >= 0 && t.count > 0);
	step = t.count * 3 / samples + 1;
	for (size_t i = 0; i < t.count * 3; i += step) {
		const struct truth *truth = &t.at[i / 3];
		/* The start, the last byte, and the byte behind it. */
		uint64_t a = truth->value + (i % 3 == 0 ? 0 : truth->size - (i % 3 == 1 && truth->size));

		if (to_offset(fd, a) == UINT64_MAX)
			continue;
		vaddr[n] = a;
		at[n++] = to_offset(fd, a);
		if (n == 64) {
			struct asked answer = ask(s, fd, NULL, path, at, n);

			assert_int_equal(answer.err, 0);
			for (size_t j = 0; j < n; j++) {
				assert_true(answer.symbols[j].address == vaddr[j]);
				if (!is_right(&t, vaddr[j], answer.symbols[j].name))
					fail_msg("%s: %llx is not %s", path, (unsigned long long)vaddr[j],
						 answer.symbols[j].name ? answer.symbols[j].name : "nothing");
			}
			n = 0;
		}
	}
	free(t.at);
	close(fd);
	symbolizer__free(s);
}

static void whole_system_files(void **state)
{
	Dl_info libc, libelf;
	char self[512] = "";

	(void)state;
	assert_true(dladdr((void *)(uintptr_t)getpid, &libc) &&
		    dladdr((void *)(uintptr_t)dlsym(RTLD_DEFAULT, "elf_begin"), &libelf));
	check_against_readelf(libc.dli_fname, ".dynsym", 4000);
	check_against_readelf(libelf.dli_fname, ".dynsym", 1000);
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	check_against_readelf(self, ".symtab", 2000);
	if (!access("/usr/bin/perl", R_OK))
		check_against_readelf("/usr/bin/perl", ".dynsym", 2000);
}

static void failure_is_remembered(void **state)
{
	struct symbolizer *s = symbolizer__new();
	const uint64_t at[] = {5, 4};
	int fd = fixture__open(dir, "p.c");
	struct asked a = ask(s, fd, NULL, NULL, at, 2);

	(void)state;
	assert_int_equal(a.err, -ENOEXEC);
	assert_null(a.symbols[0].name);
	assert_true(a.symbols[0].address == 5 && a.symbols[1].address == 4);
	assert_int_equal(ask(s, fd, NULL, NULL, at, 2).err, -ENOEXEC);
	close(fd);
	/* The same inode with sound content is another file. */
	assert_int_equal(fixture__run(dir, "cat plain > p.c", NULL), 0);
	fd = fixture__open(dir, "p.c");
	assert_int_equal(ask(s, fd, NULL, NULL, at, 2).err, 0);
	close(fd);
	fixture__write(dir, "p.c", program);
	symbolizer__free(s);
}

static void *capture_in_thread(void *arg)
{
	void **frames = arg;

	frames[63] = (void *)(uintptr_t)backtrace(frames, 60);
	return NULL;
}

/* glibc's own callers of threads have no name in a stripped libc, but known neighbours. */
static void start_of_a_thread(void **state)
{
	struct symbolizer *s = symbolizer__new();
	void *frames[64] = {0};
	size_t starts = 0, marked = 0;
	pthread_t thread;
	Dl_info libc;
	uint64_t at;
	int fd;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, capture_in_thread, frames), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(dladdr((void *)(uintptr_t)getpid, &libc));
	fd = open(libc.dli_fname, O_RDONLY);
	for (size_t i = 0; i < (size_t)(uintptr_t)frames[63]; i++) {
		Dl_info info;

		if (!dladdr(frames[i], &info) || info.dli_fbase != libc.dli_fbase)
			continue;
		at = to_offset(fd, (uint64_t)((char *)frames[i] - (char *)libc.dli_fbase) - 1);
		starts += ask(s, fd, NULL, libc.dli_fname, &at, 1).symbols[0].start == SYMBOL_START;
	}
	assert_int_equal(starts, 1);
	/* Little else of libc looks like one: the starts themselves are about 1500 bytes. */
	for (size_t i = 0; i < 3000; i++) {
		at = to_offset(fd, 0x30000 + i * 257);
		if (at != UINT64_MAX)
			marked +=
				ask(s, fd, NULL, libc.dli_fname, &at, 1).symbols[0].start != SYMBOL_NO_START;
	}
	assert_true(marked < 20);
	close(fd);
	symbolizer__free(s);
}

static void vdso(void **state)
{
	void *handle = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
	void *function = handle ? dlsym(handle, "__vdso_clock_gettime") : NULL;
	struct symbolizer *s = symbolizer__new();
	uint64_t at;
	struct symbol_request r = {.source = SYMBOLS_VDSO, .fd = vdso__open(), .count = 1, .addresses = &at};
	struct symbol symbol;

	(void)state;
	assert_non_null(function);
	at = (uint64_t)(uintptr_t)function - getauxval(AT_SYSINFO_EHDR) + 1;
	assert_int_equal(symbolizer__resolve(s, &r, &symbol), 0);
	assert_string_equal(symbol.name, "clock_gettime");
	assert_int_equal(symbol.offset, 1);
	close(r.fd);
	symbolizer__free(s);
	dlclose(handle);
}

static struct symbol_coverage cover(const char *place, const char *file)
{
	struct symbolizer *s = symbolizer__new();
	struct symbol_coverage c;
	char path[512];
	struct debug_places places = {.root = place, .path = path};
	struct symbol_request r = {.source = SYMBOLS_ELF,
				   .path = path,
				   .fd = fixture__open(place, file),
				   .debug_file = debugfile__locate,
				   .context = &places};

	snprintf(path, sizeof(path), "/%s", file);
	assert_int_equal(symbolizer__coverage(s, &r, &c), 0);
	close(r.fd);
	symbolizer__free(s);
	return c;
}

static void coverage(void **state)
{
	char place[256];
	Dl_info libc;
	struct symbol_coverage c = cover(dir, "plain");

	(void)state;
	assert_true(c.has_symtab && c.has_dynsym && c.has_eh_frame && !c.has_debug_file);
	assert_int_equal(strlen(c.build_id), 40);
	snprintf(place, sizeof(place), "%s/linked", dir);
	c = cover(place, "x");
	assert_true(!c.has_symtab && c.has_debug_file);
	assert_string_equal(c.build_id, "");
	assert_true(cover(dir, "with_fp").frame_pointer_percent >= 15);
	assert_true(cover(dir, "without_fp").frame_pointer_percent < 15);
	assert_true(dladdr((void *)(uintptr_t)getpid, &libc));
	assert_true(cover("", libc.dli_fname).frame_pointer_percent <= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_offsets),
		cmocka_unit_test(offsets_are_not_addresses),
		cmocka_unit_test(sizes_decide),
		cmocka_unit_test(cxx_names),
		cmocka_unit_test(debug_files),
		cmocka_unit_test(whole_system_files),
		cmocka_unit_test(failure_is_remembered),
		cmocka_unit_test(start_of_a_thread),
		cmocka_unit_test(vdso),
		cmocka_unit_test(coverage),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
