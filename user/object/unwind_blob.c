/* SPDX-License-Identifier: Apache-2.0 */
#include "object/unwind_blob.h"

#include <string.h>

#include "sonde/unwind.h"

#define BUCKETS		  256
#define BUCKETS_PER_GROUP 16

static bool is_header_inside(size_t bytes, uint32_t header)
{
	return bytes <= UNWIND_SHARD_BYTES && header % UNWIND_LINE == 32 &&
	       header <= unwind__before_header(UNWIND_RULES_MAX) &&
	       header + sizeof(struct unwind_header) <= bytes;
}

/* Rule `number` and, if it is a wide one, the words that follow it. */
static bool is_rule_inside(const char *blob, uint32_t header, uint32_t number)
{
	uint32_t rule;

	if (4 * (number + 1) > header)
		return false;
	memcpy(&rule, blob + header - 4 * (number + 1), sizeof(rule));
	if (UNWIND_KIND(rule) == UNWIND_WIDE)
		return 4 * (number + UNWIND_WIDE_WORDS) <= header;
	return UNWIND_KIND(rule) < UNWIND_WIDE;
}

/* Row 0 holds from the chunk's first byte on; in each bucket they ascend. */
static bool are_rows_sound(const char *blob, const struct unwind_header *h, uint32_t header)
{
	const char *at = blob + header + sizeof(*h);
	unsigned char rules[32] = {0}; /* looked at already */
	struct unwind_row row;
	int last;

	for (size_t b = 0; b < BUCKETS; b++) {
		last = -1;
		for (size_t i = 0; i < h->count[b]; i++, at += sizeof(row)) {
			memcpy(&row, at, sizeof(row));
			if (row.address <= last || (!b && !i && row.address))
				return false;
			last = row.address;
			if (rules[row.rule / 8] >> row.rule % 8 & 1)
				continue;
			if (!is_rule_inside(blob, header, row.rule))
				return false;
			rules[row.rule / 8] |= (unsigned char)(1 << row.rule % 8);
		}
	}
	return true;
}

bool unwind_blob__is_sound(const void *blob, size_t bytes, uint32_t header)
{
	struct unwind_header h;
	size_t rows = 0;

	if (!is_header_inside(bytes, header))
		return false;
	memcpy(&h, (const char *)blob + header, sizeof(h));
	for (size_t b = 0; b < BUCKETS; b++) {
		if (!(b % BUCKETS_PER_GROUP) && h.group[b / BUCKETS_PER_GROUP] != rows)
			return false;
		rows += h.count[b];
	}
	return h.count[0] && rows <= (bytes - header - sizeof(h)) / sizeof(struct unwind_row) &&
	       are_rows_sound(blob, &h, header);
}

uint32_t unwind_blob__rows(const void *blob, uint32_t header)
{
	struct unwind_header h;
	uint32_t rows = 0;

	memcpy(&h, (const char *)blob + header, sizeof(h));
	for (size_t b = 0; b < BUCKETS; b++)
		rows += h.count[b];
	return rows;
}
