/* SPDX-License-Identifier: Apache-2.0 */
/* One named frame of a stack, and the suffixes by which folded lines carry its kind. */
#ifndef SONDE_MODEL_FRAME_H
#define SONDE_MODEL_FRAME_H

#include <stdint.h>

#include "base/buf.h"

enum frame_kind {
	FRAME_USER,    /* the main executable */
	FRAME_LIBRARY, /* a shared object: `_[l]`, only inside SVG and HTML */
	FRAME_KERNEL,  /* `_[k]` */
	FRAME_JIT,     /* named by a perf map: `_[j]` */
	FRAME_INLINED, /* `_[i]`: with --lines; stands before (leafward of) the frame it was inlined into */
	FRAME_MARK,    /* not code: "[truncated: ...]", "--", "[irq]" */
	FRAME_KINDS
};

/* name: demangled symbol, or "object+0xoff" where no name is right, or "[unknown]"; object: base name of the
 * file,
 * "[kernel]", a module in brackets, or "". Raw bytes of files: escape on output. Both owned by who made the
 * frame. */
struct frame {
	const char *name, *object;
	uint64_t address; /* as captured; of an inlined function: that of the frame it was inlined into */
	enum frame_kind kind;
	uint32_t line;		   /* with --lines; 0: not known */
	const char *file;	   /* source file, with --lines; NULL: not known */
	const struct image *image; /* the mapped file; NULL: none, or not known (kernel, JIT, marks) */
};

/* What a mapping of a frame's file looked like. Owned by who made the frame. */
struct image {
	uint64_t start, end, offset; /* of the mapping, in bytes */
	const char *path, *build_id; /* build id: hex, "" if none */
};

/* How people read it: its name, and behind it, where it is known, its source: "parse (lexer.c:120)". Valid
 * until `scratch` changes. Sinks for programs write the parts. */
const char *frame__label(const struct frame *frame, struct buf *scratch);

extern const char *const frame__suffixes[FRAME_KINDS]; /* "" or "_[k]" ...: with `_[l]` */

#endif
