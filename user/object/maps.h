/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of /proc/PID/maps. */
#ifndef SONDE_OBJECT_MAPS_H
#define SONDE_OBJECT_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAPS_BYTES_MAX (32ULL << 20) /* three times what the kernel's default limit of mappings can take */

struct map_line {
	uint64_t start, end, offset, inode;
	uint32_t major, minor; /* of the device */
	bool writable, executable, shared;
	const char *path; /* points into the line, as the kernel wrote it; "" for anonymous memory */
};

enum map_kind {
	MAPPED_FILE, /* has an inode */
	MAPPED_ANON, /* memory; also [heap], [stack], [anon:NAME] */
	MAPPED_VDSO,
	MAPPED_VSYSCALL,
	MAPPED_UPROBES,
};

/* False: not a line of maps. */
bool maps__parse_line(const char *line, struct map_line *out);
enum map_kind maps__kind(const struct map_line *m);
/* The last part of a path, without " (deleted)"; *len is its length. "" gives "[anon]". */
const char *maps__base_name(const char *path, size_t *len);

#endif
