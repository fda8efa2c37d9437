// SPDX-License-Identifier: Apache-2.0
#include "model/diff.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

#define EXPECTED_MIN 5 /* fewer expected samples on a side and the approximations do not hold */

/* --- rows by function */

struct function_key {
	const char *name;
	uint64_t is_kernel; /* functions of kernel and program may have the same name */
};

/* Recursion counts once: the outermost frame of a function stands for it. */
static bool is_inside_itself(const struct flame_node *n)
{
	for (const struct flame_node *p = n->parent; p; p = p->parent) {
		if (!strcmp(p->name, n->name) && (p->kind == FRAME_KERNEL) == (n->kind == FRAME_KERNEL))
			return true;
	}
	return false;
}

static struct diff_row *row_of(struct diff *d, struct table *index, const struct flame_node *n)
{
	struct function_key key = {strings__add(&d->strings, n->name, strlen(n->name)),
				   n->kind == FRAME_KERNEL};
	struct diff_row *rows;
	size_t *place;
	bool is_new;

	place = key.name ? table__add(index, &key, &is_new) : NULL;
	if (!place)
		return NULL;
	if (is_new) {
		*place = d->count;
		rows = reallocarray(d->rows, d->count + 1, sizeof(*rows));
		if (!rows)
			return NULL;
		d->rows = rows;
		d->rows[d->count++] = (struct diff_row){.name = key.name, .kind = n->kind, .p = -1, .q = -1};
	}
	return &d->rows[*place];
}

static int sum_by_function(struct diff *d, struct table *index, const struct flame *f, bool as_counts,
			   bool with_callees)
{
	for (const struct flame_node *n = f->root.child; n; n = flame__next(n)) {
		uint64_t before = with_callees ? n->total : n->self;
		uint64_t after = with_callees ? n->other_total : n->other_self;
		struct diff_row *row;
		uint64_t *sums;

		if ((!before && !after) || (with_callees && is_inside_itself(n)))
			continue;
		row = row_of(d, index, n);
		if (!row)
			return -ENOMEM;
		sums = as_counts ? row->count : row->weight;
		sums[0] += before;
		sums[1] += after;
	}
	return 0;
}

/* --- tests */

/* The smaller side of n samples, shared as the two profiles' sizes are. */
static double least_expected(const struct diff *d, double n)
{
	double a = (double)d->samples[0], b = (double)d->samples[1];

	return n * (a < b ? a : b) / (a + b);
}

static void test_row(const struct diff *d, struct diff_row *row)
{
	double a = (double)row->count[0], b = (double)row->count[1];
	double all_a = (double)d->samples[0], all_b = (double)d->samples[1];
	double pooled = (a + b) / (all_a + all_b), z;

	if (least_expected(d, a + b) < EXPECTED_MIN ||
	    least_expected(d, all_a + all_b - a - b) < EXPECTED_MIN)
		return;
	z = (a / all_a - b / all_b) / sqrt(pooled * (1 - pooled) * (1 / all_a + 1 / all_b));
	row->p = erfc(fabs(z) / sqrt(2));
}

static int by_p(const void *left, const void *right)
{
	const struct diff_row *a = *(struct diff_row *const *)left, *b = *(struct diff_row *const *)right;

	return a->p < b->p ? -1 : a->p > b->p;
}

/* Benjamini and Hochberg: q of rank i is the least p * tested / rank of this rank and those behind it. */
static int correct(struct diff *d)
{
	struct diff_row **order = calloc(d->count + 1, sizeof(*order));
	double q = 1;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < d->count; i++) {
		if (d->rows[i].p >= 0)
			order[d->tested++] = &d->rows[i];
	}
	qsort(order, d->tested, sizeof(*order), by_p);
	for (size_t rank = d->tested; rank > 0; rank--) {
		double raised = order[rank - 1]->p * (double)d->tested / (double)rank;

		if (raised < q)
			q = raised;
		order[rank - 1]->q = q;
		d->significant += q <= DIFF_LEVEL;
	}
	free(order);
	return 0;
}

