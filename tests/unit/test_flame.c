// SPDX-License-Identifier: Apache-2.0
/* The tree of stacks, its folded form, its layout, and the tests on differences. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/diff.h"
#include "model/flame.h"
#include "model/layout.h"

static int read_text(struct flame *f, const char *text, bool second, size_t *line)
{
	return flame__add_folded(f, text, strlen(text), second, NULL, NULL, line);
}

static void read_all(struct flame *f, const char *text)
{
	size_t line;

	flame__init(f);
	assert_int_equal(read_text(f, text, false, &line), 0);
	flame__sort(f);
}

static void assert_folded(const struct flame *f, bool all_suffixes, const char *want)
{
	struct buf out = {0};

	flame__write_folded(&out, f, all_suffixes);
	assert_false(out.failed);
	assert_string_equal(buf__text(&out), want);
	buf__free(&out);
}

static void lines_come_back_sorted_and_merged(void **state)
{
	struct flame f;

	(void)state;
	read_all(&f, "b;c 2\na;x_[k];y_[j];z_[i] 3\r\n\na 1\nb;c 40\n# a comment\n");
	assert_folded(&f, false, "a 1\na;x_[k];y_[j];z_[i] 3\nb;c 42\n");
	assert_int_equal(f.root.total, 46);
	assert_int_equal(f.depth, 4);
	assert_int_equal(f.root.child->child->kind, FRAME_KERNEL);
	assert_string_equal(f.root.child->child->name, "x");
	flame__free(&f);
}

static void libraries_merge_with_the_program_in_plain_lines(void **state)
{
	struct flame f;

	(void)state;
	read_all(&f, "a;malloc_[l] 2\na;malloc 3\na;malloc_[k] 4\n");
	assert_folded(&f, false, "a;malloc 5\na;malloc_[k] 4\n");
	assert_folded(&f, true, "a;malloc_[l] 5\na;malloc_[k] 4\n");
	flame__free(&f);
}

static void weights_may_have_decimals_and_names_spaces(void **state)
{
	struct flame f;

	(void)state;
	read_all(&f, "a b;std::f(int, char) 2.4\nc 7 x;d 2.5\ne 3.\nf 0\n");
	assert_folded(&f, false, "a b;std::f(int, char) 2\nc 7 x;d 3\ne 3\n");
	flame__free(&f);
}

static void what_is_no_stack_is_named_by_its_line(void **state)
{
	static const char *const bad[] = {"a 1\nnonsense\n", "a 1\n 5\n", "a 1\na;b x\n",
					  "a 1\na 99999999999999999999999\n", "a 1\n;; 3\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct flame f;
		size_t line = 0;

		flame__init(&f);
		assert_int_equal(read_text(&f, bad[i], false, &line), -EINVAL);
		assert_int_equal(line, 2);
		flame__free(&f);
	}
}

static void sums_do_not_wrap(void **state)
{
	struct flame f;
	size_t line;

	(void)state;
	flame__init(&f);
	assert_int_equal(read_text(&f, "a 18446744073709551615\nb 1\n", false, &line), -EOVERFLOW);
	assert_int_equal(line, 2);
	assert_int_equal(f.root.total, UINT64_MAX);
	flame__free(&f);
}

static void depth_has_a_limit(void **state)
{
	struct buf text = {0};
	struct flame f;
	size_t line;

	(void)state;
	for (int i = 0; i < FLAME_DEPTH_MAX - 1; i++)
		buf__puts(&text, "a;");
	buf__puts(&text, "a 1\n");
	read_all(&f, buf__text(&text));
	assert_int_equal(f.depth, FLAME_DEPTH_MAX);
	flame__free(&f);
	flame__init(&f);
	text.len -= 3;
	buf__puts(&text, ";b 1\n");
	assert_int_equal(read_text(&f, buf__text(&text), false, &line), -EINVAL);
	flame__free(&f);
	buf__free(&text);
}

static void two_columns_are_a_difference(void **state)
{
	struct flame f;
	size_t line;

	(void)state;
	read_all(&f, "a;b 1 2\na;c 3 0\n");
	assert_true(f.is_difference);
	assert_int_equal(f.root.total, 4);
	assert_int_equal(f.root.other_total, 2);
	assert_folded(&f, false, "a;b 1 2\na;c 3 0\n");
	flame__swap(&f);
	assert_folded(&f, false, "a;b 2 1\na;c 0 3\n");
	assert_int_equal(read_text(&f, "x 1 2\n", true, &line), -EINVAL);
	flame__free(&f);
	/* One column among them: a name that ends in a number, not a difference. */
	read_all(&f, "worker 3 5\nmain 7\n");
	assert_false(f.is_difference);
	assert_int_equal(f.root.total, 12);
	flame__free(&f);
}

