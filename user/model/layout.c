// SPDX-License-Identifier: Apache-2.0
#include "model/layout.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A folded line from some frame on, without being written out: name, suffix, then the weights or the next
 * frame. */
struct tail {
	const char *part[3];
	size_t at;
	char weights[48];
};

static void tail__init(struct tail *t, const struct flame_node *n, bool is_leaf, bool is_difference)
{
	t->at = 0;
	t->part[0] = n->name;
	t->part[1] = flame__plain_suffix(n->kind);
	t->part[2] = ";";
	if (!is_leaf)
		return;
	if (is_difference)
		snprintf(t->weights, sizeof(t->weights), " %llu %llu", (unsigned long long)n->self,
			 (unsigned long long)n->other_self);
	else
		snprintf(t->weights, sizeof(t->weights), " %llu", (unsigned long long)n->self);
	t->part[2] = t->weights;
}

static unsigned char tail__byte(struct tail *t)
{
	while (t->at < 3 && !*t->part[t->at])
		t->at++;
	return t->at < 3 ? (unsigned char)*t->part[t->at]++ : 0;
}

static int compare_lines(const void *left, const void *right, void *context)
{
	const struct flame_node *const leaf_a = *(struct flame_node *const *)left, *a = leaf_a;
	const struct flame_node *const leaf_b = *(struct flame_node *const *)right, *b = leaf_b;
	const struct flame *f = context;
	struct tail tail_a, tail_b;
	unsigned char x, y;

	while (a->depth > b->depth)
		a = a->parent;
	while (b->depth > a->depth)
		b = b->parent;
	if (a == b) /* the line of the caller itself goes on with a space, which sorts before `;` */
		return leaf_a == leaf_b ? 0 : leaf_a == a ? -1 : 1;
	while (a->parent != b->parent) {
		a = a->parent;
		b = b->parent;
	}
	tail__init(&tail_a, a, a == leaf_a, f->is_difference);
	tail__init(&tail_b, b, b == leaf_b, f->is_difference);
	do {
		x = tail__byte(&tail_a);
		y = tail__byte(&tail_b);
	} while (x == y && x);
	return (int)x - (int)y;
}

static uint64_t width_of(const struct flame *f, const struct flame_node *n)
{
	return f->is_difference ? n->other_self : n->self;
}

static struct flame_node **sorted_leaves(const struct flame *f, size_t *count)
{
	struct flame_node **leaves = calloc(f->nodes + 1, sizeof(*leaves));

	*count = 0;
	if (!leaves)
		return NULL;
	for (struct flame_node *n = f->root.child; n; n = flame__next(n)) {
		if (n->self || width_of(f, n))
			leaves[(*count)++] = n;
	}
	qsort_r(leaves, *count, sizeof(*leaves), compare_lines, (void *)f);
	return leaves;
}

static int open_box(struct flame_layout *l, const struct flame_node *node, uint64_t start)
{
	if (l->count == l->capacity) {
		size_t capacity = l->capacity ? 2 * l->capacity : 256;
		struct flame_box *boxes = reallocarray(l->boxes, capacity, sizeof(*boxes));

		if (!boxes)
			return -ENOMEM;
		l->boxes = boxes;
		l->capacity = capacity;
	}
	l->boxes[l->count++] = (struct flame_box){.node = node, .start = start};
	return 0;
}

/* The boxes that are open, one a row, by their place in the layout. */
struct front {
	size_t *open;
	const struct flame_node **path; /* of the stack to come */
	size_t depth;			/* open rows - 1 */
	uint64_t at;
};

/* Closes what the next stack does not share and opens the rest of it. */
static int advance(struct flame_layout *l, struct front *front, const struct flame_node *leaf)
{
	size_t same = 0;
	int err = 0;

	for (const struct flame_node *n = leaf; n; n = n->parent)
		front->path[n->depth] = n;
	while (same < front->depth && same < leaf->depth &&
	       l->boxes[front->open[same + 1]].node == front->path[same + 1])
		same++;
	for (size_t i = same + 1; i <= front->depth; i++)
		l->boxes[front->open[i]].weight = front->at - l->boxes[front->open[i]].start;
	for (size_t i = same + 1; i <= leaf->depth && !err; i++) {
		front->open[i] = l->count;
		err = open_box(l, front->path[i], front->at);
	}
	front->depth = leaf->depth;
	return err;
}

static void drop_small(struct flame_layout *l, double min_weight)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++) {
		struct flame_box *box = &l->boxes[i];

		if (i && (!box->weight || (double)box->weight < min_weight))
			continue;
		if (box->node->depth > l->depth)
			l->depth = box->node->depth;
		l->boxes[kept++] = *box;
	}
	l->count = kept;
}

int flame__layout(struct flame_layout *l, const struct flame *f, double min_weight)
{
	struct front front = {0};
	size_t count;
	struct flame_node **leaves = sorted_leaves(f, &count);
	int err;

	memset(l, 0, sizeof(*l));
	front.open = calloc(f->depth + 1, sizeof(*front.open));
	front.path = calloc(f->depth + 1, sizeof(*front.path));
	err = leaves && front.open && front.path ? open_box(l, &f->root, 0) : -ENOMEM;
	for (size_t i = 0; i < count && !err; i++) {
		err = advance(l, &front, leaves[i]);
		front.at += width_of(f, leaves[i]);
	}
	if (!err)
		err = advance(l, &front, &f->root);
	if (!err) {
		l->total = l->boxes[0].weight = front.at;
		drop_small(l, min_weight);
	}
	free(front.path);
	free(front.open);
	free(leaves);
	return err;
}

void flame_layout__free(struct flame_layout *l)
{
	free(l->boxes);
	memset(l, 0, sizeof(*l));
}
