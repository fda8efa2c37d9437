/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one escaping writer. Every string that comes from the kernel, a file or another process passes here on
 * its way to a terminal, a folded line, JSON, XML or HTML. Invalid UTF-8, C0, DEL and C1 controls become
 * `\xNN` (JSON: \u00NN for controls, U+FFFD for invalid bytes); each style escapes its own syntax besides.
 */
#ifndef SONDE_BASE_TEXT_H
#define SONDE_BASE_TEXT_H

#include "base/buf.h"

enum text_style {
	TEXT_TERMINAL, /* controls, invalid UTF-8, bidirectional overrides and line separators escaped */
	TEXT_FOLDED,   /* the same, and `;` becomes `:`, so that a frame stays a frame */
	TEXT_JSON,     /* content of a JSON string, without the quotes */
	TEXT_XML,      /* content or attribute of XML and HTML: & < > " ' */
};

void text__add(struct buf *out, const char *bytes, size_t len, enum text_style style);
void text__puts(struct buf *out, const char *string, enum text_style style);
/* Columns that the UTF-8 string takes on a terminal (wide characters two). */
size_t text__width(const char *utf8);
/* Appends at most `width` columns of a terminal-safe string; a cut one ends in `~`. */
void text__clip(struct buf *out, const char *utf8, size_t width);
/* The entry of `words` (NULL-terminated) nearest to `word` by edit distance, or NULL if none is near. */
const char *text__nearest(const char *word, const char *const *words);
/* True if `name` matches the shell glob (* ? [a-z]); bounded time. */
bool text__glob(const char *pattern, const char *name);

#endif
