/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "base/units.h"
#include "stack/store.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* --- records by hand
 * ------------------------------------------------------------------------------------------------ */

#define FRAMES_MAX 200
struct record {
	struct stack_record r;
	uint64_t frames[FRAMES_MAX];
};

static uint64_t stat_number(pid_t pid, int number)
{
	char path[64];
	struct buf text = {0};
	const char *p;
	uint64_t value;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	assert_int_equal(buf__read_file(&text, path, 4096), 0);
	p = strrchr(text.data, ')');
	for (int i = 2; i < number; i++)
		p = strchr(p + 1, ' ');
	value = strtoull(p, NULL, 10);
	buf__free(&text);
	return value;
}

/* A record of a living process as the kernel side would write it, with user frames. */
static struct record describe(pid_t pid, uint64_t hash, const uint64_t *user, size_t count)
{
	struct record record = {.r = {
					.type = RECORD_STACK,
					.tgid = (uint32_t)pid,
					.tid = (uint32_t)pid,
					.hash = hash,
					.user_frames = (uint16_t)count,
					.end = STACK_NO_FRAME_PTR,
					.cgroup = 77,
					.comm = "thread",
					.leader_comm = "leader",
				}};

	assert_true(count <= FRAMES_MAX);
	record.r.start_boot_ns =
		stat_number(pid, 22) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK)) + 12345;
	record.r.stack_start = stat_number(pid, 28);
	memcpy(record.frames, user, count * sizeof(*user));
	return record;
}

static int add(struct stacks *s, const struct record *record)
{
	return stacks__add(s, &record->r,
			   sizeof(record->r) +
				   8u * (record->r.kernel_frames + (size_t)record->r.user_frames));
}

static struct stack_view resolve(struct stacks *s, uint64_t hash)
{
	struct stack_view view;

	assert_int_equal(stacks__resolve(s), 0);
	assert_int_equal(stacks__get(s, hash, &view), 0);
	return view;
}

static struct stack_view add_and_resolve(struct stacks *s, const struct record *record)
{
	assert_int_equal(add(s, record), 0);
	return resolve(s, record->r.hash);
}

static struct stacks *new_store(void)
{
	const struct stacks_options options = {.debug_directory = "/usr/lib/debug"};

	return stacks__new(&options);
}

static void check_frame(const struct stack_view *v, size_t i, const char *name, const char *object,
			enum frame_kind kind)
{
	assert_true(i < v->count);
	assert_string_equal(v->frames[i].name, name);
	assert_string_equal(v->frames[i].object, object);
	assert_int_equal(v->frames[i].kind, kind);
}

static uint64_t address(const void *function)
{
	return (uint64_t)(uintptr_t)function;
}

/* --- this process
 * --------------------------------------------------------------------------------------------------- */

static char *dir;
static const char self[] = "test_store";

struct captured {
	void *frames[64];
	int count;
};

/* Not static, so that no clone of it gets another name. */
__attribute__((noinline, noipa)) void capture(struct captured *c);
__attribute__((noinline, noipa)) void capture(struct captured *c)
{
	int skip = 0;

	c->count = backtrace(c->frames, 64);
	/* The sanitizer's own wrapper comes first. */
	while (skip < c->count && address(c->frames[skip]) - address((void *)capture) > 400)
		skip++;
	c->count -= skip;
	memmove(c->frames, c->frames + skip, (size_t)c->count * sizeof(*c->frames));
	__asm__ volatile("" ::: "memory");
}

static struct record describe_own(uint64_t hash, const struct captured *c)
{
	uint64_t frames[64];

	for (int i = 0; i < c->count; i++)
		frames[i] = address(c->frames[i]);
	return describe(getpid(), hash, frames, (size_t)c->count);
}

