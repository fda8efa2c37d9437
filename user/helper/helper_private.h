/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the asking side: helper.c keeps the process, names.c asks for names, builds.c for tables. */
#ifndef SONDE_HELPER_HELPER_PRIVATE_H
#define SONDE_HELPER_HELPER_PRIVATE_H

#include "helper/helper.h"
#include "helper/protocol.h"
#include "helper/server.h"
#include "helper/worker.h"

struct debuginfod;

/* A table answer that waits to be taken. */
struct queued {
	struct queued *next;
	struct table_answer answer;
	char bytes[] __attribute__((aligned(8)));
};

/* The arrays that symbols point to. */
struct inlined_block {
	struct inlined_block *next;
	struct inlined *inlined;
};

struct helper {
	struct helper_options options;
	char *debuginfod_urls; /* owned; NULL: never */
	struct debuginfod *debuginfod;
	bool network_asked; /* for the file that is wanted now */

	struct worker worker;
	struct channel channel;
	struct server *server; /* in this process; NULL: in the worker */
	uint64_t past_cpu_ns;  /* of workers that have ended */
	struct helper_status status;
	struct table failed; /* struct file_key -> int: -ETIMEDOUT or -EPIPE */

	/* names */
	struct strings strings;
	struct inlined_block *inlined;
	int vdso;			      /* a copy; -1: not made yet */
	const struct symbol_request *request; /* being asked, in this process */
	struct buf reply;		      /* to it */
	uint32_t reply_type;

	/* tables */
	bool asked;
	struct table_question question; /* its fd is of no meaning any more */
	uint64_t deadline_ns, last_chunk;
	unsigned answers;
	struct queued *first, **last; /* waiting */
	struct queued *taken;	      /* handed out last */
	int epoll_fd, event_fd;	      /* the event: something waits */
};

/* A worker, if there must be one: started if none runs. 0; -EPIPE: too many have died. */
int helper__ensure(struct helper *h);
void helper__look(struct helper *h); /* notices that the worker has ended by itself */
/* The worker has died on a file, or has to: ends it and remembers the file. `err`: of what was tried; it
 * becomes -ETIMEDOUT or -EPIPE, which is returned. key NULL: nothing to remember. */
int helper__give_up(struct helper *h, const struct file_key *key, int err);
/* 0, or why the file is not tried again. */
int helper__known_failure(const struct helper *h, const struct file_key *key);
uint64_t helper__deadline(const struct helper *h, unsigned times);
int helper__vdso(struct helper *h); /* a descriptor that stays the helper's, or -errno */
int helper__find_debug_file(struct helper *h, const struct symbol_request *r, const struct debug_wanted *w);

/* Takes answers until the question about a table is done: whatever is asked next has the line for itself. */
void builds__finish(struct helper *h);
/* One answer's bytes into the queue. 0, -EPROTO or -ENOMEM. */
int builds__keep(struct helper *h, const char *bytes, size_t len);
void builds__free(struct helper *h);

#endif