/* Continued fraction of the upper incomplete gamma function (modified Lentz), for x > a + 1. */
static double upper_gamma_fraction(double a, double x)
{
	const double tiny = 1e-300;
	double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;

	for (int i = 1; i < 10000; i++) {
		double an = -i * (i - a), step;

		b += 2;
		d = an * d + b;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = b + an / c;
		c = fabs(c) < tiny ? tiny : c;
		step = d * c;
		h *= step;
		if (fabs(step - 1) < 1e-14)
			break;
	}
	return h;
}

static double lower_gamma_series(double a, double x)
{
	double term = 1 / a, sum = term;

	for (int i = 1; i < 100000 && term > sum * 1e-15; i++) {
		term *= x / (a + i);
		sum += term;
	}
	return sum;
}

double diff__chi_square_tail(double x, double df)
{
	double a = df / 2, scale, tail;

	x /= 2;
	if (x <= 0 || a <= 0)
		return 1;
	scale = exp(-x + a * log(x) - lgamma(a));
	tail = x < a + 1 ? 1 - scale * lower_gamma_series(a, x) : scale * upper_gamma_fraction(a, x);
	return tail < 0 ? 0 : tail;
}

static double category(const struct diff *d, double a, double b)
{
	double all = (double)d->samples[0] + (double)d->samples[1];
	double expected_a = (a + b) * (double)d->samples[0] / all,
	       expected_b = (a + b) * (double)d->samples[1] / all;

	return (a - expected_a) * (a - expected_a) / expected_a +
	       (b - expected_b) * (b - expected_b) / expected_b;
}

/* Rare stacks are one category together, so that no expectation is too small. */
static void test_stacks(struct diff *d, const struct flame *counts)
{
	double chi_square = 0, rest_a = 0, rest_b = 0;

	d->p = -1;
	for (const struct flame_node *n = counts->root.child; n; n = flame__next(n)) {
		double a = (double)n->self, b = (double)n->other_self;

		if (least_expected(d, a + b) < EXPECTED_MIN) {
			rest_a += a;
			rest_b += b;
			continue;
		}
		chi_square += category(d, a, b);
		d->stacks++;
	}
	if (least_expected(d, rest_a + rest_b) >= EXPECTED_MIN) {
		chi_square += category(d, rest_a, rest_b);
		d->stacks++;
	}
	if (d->stacks > 1)
		d->p = diff__chi_square_tail(chi_square, (double)(d->stacks - 1));
}

static int test_all(struct diff *d, const struct flame *counts)
{
	d->samples[0] = counts->root.total;
	d->samples[1] = counts->root.other_total;
	if (!d->samples[0] || !d->samples[1])
		return 0;
	for (size_t i = 0; i < d->count; i++)
		test_row(d, &d->rows[i]);
	test_stacks(d, counts);
	return correct(d);
}

/* --- all of it */

static int by_change(const void *left, const void *right)
{
	const struct diff_row *a = left, *b = right;
	double change_a = fabs(a->share[1] - a->share[0]), change_b = fabs(b->share[1] - b->share[0]);

	if (change_a != change_b)
		return change_a > change_b ? -1 : 1;
	return strcmp(a->name, b->name);
}

int diff__compare(struct diff *d, const struct flame *weights, const struct flame *counts, bool with_callees)
{
	double before = (double)weights->root.total, after = (double)weights->root.other_total;
	struct table index;
	int err;

	memset(d, 0, sizeof(*d));
	d->p = -1;
	strings__init(&d->strings);
	table__init(&index, sizeof(struct function_key), sizeof(size_t));
	err = sum_by_function(d, &index, weights, false, with_callees);
	if (!err && counts)
		err = sum_by_function(d, &index, counts, true, with_callees);
	for (size_t i = 0; i < d->count; i++) {
		d->rows[i].share[0] = before > 0 ? (double)d->rows[i].weight[0] / before : 0;
		d->rows[i].share[1] = after > 0 ? (double)d->rows[i].weight[1] / after : 0;
	}
	if (!err && counts)
		err = test_all(d, counts);
	if (d->count)
		qsort(d->rows, d->count, sizeof(*d->rows), by_change);
	table__free(&index);
	return err;
}

void diff__free(struct diff *d)
{
	free(d->rows);
	strings__free(&d->strings);
	memset(d, 0, sizeof(*d));
}
