/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree behind flame graphs, folded files and differences: frames by name from the root, with two weights
 * each. Pure: no clock, no I/O but the buffers that are passed.
 *
 * Names are kept as a folded line shows them (base/text.h, TEXT_FOLDED), and frames that a plain folded line
 * cannot tell apart (a function of the program and one of a library with the same name) are one node. So the
 * tree of a session and the tree read back from its folded file are the same, and both are what flamegraph.pl
 * would draw.
 */
#ifndef SONDE_MODEL_FLAME_H
#define SONDE_MODEL_FLAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/table.h"
#include "model/frame.h"

#define FLAME_DEPTH_MAX 4096

struct flame_node {
	const char *name; /* without suffix, safe to print; owned by the tree's strings; "" of the root */
	enum frame_kind kind;
	unsigned depth;				  /* 0: the root */
	struct flame_node *parent, *child, *next; /* children sorted by flame__sort */
	uint64_t self, total;			  /* weights: `self` of stacks that end here */
	uint64_t other_self, other_total;	  /* the second profile of a difference */
};

struct flame {
	struct flame_node root;
	struct strings strings;
	struct table index; /* (parent, name, kind) -> node */
	size_t nodes;
	unsigned depth;
	bool is_difference; /* read from lines with two weights */
};

void flame__init(struct flame *f); /* the address must not change afterwards */
/* Adds a stack, root first. `second` adds to the other_ weights. 0, -ENOMEM, -EINVAL (no frame, or more than
 * FLAME_DEPTH_MAX), -EOVERFLOW (the sum of all weights would not fit).
 * A stack of weight 0 leaves no trace. */
int flame__add(struct flame *f, const struct frame *const *root_first, size_t count, uint64_t weight,
	       bool second);
/* Adds folded text: "a;b;c 12" lines; `# key: value` lines are metadata, handed to `meta` (may be NULL),
 * other lines that begin with "# " and empty lines are skipped. Suffixes _[k] _[l] _[j] _[i] become kinds.
 * Weights may have decimals and are rounded. If every line has two weights (difffolded), they go to self and
 * other_self and is_difference is set; `second` must be false then (-EINVAL, *line 1). -EINVAL and *line of
 * the first line that is not folded; other errors as above. */
int flame__add_folded(struct flame *f, const char *text, size_t len, bool second,
		      void (*meta)(void *, const char *key, const char *value), void *context, size_t *line);
void flame__sort(struct flame *f);
/* The next node in depth-first order, or NULL: for (n = &f->root; n; n = flame__next(n)). */
struct flame_node *flame__next(const struct flame_node *n);
/* Exchanges the two profiles. */
void flame__swap(struct flame *f);
/* Every stack's `self` becomes self * mul / div, rounded to the nearest or down; the totals follow. */
void flame__scale(struct flame *f, uint64_t mul, uint64_t div, bool nearest);
/* Adds the stacks of another tree, their `self` (or other_self) as first or second profile. Errors as
 * flame__add. */
int flame__merge(struct flame *into, const struct flame *from, bool from_other, bool second);
/* Sums the totals again after `self` or `other_self` were changed. */
void flame__total(struct flame *f);
/* Folded lines in depth-first order of the sorted tree; `all_suffixes` writes _[l] too. Stacks without weight
 * are left out; a difference has two weights a line. */
void flame__write_folded(struct buf *out, const struct flame *f, bool all_suffixes);
/* The suffix by which a plain folded line shows the kind: none for libraries. */
const char *flame__plain_suffix(enum frame_kind kind);
void flame__free(struct flame *f);

#endif
