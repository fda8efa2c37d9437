/* SPDX-License-Identifier: Apache-2.0 */
/* Real files for the tests of the stack room: a scratch directory and what the compiler makes in it. */
#ifndef SONDE_TESTS_FIXTURE_H
#define SONDE_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"

/* Runs a shell command in the directory; its exit status. Output goes to `out` unless that is NULL. */
static inline int fixture__run(const char *dir, const char *command, struct buf *out)
{
	int ends[2], status;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		dup2(ends[1], 1);
		close(ends[0]);
		close(ends[1]);
		/* The sanitizers' leak check of this binary must not run in what it starts. */
		unsetenv("LD_PRELOAD");
		if (chdir(dir))
			_exit(126);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	close(ends[1]);
	if (out) {
		assert_int_equal(buf__read_fd(out, ends[0], 64u << 20), 0);
	} else {
		char sink[4096];

		while (read(ends[0], sink, sizeof(sink)) > 0)
			;
	}
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static inline char *fixture__new(void)
{
	char *dir = strdup("/tmp/sonde-test-XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static inline void fixture__remove(char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(fixture__run("/", command, NULL), 0);
	free(dir);
}

static inline void fixture__write(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static inline int fixture__open(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* A file without a name that holds these bytes. */
static inline int fixture__file(const void *bytes, size_t size)
{
	int fd = memfd_create("fixture", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

#endif
