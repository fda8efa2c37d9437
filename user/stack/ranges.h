/* SPDX-License-Identifier: Apache-2.0 */
/* Which numbers of a row of them are free, as ranges: chunks, segments and the lines of a shard are handed
 * out by it, first fit. */
#ifndef SONDE_STACK_RANGES_H
#define SONDE_STACK_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint32_t first, count;
};

struct ranges {
	struct range *at; /* ascending, never adjoining */
	size_t count, capacity;
};

/* A zeroed one has nothing to give. */
bool ranges__take(struct ranges *, uint32_t count, uint32_t *first);
int ranges__give(struct ranges *, uint32_t first, uint32_t count); /* back; 0 or -ENOMEM: they are lost */
uint64_t ranges__left(const struct ranges *);
void ranges__free(struct ranges *);

#endif
