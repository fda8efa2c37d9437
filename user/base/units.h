/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with units, in and out. Inside sonde times are nanoseconds and sizes bytes. */
#ifndef SONDE_BASE_UNITS_H
#define SONDE_BASE_UNITS_H

#include <stdint.h>

#include "base/buf.h"

/* "250us" "1.5ms" "10s" "2m" "1h" "100ns" -> ns. -EINVAL: not a number with unit (a bare number too),
 * -ERANGE: too large. */
int units__parse_duration(const char *text, uint64_t *ns);
/* "64k" "24MB" "1GiB" "4096" -> bytes, binary multiples. Errors as above. */
int units__parse_size(const char *text, uint64_t *bytes);
/* Whole decimal number in [min, max]. */
int units__parse_int(const char *text, long long min, long long max, long long *value);

/* Three significant digits: "3.1us", "90us", "14ms", "2.5s". Fits 8 columns. */
void units__duration(struct buf *out, uint64_t ns);
/* "41 220": thin groups by space, as in the mock-ups. */
void units__count(struct buf *out, uint64_t n);
/* "41.2k", "3.4M": four or five columns. */
void units__short_count(struct buf *out, uint64_t n);
void units__bytes(struct buf *out, uint64_t bytes);

uint64_t units__now_ns(void); /* CLOCK_MONOTONIC: the clock of every BPF program */

#endif
