/* SPDX-License-Identifier: Apache-2.0 */
/* The helper: the same names as in one process, and walls that stand. */
#include "fixture.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "helper/helper.h"
#include "helper/sandbox.h"
#include "object/debugfile.h"

static struct helper *start(bool in_process)
{
	const struct helper_options options = {.in_process = in_process, .file_ns = 60000000000ULL};
	struct helper *h = helper__start(&options);
	struct helper_status status;

	assert_non_null(h);
	helper__status(h, &status);
	assert_int_equal(status.in_process, in_process);
	assert_int_equal(helper__pid(h) != 0, !in_process);
	return h;
}

/* --- the same answers */

static void assert_same_text(const char *a, const char *b)
{
	assert_int_equal(!a, !b);
	if (a)
		assert_string_equal(a, b);
}

static void assert_same(const struct symbol *a, const struct symbol *b)
{
	assert_same_text(a->name, b->name);
	assert_same_text(a->module, b->module);
	assert_same_text(a->file, b->file);
	assert_int_equal(a->offset, b->offset);
	assert_int_equal(a->address, b->address);
	assert_int_equal(a->start, b->start);
	assert_int_equal(a->scheduler, b->scheduler);
	assert_int_equal(a->line, b->line);
	assert_int_equal(a->inlined_count, b->inlined_count);
	for (uint32_t i = 0; i < a->inlined_count; i++) {
		assert_same_text(a->inlined[i].name, b->inlined[i].name);
		assert_same_text(a->inlined[i].call_file, b->inlined[i].call_file);
		assert_int_equal(a->inlined[i].call_line, b->inlined[i].call_line);
	}
}

/* Asks all three: in this process without and with the protocol, and the other process. How many have a name.
 */
static size_t compare(const struct symbol_request *r)
{
	struct symbol *expected = calloc(r->count, sizeof(*expected)), *got = calloc(r->count, sizeof(*got));
	struct symbolizer *s = symbolizer__new();
	size_t named = 0;
	int err = symbolizer__resolve(s, r, expected);

	for (int in_process = 0; in_process < 2; in_process++) {
		struct helper *h = start(in_process);

		assert_int_equal(helper__resolve(h, r, got), err);
		for (size_t i = 0; i < r->count; i++)
			assert_same(&got[i], &expected[i]);
		helper__stop(h);
	}
	for (size_t i = 0; i < r->count; i++)
		named += expected[i].name != NULL;
	symbolizer__free(s);
	free(expected);
	free(got);
	return named;
}

static int open_mapped(const void *address, char *path, size_t size)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long begin, end;
	char line[512];
	int fd = -1;

	assert_non_null(maps);
	while (fd < 0 && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &begin, &end) == 2 && (uintptr_t)address >= begin &&
		    (uintptr_t)address < end && strchr(line, '/')) {
			snprintf(path, size, "%.*s", (int)strcspn(strchr(line, '/'), "\n"),
				 strchr(line, '/'));
			fd = open(path, O_RDONLY | O_CLOEXEC);
		}
	fclose(maps);
	assert_true(fd >= 0);
	return fd;
}

/* Every 16th byte, which is more than one question holds of a large file. */
static size_t compare_file(const void *address, bool lines, size_t step)
{
	char path[512];
	struct debug_places places = {.root = "/", .directory = "/usr/lib/debug", .path = path};
	struct symbol_request r = {.source = SYMBOLS_ELF,
				   .fd = open_mapped(address, path, sizeof(path)),
				   .modules_fd = -1,
				   .path = path,
				   .lines = lines,
				   .debug_file = debugfile__locate,
				   .context = &places};
	uint64_t *at;
	struct stat st;
	size_t named;

	assert_int_equal(fstat(r.fd, &st), 0);
	r.count = (size_t)st.st_size / step;
	at = calloc(r.count, sizeof(*at));
	for (size_t i = 0; i < r.count; i++)
		at[i] = i * step;
	r.addresses = at;
	named = compare(&r);
	free(at);
	close(r.fd);
	return named;
}

static void same_names(void **state)
{
	(void)state;
	assert_true(compare_file((const void *)printf, false, 16) > 10000); /* libc */
	assert_true(compare_file((const void *)same_names, false, 64) > 100);
	assert_true(compare_file((const void *)same_names, true, 256) > 10);
}

static void kernel_and_vdso(void **state)
{
	struct helper *other = start(false), *here = start(true);
	uint64_t at[] = {0, 0x400, 0x800, 0xa00, 0xc00, 1ULL << 40, UINT64_MAX};
	struct symbol_request r = {
		.source = SYMBOLS_VDSO, .fd = -1, .count = sizeof(at) / sizeof(*at), .addresses = at};
	struct symbol a[sizeof(at) / sizeof(*at)], b[sizeof(at) / sizeof(*at)];
	FILE *kallsyms = fopen("/proc/kallsyms", "re");
	unsigned long value;
	char type;

	(void)state;
	assert_int_equal(helper__resolve(other, &r, a), helper__resolve(here, &r, b));
	for (size_t i = 0; i < r.count; i++)
		assert_same(&a[i], &b[i]);
	for (size_t i = 0; i < r.count && fscanf(kallsyms, "%lx %c %*[^\n]", &value, &type) == 2; i++)
		at[i] = value;
	fclose(kallsyms);
	r.source = SYMBOLS_KERNEL;
	assert_int_equal(helper__resolve(other, &r, a), helper__resolve(here, &r, b));
	for (size_t i = 0; i < r.count; i++)
		assert_same(&a[i], &b[i]);
	helper__stop(other);
	helper__stop(here);
}

