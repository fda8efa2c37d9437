/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs of unwind tables (include/sonde/unwind.h) that somebody else made: a process that reads foreign
 * files, or a file on disk. */
#ifndef SONDE_OBJECT_UNWIND_BLOB_H
#define SONDE_OBJECT_UNWIND_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No lookup in it can lead out of it, whatever the address. `blob` needs no alignment. */
bool unwind_blob__is_sound(const void *blob, size_t bytes, uint32_t header);
uint32_t unwind_blob__rows(const void *blob, uint32_t header); /* of a sound one */

#endif
