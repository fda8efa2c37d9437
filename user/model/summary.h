/* SPDX-License-Identifier: Apache-2.0 */
/* What every result says about itself: what was lost, and how complete its stacks are. */
#ifndef SONDE_MODEL_SUMMARY_H
#define SONDE_MODEL_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"

struct loss_row { /* one row of include/sonde/abi.h's loss account: part "offcpu", reason "aggregated" */
	const char *part, *reason;
	uint64_t count;
	bool is_drop; /* lost data; the others say where events went */
};

#define COVERAGE_REASONS 16

struct coverage {
	uint64_t stacks, complete; /* weighted by samples or waits; stacks == 0: no stacks in this run */
	const char *worst_reason;  /* NULL if all are complete */
	const char *worst_object;  /* file that most incomplete stacks stopped in, or NULL */
	uint64_t worst_stacks;	   /* of that file, weighted likewise */
	struct {
		const char *reason; /* a constant */
		uint64_t stacks;
	} reasons[COVERAGE_REASONS]; /* of the incomplete ones, as they were met */
	size_t reason_count;
	struct table stopped; /* sums by file and reason while an interval is drained; freed with it */
};

#endif
