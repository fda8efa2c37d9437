/* SPDX-License-Identifier: Apache-2.0 */
/* What is mapped where: files that move, have no name or no symbols, and code without a file. */
#include "record.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static char *dir;
static const char self[] = "test_image";

/* Loads a library made from C and looks its function up. */
static void *load(const char *path, uint64_t *function)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		fail_msg("%s", dlerror());
	*function = address(dlsym(handle, "plugin_work"));
	assert_true(*function != 0);
	return handle;
}

static int setup(void **state)
{
	(void)state;
	dir = fixture__new();
	fixture__write(dir, "plugin.c",
		       "static __attribute__((noinline)) int hidden(int a) { return a * a + 1; }\n"
		       "int plugin_work(int a) { return hidden(a) + hidden(a + 1); }\n");
	fixture__write(
		dir, "still.c",
		"#include <stdio.h>\n#include <unistd.h>\nextern void _start(void);\n"
		"int main(void) { printf(\"%p\\n\", (void *)_start); fflush(stdout); for (;;) pause(); }\n");
	return fixture__run(
		dir,
		"set -e; gcc -O1 -shared -fPIC -o plugin.so plugin.c; gcc -O1 -s -o still still.c;"
		"cp plugin.so deleted.so; cp plugin.so anonymous.so; cp plugin.so later.so;"
		"gcc -O1 -s -shared -fPIC -o stripped.so plugin.c",
		NULL);
}

static int teardown(void **state)
{
	(void)state;
	fixture__remove(dir);
	return 0;
}

/* dlopen after the mappings were read: an address in none of them makes the store look again. */
static void library_loaded_later(void **state)
{
	struct stacks *s = new_store();
	const uint64_t before[] = {address((void *)capture)};
	struct record record = describe(getpid(), 1, before, 1);
	char path[256];
	uint64_t function, since;
	struct stack_view v;
	void *handle;

	(void)state;
	add_and_resolve(s, &record);
	since = units__now_ns();
	snprintf(path, sizeof(path), "%s/later.so", dir);
	handle = load(path, &function);
	/* Not more often than every 10 ms: too early is not wrong, but nameless. */
	while (units__now_ns() - since < 11000000)
		sched_yield();
	record = describe(getpid(), 2, &function, 1);
	v = add_and_resolve(s, &record);
	check_frame(&v, 0, "plugin_work", "later.so", FRAME_LIBRARY);
	dlclose(handle);
	stacks__free(s);
}

/* A file is opened by where it is mapped: deleting or replacing it changes nothing. */
static void deleted_file(void **state)
{
	struct stacks *s = new_store();
	struct stack_view v;
	struct record record;
	char path[256];
	uint64_t function;
	void *handle;

	(void)state;
	snprintf(path, sizeof(path), "%s/deleted.so", dir);
	handle = load(path, &function);
	assert_int_equal(fixture__run(dir, "rm deleted.so; cp /bin/true deleted.so", NULL), 0);
	record = describe(getpid(), 1, &function, 1);
	v = add_and_resolve(s, &record);
	check_frame(&v, 0, "plugin_work", "deleted.so", FRAME_LIBRARY);
	dlclose(handle);
	stacks__free(s);
}

