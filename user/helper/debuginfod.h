/* SPDX-License-Identifier: Apache-2.0 */
/* Debug files from servers of the network, by elfutils' client library, which is loaded when it is needed.
 * Nobody is ever asked unless the user named a server. */
#ifndef SONDE_HELPER_DEBUGINFOD_H
#define SONDE_HELPER_DEBUGINFOD_H

#include "object/debugfile.h"

struct debuginfod;

struct debuginfod *debuginfod__new(const char *urls); /* NULL: no memory, or the library cannot be had */
void debuginfod__free(struct debuginfod *d);
/* A descriptor that the caller closes, or -errno; -ENOENT for NULL. It waits for the network, as long as
 * DEBUGINFOD_TIMEOUT says or, if that is not set, a few seconds. */
int debuginfod__find(struct debuginfod *d, const struct debug_wanted *wanted);

#endif
