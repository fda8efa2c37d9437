/* SPDX-License-Identifier: Apache-2.0 */
#include "object/lookup.h"

#include <stdlib.h>

static int by_address(const void *a, const void *b)
{
	const struct lookup *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

void lookup__sort(struct lookup *l, size_t count)
{
	if (count)
		qsort(l, count, sizeof(*l), by_address);
}

size_t lookup__first(const struct lookup *l, size_t count, uint64_t address)
{
	size_t low = 0, high = count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (l[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t lookup__missing(const struct lookup *l, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += !l[i].text;
	return n;
}
