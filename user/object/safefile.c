/* SPDX-License-Identifier: Apache-2.0 */
#include "object/safefile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

void file_key__from_stat(struct file_key *key, const struct stat *st)
{
	key->device = st->st_dev;
	key->inode = st->st_ino;
	key->size_bytes = (uint64_t)st->st_size;
	key->mtime_ns = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
}

/* Keeps the path descriptor if what it leads to may be read without waiting for a stranger. */
static int keep_if_regular(int fd, struct stat *st)
{
	struct statfs fs;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) || fstatfs(fd, &fs))
		err = -errno;
	else if (!S_ISREG(st->st_mode))
		err = -ENOEXEC;
	else if (fs.f_type == FUSE_SUPER_MAGIC)
		err = -EOPNOTSUPP;
	if (!err)
		return fd;
	close(fd);
	return err;
}

int safefile__locate(int dir, const char *path, struct stat *st)
{
	return keep_if_regular(openat(dir, path, O_PATH | O_CLOEXEC), st);
}

int safefile__locate_in_root(int root, const char *path, bool last_link, struct stat *st)
{
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | (last_link ? 0 : O_NOFOLLOW),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return keep_if_regular((int)syscall(SYS_openat2, root, path, &how, sizeof(how)), st);
}

int safefile__reopen(int path_fd)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", path_fd);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	return fd;
}

static int reopen_and_close(int path_fd)
{
	int fd;

	if (path_fd < 0)
		return path_fd;
	fd = safefile__reopen(path_fd);
	close(path_fd);
	return fd;
}

int safefile__open(int dir, const char *path, struct stat *st)
{
	return reopen_and_close(safefile__locate(dir, path, st));
}

int safefile__open_in_root(int root, const char *path, bool last_link, struct stat *st)
{
	return reopen_and_close(safefile__locate_in_root(root, path, last_link, st));
}

ssize_t safefile__read_at(int fd, void *bytes, size_t count, uint64_t offset)
{
	size_t done = 0;
	ssize_t n;

	if (offset > INT64_MAX - count)
		return 0;
	while (done < count) {
		n = pread(fd, (char *)bytes + done, count - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}
