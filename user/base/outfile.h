/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An output file that is there whole or not at all: written under a temporary name in the same directory,
 * renamed by outfile__commit, removed by outfile__close without one. Owned by the user behind sudo. "-" is
 * standard output.
 */
#ifndef SONDE_BASE_OUTFILE_H
#define SONDE_BASE_OUTFILE_H

#include <stdbool.h>
#include <stdio.h>

struct outfile;

bool outfile__is_standard_output(const char *path);
/* Opens at once, so that an unwritable place fails before anything is attached. NULL and errno. */
struct outfile *outfile__open(const char *path);
/* Whether outfile__open would succeed, for what is opened later: 0 or -errno. Nothing is left behind. */
int outfile__check(const char *path);
FILE *outfile__stream(struct outfile *f);
int outfile__commit(struct outfile *f); /* flush, chown, rename: 0 or -errno */
void outfile__close(struct outfile *f); /* accepts NULL; without a commit nothing is left behind */

/* "x.svg", 3 -> "x.0003.svg": the name of one interval's file. `extension` points to where it begins in path;
 * NULL: at the last dot. Caller frees. */
char *outfile__numbered(const char *path, const char *extension, unsigned number);

#endif
