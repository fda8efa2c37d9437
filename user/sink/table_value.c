// SPDX-License-Identifier: Apache-2.0
/* Single numbers and events, one a line: name, whose, value. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sink/table.h"
#include "sink/table_grid.h"

struct table_view {
	const struct metric *metric;
	struct grid grid; /* counters and gauges */
	struct buf events;
};

static void values__free(struct table_view *v)
{
	if (!v)
		return;
	grid__free(&v->grid);
	buf__free(&v->events);
	free(v);
}

static struct table_view *values__open(const struct metric *metric)
{
	struct table_view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->metric = metric;
	for (int i = 0; i < 3; i++)
		grid__column(&v->grid, "")->left = i < 2;
	v->grid.column[0].floor = 12;
	return v;
}

static void write_number(struct grid *g, const struct point *point)
{
	const struct metric *m = point->metric;
	struct buf *out;

	grid__cell_text(g, INK_PLAIN, m->title ? m->title : m->name);
	out = grid__cell(g, INK_PLAIN);
	page__who(out, &point->who);
	for (size_t i = 0; i < 4; i++) {
		if (!point->label[i])
			continue;
		buf__puts(out, *buf__text(out) && out->data[out->len - 1] ? " " : "");
		page__safe(out, point->label[i]);
	}
	out = grid__cell(g, INK_PLAIN);
	if (m->kind == POINT_COUNTER)
		page__amount(out, m->unit, point->counter);
	else
		page__gauge(out, m->unit, point->gauge);
}

static int values__point(struct table_view *v, const struct point *point)
{
	switch (point->metric->kind) {
	case POINT_COUNTER:
	case POINT_GAUGE:
		write_number(&v->grid, point);
		return v->grid.text.failed ? -ENOMEM : 0;
	case POINT_EVENT:
		table__event(&v->events, point);
		return v->events.failed ? -ENOMEM : 0;
	default:
		return -EINVAL;
	}
}

static void values__draw(struct table_view *v, struct page *p)
{
	grid__draw(&v->grid, p);
	buf__puts(&p->out, buf__text(&v->events));
	p->out.failed |= v->events.failed;
}

const struct table_shape table_values = {values__open, values__point, values__draw, values__free};
