/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of processes that have ended go after an interval in which nobody asked for them; those of the
 * living stay. */
#include "record.h"

#include <sys/prctl.h>
#include <sys/wait.h>

static pid_t start_child(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static void count(void *context, uint64_t hash)
{
	*(uint64_t *)context += hash;
}

static uint64_t end_interval(struct stacks *s)
{
	uint64_t sum = 0;

	assert_int_equal(stacks__resolve(s), 0);
	stacks__forget(s, count, &sum);
	return sum;
}

static void the_dead_go(void **state)
{
	struct stacks *s = new_store();
	pid_t child = start_child();
	struct captured c;
	struct record own, others;
	struct stack_view v;

	(void)state;
	capture(&c);
	own = describe_own(1, &c);
	others = describe(child, 20, own.frames, own.r.user_frames);
	add_and_resolve(s, &own);
	add_and_resolve(s, &others);
	others.r.hash = 300; /* the same again, as snapshots tell it */
	add_and_resolve(s, &others);
	for (int i = 0; i < 4; i++)
		assert_int_equal(end_interval(s), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	/* Its last samples are told now. */
	assert_int_equal(stacks__get(s, 20, &v), 0);
	assert_int_equal(end_interval(s), 0);
	assert_int_equal(stacks__get(s, 300, &v), 0);
	assert_int_equal(end_interval(s), 0);
	assert_int_equal(end_interval(s), 320);
	assert_int_equal(stacks__get(s, 20, &v), -ENOENT);
	assert_int_equal(stacks__get(s, 300, &v), -ENOENT);
	assert_int_equal(stacks__get(s, 1, &v), 0);
	check_frame(&v, 0, "capture", "test_store_forget", FRAME_USER);
	assert_int_equal(end_interval(s), 0);
	/* Whoever has its number and its stacks now is another one. */
	assert_int_equal(add(s, &others), 0);
	v = resolve(s, 300);
	assert_int_equal(v.who.tgid, child);
	stacks__free(s);
}

/* Nobody looks while there is room. */
static void enough_room(void **state)
{
	const struct stacks_options options = {.debug_directory = "/usr/lib/debug",
					       .memory_limit_bytes = 1 << 17};
	struct stacks *s = stacks__new(&options);
	pid_t child = start_child();
	uint64_t sum = 0;
	struct captured c;
	struct record record;
	struct stack_view v;

	(void)state;
	capture(&c);
	record = describe_own(1, &c);
	record = describe(child, 20, record.frames, record.r.user_frames);
	add_and_resolve(s, &record);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	for (int i = 0; i < 4; i++)
		assert_int_equal(end_interval(s), 0);
	assert_int_equal(stacks__get(s, 20, &v), 0);
	/* There are more and more. */
	for (uint64_t hash = 1000; hash < 1100; hash++) {
		record.r.hash = hash;
		record.frames[0] = hash << 12;
		add_and_resolve(s, &record);
	}
	for (int i = 0; i < 20; i++)
		sum += end_interval(s);
	assert_int_equal(sum, 20 + (1000 + 1099) * 50);
	stacks__free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_dead_go),
		cmocka_unit_test(enough_room),
	};

	return cmocka_run_group_tests_name("store_forget", tests, NULL, NULL);
}
