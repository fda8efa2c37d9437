// SPDX-License-Identifier: Apache-2.0
#include "helper/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "base/units.h"

#define WAIT_MS	   1000		/* of one poll() */
#define KEPT_BYTES (256u << 10) /* of a buffer that a large message has left */

/* Before each piece. */
struct piece {
	uint32_t type, total; /* of the message */
	uint32_t offset;      /* of the piece in it */
	uint32_t fd_count;    /* of the message; they come with its first piece */
};

static size_t part_of(const struct piece *p)
{
	return p->total - p->offset < CHANNEL_PIECE_BYTES ? p->total - p->offset : CHANNEL_PIECE_BYTES;
}

union control {
	char bytes[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
	struct cmsghdr align;
};

void channel__init(struct channel *c, int fd, bool takes_fds)
{
	*c = (struct channel){.fd = fd, .takes_fds = takes_fds, .fds = {-1, -1}};
}

static void close_fds(int fds[CHANNEL_FDS])
{
	for (size_t i = 0; i < CHANNEL_FDS; i++)
		fd__close(&fds[i]);
}

void message__close_fds(struct message *m)
{
	close_fds(m->fds);
}

void channel__close(struct channel *c)
{
	close_fds(c->fds);
	fd__close(&c->fd);
	buf__free(&c->bytes);
}

/* 1: ready; 0: not until then; -errno. */
static int wait_for(int fd, short events, uint64_t until_ns)
{
	struct pollfd p = {.fd = fd, .events = events};
	uint64_t now, left_ms;
	int timeout = -1, n;

	do {
		if (until_ns != CHANNEL_FOREVER) {
			now = until_ns ? units__now_ns() : 0;
			left_ms = now < until_ns ? (until_ns - now) / 1000000 + 1 : 0;
			timeout = left_ms < WAIT_MS ? (int)left_ms : WAIT_MS;
		}
		n = poll(&p, 1, timeout);
	} while ((n < 0 && errno == EINTR) || (!n && timeout > 0));
	return n < 0 ? -errno : n;
}

/* A socket of this kind tells of the other side's end in two ways. */
static int error_of(int err)
{
	return err == ECONNRESET ? -EPIPE : -err;
}

static void attach(struct msghdr *h, union control *control, const int *fds, size_t count)
{
	struct cmsghdr *c;

	memset(control, 0, sizeof(*control));
	h->msg_control = control->bytes;
	h->msg_controllen = CMSG_SPACE(count * sizeof(int));
	c = CMSG_FIRSTHDR(h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
}

static int send_piece(struct channel *c, struct msghdr *h, uint64_t until_ns)
{
	int err = 1;

	while (sendmsg(c->fd, h, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return error_of(errno);
		err = wait_for(c->fd, POLLOUT, until_ns);
		if (err <= 0)
			return err ? err : -ETIMEDOUT;
	}
	return 0;
}

int channel__send(struct channel *c, const struct message *m, uint64_t until_ns)
{
	struct piece piece = {.type = m->type, .total = (uint32_t)m->len};
	int err = m->len > CHANNEL_MESSAGE_BYTES ? -EMSGSIZE : 0;
	union control control;
	size_t n;

	while (piece.fd_count < CHANNEL_FDS && m->fds[piece.fd_count] >= 0)
		piece.fd_count++;
	do {
		struct iovec parts[2] = {{&piece, sizeof(piece)}};
		struct msghdr h = {.msg_iov = parts, .msg_iovlen = 2};

		n = part_of(&piece);
		parts[1] = (struct iovec){(char *)m->bytes + piece.offset, n};
		if (!piece.offset && piece.fd_count)
			attach(&h, &control, m->fds, piece.fd_count);
		if (!err)
			err = send_piece(c, &h, until_ns);
		piece.offset += (uint32_t)n;
	} while (!err && piece.offset < m->len);
	return err;
}

/* Keeps what came along; how many. -EPROTO: not what was announced. */
static int take_fds(struct channel *c, struct msghdr *h)
{
	int count = 0, fd;

	for (struct cmsghdr *m = CMSG_FIRSTHDR(h); m; m = CMSG_NXTHDR(h, m)) {
		size_t n = m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS
				   ? (m->cmsg_len - CMSG_LEN(0)) / sizeof(int)
				   : 0;

		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(m) + i * sizeof(int), sizeof(fd));
			if (count < CHANNEL_FDS && c->fds[count] < 0)
				c->fds[count++] = fd;
			else
				close(fd);
		}
	}
	return h->msg_flags & (MSG_CTRUNC | MSG_TRUNC) ? -EPROTO : count;
}

/* A piece that goes on where the last one ended, or begins a message. All but the last are full: nobody is
 * kept busy by crumbs. */
static bool is_next(const struct channel *c, const struct piece *p, size_t bytes, int fd_count)
{
	if (p->total > CHANNEL_MESSAGE_BYTES || p->offset > p->total || bytes != part_of(p))
		return false;
	if (!c->under_way)
		return !p->offset && p->fd_count == (uint32_t)fd_count;
	return !fd_count && p->type == c->type && p->total == c->total && p->offset == c->bytes.len;
}

/* 1: a piece was taken; 0: there is none; -errno. */
static int take_piece(struct channel *c)
{
	char bytes[CHANNEL_PIECE_BYTES];
	struct piece piece;
	union control control;
	struct iovec parts[2] = {{&piece, sizeof(piece)}, {bytes, sizeof(bytes)}};
	struct msghdr h = {.msg_iov = parts,
			   .msg_iovlen = 2,
			   .msg_control = control.bytes,
			   .msg_controllen = c->takes_fds ? sizeof(control) : 0};
	ssize_t n = recvmsg(c->fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int fd_count;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : error_of(errno);
	if (!n)
		return -EPIPE;
	fd_count = take_fds(c, &h);
	if (fd_count < 0 || (size_t)n < sizeof(piece) ||
	    !is_next(c, &piece, (size_t)n - sizeof(piece), fd_count))
		return -EPROTO;
	c->under_way = true;
	c->type = piece.type;
	c->total = piece.total;
	buf__add(&c->bytes, bytes, (size_t)n - sizeof(piece));
	c->is_whole = c->bytes.len == c->total;
	return c->bytes.failed ? -ENOMEM : 1;
}

int channel__receive(struct channel *c, struct message *m, uint64_t until_ns)
{
	int err = 1;

	*m = (struct message){.fds = {-1, -1}};
	if (!c->under_way && c->bytes.cap > KEPT_BYTES)
		buf__free(&c->bytes);
	else if (!c->under_way)
		buf__clear(&c->bytes);
	while (!c->is_whole && err > 0) {
		err = take_piece(c);
		if (!err)
			err = wait_for(c->fd, POLLIN, until_ns);
	}
	if (err <= 0)
		return err;
	m->type = c->type;
	m->bytes = buf__text(&c->bytes);
	m->len = c->bytes.len;
	memcpy(m->fds, c->fds, sizeof(m->fds));
	for (size_t i = 0; i < CHANNEL_FDS; i++)
		c->fds[i] = -1;
	c->under_way = c->is_whole = false;
	return 1;
}
