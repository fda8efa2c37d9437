/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs of unwind tables by hand, and the lookup as the kernel's side does it, without its masks: under the
 * sanitizers it shows whether a blob leads out of itself. */
#ifndef SONDE_TESTS_BLOB_H
#define SONDE_TESTS_BLOB_H

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "sonde/unwind.h"

#define BLOB_HEADER 32u /* of those made here */

/* One rule that says who it is, and rows as many as wanted. */
static inline uint32_t blob__rule(uint32_t tag)
{
	return unwind_rule__make(UNWIND_SP, UNWIND_RA_CALL, (int32_t)(tag & 0xfff),
				 (int32_t)(tag >> 12 & 0xfff));
}

static inline void blob__make(struct buf *out, uint32_t tag, uint32_t rows)
{
	char bytes[BLOB_HEADER] = {0};
	struct unwind_header h = {0};
	struct unwind_row row = {0};
	uint32_t rule = blob__rule(tag), sum = 0;

	memcpy(bytes + BLOB_HEADER - 4, &rule, 4);
	buf__add(out, bytes, sizeof(bytes));
	for (uint32_t i = 0; i < rows; i++)
		h.count[i % 256]++;
	for (uint32_t b = 0; b < 256; b++) {
		if (!(b % 16))
			h.group[b / 16] = (uint16_t)sum;
		sum += h.count[b];
	}
	buf__add(out, &h, sizeof(h));
	for (uint32_t b = 0; b < 256; b++)
		for (row.address = 0; row.address < h.count[b]; row.address++)
			buf__add(out, &row, sizeof(row));
}

static inline uint32_t blob__word(const char *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* The rule for an address of the chunk. The words of a wide one are read, too. */
static inline uint32_t blob__lookup(const char *header, uint32_t relative)
{
	struct unwind_header h;
	struct unwind_row row;
	uint32_t bucket = relative >> 8 & 255, first, rule;
	volatile uint32_t word = 0; /* read, or the sanitizer has nothing to see */
	int32_t found;

	memcpy(&h, header, sizeof(h));
	first = h.group[bucket / 16];
	for (uint32_t b = bucket & ~15u; b < bucket; b++)
		first += h.count[b];
	found = (int32_t)first - 1;
	for (uint32_t i = first; i < first + h.count[bucket]; i++) {
		memcpy(&row, header + sizeof(h) + i * sizeof(row), sizeof(row));
		if (row.address <= (relative & 255))
			found = (int32_t)i;
	}
	memcpy(&row, header + sizeof(h) + found * (int32_t)sizeof(row), sizeof(row));
	rule = blob__word(header - 4 * (row.rule + 1));
	for (uint32_t i = 1; UNWIND_KIND(rule) == UNWIND_WIDE && i < UNWIND_WIDE_WORDS; i++) {
		word = blob__word(header - 4 * (row.rule + i + 1));
	}
	(void)word;
	return rule;
}

#endif
