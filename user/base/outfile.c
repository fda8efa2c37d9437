// SPDX-License-Identifier: Apache-2.0
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"

struct outfile {
	FILE *stream;
	char *path;	 /* NULL: standard output */
	char *temporary; /* NULL: written straight */
};

/* Opens a new file beside `path`; the kernel applies the umask. The name is hidden from globs until it is
 * whole. */
static int open_beside(const char *path, char **name)
{
	const char *slash = strrchr(path, '/');
	int dir_len = slash ? (int)(slash + 1 - path) : 0, fd;
	uint32_t salt;

	for (int tries = 0; tries < 100; tries++) {
		if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
			return -1;
		if (asprintf(name, "%.*s.%.200s.%08x", dir_len, path, path + dir_len, salt) < 0) {
			*name = NULL;
			return -1;
		}
		fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (fd >= 0)
			return fd;
		free(*name);
		*name = NULL; /* not ours to remove */
		if (errno != EEXIST)
			return -1;
	}
	return -1;
}

/* Regular files are replaced; whatever else stands there (FIFO, device, terminal) is written to. A symbolic
 * link to a file is replaced itself: in a directory of others it must not lead a privileged writer elsewhere.
 */
static int open_path(struct outfile *f, const char *path)
{
	struct stat st;

	if (!stat(path, &st)) {
		errno = EISDIR;
		if (S_ISDIR(st.st_mode))
			return -1;
		if (!S_ISREG(st.st_mode))
			return open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS))
			return -1;
	}
	if (!*path || path[strlen(path) - 1] == '/') {
		errno = *path ? EISDIR : ENOENT;
		return -1;
	}
	return open_beside(path, &f->temporary);
}

bool outfile__is_standard_output(const char *path)
{
	return !strcmp(path, "-") || !strcmp(path, "/dev/stdout") || !strcmp(path, "/proc/self/fd/1");
}

struct outfile *outfile__open(const char *path)
{
	struct outfile *f = calloc(1, sizeof(*f));
	int fd, err;

	if (!f)
		return NULL;
	if (outfile__is_standard_output(path)) {
		f->stream = stdout;
		return f;
	}
	fd = open_path(f, path);
	if (fd < 0)
		goto fail;
	f->path = strdup(path);
	f->stream = f->path ? fdopen(fd, "w") : NULL;
	if (f->stream)
		return f;
fail:
	err = errno;
	if (fd >= 0)
		close(fd);
	outfile__close(f);
	errno = err;
	return NULL;
}

int outfile__check(const char *path)
{
	struct outfile *f;
	struct stat st;

	/* A FIFO's reader would take the close for the end. */
	if (!stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) ? -errno : 0;
	f = outfile__open(path);
	if (!f)
		return -errno;
	outfile__close(f);
	return 0;
}

FILE *outfile__stream(struct outfile *f)
{
	return f->stream;
}

/* Behind sudo the file belongs to the caller, not to root. */
static int give_to_caller(int fd)
{
	const char *user = getenv("SUDO_UID"), *group = getenv("SUDO_GID");
	long long uid, gid;

	if (geteuid() != 0 || !user || !group)
		return 0;
	if (units__parse_int(user, 0, UINT32_MAX - 1, &uid) ||
	    units__parse_int(group, 0, UINT32_MAX - 1, &gid))
		return 0;
	return fchown(fd, (uid_t)uid, (gid_t)gid) ? -errno : 0;
}

/* An earlier write has failed and its errno is gone: a pipe without a reader says so again. */
static int lost_error(FILE *stream)
{
	struct pollfd pipe = {.fd = fileno(stream), .events = POLLOUT};

	return poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR) ? -EPIPE : -EIO;
}

static int finish(struct outfile *f)
{
	int err = 0;

	errno = 0;
	if (fflush(f->stream))
		err = errno ? -errno : -EIO;
	else if (ferror(f->stream))
		err = lost_error(f->stream);
	if (f->stream == stdout)
		return err;
	if (!err && f->temporary)
		err = give_to_caller(fileno(f->stream));
	if (fclose(f->stream) && !err)
		err = -errno;
	f->stream = NULL;
	return err;
}

int outfile__commit(struct outfile *f)
{
	int err = finish(f);

	if (err || !f->temporary)
		return err;
	if (rename(f->temporary, f->path))
		return -errno;
	free(f->temporary);
	f->temporary = NULL;
	return 0;
}

void outfile__close(struct outfile *f)
{
	if (!f)
		return;
	if (f->stream && f->stream != stdout)
		fclose(f->stream);
	if (f->temporary)
		unlink(f->temporary);
	free(f->temporary);
	free(f->path);
	free(f);
}

char *outfile__numbered(const char *path, const char *extension, unsigned number)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path,
		   *dot = extension ? extension : strrchr(base, '.');
	char *name;

	if (!dot || dot == base)
		dot = base + strlen(base);
	if (asprintf(&name, "%.*s.%04u%s", (int)(dot - path), path, number, dot) < 0)
		return NULL;
	return name;
}
