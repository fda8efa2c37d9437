/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens other people's files without being led astray: first as a mere path (nothing is waited for, nothing
 * is triggered), then looked at, then reopened for reading if it is a regular file of a local filesystem. A
 * filesystem that a user-space process serves (FUSE) could let every read wait for ever and is refused.
 */
#ifndef SONDE_OBJECT_SAFEFILE_H
#define SONDE_OBJECT_SAFEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Which file a name led to. No padding: a table key. */
struct file_key {
	uint64_t device, inode, size_bytes, mtime_ns;
};
void file_key__from_stat(struct file_key *key, const struct stat *st);

/*
 * Path descriptor of a regular file, or -errno: -ENOEXEC if it is no regular file, -EOPNOTSUPP if a process
 * serves it. The first follows links, magic ones too (map_files); the second resolves every link inside the
 * directory `root` and, if `last_link` is false, refuses one as the last part.
 */
int safefile__locate(int dir, const char *path, struct stat *st);
int safefile__locate_in_root(int root, const char *path, bool last_link, struct stat *st);
/* The located file, opened for reading: a descriptor or -errno. */
int safefile__reopen(int path_fd);
/* Both steps. */
int safefile__open(int dir, const char *path, struct stat *st);
int safefile__open_in_root(int root, const char *path, bool last_link, struct stat *st);

/* Whole reads at an offset: bytes read (fewer only at the end of the file) or -errno. */
ssize_t safefile__read_at(int fd, void *bytes, size_t count, uint64_t offset);

#endif
