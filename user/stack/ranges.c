/* SPDX-License-Identifier: Apache-2.0 */
#include "stack/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void remove_at(struct ranges *r, size_t i)
{
	memmove(&r->at[i], &r->at[i + 1], (--r->count - i) * sizeof(*r->at));
}

bool ranges__take(struct ranges *r, uint32_t count, uint32_t *first)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->at[i].count < count)
			continue;
		*first = r->at[i].first;
		r->at[i].first += count;
		r->at[i].count -= count;
		if (!r->at[i].count)
			remove_at(r, i);
		return true;
	}
	return false;
}

static size_t place_of(const struct ranges *r, uint32_t first)
{
	size_t low = 0, high = r->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (r->at[middle].first < first)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int insert(struct ranges *r, size_t i, uint32_t first, uint32_t count)
{
	size_t capacity = r->capacity ? 2 * r->capacity : 8;
	struct range *grown;

	if (r->count == r->capacity) {
		grown = reallocarray(r->at, capacity, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		r->at = grown;
		r->capacity = capacity;
	}
	memmove(&r->at[i + 1], &r->at[i], (r->count++ - i) * sizeof(*r->at));
	r->at[i] = (struct range){first, count};
	return 0;
}

int ranges__give(struct ranges *r, uint32_t first, uint32_t count)
{
	size_t i = place_of(r, first);
	bool joins_next = i < r->count && first + count == r->at[i].first;
	bool joins_last = i && r->at[i - 1].first + r->at[i - 1].count == first;

	if (!count)
		return 0;
	if (joins_last) {
		r->at[i - 1].count += count;
		if (joins_next) {
			r->at[i - 1].count += r->at[i].count;
			remove_at(r, i);
		}
		return 0;
	}
	if (!joins_next)
		return insert(r, i, first, count);
	r->at[i].first = first;
	r->at[i].count += count;
	return 0;
}

uint64_t ranges__left(const struct ranges *r)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < r->count; i++)
		sum += r->at[i].count;
	return sum;
}

void ranges__free(struct ranges *r)
{
	free(r->at);
	*r = (struct ranges){0};
}
