/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree behind flame graphs, folded files and differences: frames by name from the root, with two weights each.
 * Pure: no clock, no I/O but the buffers that are passed.
 */
#ifndef SONDE_MODEL_FLAME_H
#define SONDE_MODEL_FLAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/table.h"
#include "model/frame.h"

struct flame_node {
	const char *name; /* raw bytes, without suffix; owned by the tree's strings */
	enum frame_kind kind;
	struct flame_node *parent, *child, *next; /* children sorted by name after flame__sort */
	uint64_t self, total;			  /* weights: `self` of stacks that end here */
	uint64_t other_self, other_total;	  /* the second profile of a difference */
};

struct flame {
	struct flame_node root;
	struct strings strings;
	struct table index; /* (parent, name, kind) -> node */
	size_t nodes;
	unsigned depth;
};

void flame__init(struct flame *f);
/* Adds a stack, root first. `second` adds to the other_ weights. 0 or -ENOMEM. */
int flame__add(struct flame *f, const struct frame *const *root_first, size_t count, uint64_t weight, bool second);
/* Adds folded text: "a;b;c 12" lines; `# key: value` lines are metadata, handed to `meta` (may be NULL).
 * Suffixes _[k] _[l] _[j] _[i] become kinds. -EINVAL and *line of the first line that is not folded. */
int flame__add_folded(struct flame *f, const char *text, size_t len, bool second,
		      void (*meta)(void *, const char *key, const char *value), void *context, size_t *line);
void flame__sort(struct flame *f);
/* Folded lines in depth-first order of the sorted tree; `all_suffixes` writes _[l] too. */
void flame__write_folded(struct buf *out, const struct flame *f, bool all_suffixes);
void flame__free(struct flame *f);

#endif
