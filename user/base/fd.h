/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that are members: -1 while there is none. */
#ifndef SONDE_BASE_FD_H
#define SONDE_BASE_FD_H

#include <unistd.h>

/* Accepts one that is closed already. */
static inline void fd__close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#endif
