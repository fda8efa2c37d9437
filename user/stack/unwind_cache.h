/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind tables on disk, a file per build id: "DIRECTORY/<build-id>.uw" with the chunks that were built so
 * far, in this machine's byte order, versioned, with a checksum. It is read like any foreign file: what is
 * not sound from the first byte to the last does not exist.
 */
#ifndef SONDE_STACK_UNWIND_CACHE_H
#define SONDE_STACK_UNWIND_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "helper/helper.h"

#define UNWIND_CACHE_LIMIT_BYTES (256ull << 20) /* of the directory; the longest unused files go first */

/* Whose tables: all of it must agree. */
struct unwind_cache_file {
	char build_id[2 * BUILD_ID_MAX + 1]; /* hex */
	uint64_t size_bytes;		     /* of the ELF file */
	uint32_t load_count;
	struct table_load loads[TABLE_LOADS_MAX];
};

struct unwind_cache_chunk {
	uint64_t number;
	struct unwind_chunk what;
	const void *blob;
	size_t blob_bytes;
};

/* What the bytes of such a file say. */
struct unwind_cache_view {
	const char *entries, *blobs; /* into the bytes */
	uint32_t count, done;
};

struct unwind_cache;

/* Makes the directory if need be. NULL and errno: EPERM if others may write to it. */
struct unwind_cache *unwind_cache__open(const char *directory, uint64_t limit_bytes);
void unwind_cache__close(struct unwind_cache *); /* removes files over the limit */

/* Reads the file's cache into the empty `bytes`: 0, -ENOENT, -EINVAL (not sound, or of another file) or
 * another -errno. */
int unwind_cache__load(struct unwind_cache *, const struct unwind_cache_file *, struct buf *bytes,
		       struct unwind_cache_view *);
/* Replaces it. Chunks ascend by number and are tables or gaps. */
int unwind_cache__save(struct unwind_cache *, const struct unwind_cache_file *,
		       const struct unwind_cache_chunk *chunks, size_t count);

/* All of it is checked: what is walked afterwards is sound. */
bool unwind_cache__parse(const void *bytes, size_t size, struct unwind_cache_file *,
			 struct unwind_cache_view *);
bool unwind_cache__next(struct unwind_cache_view *, struct unwind_cache_chunk *);
/* The other way. */
void unwind_cache__write(struct buf *out, const struct unwind_cache_file *,
			 const struct unwind_cache_chunk *chunks, size_t count);

#endif
