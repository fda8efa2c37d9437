/* SPDX-License-Identifier: Apache-2.0 */
/* Separate debug files: by build id, else by .gnu_debuglink; in the target's own root, then in the host's. */
#ifndef SONDE_OBJECT_DEBUGFILE_H
#define SONDE_OBJECT_DEBUGFILE_H

#include "object/elf.h"

struct debug_places {
	const char *root;      /* the target's root directory, "/proc/PID/root"; NULL: only the host's */
	const char *directory; /* of the host: "/usr/lib/debug"; NULL: only the target's */
	const char *path; /* of the file as the target names it; NULL or not absolute: by build id only */
};

/*
 * Opens the debug file that belongs to `f`, which is proven by its build id, or by the CRC in the debuglink.
 * A descriptor that the caller closes, or -ENOENT.
 */
int debugfile__open(const struct elf_file *f, const struct debug_places *places);

#endif
