// SPDX-License-Identifier: Apache-2.0
#include "sink/table_grid.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define GAP 2

struct grid_column *grid__column(struct grid *g, const char *title)
{
	struct grid_column *c;

	if (g->columns == GRID_COLUMNS)
		return NULL;
	c = &g->column[g->columns++];
	*c = (struct grid_column){.title = title};
	return c;
}

struct buf *grid__cell(struct grid *g, enum ink ink)
{
	size_t capacity = g->capacity ? g->capacity * 2 : 64;
	struct grid_cell *cells;

	if (g->count == g->capacity) {
		cells = reallocarray(g->cells, capacity, sizeof(*cells));
		if (!cells) {
			g->text.failed = true;
			return &g->text;
		}
		g->cells = cells;
		g->capacity = capacity;
	}
	if (g->count)
		buf__putc(&g->text, '\0');
	g->cells[g->count++] = (struct grid_cell){.at = g->text.len, .ink = ink};
	return &g->text;
}

void grid__cell_text(struct grid *g, enum ink ink, const char *text)
{
	buf__puts(grid__cell(g, ink), text);
}

void grid__end_row(struct grid *g)
{
	while (g->count % g->columns && !g->text.failed)
		grid__cell(g, INK_PLAIN);
}

static const char *cell_text(const struct grid *g, size_t row, size_t column)
{
	return g->text.data + g->cells[row * g->columns + column].at;
}

static void measure(struct grid *g)
{
	for (size_t i = 0; i < g->columns; i++) {
		struct grid_column *c = &g->column[i];

		c->width = text__width(c->title);
		for (size_t row = 0; row < g->count / g->columns; row++) {
			size_t width = text__width(cell_text(g, row, i));

			c->width = width > c->width ? width : c->width;
		}
		if (c->limit && c->width > c->limit)
			c->width = c->limit;
	}
}

/* What the shown columns take; `squeezed` counts those that may shrink at their floor. Width 0: left out. */
static size_t total_width(const struct grid *g, bool squeezed)
{
	size_t total = 0;

	for (size_t i = 0; i < g->columns; i++) {
		const struct grid_column *c = &g->column[i];

		if (c->width)
			total += (total ? GAP : 0) +
				 (squeezed && c->floor && c->floor < c->width ? c->floor : c->width);
	}
	return total;
}

static void leave_out(struct grid *g, size_t room)
{
	struct grid_column *least;

	while (total_width(g, true) > room) {
		least = NULL;
		for (size_t i = 0; i < g->columns; i++) {
			struct grid_column *c = &g->column[i];

			if (c->width && c->drop && (!least || c->drop >= least->drop))
				least = c;
		}
		if (!least)
			return;
		least->width = 0;
	}
}

static void fit(struct grid *g, size_t room)
{
	struct grid_column *widest;

	leave_out(g, room);
	for (size_t total = total_width(g, false); total > room; total--) {
		widest = NULL;
		for (size_t i = 0; i < g->columns; i++) {
			struct grid_column *c = &g->column[i];

			if (c->floor && c->width > c->floor && (!widest || c->width > widest->width))
				widest = c;
		}
		if (!widest)
			return;
		widest->width--;
	}
}

void grid__clip(struct buf *out, const char *text, const char *boundary, size_t width)
{
	struct buf whole = {0};
	char *cut = NULL;

	buf__puts(&whole, text);
	while (boundary && !whole.failed && text__width(whole.data) > width) {
		cut = NULL;
		for (char *at = whole.data; (at = strstr(at, boundary)); at++)
			cut = at;
		if (!cut)
			break;
		*cut = '\0';
	}
	if (cut)
		buf__puts(out, whole.data);
	else
		text__clip(out, text, width);
	out->failed |= whole.failed;
	buf__free(&whole);
}

static void draw_cell(struct page *p, const struct grid_column *c, const char *text, enum ink ink,
		      size_t *pending)
{
	struct buf clipped = {0};
	size_t width = text__width(text), pad;

	if (p->columns && width > c->width) {
		grid__clip(&clipped, text, c->boundary, c->width);
		p->out.failed |= clipped.failed;
		text = buf__text(&clipped);
		width = text__width(text);
	}
	pad = c->width > width ? c->width - width : 0;
	if (!c->left)
		*pending += pad;
	if (*text) {
		buf__printf(&p->out, "%*s", (int)*pending, "");
		if (c->paint && p->colour)
			c->paint(p, text, c->context);
		else
			page__ink(p, ink, text);
		*pending = 0;
	}
	if (c->left)
		*pending += pad;
	*pending += GAP;
	buf__free(&clipped);
}

/* Titles are row 0; a grid whose titles are all empty has none. */
static void draw_row(struct grid *g, struct page *p, size_t row)
{
	size_t pending = 0;

	for (size_t i = 0; i < g->columns; i++) {
		struct grid_column column = g->column[i];
		enum ink title = column.title_ink ? column.title_ink : INK_TITLE;

		if (!column.width)
			continue;
		if (!row) {
			column.paint = NULL;
			column.boundary = NULL;
		}
		draw_cell(p, &column, row ? cell_text(g, row - 1, i) : column.title,
			  row ? g->cells[(row - 1) * g->columns + i].ink : title, &pending);
	}
	buf__putc(&p->out, '\n');
}

void grid__draw(struct grid *g, struct page *p)
{
	bool titled = false;

	p->out.failed |= g->text.failed;
	if (!g->columns || g->text.failed)
		return;
	grid__end_row(g);
	if (g->text.failed) {
		p->out.failed = true;
		return;
	}
	measure(g);
	if (p->columns)
		fit(g, p->columns);
	for (size_t i = 0; i < g->columns; i++)
		titled |= *g->column[i].title != '\0';
	for (size_t row = titled ? 0 : 1; row <= g->count / g->columns; row++)
		draw_row(g, p, row);
}

void grid__free(struct grid *g)
{
	free(g->cells);
	buf__free(&g->text);
	*g = (struct grid){0};
}
