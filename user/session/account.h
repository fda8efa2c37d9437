/* SPDX-License-Identifier: Apache-2.0 */
/* What a run says about itself: the loss account per interval, and sonde's own cost. */
#ifndef SONDE_SESSION_ACCOUNT_H
#define SONDE_SESSION_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "helper/helper.h"
#include "model/summary.h"
#include "probe/probe.h"

#define LOSS_ROWS (PART_COUNT * OUTCOME_COUNT)

struct account_book {
	struct loss base;	     /* as of the last interval's end */
	const struct helper *helper; /* its CPU time is sonde's, too */
	uint64_t base_cpu_ns;
	int statistics_fd; /* -1: closed */
	uint64_t window_from_ns, next_window_ns;
	/* of the interval that account__close was asked for last */
	struct loss_row rows[LOSS_ROWS];
	size_t row_count;
	uint64_t lost;
	bool accounted;
	double own_cost; /* share of the machine's CPU time; NAN: what the BPF programs took is not known */
};

/* Before the probes begin to count. */
void account__begin(struct account_book *a, const struct helper *helper, uint64_t now_ns);
/* Opens and closes the kernel's statistics for a moment now and then: they cost every BPF program 70 to 90 ns
 * a run. */
void account__tick(struct account_book *a, uint64_t now_ns);
/* `still`: nothing runs any more, so the laws must hold exactly; else events in flight are allowed for. */
void account__close(struct account_book *a, struct probe *const *probes, uint64_t elapsed_ns, bool still);
/* sonde's share of the machine's CPU time since the interval's start; NAN as above. */
double account__cost(const struct account_book *a, struct probe *const *probes, uint64_t elapsed_ns);
/* Since the interval's start, for the progress line. Events: samples, and switches to watched threads. */
void account__peek(const struct account_book *a, struct probe *const *probes, uint64_t *events,
		   uint64_t *lost);
void account__free(struct account_book *a);

#endif