static void keep(void *context, const char *key, const char *value)
{
	buf__printf(context, "%s=%s|", key, value);
}

static void metadata_is_handed_over(void **state)
{
	struct buf seen = {0};
	struct flame f;
	size_t line;
	static const char text[] = "# lost: 12\n# no key here\n# command: sonde profile: x\na 1\n";

	(void)state;
	flame__init(&f);
	assert_int_equal(flame__add_folded(&f, text, sizeof(text) - 1, false, keep, &seen, &line), 0);
	assert_string_equal(buf__text(&seen), "lost=12|command=sonde profile: x|");
	flame__free(&f);
	buf__free(&seen);
}

/* Whatever a thread or a function is called, its line is read back as the same stack. */
static void hostile_names_survive_the_trip(void **state)
{
	static const char *const names[] = {"# lost: 0", "worker 3", "a;b", "x\ny", "\xff\xfe",
					    "\033[31m",	 "a 1 2",    " ",   "1.5",  "a\t7"};
	struct flame f, back;
	struct buf once = {0}, twice = {0};
	size_t line;

	(void)state;
	flame__init(&f);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct frame comm = {.name = names[i]}, leaf = {.name = names[i], .kind = FRAME_LIBRARY};
		const struct frame *stack[] = {&comm, &leaf};

		assert_int_equal(flame__add(&f, stack, 2, 10 + i, false), 0);
		assert_int_equal(flame__add(&f, stack, 1, 100 + i, false), 0);
	}
	flame__sort(&f);
	flame__write_folded(&once, &f, false);
	flame__init(&back);
	assert_int_equal(flame__add_folded(&back, once.data, once.len, false, keep, &twice, &line), 0);
	assert_int_equal(twice.len, 0); /* no name became metadata */
	assert_int_equal(back.root.total, f.root.total);
	assert_int_equal(back.nodes, f.nodes);
	flame__sort(&back);
	flame__write_folded(&twice, &back, false);
	assert_string_equal(buf__text(&once), buf__text(&twice));
	for (size_t i = 0; i < once.len; i++)
		assert_true(once.data[i] == '\n' || (unsigned char)once.data[i] >= 0x20);
	flame__free(&back);
	flame__free(&f);
	buf__free(&once);
	buf__free(&twice);
}

static void order_of_input_does_not_matter(void **state)
{
	struct flame a, b;
	struct buf x = {0}, y = {0};

	(void)state;
	read_all(&a, "p;m 1\np;m_[l] 2\np;[irq] 3\nq;r;s 4\n");
	read_all(&b, "q;r;s 4\np;[irq] 3\np;m_[l] 2\np;m 1\n");
	flame__write_folded(&x, &a, true);
	flame__write_folded(&y, &b, true);
	assert_string_equal(buf__text(&x), buf__text(&y));
	flame__free(&a);
	flame__free(&b);
	buf__free(&x);
	buf__free(&y);
}

static void scaling_rounds_each_stack(void **state)
{
	struct flame f;

	(void)state;
	read_all(&f, "a 1499\nb 1500\nc 400\n");
	flame__scale(&f, 1, 1000, true);
	assert_folded(&f, false, "a 1\nb 2\n");
	assert_int_equal(f.root.total, 3);
	flame__free(&f);
	read_all(&f, "a 18446744073709551615\n");
	flame__scale(&f, UINT64_MAX, UINT64_MAX, false);
	assert_int_equal(f.root.total, UINT64_MAX);
	flame__free(&f);
}