static void same_coverage(void **state)
{
	char path[512];
	struct debug_places places = {.root = "/", .directory = "/usr/lib/debug", .path = path};
	struct symbol_request r = {.source = SYMBOLS_ELF,
				   .fd = open_mapped((const void *)printf, path, sizeof(path)),
				   .path = path,
				   .debug_file = debugfile__locate,
				   .context = &places};
	struct symbolizer *s = symbolizer__new();
	struct symbol_coverage expected, got;

	(void)state;
	assert_int_equal(symbolizer__coverage(s, &r, &expected), 0);
	for (int in_process = 0; in_process < 2; in_process++) {
		struct helper *h = start(in_process);

		assert_int_equal(helper__coverage(h, &r, &got), 0);
		assert_memory_equal(&got, &expected, sizeof(got));
		helper__stop(h);
	}
	symbolizer__free(s);
	close(r.fd);
}

/* --- the walls */

static unsigned long long status_of(int pid, const char *field, int base)
{
	char path[64];
	struct buf text = {0};
	const char *at;
	unsigned long long value;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	assert_int_equal(buf__read_file(&text, path, 1 << 16), 0);
	at = strstr(text.data, field);
	assert_non_null(at);
	value = strtoull(at + strlen(field), NULL, base);
	buf__free(&text);
	return value;
}

/* Memory that is shared with others stays out, be the helper started as late as may be. */
static void no_shared_memory(void **state)
{
	char *memory = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct helper *h = start(false);
	struct buf maps = {0};
	char path[64], flags[8];

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/%d/maps", helper__pid(h));
	assert_int_equal(buf__read_file(&maps, path, 1 << 20), 0);
	assert_true(maps.len > 0);
	for (const char *line = maps.data; *line; line = strchr(line, '\n') + 1) {
		assert_int_equal(sscanf(line, "%*s %7s", flags), 1);
		assert_int_equal(flags[3], 'p');
	}
	buf__free(&maps);
	helper__stop(h);
	munmap(memory, 1 << 16);
}

static void walls(void **state)
{
	static const char *const none[] = {"CapEff:", "CapPrm:", "CapInh:", "CapAmb:"};
	struct helper *h = start(false);
	int pid = helper__pid(h), fds = 0;
	char path[64], comm[32] = "";
	struct dirent *e;
	FILE *f;
	DIR *d;

	(void)state;
	assert_int_equal(status_of(pid, "Seccomp:", 10), 2);
	assert_int_equal(status_of(pid, "NoNewPrivs:", 10), 1);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_int_equal(status_of(pid, none[i], 16), 0);
	if (!geteuid())
		assert_int_equal(status_of(pid, "CapBnd:", 16), 0);
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	assert_non_null(fgets(comm, sizeof(comm), f));
	fclose(f);
	assert_string_equal(comm, "sonde-helper\n");
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		fds += *e->d_name != '.';
	if (d) {
		closedir(d);
		assert_int_equal(fds, 4); /* three that lead nowhere, and the socket */
	}
	helper__stop(h);
	assert_int_equal(kill(pid, 0), -1);
}

static void do_open(void)
{
	_exit(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 42 : 1);
}
static void do_memory(void)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	p[1 << 19] = 1;
	p = mremap(p, 1 << 20, 1 << 21, MREMAP_MAYMOVE);
	_exit(p[1 << 19] == 1 && !munmap(p, 1 << 21) ? 42 : 1);
}
static void do_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
}
static void do_map_file(void)
{
	mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0);
}
static void do_map_shared(void)
{
	mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}
static void do_map_code(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void do_exec(void)
{
	execl("/bin/true", "true", NULL);
}
static void do_fork(void)
{
	fork();
}
static void do_kill(void)
{
	kill(getppid(), 0);
}
static void do_unlink(void)
{
	unlink("/nonexistent/file");
}
static void do_dup(void)
{
	fcntl(0, F_DUPFD, 10);
}

/* What a process does behind the filter: goes on (42), or is killed. */
static void filter(void **state)
{
	static const struct {
		void (*act)(void);
		bool is_allowed;
	} rows[] = {{do_open, true},	    {do_memory, true},	  {do_socket, false}, {do_map_file, false},
		    {do_map_shared, false}, {do_map_code, false}, {do_exec, false},   {do_fork, false},
		    {do_kill, false},	    {do_unlink, false},	  {do_dup, false}};
	int status;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (!child) {
			const struct rlimit no_core = {0};

			setrlimit(RLIMIT_CORE, &no_core);
			if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || sandbox__filter())
				_exit(2);
			rows[i].act();
			_exit(3);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (rows[i].is_allowed)
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
		else
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	}
}

/* Signals of the terminal mean sonde; the end of the socket means the helper. */
static void ends_with_its_socket(void **state)
{
	struct helper *h = start(false);
	int pid = helper__pid(h);

	(void)state;
	assert_int_equal(kill(pid, SIGINT), 0);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_true(compare_file((const void *)ends_with_its_socket, false, 4096) > 0);
	assert_int_equal(kill(pid, 0), 0);
	helper__stop(h);
	assert_int_equal(kill(pid, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_names),		cmocka_unit_test(kernel_and_vdso),
		cmocka_unit_test(same_coverage),	cmocka_unit_test(walls),
		cmocka_unit_test(no_shared_memory),	cmocka_unit_test(filter),
		cmocka_unit_test(ends_with_its_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
