/* SPDX-License-Identifier: Apache-2.0 */
/* Names of locks: the variable at an address, or what else lies there; and of threads that hold them. */
#ifndef SONDE_PROBE_LOCKS_NAMES_H
#define SONDE_PROBE_LOCKS_NAMES_H

#include "base/table.h"
#include "helper/helper.h"
#include "sonde/locks.h"

#define LOCK_FILES_MAX 64 /* open at once, for variables that are still to be named */

/* A lock; `text` is NULL until it was asked for: "cache_lock (libfoo.so)", "[heap] 0x55d0c1a2b2c0". */
struct lock_name {
	struct lock_entry entry;
	const char *text;   /* owned by the names */
	const char *object; /* base name of the file, until it is named */
	uint64_t offset;    /* in that file */
	uint32_t file;	    /* of the open files + 1; 0: none */
	uint32_t reserved;
};

struct lock_file {
	struct file_key key;
	const char *path;
	int fd;
};

struct lock_names {
	struct strings strings;
	struct table locks;   /* number -> struct lock_name */
	struct table threads; /* process and thread -> its name */
	struct table listed;  /* process -> when its threads were listed, CLOCK_MONOTONIC ns */
	struct lock_file files[LOCK_FILES_MAX];
	size_t file_count;
};

void lock_names__init(struct lock_names *n);
/* A lock is seen first: what is known of it now may be gone later. 0 or -ENOMEM. */
int lock_names__add(struct lock_names *n, const struct lock_entry *entry);
/* Names the variables that were added since. */
void lock_names__resolve(struct lock_names *n, struct helper *helper);
/* NULL: not seen. */
const struct lock_name *lock_names__find(const struct lock_names *n, uint32_t number);
/* The thread's name; NULL: its process has no such thread, as far as is known. `tid` is the number that it
 * has for itself. */
const char *lock_names__thread(struct lock_names *n, const struct lock_entry *entry, uint32_t tid);
void lock_names__free(struct lock_names *n);

#endif
