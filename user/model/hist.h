/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a histogram of include/sonde/hist.h: quantiles, merging, rows to print. Pure functions. */
#ifndef SONDE_MODEL_HIST_H
#define SONDE_MODEL_HIST_H

#include <stdint.h>

#include "sonde/hist.h"

struct hist {
	uint64_t slot[HIST_SLOTS];
	uint64_t count, sum; /* sum in ns or units, exact */
	uint64_t max;	     /* exact if known, else 0: then the top bucket's upper bound stands for it */
};

/* Exclusive lower and inclusive upper bound of a slot in whole ns; the last slot has no end (UINT64_MAX). */
uint64_t hist__lower_ns(uint32_t slot);
uint64_t hist__upper_ns(uint32_t slot);
void hist__merge(struct hist *into, const struct hist *from);
/* The value at quantile q in [0, 1]: geometric middle of its bucket, so at most 4.4 % (and the rounding
 * to a whole ns) off; never above `max`. 0 if empty. */
uint64_t hist__quantile_ns(const struct hist *h, double q);
uint64_t hist__max_ns(const struct hist *h);
/* The same questions to a histogram of counts or bytes (hist__slot_unit): bounds are floor(2^(i/8)). */
uint64_t hist__upper_unit(uint32_t slot);
uint64_t hist__quantile_unit(const struct hist *h, double q);
uint64_t hist__max_unit(const struct hist *h);

#endif
