// SPDX-License-Identifier: Apache-2.0
#include "helper/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "helper/sandbox.h"
#include "helper/server.h"

#define END_MS 1000

/* --- the process itself */

struct loop {
	struct channel channel;
	struct server *server;
};

static int say(void *context, uint32_t type, const struct buf *bytes)
{
	const struct message m = {.type = type, .bytes = bytes->data, .len = bytes->len, .fds = {-1, -1}};
	struct loop *l = context;

	return channel__send(&l->channel, &m, CHANNEL_FOREVER);
}

/* The asker looks for the file; until its answer nothing else comes from there. */
static int want(void *context, const struct debug_wanted *wanted)
{
	const struct message question = {
		.type = MESSAGE_WANT, .bytes = (const char *)wanted, .len = sizeof(*wanted), .fds = {-1, -1}};
	struct loop *l = context;
	struct message m;
	int32_t err;

	if (channel__send(&l->channel, &question, CHANNEL_FOREVER) ||
	    channel__receive(&l->channel, &m, CHANNEL_FOREVER) != 1 || m.type != MESSAGE_FILE ||
	    m.len != sizeof(err))
		_exit(1);
	memcpy(&err, m.bytes, sizeof(err));
	if (!err && m.fds[0] < 0)
		err = -EPROTO;
	if (err)
		message__close_fds(&m);
	fd__close(&m.fds[1]);
	return err ? err : m.fds[0];
}

static int say_ready(struct loop *l, int32_t err)
{
	const struct message m = {
		.type = MESSAGE_READY, .bytes = (const char *)&err, .len = sizeof(err), .fds = {-1, -1}};

	return channel__send(&l->channel, &m, CHANNEL_FOREVER);
}

/* The question's bytes are kept while it is answered: an answer may be preceded by questions of our own. */
static int answer(struct loop *l, struct message *m)
{
	struct buf question = l->channel.bytes;
	int err;

	l->channel.bytes = (struct buf){0};
	err = server__answer(l->server, m);
	buf__free(&question);
	return err;
}

/* Never returns; skips what sonde would do at its own end. */
static void run(int socket_fd, size_t memory_bytes)
{
	struct loop l;
	const struct peer peer = {.send = say, .debug_file = want, .context = &l};
	struct message m;
	char released;
	int err;

	if (recv(socket_fd, &released, 1, 0) != 1)
		_exit(1);
	err = sandbox__enter(&socket_fd, memory_bytes);
	channel__init(&l.channel, socket_fd, true);
	l.server = err ? NULL : server__new(&peer);
	if (!err && !l.server)
		err = -ENOMEM;
	if (say_ready(&l, err) || err)
		_exit(1);
	while (channel__receive(&l.channel, &m, CHANNEL_FOREVER) == 1)
		if (answer(&l, &m))
			_exit(1);
	_exit(0);
}

/* --- from outside */

int worker__start(struct worker *w, int *socket_fd, size_t memory_bytes)
{
	int ends[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	w->pid = fork();
	if (!w->pid) {
		close(ends[0]);
		run(ends[1], memory_bytes);
	}
	err = w->pid < 0 ? -errno : 0;
	close(ends[1]);
	if (err) {
		w->pid = 0;
		close(ends[0]);
		return err;
	}
	w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
	*socket_fd = ends[0];
	return 0;
}

void worker__release(int socket_fd)
{
	send(socket_fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static uint64_t ns_of(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_usec * 1000;
}

uint64_t worker__kill(struct worker *w)
{
	struct pollfd end = {.fd = w->pidfd, .events = POLLIN};
	struct rusage used = {0};
	pid_t ended;

	if (!w->pid)
		return 0;
	if (w->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
	else
		kill(w->pid, SIGKILL);
	/* One that waits for a disk for ever ends when that answers: a zombie is left then, but nobody waits.
	 */
	if (w->pidfd >= 0)
		poll(&end, 1, END_MS);
	do
		ended = wait4(w->pid, NULL, w->pidfd >= 0 ? WNOHANG : 0, &used);
	while (ended < 0 && errno == EINTR);
	fd__close(&w->pidfd);
	w->pid = 0;
	return ns_of(&used.ru_utime) + ns_of(&used.ru_stime);
}

uint64_t worker__cpu_ns(const struct worker *w)
{
	struct timespec used;
	clockid_t clock;

	if (!w->pid || clock_getcpuclockid(w->pid, &clock) || clock_gettime(clock, &used))
		return 0;
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

void worker__allow_cpu(const struct worker *w, uint64_t cpu_ns)
{
	struct rlimit now;

	if (!w->pid || prlimit(w->pid, RLIMIT_CPU, NULL, &now))
		return;
	now.rlim_cur = (worker__cpu_ns(w) + cpu_ns) / 1000000000 + 2;
	if (now.rlim_cur < now.rlim_max)
		prlimit(w->pid, RLIMIT_CPU, &now, NULL);
}
