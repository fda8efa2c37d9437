/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between two processes that do not trust each other: a type, bytes, descriptors. They cross a
 * SOCK_SEQPACKET socket in pieces; each piece says which part of which message it is, and nothing else is
 * taken.
 */
#ifndef SONDE_HELPER_CHANNEL_H
#define SONDE_HELPER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define CHANNEL_PIECE_BYTES   (56u << 10)
#define CHANNEL_MESSAGE_BYTES (16u << 20)
#define CHANNEL_FDS	      2
#define CHANNEL_FOREVER	      UINT64_MAX

struct message {
	uint32_t type;
	const char *bytes; /* NUL-terminated behind the last one; aligned as by malloc() */
	size_t len;
	int fds[CHANNEL_FDS]; /* -1: none */
};

struct channel {
	int fd;		/* of the socket; owned; -1: none */
	bool takes_fds; /* descriptors are welcome; else whoever sends one breaks the rules */
	/* of the message that is coming in */
	struct buf bytes;
	uint32_t type, total;
	bool under_way, is_whole;
	int fds[CHANNEL_FDS];
};

void channel__init(struct channel *c, int fd, bool takes_fds);
void channel__close(struct channel *c);

/*
 * Sends a message with `fd_count` descriptors, which stay the caller's. 0, -ETIMEDOUT (not in time:
 * CLOCK_MONOTONIC), -EPIPE (nobody is there) or another -errno; after an error the channel is of no use.
 */
int channel__send(struct channel *c, const struct message *m, uint64_t until_ns);
/*
 * 1: a message, whose bytes are valid until the next call, and whose descriptors are the caller's to close;
 * 0: none until `until_ns` (0: does not wait); -EPIPE: the other side has gone; -EPROTO: it does not keep to
 * the rules; another -errno.
 */
int channel__receive(struct channel *c, struct message *m, uint64_t until_ns);

void message__close_fds(struct message *m);

#endif
