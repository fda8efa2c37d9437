/* SPDX-License-Identifier: Apache-2.0 */
/* The side that parses: a question in, answers out. It runs in the helper, or, where there is none, in sonde
 * itself: it does not know which. */
#ifndef SONDE_HELPER_SERVER_H
#define SONDE_HELPER_SERVER_H

#include "helper/channel.h"
#include "helper/protocol.h"

struct server;

/* Whom it answers. */
struct peer {
	int (*send)(void *context, uint32_t type, const struct buf *bytes); /* 0 or -errno */
	int (*debug_file)(void *context, const struct debug_wanted *);	    /* symbol_request.debug_file */
	void *context;
};

struct server *server__new(const struct peer *peer); /* NULL and errno. The peer is copied */
void server__free(struct server *s);
/* Answers a question; its descriptors become the server's. 0, -EPROTO (none that it knows) or the -errno of
 * sending. */
int server__answer(struct server *s, struct message *m);

#endif
