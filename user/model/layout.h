/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the boxes of a flame graph stand: stacks side by side in the byte order of their plain folded lines,
 * equal neighbours merged from the root. These are the boxes that flamegraph.pl draws from the same file,
 * also where a function's own samples and its callees' are parted by a neighbour such as `f.cold`. Pure.
 */
#ifndef SONDE_MODEL_LAYOUT_H
#define SONDE_MODEL_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "model/flame.h"

struct flame_box {
	const struct flame_node *node; /* its depth is the box's row */
	uint64_t start, weight;	       /* in the tree's unit, from the left */
};

struct flame_layout {
	struct flame_box *boxes; /* owned; depth first, left to right: the root is the first */
	size_t count, capacity;
	uint64_t total;
	unsigned depth; /* of the deepest box */
};

/* Boxes lighter than `min_weight` are left out. A difference is as wide as its second profile. 0 or -ENOMEM.
 */
int flame__layout(struct flame_layout *l, const struct flame *f, double min_weight);
void flame_layout__free(struct flame_layout *l);

#endif
