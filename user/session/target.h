/* SPDX-License-Identifier: Apache-2.0 */
/* From what the user named to what the kernel can compare. */
#ifndef SONDE_SESSION_TARGET_H
#define SONDE_SESSION_TARGET_H

#include "base/buf.h"
#include "probe/target.h"
#include "session/options.h"

/*
 * Resolves the options; `child` > 0 is the COMMAND's process, stopped before its exec. `subject` gets the
 * words for the first line of every output. 0, or an exit code after one line on stderr.
 */
int target__resolve(struct target *t, const struct options *o, pid_t child, struct buf *subject);
void target__free(struct target *t);

/* Compiles a shell glob of at most 31 tokens. -E2BIG: too long; -EINVAL: an open bracket. */
int glob__compile(struct glob *g, const char *pattern);

/* Adds to `pids` the descendants of its members by /proc, until none is new. 0 or -ENOMEM. */
int target__add_descendants(struct target *t);

#endif
