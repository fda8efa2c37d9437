/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page that a table is drawn on: width, colours, and the few ways to write numbers, shares and names.
 * Foreign strings become harmless on their way into a cell (page__who, page__safe), so whatever is on a page
 * is printable.
 */
#ifndef SONDE_SINK_TABLE_PAGE_H
#define SONDE_SINK_TABLE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/point.h"

enum ink {
	INK_PLAIN,
	INK_TITLE,
	INK_DIM,
	INK_WARN,
	INK_BAD,
	INK_PALETTE, /* and the next INK_PALETTE_SIZE - 1: colours to tell things apart */
	INK_PALETTE_SIZE = 6,
};

struct page {
	struct buf out;
	size_t columns; /* 0: no truncation */
	size_t rows;
	bool colour;
};

/* Writes `text` in an ink; plain text if the page has no colour. */
void page__ink(struct page *p, enum ink ink, const char *text);
/* A line that is broken behind `separator` where the page ends; what follows is indented. Text is printable.
 */
void page__wrap(struct page *p, enum ink ink, const char *text, const char *separator);
/* Columns left beside `used` ones; SIZE_MAX if nothing is truncated. */
size_t page__room(const struct page *p, size_t used);

void page__safe(struct buf *out, const char *foreign); /* NULL writes nothing */
void page__seconds(struct buf *out, uint64_t ns);      /* "10.0 s", "250ms" */
/* "94 %", "0.3 %", "<0.1 %"; 0 and 100 only if exact. */
void page__share(struct buf *out, uint64_t part, uint64_t whole);
void page__amount(struct buf *out, const char *unit,
		  uint64_t value); /* UCUM unit: "1.2ms", "4.0KiB", "1 873 sample" */
void page__gauge(struct buf *out, const char *unit, double value); /* likewise; "1": "0.25" is a number */
void page__who(struct buf *out, const struct who *who);		   /* "xz[9001]", "814 wrk" for a thread */

/* How every thread starts (_start, clone3, ...): says nothing about it. */
bool page__is_start(const char *function);

#endif
