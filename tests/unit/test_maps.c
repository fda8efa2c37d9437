/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "object/maps.h"
#include "stack/process.h"
#include "object/safefile.h"

#include <errno.h>
#include <sys/stat.h>

static void file_line(void **state)
{
	struct map_line m;
	size_t len;

	(void)state;
	assert_true(
		maps__parse_line("7ff57b530000-7ff57b686000 r-xp 00026000 fe:01 326269                     "
				 "/usr/lib/x86_64-linux-gnu/libc.so.6",
				 &m));
	assert_true(m.start == 0x7ff57b530000 && m.end == 0x7ff57b686000 && m.offset == 0x26000);
	assert_true(m.major == 0xfe && m.minor == 1 && m.inode == 326269 && m.executable && !m.shared);
	assert_int_equal(maps__kind(&m), MAPPED_FILE);
	assert_memory_equal(maps__base_name(m.path, &len), "libc.so.6", 9);
	assert_int_equal(len, 9);
}

static void special_lines(void **state)
{
	static const struct {
		const char *line;
		enum map_kind kind;
		const char *base;
	} rows[] = {
		{"7ffe4964e000-7ffe4966f000 rw-p 00000000 00:00 0                          [stack]",
		 MAPPED_ANON, "[stack]"},
		{"7ff57b701000-7ff57b703000 r-xp 00000000 00:00 0                          [vdso]",
		 MAPPED_VDSO, "[vdso]"},
		{"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
		 MAPPED_VSYSCALL, "[vsyscall]"},
		{"7fffffffe000-7ffffffff000 --xp 00000000 00:00 0                          [uprobes]",
		 MAPPED_UPROBES, "[uprobes]"},
		{"7ff57b6df000-7ff57b6ec000 rwxp 00000000 00:00 0 ", MAPPED_ANON, "[anon]"},
		{"7ff57b6df000-7ff57b6ec000 r-xp 00000000 00:00 0                          [anon:v8]",
		 MAPPED_ANON, "[anon:v8]"},
		{"7ff57b6df000-7ff57b6ec000 r-xs 00000000 00:01 1031                       /memfd:jit "
		 "(deleted)",
		 MAPPED_FILE, "memfd:jit"},
		{"7ff57b6df000-7ff57b6ec000 r-xp 00000000 fe:00 1031                       /opt/a b "
		 "(deleted)",
		 MAPPED_FILE, "a b"},
		/* A file may be called like a special mapping; its inode tells it apart. */
		{"7ff57b6df000-7ff57b6ec000 r-xp 00000000 fe:00 1031                       [vdso]",
		 MAPPED_FILE, "[vdso]"},
	};
	struct map_line m;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_true(maps__parse_line(rows[i].line, &m));
		assert_int_equal(maps__kind(&m), rows[i].kind);
		assert_memory_equal(maps__base_name(m.path, &len), rows[i].base, strlen(rows[i].base));
		assert_int_equal(len, strlen(rows[i].base));
	}
}

static void broken_lines(void **state)
{
	static const char *const rows[] = {
		"",
		"7ff57b530000",
		"7ff57b530000-",
		"7ff57b530000-7ff57b530000 r-xp 0 0:0 0", /* empty */
		"7ff57b531000-7ff57b530000 r-xp 0 0:0 0", /* backwards */
		"1-2 r-x",
		"1-2 rwxq 0 0:0 0",
		"1-2 r-xp 0 0:0 99999999999999999999999", /* inode over 64 bits */
		"11112222333344445-2 r-xp 0 0:0 0",	  /* address over 64 bits */
		"1000-2000 r-xp ffffffffffffffff 0:0 0",  /* offset + size overflow */
		"zz-yy r-xp 0 0:0 0",
	};
	struct map_line m;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_false(maps__parse_line(rows[i], &m));
}

/* This process's own image, as the kernel shows it: every function is found in the mapping that holds it. */
static void own_image(void **state)
{
	struct process p = {.key = {.tgid = (uint32_t)getpid()}};
	struct strings strings;
	struct buf text = {0};
	const struct mapping *m;
	struct stat st, exe;
	uint64_t ticks = 0;
	const char *field;
	int dir, fd;

	(void)state;
	strings__init(&strings);
	assert_int_equal(buf__read_file(&text, "/proc/self/stat", 4096), 0);
	field = strrchr(text.data, ')');
	for (int i = 2; i < 22; i++)
		field = strchr(field + 1, ' ');
	ticks = strtoull(field, NULL, 10);
	p.key.start_boot_ns = (ticks + 1) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
	assert_int_equal(process__open(&p), -ESRCH); /* started a tick later: another process */
	p.key.start_boot_ns -= 1;
	dir = process__open(&p);
	assert_true(dir >= 0);
	assert_int_equal(process__read(&p, dir, &strings), 0);
	m = process__find(&p, (uint64_t)(uintptr_t)own_image);
	assert_non_null(m);
	assert_true(strstr(m->path, "test_maps") != NULL);
	for (size_t i = 1; i < p.count; i++)
		assert_true(p.mappings[i - 1].end <= p.mappings[i].start);
	assert_null(process__find(&p, 0));
	assert_null(process__find(&p, m->start - 1)); /* the file's headers: mapped, but not executable */
	fd = process__locate(m, dir, &st);
	assert_true(fd >= 0);
	assert_int_equal(stat("/proc/self/exe", &exe), 0);
	assert_true(st.st_ino == exe.st_ino && st.st_dev == exe.st_dev);
	assert_true(p.exe_inode == exe.st_ino && p.exe_device == exe.st_dev);
	close(fd);
	close(dir);
	p.stack_start = 4096; /* an exec has placed the stack elsewhere */
	assert_int_equal(process__open(&p), -ESRCH);
	process__free_mappings(&p);
	strings__free(&strings);
	buf__free(&text);
}