/* --- layout */

struct want {
	const char *name;
	unsigned depth;
	uint64_t start, weight;
};

static void assert_layout(const char *text, double min_weight, const struct want *want, size_t count)
{
	struct flame_layout l;
	struct flame f;

	read_all(&f, text);
	assert_int_equal(flame__layout(&l, &f, min_weight), 0);
	assert_int_equal(l.count, count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(l.boxes[i].node->name, want[i].name);
		assert_int_equal(l.boxes[i].node->depth, want[i].depth);
		assert_int_equal(l.boxes[i].start, want[i].start);
		assert_int_equal(l.boxes[i].weight, want[i].weight);
	}
	flame_layout__free(&l);
	flame__free(&f);
}

static void boxes_stand_in_the_order_of_lines(void **state)
{
	static const struct want plain[] = {
		{"", 0, 0, 10}, {"a", 1, 0, 6}, {"c", 2, 1, 2}, {"d", 2, 3, 3}, {"b", 1, 6, 4}};
	static const struct want large[] = {{"", 0, 0, 10}, {"a", 1, 0, 6}, {"d", 2, 3, 3}, {"b", 1, 6, 4}};
	/* "f 1" < "f.cold 2" < "f;g 4": byte order parts f's own samples from its callee's. */
	static const struct want parted[] = {
		{"", 0, 0, 7}, {"f", 1, 0, 1}, {"f.cold", 1, 1, 2}, {"f", 1, 3, 4}, {"g", 2, 3, 4}};
	static const struct want after[] = {{"", 0, 0, 5}, {"a", 1, 0, 5}, {"c", 2, 0, 5}};

	(void)state;
	assert_layout("b 4\na;d 3\na;c 2\na 1\n", 0, plain, 5);
	assert_layout("b 4\na;d 3\na;c 2\na 1\n", 3, large, 4);
	assert_layout("f;g 4\nf.cold 2\nf 1\n", 0, parted, 5);
	assert_layout("a;b 7 0\na;c 1 5\n", 0, after, 3);
}

/* --- differences */

