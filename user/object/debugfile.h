/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Separate debug files: by build id, else by .gnu_debuglink; in the target's own root, then in the host's.
 *
 * Two halves, in two processes. Who parses the file says what is wanted of it (struct debug_wanted) and
 * proves that what it gets is right; who may open files looks for it, and believes of the wish nothing.
 */
#ifndef SONDE_OBJECT_DEBUGFILE_H
#define SONDE_OBJECT_DEBUGFILE_H

#include <stdint.h>

#include "object/elf.h"

enum debug_kind {
	DEBUG_BY_BUILD_ID,
	DEBUG_BY_LINK,	  /* name: as in .gnu_debuglink */
	DEBUG_SUPPLEMENT, /* name: as in .gnu_debugaltlink, with its build id */
	DEBUG_KINDS
};

/* One wish. It crosses the border of a process: fixed size, no pointers. */
struct debug_wanted {
	uint32_t kind;	  /* enum debug_kind */
	uint32_t attempt; /* the how manieth of the files that may be meant: 0, 1, ... until -ENOENT */
	uint32_t build_id_len;
	unsigned char build_id[BUILD_ID_MAX];
	char name[256]; /* NUL-terminated; "" by build id */
};

/* --- who parses */

/* How it asks: symbol_request.debug_file, which may be NULL, and its context. */
struct debug_asker {
	int (*debug_file)(void *context, const struct debug_wanted *);
	void *context;
};

/*
 * The debug file that belongs to `f`, which is proven by its build id, or by the CRC in the debuglink. A
 * descriptor that the caller closes, or -ENOENT.
 */
int debugfile__open(const struct elf_file *f, const struct debug_asker *asker);
/* The file that dwz moved shared parts of `debug` to, named in its .gnu_debugaltlink; proven by its build id.
 */
int debugfile__open_supplement(const struct elf_file *debug, const struct debug_asker *asker);

/* --- who opens */

struct debug_places {
	const char *root;      /* the target's root directory, "/proc/PID/root"; NULL: only the host's */
	const char *directory; /* of the host: "/usr/lib/debug"; NULL: only the target's */
	const char *path; /* of the file as the target names it; NULL or not absolute: by build id only */
};

/*
 * Opens what may be meant: a symbol_request.debug_file whose context is a struct debug_places. Only ELF files
 * are handed out, and names lead out of their directories nowhere, so that a wish of malicious origin gets
 * nothing that is a secret.
 */
int debugfile__locate(void *places, const struct debug_wanted *wanted);

#endif
