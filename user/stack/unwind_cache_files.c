/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of cached tables. Whoever could write to it could tell lies about stacks: it and its files
 * belong to root or to us, nobody else may write to them, and no link is followed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "object/safefile.h"
#include "stack/unwind_cache.h"

#define FILE_BYTES_MAX (64u << 20) /* libLLVM takes 2 MB */
#define FILES_MAX      65536	   /* looked at when the directory is trimmed */
#define NAME_SIZE      80
#define SUFFIX	       ".uw"
#define TEMPORARY      ".new-"
#define ABANDONED_S    3600 /* a temporary file of this age is nobody's */

struct unwind_cache {
	int directory;
	uint64_t limit_bytes;
};

static bool is_ours(const struct stat *st)
{
	return (!st->st_uid || st->st_uid == geteuid()) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

struct unwind_cache *unwind_cache__open(const char *directory, uint64_t limit_bytes)
{
	struct unwind_cache *c = calloc(1, sizeof(*c));
	struct stat st;
	int err = 0;

	if (!c)
		return NULL;
	c->limit_bytes = limit_bytes;
	if (mkdir(directory, 0700) && errno != EEXIST)
		err = errno;
	c->directory = err ? -1 : open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (!err && (c->directory < 0 || fstat(c->directory, &st)))
		err = errno;
	if (!err && !is_ours(&st))
		err = EPERM;
	if (!err)
		return c;
	if (c->directory >= 0)
		close(c->directory);
	free(c);
	errno = err;
	return NULL;
}

/* The build id comes from a foreign file: hex digits or nothing. */
static int make_name(char name[NAME_SIZE], const char *build_id)
{
	size_t len = strlen(build_id);

	if (len < 8 || len > 2 * BUILD_ID_MAX || strspn(build_id, "0123456789abcdef") != len)
		return -EINVAL;
	snprintf(name, NAME_SIZE, "%s" SUFFIX, build_id);
	return 0;
}

static int read_file(int directory, const char *name, struct buf *bytes)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY), err;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode) || !is_ours(&st))
		err = -EPERM;
	else
		err = buf__read_fd(bytes, fd, FILE_BYTES_MAX);
	if (!err)
		futimens(fd, NULL); /* used now: the longest unused ones are removed first */
	close(fd);
	return err;
}

static bool is_same_file(const struct unwind_cache_file *a, const struct unwind_cache_file *b)
{
	return !strcmp(a->build_id, b->build_id) && a->size_bytes == b->size_bytes &&
	       a->load_count == b->load_count &&
	       !memcmp(a->loads, b->loads, a->load_count * sizeof(*a->loads));
}

int unwind_cache__load(struct unwind_cache *c, const struct unwind_cache_file *f, struct buf *bytes,
		       struct unwind_cache_view *view)
{
	struct unwind_cache_file found;
	char name[NAME_SIZE];
	int err = make_name(name, f->build_id);

	if (!err)
		err = read_file(c->directory, name, bytes);
	if (!err && (!unwind_cache__parse(bytes->data, bytes->len, &found, view) || !is_same_file(f, &found)))
		err = -EINVAL;
	return err;
}

static int write_all(int fd, const char *bytes, size_t size)
{
	ssize_t n;

	for (size_t done = 0; done < size; done += (size_t)n) {
		n = write(fd, bytes + done, size - done);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}

/* In whole under another name first: who reads it meanwhile sees the old file or the new one. */
static int replace_file(int directory, const char *name, const struct buf *bytes)
{
	char temporary[NAME_SIZE + sizeof(TEMPORARY) + 16];
	int fd, err;

	snprintf(temporary, sizeof(temporary), TEMPORARY "%d-%s", (int)getpid(), name);
	unlinkat(directory, temporary, 0);
	fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, bytes->data, bytes->len);
	if (close(fd) && !err)
		err = -errno;
	if (!err && renameat(directory, temporary, directory, name))
		err = -errno;
	if (err)
		unlinkat(directory, temporary, 0);
	return err;
}

int unwind_cache__save(struct unwind_cache *c, const struct unwind_cache_file *f,
		       const struct unwind_cache_chunk *chunks, size_t count)
{
	struct buf bytes = {0};
	char name[NAME_SIZE];
	int err = make_name(name, f->build_id);

	if (err)
		return err;
	unwind_cache__write(&bytes, f, chunks, count);
	if (bytes.failed)
		err = -ENOMEM;
	else if (bytes.len > FILE_BYTES_MAX)
		err = -EFBIG;
	else
		err = replace_file(c->directory, name, &bytes);
	buf__free(&bytes);
	return err;
}

struct cached_file {
	time_t used_s;
	uint64_t bytes;
	char name[NAME_SIZE];
};

static int by_use(const void *a, const void *b)
{
	const struct cached_file *x = a, *y = b;

	return (x->used_s > y->used_s) - (x->used_s < y->used_s);
}

static bool is_cached_file(int directory, const char *name, struct cached_file *out)
{
	size_t len = strlen(name);
	struct stat st;

	if (len >= sizeof(out->name) || len < sizeof(SUFFIX) || strcmp(name + len - strlen(SUFFIX), SUFFIX) ||
	    fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return false;
	if (!strncmp(name, TEMPORARY, strlen(TEMPORARY))) {
		if (time(NULL) - st.st_mtim.tv_sec > ABANDONED_S)
			unlinkat(directory, name, 0);
		return false;
	}
	out->used_s = st.st_mtim.tv_sec;
	out->bytes = (uint64_t)st.st_size;
	memcpy(out->name, name, len + 1);
	return true;
}

static size_t list_files(int directory, struct buf *files, uint64_t *sum)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	struct cached_file file;
	size_t count = 0;

	*sum = 0;
	while (list && count < FILES_MAX && (entry = readdir(list))) {
		memset(&file, 0, sizeof(file));
		if (!is_cached_file(directory, entry->d_name, &file))
			continue;
		buf__add(files, &file, sizeof(file));
		*sum += file.bytes;
		count++;
	}
	if (list)
		closedir(list);
	else if (copy >= 0)
		close(copy);
	return files->failed ? 0 : count;
}

static void trim(const struct unwind_cache *c)
{
	struct buf files = {0};
	uint64_t sum;
	size_t count = list_files(c->directory, &files, &sum);
	struct cached_file *at = (struct cached_file *)(void *)files.data;

	if (count && sum > c->limit_bytes) {
		qsort(at, count, sizeof(*at), by_use);
		for (size_t i = 0; i < count && sum > c->limit_bytes; i++) {
			if (!unlinkat(c->directory, at[i].name, 0))
				sum -= at[i].bytes;
		}
	}
	buf__free(&files);
}

void unwind_cache__close(struct unwind_cache *c)
{
	if (!c)
		return;
	trim(c);
	close(c->directory);
	free(c);
}