/* One end to end: own functions, libc's, down to the start of the program. */
static void own_stack(void **state)
{
	struct stacks *s = new_store();
	struct stacks_counts counts;
	struct captured c;
	struct record record;
	struct stack_view v;

	(void)state;
	capture(&c);
	record = describe_own(1, &c);
	v = add_and_resolve(s, &record);
	check_frame(&v, 0, "capture", self, FRAME_USER);
	check_frame(&v, 1, "own_stack", self, FRAME_USER);
	assert_string_equal(v.frames[v.count - 1].name, "_start");
	assert_true(v.frames[0].address == address(c.frames[0]));
	assert_null(v.incomplete);
	assert_null(v.stopped_in);
	assert_int_equal(v.count, c.count);
	assert_int_equal(v.kernel_count, 0);
	assert_true(v.who.tgid == (uint32_t)getpid() && v.who.cgroup == 77 &&
		    v.who.start_ns == record.r.start_boot_ns);
	assert_string_equal(v.who.comm, "thread");
	assert_string_equal(v.leader_comm, "leader");
	assert_false(v.kthread);
	stacks__counts(s, &counts);
	assert_int_equal(counts.stored, 1);
	assert_int_equal(counts.processes, 1);
	assert_int_equal(counts.processes_gone, 0);
	assert_int_equal(counts.incomplete, 0);
	assert_int_equal(counts.files_failed, 0);
	assert_true(counts.files >= 2); /* at least this program and cmocka or libc */
	assert_int_equal(stacks__get(s, 2, &v), -ENOENT);
	stacks__free(s);
}

static void *capture_in_thread(void *arg)
{
	capture(arg);
	return NULL;
}

/* A thread's stack is complete where the C library starts it, whether that place has a name or not. */
static void thread_stack(void **state)
{
	static const char *const debug[] = {"/usr/lib/debug", "/nonexistent"};
	struct captured c;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, capture_in_thread, &c), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (size_t i = 0; i < 2; i++) {
		struct stacks_options options = {.debug_directory = debug[i]};
		struct stacks *s = stacks__new(&options);
		struct record record = describe_own(1, &c);
		struct stack_view v = add_and_resolve(s, &record);

		check_frame(&v, 0, "capture", self, FRAME_USER);
		check_frame(&v, 1, "capture_in_thread", self, FRAME_USER);
		assert_null(v.incomplete);
		stacks__free(s);
	}
}

/* Return addresses are looked up one byte before; a leaf is not, and `object+0x` shows what was captured. */
static void leaf_is_exact(void **state)
{
	struct stacks *s = new_store();
	const uint64_t start = address((void *)capture);
	const uint64_t frames[] = {start, start, start + 1};
	struct record record = describe(getpid(), 1, frames, 3);
	struct stack_view v = add_and_resolve(s, &record);

	(void)state;
	check_frame(&v, 0, "capture", self, FRAME_USER);
	assert_string_not_equal(v.frames[1].name, "capture");
	check_frame(&v, 2, "capture", self, FRAME_USER);
	stacks__free(s);
}

static void malformed(void **state)
{
	struct stacks *s = new_store();
	const uint64_t frames[4] = {1, 2, 3, 4};
	const struct record good = describe(getpid(), 1, frames, 4);
	const size_t size = sizeof(good.r) + sizeof(frames);
	struct stacks_counts counts;
	struct record bad;

	(void)state;
	for (size_t n = 0; n < size; n++)
		assert_int_equal(stacks__add(s, &good.r, n), -EINVAL);
	bad = good;
	bad.r.type = RECORD_EXIT;
	assert_int_equal(stacks__add(s, &bad.r, size), -EINVAL);
	bad = good;
	bad.r.end = STACK_END_COUNT;
	assert_int_equal(stacks__add(s, &bad.r, size), -EINVAL);
	bad = good;
	bad.r.kernel_frames = bad.r.user_frames = 0xffff;
	assert_int_equal(stacks__add(s, &bad.r, size), -EINVAL);
	stacks__counts(s, &counts);
	assert_int_equal(counts.malformed, size + 3);
	assert_int_equal(counts.stored, 0);
	assert_int_equal(stacks__add(s, &good.r, size), 0);
	assert_int_equal(stacks__add(s, &good.r, size), 0);
	stacks__counts(s, &counts);
	assert_int_equal(counts.stored, 1);
	assert_int_equal(counts.duplicate, 1);
	stacks__free(s); /* never resolved: nothing leaks */
}

