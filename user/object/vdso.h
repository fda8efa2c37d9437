/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's shared object in every process, taken from our own: it is the same in all 64-bit ones. */
#ifndef SONDE_OBJECT_VDSO_H
#define SONDE_OBJECT_VDSO_H

#include <stddef.h>

/* A descriptor (memfd) of a copy of the image, or -errno: -ENOENT if this process has none. */
int vdso__open(void);
/* How many bytes of it are mapped; 0: none. */
size_t vdso__size(void);

#endif