static void chi_square_has_known_values(void **state)
{
	/* Tables of the distribution; with two degrees of freedom the tail is exp(-x/2). */
	static const struct {
		double x, df, p;
	} known[] = {{3.841459, 1, 0.05},
		     {6.634897, 1, 0.01},
		     {18.307038, 10, 0.05},
		     {124.342113, 100, 0.05},
		     {82.358136, 100, 0.9},
		     {1074.679449, 1000, 0.05},
		     {0, 5, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_true(fabs(diff__chi_square_tail(known[i].x, known[i].df) - known[i].p) < 1e-6);
	for (double x = 0.1; x < 200; x *= 1.7)
		assert_true(fabs(diff__chi_square_tail(x, 2) / exp(-x / 2) - 1) < 1e-9);
}

static void compare(struct diff *d, struct flame *f, const char *text, bool known, bool with_callees)
{
	read_all(f, text);
	assert_int_equal(diff__compare(d, f, known ? f : NULL, with_callees), 0);
}

static const struct diff_row *row(const struct diff *d, const char *name)
{
	for (size_t i = 0; i < d->count; i++) {
		if (!strcmp(d->rows[i].name, name))
			return &d->rows[i];
	}
	fail_msg("no row %s", name);
	return NULL;
}

static void a_real_change_is_found(void **state)
{
	struct diff d;
	struct flame f;

	(void)state;
	compare(&d, &f, "m;a 100 200\nm;b 300 200\nm;c 600 600\n", true, false);
	/* a: 10 % to 20 % of 1000: z = 0.1 / sqrt(0.15 * 0.85 * 0.002) = 6.262 */
	assert_true(fabs(row(&d, "a")->p - 3.79e-10) < 1e-11);
	assert_true(row(&d, "c")->p > 0.99);
	assert_int_equal(d.tested, 3);
	assert_int_equal(d.significant, 2);
	assert_true(d.p < 1e-8);
	assert_string_equal(d.rows[0].name, "a"); /* as large as b's, first by name */
	/* q of rank 1 of 3 is 3 p; q never falls with p */
	assert_true(fabs(row(&d, "a")->q / row(&d, "a")->p - 3) < 1e-9);
	assert_true(row(&d, "a")->q <= row(&d, "b")->q && row(&d, "b")->q <= row(&d, "c")->q);
	diff__free(&d);
	flame__free(&f);
}

static void the_same_profile_does_not_differ(void **state)
{
	struct diff d;
	struct flame f;

	(void)state;
	compare(&d, &f, "m;a 100 1000\nm;b 300 3000\nm;c 600 6000\n", true, false);
	assert_true(d.p > 0.999);
	assert_int_equal(d.significant, 0);
	diff__free(&d);
	flame__free(&f);
}

static void few_samples_and_weights_are_not_judged(void **state)
{
	struct diff d;
	struct flame f;

	(void)state;
	compare(&d, &f, "m;a 1 3\nm;b 2 1\n", true, false);
	assert_true(d.p == -1 && d.tested == 0 && row(&d, "a")->q == -1);
	diff__free(&d);
	flame__free(&f);
	compare(&d, &f, "m;a 1000000 3000000\nm;b 2000000 1000000\n", false, false);
	assert_true(d.p == -1 && d.tested == 0 && d.samples[0] == 0);
	assert_true(fabs(row(&d, "a")->share[1] - 0.75) < 1e-12);
	diff__free(&d);
	flame__free(&f);
}

static void callees_count_once_under_recursion(void **state)
{
	struct diff d;
	struct flame f;

	(void)state;
	compare(&d, &f, "m;f;g;f;h 50 60\nm;x 50 40\n", true, true);
	assert_int_equal(row(&d, "f")->weight[0], 50);
	assert_int_equal(row(&d, "f")->weight[1], 60);
	assert_int_equal(row(&d, "m")->weight[0], 100);
	assert_true(row(&d, "m")->q == -1); /* all of both: nothing to test */
	diff__free(&d);
	flame__free(&f);
}

/* Two runs of one program whose samples are independent: few pairs may look different. */
static void chance_alone_rarely_convinces(void **state)
{
	uint64_t random = 88172645463325252ull;
	int alarms = 0, functions = 0;

	(void)state;
	for (int run = 0; run < 200; run++) {
		unsigned count[2][20] = {{0}};
		struct buf text = {0};
		struct diff d;
		struct flame f;

		for (int i = 0; i < 4000; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			count[i & 1][(random >> 20) % 20]++;
		}
		for (int i = 0; i < 20; i++)
			buf__printf(&text, "m;f%d %u %u\n", i, count[0][i], count[1][i]);
		compare(&d, &f, buf__text(&text), true, false);
		alarms += d.p < 0.05;
		functions += d.significant > 0;
		diff__free(&d);
		flame__free(&f);
		buf__free(&text);
	}
	assert_in_range(alarms, 2, 20); /* 5 % of 200 expected */
	assert_in_range(functions, 0, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_back_sorted_and_merged),
		cmocka_unit_test(libraries_merge_with_the_program_in_plain_lines),
		cmocka_unit_test(weights_may_have_decimals_and_names_spaces),
		cmocka_unit_test(what_is_no_stack_is_named_by_its_line),
		cmocka_unit_test(sums_do_not_wrap),
		cmocka_unit_test(depth_has_a_limit),
		cmocka_unit_test(two_columns_are_a_difference),
		cmocka_unit_test(metadata_is_handed_over),
		cmocka_unit_test(hostile_names_survive_the_trip),
		cmocka_unit_test(order_of_input_does_not_matter),
		cmocka_unit_test(scaling_rounds_each_stack),
		cmocka_unit_test(boxes_stand_in_the_order_of_lines),
		cmocka_unit_test(chi_square_has_known_values),
		cmocka_unit_test(a_real_change_is_found),
		cmocka_unit_test(the_same_profile_does_not_differ),
		cmocka_unit_test(few_samples_and_weights_are_not_judged),
		cmocka_unit_test(callees_count_once_under_recursion),
		cmocka_unit_test(chance_alone_rarely_convinces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
