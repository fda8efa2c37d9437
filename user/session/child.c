// SPDX-License-Identifier: Apache-2.0
#include "session/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/units.h"

#define GROUPS_MAX 256

static bool env_number(const char *name, long long *value)
{
	const char *text = getenv(name);

	return text && !units__parse_int(text, 0, 0xfffffffe, value);
}

/* The groups of /etc/group that list the user, besides the primary one. */
static size_t groups_of(const char *user, gid_t primary, gid_t *groups)
{
	FILE *f = fopen("/etc/group", "re");
	struct group *row;
	size_t n = 0;

	groups[n++] = primary;
	while (f && n < GROUPS_MAX && (row = fgetgrent(f)))
		for (char **member = row->gr_mem; *member; member++)
			if (!strcmp(*member, user) && row->gr_gid != primary) {
				groups[n++] = row->gr_gid;
				break;
			}
	if (f)
		fclose(f);
	return n;
}

/* The work is the user's, not root's: a command must not gain rights by being measured. */
static int become_calling_user(void)
{
	long long uid, gid;
	const char *user = getenv("SUDO_USER");
	gid_t groups[GROUPS_MAX];
	size_t n;

	if (geteuid() || !env_number("SUDO_UID", &uid) || !env_number("SUDO_GID", &gid) || !uid)
		return 0;
	n = groups_of(user ? user : "", gid, groups);
	if (setgroups(n, groups) || setgid(gid) || setuid(uid))
		return -errno;
	return 0;
}

/* In the child: a closed pipe means that sonde has gone. */
static void __attribute__((noreturn)) child__run(int go, int error, char **argv)
{
	sigset_t none;
	char byte;
	int err;

	if (read(go, &byte, 1) != 1)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	err = -become_calling_user();
	if (!err) {
		execvp(argv[0], argv);
		err = errno;
	}
	if (write(error, &err, sizeof(err)) != sizeof(err))
		_exit(126);
	_exit(127);
}

int child__start(struct child *c, char **argv)
{
	int go[2] = {-1, -1}, error[2] = {-1, -1}, err;

	*c = (struct child){.pidfd = -1, .release_fd = -1, .error_fd = -1};
	if (pipe2(go, O_CLOEXEC) || pipe2(error, O_CLOEXEC))
		goto fail;
	c->pid = fork();
	if (c->pid < 0)
		goto fail;
	if (!c->pid) {
		close(go[1]);
		close(error[0]);
		child__run(go[0], error[1], argv);
	}
	close(go[0]);
	close(error[1]);
	c->release_fd = go[1];
	c->error_fd = error[0];
	c->pidfd = syscall(SYS_pidfd_open, c->pid, 0);
	return c->pidfd < 0 ? -errno : 0;
fail:
	err = -errno;
	c->pid = 0;
	for (int i = 0; i < 2; i++) {
		if (go[i] >= 0)
			close(go[i]);
		if (error[i] >= 0)
			close(error[i]);
	}
	return err;
}

int child__release(struct child *c)
{
	int error = 0;
	ssize_t n = write(c->release_fd, "g", 1);

	fd__close(&c->release_fd);
	do
		n = n == 1 ? read(c->error_fd, &error, sizeof(error)) : -1;
	while (n < 0 && errno == EINTR);
	fd__close(&c->error_fd);
	return n == (ssize_t)sizeof(error) ? -error : 0;
}

void child__reap(struct child *c, bool wait)
{
	pid_t pid;

	if (!c->pid || c->ended)
		return;
	do
		pid = waitpid(c->pid, &c->status, wait ? 0 : WNOHANG);
	while (pid < 0 && errno == EINTR);
	c->ended = pid == c->pid;
}

int child__exit_code(const struct child *c)
{
	if (!c->ended)
		return 0;
	return WIFSIGNALED(c->status) ? 128 + WTERMSIG(c->status) : WEXITSTATUS(c->status);
}

void child__close(struct child *c)
{
	bool never_released = c->release_fd >= 0;

	fd__close(&c->release_fd);
	fd__close(&c->error_fd);
	if (c->pid && never_released)
		child__reap(c, true);
	fd__close(&c->pidfd);
}
