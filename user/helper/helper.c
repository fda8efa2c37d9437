// SPDX-License-Identifier: Apache-2.0
#include "helper/helper_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/units.h"
#include "helper/debuginfod.h"
#include "object/vdso.h"

#define FILE_NS	     5000000000ULL
#define READY_NS     5000000000ULL /* until a new one stands behind its walls */
#define MEMORY_BYTES (1ULL << 30)
#define DEATHS_MAX   16

/* --- the worker */

static int watch(struct helper *h, int fd)
{
	struct epoll_event e = {.events = EPOLLIN};

	return epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static int wait_until_ready(struct helper *h)
{
	int32_t said = 0;
	struct message m;
	int err = channel__receive(&h->channel, &m, units__now_ns() + READY_NS);

	if (err < 0)
		return err;
	if (!err)
		return -ETIMEDOUT;
	if (m.type != MESSAGE_READY || m.len != sizeof(said))
		return -EPROTO;
	memcpy(&said, m.bytes, sizeof(said));
	return said;
}

static void end_worker(struct helper *h)
{
	/* A closed descriptor leaves the epoll set by itself. */
	channel__close(&h->channel);
	h->past_cpu_ns += worker__kill(&h->worker);
}

static int start_worker(struct helper *h)
{
	int fd, err = worker__start(&h->worker, &fd, h->options.memory_bytes);

	if (err)
		return err;
	channel__init(&h->channel, fd, false);
	if (h->options.started)
		h->options.started(h->options.context, h->worker.pid);
	worker__release(fd);
	err = wait_until_ready(h);
	if (!err)
		err = watch(h, fd);
	if (err)
		end_worker(h);
	return err;
}

/* Whoever speaks or ends without being asked is of no use. No file is to blame for it. */
void helper__look(struct helper *h)
{
	struct message m;

	if (h->worker.pid && !h->asked && channel__receive(&h->channel, &m, 0))
		helper__give_up(h, NULL, -EPIPE);
}

int helper__ensure(struct helper *h)
{
	int err;

	helper__look(h);
	if (h->server || h->worker.pid)
		return 0;
	if (h->status.gave_up)
		return -EPIPE;
	err = start_worker(h);
	if (err) {
		h->status.gave_up = ++h->status.deaths >= DEATHS_MAX;
		return -EPIPE;
	}
	return 0;
}

int helper__give_up(struct helper *h, const struct file_key *key, int err)
{
	int *known = key ? table__add(&h->failed, key, NULL) : NULL;

	end_worker(h);
	err = err == -ETIMEDOUT ? err : -EPIPE;
	h->status.timeouts += err == -ETIMEDOUT;
	h->status.gave_up = ++h->status.deaths >= DEATHS_MAX;
	if (known)
		*known = err;
	return err;
}

int helper__known_failure(const struct helper *h, const struct file_key *key)
{
	const int *known = table__find(&h->failed, key);

	return known ? *known : 0;
}

uint64_t helper__deadline(const struct helper *h, unsigned times)
{
	return units__now_ns() + h->options.file_ns * times;
}

int helper__vdso(struct helper *h)
{
	if (h->vdso < 0)
		h->vdso = vdso__open();
	return h->vdso;
}

/* --- in this process */

static int take_reply(void *context, uint32_t type, const struct buf *bytes)
{
	struct helper *h = context;

	if (type == MESSAGE_BUILT)
		return builds__keep(h, bytes->data, bytes->len);
	buf__clear(&h->reply);
	buf__add(&h->reply, bytes->data, bytes->len);
	h->reply_type = type;
	return h->reply.failed ? -ENOMEM : 0;
}

static int find_debug_file(void *context, const struct debug_wanted *wanted)
{
	struct helper *h = context;

	return helper__find_debug_file(h, h->request, wanted);
}

static int serve_here(struct helper *h)
{
	const struct peer peer = {.send = take_reply, .debug_file = find_debug_file, .context = h};

	h->server = server__new(&peer);
	h->status.in_process = true;
	return h->server ? 0 : -errno;
}

/* The network comes last, and once for each file. */
int helper__find_debug_file(struct helper *h, const struct symbol_request *r, const struct debug_wanted *w)
{
	int fd = r && r->debug_file ? r->debug_file(r->context, w) : -ENOENT;

	if (!w->attempt)
		h->network_asked = false;
	if (fd >= 0 || !h->debuginfod_urls || w->kind == DEBUG_BY_LINK || h->network_asked)
		return fd;
	h->network_asked = true;
	if (!h->debuginfod)
		h->debuginfod = debuginfod__new(h->debuginfod_urls);
	return debuginfod__find(h->debuginfod, w);
}

/* --- life */

static void set_options(struct helper *h, const struct helper_options *o)
{
	h->options = *o;
	if (!h->options.file_ns)
		h->options.file_ns = FILE_NS;
	if (!h->options.memory_bytes)
		h->options.memory_bytes = MEMORY_BYTES;
	h->options.debuginfod_urls = NULL;
	if (o->debuginfod_urls && *o->debuginfod_urls)
		h->debuginfod_urls = strdup(o->debuginfod_urls);
}

struct helper *helper__start(const struct helper_options *options)
{
	struct helper *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return NULL;
	h->worker.pidfd = h->vdso = -1;
	h->last = &h->first;
	channel__init(&h->channel, -1, false);
	table__init(&h->failed, sizeof(struct file_key), sizeof(int));
	strings__init(&h->strings);
	set_options(h, options);
	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	h->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = h->epoll_fd < 0 || h->event_fd < 0 ? -errno : watch(h, h->event_fd);
	/* Where no such process can be had, the work is done all the same. */
	if (!err && (options->in_process || start_worker(h)))
		err = serve_here(h);
	if (!err)
		return h;
	helper__stop(h);
	errno = -err;
	return NULL;
}

void helper__stop(struct helper *h)
{
	struct inlined_block *next;

	if (!h)
		return;
	end_worker(h);
	server__free(h->server);
	builds__free(h);
	for (; h->inlined; h->inlined = next) {
		next = h->inlined->next;
		free(h->inlined->inlined);
		free(h->inlined);
	}
	debuginfod__free(h->debuginfod);
	free(h->debuginfod_urls);
	fd__close(&h->vdso);
	fd__close(&h->epoll_fd);
	fd__close(&h->event_fd);
	buf__free(&h->reply);
	table__free(&h->failed);
	strings__free(&h->strings);
	free(h);
}

int helper__pid(const struct helper *h)
{
	return (int)h->worker.pid;
}

int helper__fd(const struct helper *h)
{
	return h->epoll_fd;
}

uint64_t helper__cpu_ns(const struct helper *h)
{
	return h->past_cpu_ns + worker__cpu_ns(&h->worker);
}

void helper__status(const struct helper *h, struct helper_status *status)
{
	*status = h->status;
}
