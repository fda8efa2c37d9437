/* SPDX-License-Identifier: Apache-2.0 */
/* A walk along frame pointers in place of a table that is missing may have passed over functions: that it
 * reaches the start of the thread does not make it whole. */
#include "record.h"

static void is_never_whole(void **state)
{
	struct stacks *s = new_store();
	struct captured c;
	struct record record;
	struct stack_view v;

	(void)state;
	capture(&c);
	record = describe_own(1, &c);
	record.r.end = STACK_NO_TABLE;
	v = add_and_resolve(s, &record);
	assert_string_equal(v.frames[v.count - 1].name, "_start");
	assert_null(v.incomplete);
	record.r.hash = 2;
	record.r.flags |= STACK_FLAG_STAND_IN;
	v = add_and_resolve(s, &record);
	assert_string_equal(v.incomplete, "no unwind table");
	assert_string_equal(v.frames[v.count - 1].name, "[truncated: no unwind table]");
	stacks__free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(is_never_whole)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
