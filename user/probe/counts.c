// SPDX-License-Identifier: Apache-2.0
/* Stacks that were counted in the kernel, as points. */
#include <errno.h>
#include <stdlib.h>

#include "probe/probe.h"

static int by_count(const void *a, const void *b)
{
	const struct cell_row *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->key.a < y->key.a ? -1 : x->key.a > y->key.a;
}

static int by_stack(const void *a, const void *b)
{
	const struct cell_row *x = a, *y = b;

	return x->key.a < y->key.a ? -1 : x->key.a > y->key.a;
}

size_t probe__join_stacks(const struct stacks *stacks, struct cell_row *rows, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		rows[i].key.a = stacks__same(stacks, rows[i].key.a);
	if (count)
		qsort(rows, count, sizeof(*rows), by_stack);
	for (size_t i = 0; i < count; i++) {
		if (kept && rows[kept - 1].key.a == rows[i].key.a) {
			rows[kept - 1].count += rows[i].count;
			rows[kept - 1].ns += rows[i].ns;
		} else {
			rows[kept++] = rows[i];
		}
	}
	return kept;
}

static int emit(const struct probe *probe, const struct cell_row *row, struct point *p,
		struct point_stream *out, struct drain *d)
{
	struct stack_view view;

	if (!probe__view(probe->context->stacks, row->key.a, &view))
		d->lost_stacks += row->count;
	if (view.who.tgid && view.who.tgid == (uint32_t)probe->context->self)
		return 0;
	probe__fill_sample(&p->sample, &p->who, &view, d, row->count);
	p->sample.value = p->sample.occurrences = row->count;
	return out->emit(out, p);
}

int probe__emit_counts(const struct probe *probe, struct unit *unit, struct point *p,
		       struct point_stream *out, struct drain *d, uint64_t *total)
{
	struct cell_row *rows;
	size_t count;
	int err = unit__take_cells(unit, &rows, &count);

	*total = 0;
	if (!err)
		err = stacks__resolve(probe->context->stacks);
	count = probe__join_stacks(probe->context->stacks, rows, count);
	if (count)
		qsort(rows, count, sizeof(*rows), by_count);
	for (size_t i = 0; !err && i < count; i++) {
		p->sample.value = 0;
		err = emit(probe, &rows[i], p, out, d);
		*total += p->sample.value;
	}
	free(rows);
	return err;
}