static uint64_t status_kb(const char *field)
{
	struct buf text = {0};
	const char *line;
	uint64_t kb;

	assert_int_equal(buf__read_file(&text, "/proc/self/status", 16384), 0);
	line = strstr(text.data, field);
	assert_non_null(line);
	kb = strtoull(line + strlen(field), NULL, 10);
	buf__free(&text);
	return kb;
}

/* The kernel shows mm->exec_vm as the sum of two lines. What is writable, too, is not counted. */
static void executable_pages(void **state)
{
	static const int protections[] = {PROT_EXEC, PROT_READ | PROT_EXEC,
					  PROT_READ | PROT_WRITE | PROT_EXEC, PROT_READ | PROT_WRITE};
	enum { KINDS = sizeof(protections) / sizeof(*protections), BYTES = 1 << 20 };
	struct process p = {0};
	struct strings strings;
	void *at[KINDS];
	int dir = open("/proc/self", O_PATH | O_DIRECTORY);

	(void)state;
	strings__init(&strings);
	for (int i = 0; i < KINDS; i++) {
		at[i] = mmap(NULL, BYTES, protections[i], MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_true(at[i] != MAP_FAILED);
		assert_int_equal(process__read(&p, dir, &strings), 0);
		assert_int_equal(p.exec_pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024,
				 status_kb("VmExe:") + status_kb("VmLib:"));
	}
	for (int i = 0; i < KINDS; i++)
		munmap(at[i], BYTES);
	process__free_mappings(&p);
	strings__free(&strings);
	close(dir);
}

static void map_there(const char *path, void *at)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_ptr_equal(mmap(at, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0), at);
	close(fd);
}

/* Also if the place was empty when it was looked at in between; a file that comes back is no other one. */
static void files_in_each_others_place(void **state)
{
	int dir = open("/proc/self", O_PATH | O_DIRECTORY);
	struct process p = {0};
	struct strings strings;
	void *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	strings__init(&strings);
	map_there("/bin/ls", at);
	assert_int_equal(process__read(&p, dir, &strings), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(p.generation, i);
		assert_false(p.replaces);
		munmap(at, 4096);
		assert_int_equal(process__read(&p, dir, &strings), 0);
		assert_int_equal(p.generation, i + 1);
		map_there(i ? "/bin/cat" : "/bin/ls", at);
		assert_int_equal(process__read(&p, dir, &strings), 0);
	}
	assert_true(p.replaces);
	munmap(at, 4096);
	process__free_mappings(&p);
	free(p.past);
	strings__free(&strings);
	close(dir);
}

/* What is no regular file is not even opened: a FIFO without a writer would wait for ever. */
static void no_regular_file(void **state)
{
	char *dir = fixture__new();
	char path[128];
	struct stat st;
	int root;

	(void)state;
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(safefile__open(AT_FDCWD, path, &st), -ENOEXEC);
	assert_int_equal(safefile__open(AT_FDCWD, "/dev/zero", &st), -ENOEXEC);
	assert_int_equal(safefile__open(AT_FDCWD, dir, &st), -ENOEXEC);
	/* Links stay inside the root, and a last one is followed only where that is wanted. */
	fixture__write(dir, "file", "inside");
	assert_int_equal(
		fixture__run(dir,
			     "ln -s /file absolute; ln -s ../../../../file climbing; ln -s /etc/passwd out",
			     NULL),
		0);
	root = open(dir, O_PATH | O_DIRECTORY);
	for (int i = 0; i < 2; i++) {
		int fd = safefile__open_in_root(root, i ? "climbing" : "absolute", true, &st);

		assert_true(fd >= 0);
		assert_int_equal(st.st_size, 6);
		close(fd);
	}
	assert_int_equal(safefile__open_in_root(root, "out", true, &st), -ENOENT);
	assert_int_equal(safefile__open_in_root(root, "absolute", false, &st), -ENOEXEC);
	close(root);
	fixture__remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_line),	    cmocka_unit_test(special_lines),
		cmocka_unit_test(broken_lines),	    cmocka_unit_test(own_image),
		cmocka_unit_test(executable_pages), cmocka_unit_test(files_in_each_others_place),
		cmocka_unit_test(no_regular_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
