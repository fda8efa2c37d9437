/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <pthread.h>
#include <sched.h>

static const char self[] = "test_store";

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

static inline __attribute__((always_inline)) void inlined_capture(struct captured *c)
{
	capture(c);
	__asm__ volatile("" ::: "memory");
}

static __attribute__((noinline)) int calls_inlined(struct captured *c)
{
	inlined_capture(c);
	return __LINE__ - 1;
}

/* An inlined function is a frame of its own; each frame has the line at which it was left. */
static void lines(void **state)
{
	const struct stacks_options options = {.lines = true};
	struct stacks *s = stacks__new(&options);
	struct captured c;
	int line = calls_inlined(&c);
	struct record record = describe_own(1, &c);
	struct stack_view v = add_and_resolve(s, &record);
	struct buf scratch = {0};

	(void)state;
	check_frame(&v, 0, "capture", self, FRAME_USER);
	check_frame(&v, 1, "inlined_capture", self, FRAME_INLINED);
	check_frame(&v, 2, "calls_inlined", self, FRAME_USER);
	check_frame(&v, 3, "lines", self, FRAME_USER);
	assert_int_equal(v.count, c.count + 1);
	assert_true(v.frames[1].address == v.frames[2].address);
	assert_int_equal(v.frames[2].line, line);
	assert_true(v.frames[1].line < v.frames[2].line && v.frames[1].line + 10 > v.frames[2].line);
	assert_string_equal(strrchr(v.frames[1].file, '/') + 1, "test_store.c");
	assert_string_equal(v.frames[v.count - 1].name, "_start");
	assert_string_equal(frame__label(&v.frames[v.count - 1], &scratch), "_start");
	assert_non_null(strstr(frame__label(&v.frames[1], &scratch), "inlined_capture (test_store.c:"));
	buf__free(&scratch);
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

/* Snapshots of one stack come with a hash each, and the same place again under the kernel's own. */
static void same_content(void **state)
{
	struct stacks *s = new_store();
	uint64_t frames[2] = {address((void *)same_content) + 1, address((void *)same_content) + 2};
	struct record record = describe(getpid(), 1, frames, 2), other = record;
	struct stack_view first, again;

	(void)state;
	assert_int_equal(add(s, &record), 0);
	other.r.hash = 2;
	assert_int_equal(add(s, &other), 0);
	other.r.hash = 3;
	other.frames[1]++;
	assert_int_equal(add(s, &other), 0);
	assert_int_equal(stacks__resolve(s), 0);
	record.r.hash = 4; /* in a later interval */
	assert_int_equal(add(s, &record), 0);
	assert_int_equal(stacks__resolve(s), 0);
	assert_int_equal(stacks__get(s, 1, &first), 0);
	for (uint64_t hash = 1; hash <= 5; hash++)
		assert_int_equal(stacks__same(s, hash), hash == 2 || hash == 4 ? 1 : hash);
	assert_int_equal(stacks__get(s, 4, &again), 0);
	assert_ptr_equal(first.frames, again.frames);
	stacks__free(s);
}

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
	/* A process of another PID namespace has no number in ours. */
	other = describe(getpid(), 1, frames, 1);
	other.r.tgid = 0;
	check_gone(&other);
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

/* The frames of a kernel stack, by names of the running kernel; "" stands for a place without a name. */
struct hook_row {
	const char *frames[8], *expected[8];
};

static void check_hook_row(const struct hook_row *row)
{
	struct stacks *s = new_store();
	struct record record = describe(getpid(), 1, (const uint64_t[]){address((void *)capture)}, 1);
	struct stack_view v;
	size_t n = 0, expected = 0;

	for (; row->frames[n]; n++)
		record.frames[n] = *row->frames[n] ? kernel_symbol(row->frames[n]) + 5 : 16;
	record.frames[n] = address((void *)capture);
	record.r.kernel_frames = (uint16_t)n;
	v = add_and_resolve(s, &record);
	for (; row->expected[expected]; expected++)
		check_frame(&v, expected, row->expected[expected], "[kernel]", FRAME_KERNEL);
	assert_int_equal(v.kernel_count, expected);
	check_frame(&v, expected, "capture", self, FRAME_USER);
	stacks__free(s);
}

/* Only where a hook saw the thread go are its program, the tracepoint and the scheduler's text left out. */
static void hooks(void **state)
{
	static const struct hook_row rows[] = {
		{{"", "bpf_trace_run4", "__traceiter_sched_switch", "schedule", "schedule_timeout",
		  "vfs_read"},
		 {"vfs_read"}},
		{{"", "", "bpf_trace_run4", "schedule", "wait_woken", "__wait_on_bit", "vfs_read"},
		 {"wait_woken", "vfs_read"}},
		/* a waker's */
		{{"", "bpf_trace_run4", "try_to_wake_up", "mutex_lock", "vfs_read"},
		 {"try_to_wake_up", "mutex_lock", "vfs_read"}},
		/* sampled ones */
		{{"schedule", "schedule_timeout", "vfs_read"}, {"schedule", "schedule_timeout", "vfs_read"}},
		{{"bpf_trace_run4", "__traceiter_sched_switch", "schedule", "vfs_read"},
		 {"bpf_trace_run4", "__traceiter_sched_switch", "schedule", "vfs_read"}},
		{{"", "schedule", "vfs_read"}, {"[unknown]", "schedule", "vfs_read"}},
		{{"", "bpf_trace_run4"}, {NULL}},
		{{""}, {"[unknown]"}},
	};

	(void)state;
	if (!kernel_symbol("__traceiter_sched_switch")) {
		print_message("the kernel hides its addresses, or has no such functions\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check_hook_row(&rows[i]);
}

/* A child without privileges: 0 as expected, 2 if it sees the kernel's addresses all the same. */
static int resolve_unprivileged(const struct record *record)
{
	struct stacks_options options = {.kernel_only = true};
	struct stacks *s = stacks__new(&options);
	struct stacks_counts counts;
	struct stack_view v;
	char first[17] = "";
	FILE *f;

	if (!s || setgid(65534) || setuid(65534))
		return 3;
	f = fopen("/proc/kallsyms", "r");
	if (!f || !fgets(first, sizeof(first), f) || strspn(first, "0") < 16)
		return 2;
	fclose(f);
	if (add(s, record) || stacks__resolve(s) || stacks__get(s, record->r.hash, &v) || v.count != 2)
		return 1;
	stacks__counts(s, &counts);
	if (!counts.kernel_hidden || strcmp(v.frames[0].name, "[unknown]"))
		return 1;
	stacks__free(s);
	return 0;
}

static void hidden_kernel(void **state)
{
	struct record record = describe_mixed(kernel_symbol("vfs_read") + 1);
	pid_t child = fork();
	int status;

	(void)state;
	if (!child) {
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failure must not go on with the tests that follow */
		_exit(resolve_unprivileged(&record));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2) {
		print_message("this kernel shows its addresses to everybody\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void interrupts_and_kthreads(void **state)
{
	static const uint32_t flags[] = {STACK_FLAG_IRQ, STACK_FLAG_KTHREAD};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct stacks *s = new_store();
		struct record record = describe_mixed(1); /* no kernel symbol there */
		struct stack_view v;

		record.r.flags = flags[i];
		v = add_and_resolve(s, &record);
		check_frame(&v, 0, "[unknown]", "[kernel]", FRAME_KERNEL); /* and no address of the kernel */
		assert_int_equal(v.count, 2);
		assert_int_equal(v.in_irq, flags[i] == STACK_FLAG_IRQ);
		assert_int_equal(v.kthread, flags[i] == STACK_FLAG_KTHREAD);
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
		{STACK_NO_FRAME_PTR, "no frame pointers", "[truncated: no frame pointers]"},
		{STACK_DEPTH_LIMIT, "depth limit", "[truncated: depth limit]"},
		{STACK_FAULT, "unreadable", "[truncated: unreadable]"},
		{STACK_NOT_CAPTURED, "not captured", "[truncated: not captured]"},
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
	/* Garbage behind it is not even code. */
	record.r.hash = 4;
	record.r.user_frames = 3;
	record.frames[2] = 0xdead0000beef;
	v = add_and_resolve(s, &record);
	assert_int_equal(v.count, 2);
	assert_null(v.incomplete);
	stacks__free(s);
}

/* Where no code is mapped, no caller can be: the walk had lost its way before. A leaf may be anywhere. */
static void unmapped_addresses(void **state)
{
	const uint64_t frames[] = {0x10, address((void *)capture) + 1, 0x7ffff000dead,
				   address((void *)capture) + 1};
	struct stacks *s = new_store();
	struct record record = describe(getpid(), 1, frames, 4);
	struct stack_view v;

	(void)state;
	record.r.end = STACK_DEPTH_LIMIT;
	v = add_and_resolve(s, &record);
	assert_int_equal(v.count, 3);
	check_frame(&v, 0, "[unknown]+0x10", "[unknown]", FRAME_USER);
	check_frame(&v, 1, "capture", self, FRAME_USER);
	assert_string_equal(v.incomplete, "no frame pointers");
	assert_string_equal(v.stopped_in, self);
	/* Whoever says that a stack is complete has better means than guessing. */
	record.r.end = STACK_COMPLETE;
	record.r.hash = 2;
	v = add_and_resolve(s, &record);
	assert_int_equal(v.count, 4);
	check_frame(&v, 2, "[unknown]+0x7ffff000dead", "[unknown]", FRAME_USER);
	stacks__free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_stack),
		cmocka_unit_test(thread_stack),
		cmocka_unit_test(leaf_is_exact),
		cmocka_unit_test(malformed),
		cmocka_unit_test(memory_limit),
		cmocka_unit_test(same_content),
		cmocka_unit_test(gone_and_reused),
		cmocka_unit_test(leader_has_ended),
		cmocka_unit_test(kernel_and_user),
		cmocka_unit_test(hidden_kernel),
		cmocka_unit_test(interrupts_and_kthreads),
		cmocka_unit_test(incomplete_stacks),
		cmocka_unit_test(garbage_behind_the_start),
		cmocka_unit_test(lines),
		cmocka_unit_test(unmapped_addresses),
		cmocka_unit_test(hooks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