static void memory_limit(void **state)
{
	const struct stacks_options options = {.memory_limit_bytes = 20000};
	struct stacks *s = stacks__new(&options);
	const uint64_t frames[20] = {0};
	struct record record = describe(getpid(), 1, frames, 20);
	struct stacks_counts counts;
	int err = 0;

	(void)state;
	while (!(err = add(s, &record)))
		record.r.hash++;
	assert_int_equal(err, -ENOSPC);
	assert_int_equal(add(s, &record), -ENOSPC);
	stacks__counts(s, &counts);
	assert_int_equal(counts.refused, 2);
	assert_int_equal(counts.stored, record.r.hash - 1);
	assert_true(counts.stored > 10 && counts.stored < 40);
	stacks__free(s);
}

/* --- whose memory it is
 * --------------------------------------------------------------------------------------------- */

static void check_gone(const struct record *record)
{
	struct stacks *s = new_store();
	struct stack_view v = add_and_resolve(s, record);
	struct stacks_counts counts;

	check_frame(&v, 0, "[unknown: process gone]", "[unknown]", FRAME_USER);
	stacks__counts(s, &counts);
	assert_int_equal(counts.processes_gone, 1);
	stacks__free(s);
}

static void gone_and_reused(void **state)
{
	const uint64_t frames[] = {address((void *)capture)};
	struct record record = describe(getpid(), 1, frames, 1), other = record;
	pid_t child = fork();

	(void)state;
	if (!child)
		pause();
	record = describe(child, 1, frames, 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	check_gone(&record);
	/* The PID is there, but it is another process: one that started at another time. */
	other.r.start_boot_ns -= 20000000;
	check_gone(&other);
	other.r.start_boot_ns += 40000000;
	check_gone(&other);
	/* The process is there, but another program: exec moves the stack. */
	other = describe(getpid(), 1, frames, 1);
	other.r.stack_start += 4096;
	check_gone(&other);
}

static pid_t local_pid_calls;

static int translate(void *data, uint32_t tgid)
{
	local_pid_calls++;
	return tgid == 4000000000u ? *(pid_t *)data : 0;
}

/* In a PID namespace the kernel's numbers are not those of /proc. */
static void translated_pids(void **state)
{
	pid_t own = getpid();
	const struct stacks_options options = {.local_pid = translate, .local_pid_data = &own};
	struct stacks *s = stacks__new(&options);
	const uint64_t frames[] = {address((void *)capture)};
	struct record record = describe(own, 1, frames, 1);
	struct stack_view v;

	(void)state;
	record.r.tgid = 4000000000u;
	v = add_and_resolve(s, &record);
	check_frame(&v, 0, "capture", self, FRAME_USER);
	record.r.tgid = (uint32_t)own;
	record.r.hash = 2;
	v = add_and_resolve(s, &record);
	check_frame(&v, 0, "[unknown: process gone]", "[unknown]", FRAME_USER);
	assert_int_equal(local_pid_calls, 2);
	stacks__free(s);
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* The leader has ended, a thread lives on: /proc shows the memory under the thread only. */
static void leader_has_ended(void **state)
{
	struct stacks *s = new_store();
	const uint64_t frames[] = {address((void *)capture)};
	struct record record;
	struct stack_view v;
	char path[64], link[8];
	pid_t child = fork();

	(void)state;
	if (!child) {
		pthread_t thread;

		pthread_create(&thread, NULL, wait_for_ever, NULL);
		pthread_exit(NULL);
	}
	snprintf(path, sizeof(path), "/proc/%d/exe", child);
	while (readlink(path, link, sizeof(link)) > 0)
		sched_yield();
	record = describe(child, 1, frames, 1);
	v = add_and_resolve(s, &record);
	check_frame(&v, 0, "capture", self, FRAME_USER);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	stacks__free(s);
}

/* --- what is shown
 * -------------------------------------------------------------------------------------------------- */

static uint64_t kernel_symbol(const char *name)
{
	char needle[64];
	struct buf text = {0};
	const char *at;
	uint64_t value = 0;

	snprintf(needle, sizeof(needle), " T %s\n", name);
	assert_int_equal(buf__read_file(&text, "/proc/kallsyms", 256u << 20), 0);
	at = strstr(text.data, needle);
	if (at)
		value = strtoull(at - 16, NULL, 16);
	buf__free(&text);
	return value;
}

static struct record describe_mixed(uint64_t kernel)
{
	struct captured c;
	struct record record;

	capture(&c);
	record = describe_own(1, &c);
	memmove(record.frames + 2, record.frames, (size_t)c.count * sizeof(*record.frames));
	record.frames[0] = kernel;
	record.frames[1] = kernel + 5;
	record.r.kernel_frames = 2;
	return record;
}

static void kernel_and_user(void **state)
{
	static const struct {
		struct stacks_options options;
		bool kernel, user;
	} rows[] = {
		{{0}, true, true}, {{.kernel_only = true}, true, false}, {{.user_only = true}, false, true}};
	const uint64_t kernel = kernel_symbol("vfs_read");
	struct record record = describe_mixed(kernel);

	(void)state;
	if (!kernel) {
		print_message("the kernel hides its addresses: needs CAP_SYSLOG\n");
		skip();
	}
	for (size_t i = 0; i < 3; i++) {
		struct stacks *s = stacks__new(&rows[i].options);
		struct stack_view v = add_and_resolve(s, &record);
		size_t user = rows[i].kernel ? 2 : 0;

		assert_int_equal(v.kernel_count, user);
		assert_int_equal(v.count, user + (rows[i].user ? record.r.user_frames : 0));
		assert_null(v.incomplete);
		if (rows[i].kernel) {
			check_frame(&v, 0, "vfs_read", "[kernel]", FRAME_KERNEL);
			check_frame(&v, 1, "vfs_read", "[kernel]", FRAME_KERNEL);
		}
		if (rows[i].user)
			check_frame(&v, user, "capture", self, FRAME_USER);
		stacks__free(s);
	}
}

static void interrupts_and_kthreads(void **state)
{
	static const struct {
		uint32_t flag;
		const char *mark;
	} rows[] = {
		{STACK_FLAG_HARDIRQ, "[irq]"}, {STACK_FLAG_SOFTIRQ, "[softirq]"}, {STACK_FLAG_KTHREAD, NULL}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct stacks *s = new_store();
		struct record record = describe_mixed(1); /* no kernel symbol there */
		struct stack_view v;

		record.r.flags = rows[i].flag;
		v = add_and_resolve(s, &record);
		check_frame(&v, 0, "[unknown]", "[kernel]", FRAME_KERNEL); /* and no address of the kernel */
		assert_int_equal(v.count, rows[i].mark ? 3 : 2);
		if (rows[i].mark)
			check_frame(&v, 2, rows[i].mark, "", FRAME_MARK);
		assert_int_equal(v.in_irq, rows[i].mark != NULL);
		assert_int_equal(v.kthread, !rows[i].mark);
		assert_null(v.incomplete);
		stacks__free(s);
	}
}

static void incomplete_stacks(void **state)
{
	static const struct {
		enum stack_end end;
		const char *reason, *mark;
	} rows[] = {
		{STACK_NO_FRAME_PTR, "no frame pointers", "[incomplete: no frame pointers]"},
		{STACK_DEPTH_LIMIT, "depth limit", "[incomplete: depth limit]"},
		{STACK_FAULT, "unreadable", "[incomplete: unreadable]"},
		{STACK_NOT_CAPTURED, "not captured", "[incomplete: not captured]"},
		{STACK_COMPLETE, NULL, NULL},
	};
	const uint64_t frames[] = {address((void *)capture), address((void *)getpid) + 1};
	struct stack_view v;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (size_t user = 0; user <= 2; user++) {
			struct stacks *s = new_store();
			struct record record = describe(getpid(), 1, frames, user);

			record.r.end = (uint16_t)rows[i].end;
			v = add_and_resolve(s, &record);
			if (!rows[i].reason) {
				assert_null(v.incomplete);
				assert_int_equal(v.count, user);
			} else {
				assert_string_equal(v.incomplete, rows[i].reason);
				assert_int_equal(v.count, user + 1);
				check_frame(&v, user, rows[i].mark, "", FRAME_MARK);
				if (user == 2)
					assert_non_null(strstr(v.stopped_in, "libc"));
				else if (user == 1)
					assert_string_equal(v.stopped_in, self);
				else
					assert_null(v.stopped_in);
			}
			stacks__free(s);
		}
	}
}

/* What a walk finds behind the start of the thread is left over on the stack, and no frame. */
static void garbage_behind_the_start(void **state)
{
	struct stacks *s = new_store();
	struct captured c;
	struct record record;
	struct stack_view v;

	(void)state;
	capture(&c);
	record = describe_own(1, &c);
	record.frames[c.count] = 0xdead0000beef;
	record.frames[c.count + 1] = address((void *)capture) + 1;
	record.r.user_frames = (uint16_t)(c.count + 2);
	v = add_and_resolve(s, &record);
	assert_int_equal(v.count, c.count);
	assert_null(v.incomplete);
	/* `clone` also has callers: only as the last frame is it a start. */
	record = describe(getpid(), 2,
			  (const uint64_t[]){address((void *)capture),
					     address(dlsym(RTLD_DEFAULT, "clone")) + 1,
					     address((void *)capture) + 1},
			  3);
	v = add_and_resolve(s, &record);
	assert_int_equal(v.count, 4);
	assert_string_equal(v.incomplete, "no frame pointers");
	record.r.hash = 3;
	record.r.user_frames = 2;
	v = add_and_resolve(s, &record);
	assert_int_equal(v.count, 2);
	assert_null(v.incomplete);
	stacks__free(s);
}

static void unmapped_address(void **state)
{
	struct stacks *s = new_store();
	const uint64_t frames[] = {0x10, 0x7ffff000dead};
	struct record record = describe(getpid(), 1, frames, 2);
	struct stack_view v = add_and_resolve(s, &record);

	(void)state;
	check_frame(&v, 0, "[unknown]+0x10", "[unknown]", FRAME_USER);
	check_frame(&v, 1, "[unknown]+0x7ffff000dead", "[unknown]", FRAME_USER);
	stacks__free(s);
}

/* --- files that move or have no name
 * -------------------------------------------------------------------------------- */

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
	/* Told to forget, it looks again at once: the place is empty. */
	stacks__forget_process(s, (uint32_t)getpid());
	record.r.hash = 3;
	v = add_and_resolve(s, &record);
	assert_int_equal(strncmp(v.frames[0].name, "[unknown]+0x", 12), 0);
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
	/* `hidden` stands before the only name that is left; a return address at the very start belongs to
	 * it. */
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

/* --- code without a file
 * -------------------------------------------------------------------------------------------- */

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
		cmocka_unit_test(own_stack),	       cmocka_unit_test(thread_stack),
		cmocka_unit_test(leaf_is_exact),       cmocka_unit_test(malformed),
		cmocka_unit_test(memory_limit),	       cmocka_unit_test(gone_and_reused),
		cmocka_unit_test(translated_pids),     cmocka_unit_test(leader_has_ended),
		cmocka_unit_test(kernel_and_user),     cmocka_unit_test(interrupts_and_kthreads),
		cmocka_unit_test(incomplete_stacks),   cmocka_unit_test(garbage_behind_the_start),
		cmocka_unit_test(unmapped_address),    cmocka_unit_test(library_loaded_later),
		cmocka_unit_test(deleted_file),	       cmocka_unit_test(memfd_file),
		cmocka_unit_test(stripped_file),       cmocka_unit_test(stripped_program),
		cmocka_unit_test(ends_before_resolve), cmocka_unit_test(perf_map),
		cmocka_unit_test(foreign_perf_maps),   cmocka_unit_test(perf_map_in_a_container),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
