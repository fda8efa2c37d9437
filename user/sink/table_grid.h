/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aligned columns. Cells are filled row by row, then drawn at once: columns are as wide as what they hold,
 * and on a narrow page the least important ones go, and those with a floor shrink, the widest first. Cells
 * hold printable text.
 */
#ifndef SONDE_SINK_TABLE_GRID_H
#define SONDE_SINK_TABLE_GRID_H

#include "sink/table_page.h"

#define GRID_COLUMNS 40

struct grid_column {
	const char *title;    /* must live as long as the grid; printable */
	bool left;	      /* text; numbers are right-aligned */
	unsigned char drop;   /* 0: never left out; larger ones go first */
	unsigned floor;	      /* may shrink to this; 0: as wide as it is */
	unsigned limit;	      /* widest, 0: none; on a page without truncation only the padding is limited */
	enum ink title_ink;   /* INK_PLAIN: a title's usual ink */
	const char *boundary; /* cut where this stands, e.g. " < ", rather than in a word */
	void (*paint)(struct page *, const char *text, void *context); /* NULL: the cell's ink */
	void *context;
	size_t width; /* the grid's */
};

struct grid_cell {
	size_t at; /* in `text` */
	enum ink ink;
};

struct grid {
	struct grid_column column[GRID_COLUMNS];
	size_t columns;
	struct grid_cell *cells;
	size_t count, capacity;
	struct buf text; /* NUL after each cell */
};

/* Adds a column, before the first cell; NULL if there are GRID_COLUMNS already. */
struct grid_column *grid__column(struct grid *g, const char *title);
/* Begins the next cell: write into what is returned until the next call. */
struct buf *grid__cell(struct grid *g, enum ink ink);
void grid__cell_text(struct grid *g, enum ink ink, const char *text);
void grid__end_row(struct grid *g); /* the rest of the row stays empty */
void grid__draw(struct grid *g, struct page *p);
/* At most `width` columns of a text, cut at its last boundary that fits (NULL: in the word, with a `~`). */
void grid__clip(struct buf *out, const char *text, const char *boundary, size_t width);
void grid__free(struct grid *g);

#endif
