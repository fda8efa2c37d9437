// SPDX-License-Identifier: Apache-2.0
/* The compiled globs of --comm against fnmatch(3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session/glob.c"
#include "sonde/glob.h"

static int matches(const char *pattern, const char *name)
{
	char comm[COMM_LEN] = "";
	struct glob g;

	memcpy(comm, name, strnlen(name, COMM_LEN));
	assert_int_equal(glob__compile(&g, pattern), 0);
	return glob__matches(&g, comm);
}

static void known_answers(void **state)
{
	(void)state;
	assert_true(matches("", ""));
	assert_false(matches("", "a"));
	assert_true(matches("*", ""));
	assert_true(matches("post*", "postgres"));
	assert_false(matches("post*", "pos"));
	assert_true(matches("***s", "postgres"));
	assert_true(matches("[a-p]os?gre[!x]", "postgres"));
	assert_true(matches("a\\*b", "a*b"));
	assert_false(matches("a\\*b", "axb"));
	assert_true(matches("[]]", "]"));
	assert_true(matches("*:[0-9]", "kworker/0:1"));
	assert_true(matches("abcdefghijklmno", "abcdefghijklmno"));
	assert_true(matches("\xff*", "\xff\x01"));
}

static void refuses_what_it_cannot_hold(void **state)
{
	struct glob g;

	(void)state;
	assert_int_equal(glob__compile(&g, "abcdefghijklmnopqrstuvwxyzabcde"), 0); /* 31 tokens */
	assert_int_equal(glob__compile(&g, "abcdefghijklmnopqrstuvwxyzabcdef"), -E2BIG);
	assert_int_equal(glob__compile(&g, "[abc"), -EINVAL);
}

/* Random patterns over a small alphabet, so that many of them match. */
static void agrees_with_fnmatch(void **state)
{
	static const char *const pieces[] = {"a", "b", "*", "?", "[ab]", "[!a]", "c"};
	unsigned seed = 7, yes = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char pattern[64] = "", name[COMM_LEN] = "";

		for (int n = rand_r(&seed) % 7; n > 0; n--)
			strncat(pattern, pieces[rand_r(&seed) % 7], sizeof(pattern) - strlen(pattern) - 1);
		for (int n = rand_r(&seed) % 6, j = 0; j < n; j++)
			name[j] = (char)('a' + rand_r(&seed) % 3);
		assert_int_equal(matches(pattern, name), fnmatch(pattern, name, 0) == 0);
		yes += fnmatch(pattern, name, 0) == 0;
	}
	assert_true(yes > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(refuses_what_it_cannot_hold),
		cmocka_unit_test(agrees_with_fnmatch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
