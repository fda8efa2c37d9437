/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changed between two profiles, function by function, and whether chance alone would explain it. Pure.
 *
 * The tests are for counts of samples (or of waits): a two-proportion z-test for each function, corrected for
 * the number of functions by Benjamini and Hochberg, and Pearson's chi-square over all stacks. Both take
 * samples for independent. Shares of time have no such test: one long wait moves them.
 */
#ifndef SONDE_MODEL_DIFF_H
#define SONDE_MODEL_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/flame.h"

#define DIFF_LEVEL 0.05 /* of significance, also the false discovery rate */

struct diff_row {
	const char *name; /* owned by the diff */
	enum frame_kind kind;
	uint64_t weight[2], count[2]; /* before, after; by itself or with callees, as asked */
	double share[2];	      /* of the weights, 0 to 1 */
	double p, q;		      /* q: p corrected; both -1: too few samples to test */
};

struct diff {
	struct strings strings;
	struct diff_row *rows; /* owned; the largest change of share first */
	size_t count;
	uint64_t samples[2];	    /* of the counts; 0, 0: not known */
	size_t stacks;		    /* categories of the overall test */
	double p;		    /* of the overall test; -1: not testable */
	size_t tested, significant; /* functions; significant: q <= DIFF_LEVEL */
};

/*
 * `weights` and `counts` hold before (self) and after (other_self). counts == weights: the weights are
 * counts; NULL: the weights are times or bytes and the counts behind them are not known. 0 or -ENOMEM.
 */
int diff__compare(struct diff *d, const struct flame *weights, const struct flame *counts, bool with_callees);
void diff__free(struct diff *d);

/* The probability that chi-square with `df` degrees of freedom exceeds x. */
double diff__chi_square_tail(double x, double df);

#endif