static void memfd_file(void **state)
{
	struct stacks *s = new_store();
	struct stack_view v;
	struct record record;
	struct buf bytes = {0};
	char path[256];
	uint64_t function;
	void *handle;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/anonymous.so", dir);
	assert_int_equal(buf__read_file(&bytes, path, 1 << 20), 0);
	fd = fixture__file(bytes.data, bytes.len);
	buf__free(&bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	handle = load(path, &function);
	close(fd);
	record = describe(getpid(), 1, &function, 1);
	v = add_and_resolve(s, &record);
	check_frame(&v, 0, "plugin_work", "memfd:fixture", FRAME_LIBRARY);
	dlclose(handle);
	stacks__free(s);
}

/* Without a right name: the file's virtual address, of the return address itself. */
static void stripped_file(void **state)
{
	struct stacks *s = new_store();
	struct stack_view v;
	struct record record;
	char path[256], expected[64];
	Dl_info info;
	uint64_t function, frames[3];
	void *handle;

	(void)state;
	snprintf(path, sizeof(path), "%s/stripped.so", dir);
	handle = load(path, &function);
	assert_true(dladdr((void *)(uintptr_t)function, &info));
	/* `hidden` stands before the only name that is left; a return address at its start is in `hidden`. */
	frames[0] = function - 1;
	frames[1] = function;
	frames[2] = function + 1;
	record = describe(getpid(), 1, frames, 3);
	v = add_and_resolve(s, &record);
	for (size_t i = 0; i < 2; i++) {
		snprintf(expected, sizeof(expected), "stripped.so+0x%lx",
			 frames[i] - address(info.dli_fbase));
		check_frame(&v, i, expected, "stripped.so", FRAME_LIBRARY);
	}
	check_frame(&v, 2, "plugin_work", "stripped.so", FRAME_LIBRARY);
	dlclose(handle);
	stacks__free(s);
}

/* A stripped program: no name for `_start`, but the ELF header says where it is. */
static void stripped_program(void **state)
{
	struct stacks *s = new_store();
	unsigned long start;
	struct stack_view v;
	struct record record;
	uint64_t frame;
	char path[256];
	FILE *out;
	int ends[2];
	pid_t child;

	(void)state;
	snprintf(path, sizeof(path), "%s/still", dir);
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (!child) {
		dup2(ends[1], 1);
		execl(path, path, NULL);
		_exit(127);
	}
	close(ends[1]);
	out = fdopen(ends[0], "r");
	assert_int_equal(fscanf(out, "%lx", &start), 1);
	frame = start + 0x20;
	record = describe(child, 1, &frame, 1);
	v = add_and_resolve(s, &record);
	assert_int_equal(strncmp(v.frames[0].name, "still+0x", 8), 0);
	assert_int_equal(v.frames[0].kind, FRAME_USER);
	assert_null(v.incomplete);
	record.r.hash = 2;
	record.frames[0] = start + 0x60; /* another function */
	v = add_and_resolve(s, &record);
	assert_string_equal(v.incomplete, "no frame pointers");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	fclose(out);
	stacks__free(s);
}

/* A process ends between the record and the interval's end: its files were opened while it lived. */
static void ends_before_resolve(void **state)
{
	struct stacks *s = new_store();
	const uint64_t frames[] = {address((void *)capture), address((void *)getpid) + 1};
	struct stack_view v;
	struct record record;
	pid_t child = fork();

	(void)state;
	if (!child)
		pause();
	record = describe(child, 1, frames, 2);
	assert_int_equal(add(s, &record), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	v = resolve(s, 1);
	check_frame(&v, 0, "capture", self, FRAME_USER);
	check_frame(&v, 1, "getpid", v.frames[1].object, FRAME_LIBRARY);
	stacks__free(s);
}

static void *code_page(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(page != MAP_FAILED);
	return page;
}

static void perf_map(void **state)
{
	struct stacks *s = new_store();
	uint64_t page = address(code_page()), frames[] = {page + 0x10, page + 0x110, page + 0x900};
	struct record record = describe(getpid(), 1, frames, 3);
	char name[64], text[128], expected[64];
	struct stack_view v;

	(void)state;
	snprintf(name, sizeof(name), "perf-%d.map", getpid());
	snprintf(text, sizeof(text), "%lx 100 py::leaf work:/a b.py\n0x%lx 0x10 later\n", page, page + 0x100);
	fixture__write("/tmp", name, text);
	v = add_and_resolve(s, &record);
	check_frame(&v, 0, "py::leaf work:/a b.py", "[jit]", FRAME_JIT);
	check_frame(&v, 1, "later", "[jit]", FRAME_JIT); /* a call that is the last thing in its function */
	snprintf(expected, sizeof(expected), "[jit]+0x%lx", frames[2]);
	check_frame(&v, 2, expected, "[jit]", FRAME_JIT);
	/* The map grows while the process runs. */
	snprintf(text, sizeof(text), "%lx 100 grown\n", page + 0x880);
	fixture__write("/tmp", name, text);
	record.r.hash = 2;
	v = add_and_resolve(s, &record);
	check_frame(&v, 2, "grown", "[jit]", FRAME_JIT);
	assert_int_equal(unlinkat(AT_FDCWD, (snprintf(text, sizeof(text), "/tmp/%s", name), text), 0), 0);
	munmap((void *)(uintptr_t)page, 4096);
	stacks__free(s);
}

/* Maps that are not the process's own: each would name its code if it were believed. */
static void foreign_perf_maps(void **state)
{
	static const char *const tricks[] = {
		"chown 12345 M",		 /* another user wrote it */
		"touch -d '2001-01-01' M",	 /* an earlier process with this PID */
		"mv M M.real && ln -s M.real M", /* leads elsewhere */
		"rm M && mkfifo M",		 /* waits for ever */
		"rm M && mkdir M",
	};
	uint64_t page = address(code_page());
	char name[64], text[128], command[256];
	struct record record = describe(getpid(), 1, &page, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(tricks) / sizeof(*tricks); i++) {
		struct stacks *s = new_store();
		struct stack_view v;

		snprintf(name, sizeof(name), "perf-%d.map", getpid());
		snprintf(text, sizeof(text), "%lx 100 believed\n", page);
		fixture__write("/tmp", name, text);
		for (int honest = 1; honest >= 0; honest--) {
			v = add_and_resolve(s, &record);
			if (honest)
				assert_string_equal(v.frames[0].name, "believed");
			else
				assert_string_not_equal(v.frames[0].name, "believed");
			stacks__free(s);
			if (!honest)
				break;
			s = new_store();
			snprintf(command, sizeof(command), "M=%s; %s", name, "");
			for (const char *c = tricks[i]; *c; c++)
				snprintf(command + strlen(command), sizeof(command) - strlen(command),
					 *c == 'M' ? "$M" : "%c", *c);
			assert_int_equal(fixture__run("/tmp", command, NULL), 0);
		}
		snprintf(command, sizeof(command), "rm -rf %s %s.real", name, name);
		assert_int_equal(fixture__run("/tmp", command, NULL), 0);
	}
	munmap((void *)(uintptr_t)page, 4096);
}

#define CONTAINED_CODE 0x10000000UL

/* The child of a new PID namespace, with its own /tmp. */
static void be_contained(int ready)
{
	FILE *map;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", "/tmp", "tmpfs", 0, NULL) ||
	    mmap((void *)CONTAINED_CODE, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) == MAP_FAILED)
		_exit(1);
	map = fopen("/tmp/perf-1.map", "w");
	fprintf(map, "%lx 100 contained code\n", CONTAINED_CODE);
	fclose(map);
	if (write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Contained: it calls itself 1 and has its own /tmp. */
static void perf_map_in_a_container(void **state)
{
	const uint64_t frame = CONTAINED_CODE + 4;
	struct stacks *s = new_store();
	struct record record;
	struct stack_view v;
	int ready[2], number[2];
	pid_t helper, inner = 0;
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(number), 0);
	helper = fork();
	if (!helper) {
		if (unshare(CLONE_NEWPID | CLONE_NEWNS))
			_exit(1);
		inner = fork();
		if (!inner)
			be_contained(ready[1]);
		_exit(write(number[1], &inner, sizeof(inner)) != sizeof(inner));
	}
	waitpid(helper, NULL, 0);
	close(ready[1]);
	close(number[1]);
	if (read(number[0], &inner, sizeof(inner)) == sizeof(inner) && read(ready[0], &byte, 1) == 1) {
		record = describe(inner, 1, &frame, 1);
		v = add_and_resolve(s, &record);
		check_frame(&v, 0, "contained code", "[jit]", FRAME_JIT);
		kill(inner, SIGKILL);
		inner = -1;
	}
	close(ready[0]);
	close(number[0]);
	stacks__free(s);
	if (inner != -1) {
		print_message("no new PID and mount namespaces here: needs CAP_SYS_ADMIN\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(library_loaded_later),
		cmocka_unit_test(deleted_file),
		cmocka_unit_test(memfd_file),
		cmocka_unit_test(stripped_file),
		cmocka_unit_test(stripped_program),
		cmocka_unit_test(ends_before_resolve),
		cmocka_unit_test(perf_map),
		cmocka_unit_test(foreign_perf_maps),
		cmocka_unit_test(perf_map_in_a_container),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
