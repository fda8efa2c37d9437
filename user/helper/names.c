// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/units.h"
#include "helper/helper_private.h"

#define WANTS_MAX   64 /* debug files that one question may look for */
#define LINES_TIMES 4  /* so much longer source lines may take */

/* --- question and answer */

/* Gives the worker the debug file that it wants. 0 or -errno. */
static int give_debug_file(struct helper *h, const struct symbol_request *r, const struct message *wish,
			   uint64_t *deadline_ns)
{
	uint64_t start_ns = units__now_ns();
	struct debug_wanted wanted;
	int32_t err;
	struct message m = {
		.type = MESSAGE_FILE, .bytes = (const char *)&err, .len = sizeof(err), .fds = {-1, -1}};
	int fd;

	if (wish->len != sizeof(wanted))
		return -EPROTO;
	memcpy(&wanted, wish->bytes, sizeof(wanted));
	fd = helper__find_debug_file(h, r, &wanted);
	m.fds[0] = fd < 0 ? -1 : fd;
	err = fd < 0 ? fd : 0;
	/* Looking for it was not the worker's time. */
	*deadline_ns += units__now_ns() - start_ns;
	err = channel__send(&h->channel, &m, *deadline_ns);
	message__close_fds(&m);
	return err;
}

/* Asks the worker and waits for what it says to that, of this type. 0 or -errno: it is of no use any more. */
static int ask_worker(struct helper *h, const struct symbol_request *r, const struct message *question,
		      uint32_t type, struct message *answer)
{
	uint64_t deadline_ns = helper__deadline(h, r->lines ? LINES_TIMES : 1);
	unsigned wants = 0;
	int err;

	worker__allow_cpu(&h->worker, deadline_ns - units__now_ns());
	err = channel__send(&h->channel, question, deadline_ns);
	while (!err) {
		err = channel__receive(&h->channel, answer, deadline_ns);
		if (err <= 0)
			return err ? err : -ETIMEDOUT;
		if (answer->type == type)
			return 0;
		err = answer->type == MESSAGE_WANT && wants++ < WANTS_MAX
			      ? give_debug_file(h, r, answer, &deadline_ns)
			      : -EPROTO;
	}
	return err;
}

/* The same in this process. The server closes what it gets. */
static int ask_here(struct helper *h, const struct symbol_request *r, const struct message *question,
		    uint32_t type, struct message *answer)
{
	struct message m = *question;
	int err;

	for (size_t i = 0; i < CHANNEL_FDS; i++)
		m.fds[i] = m.fds[i] < 0 ? -1 : fcntl(m.fds[i], F_DUPFD_CLOEXEC, 0);
	h->request = r;
	err = m.fds[0] < 0 ? -errno : server__answer(h->server, &m);
	h->request = NULL;
	*answer = (struct message){
		.type = h->reply_type, .bytes = buf__text(&h->reply), .len = h->reply.len, .fds = {-1, -1}};
	return err ? err : answer->type == type ? 0 : -EPROTO;
}

static int exchange(struct helper *h, const struct symbol_request *r, const struct message *question,
		    uint32_t type, struct message *answer)
{
	return h->server ? ask_here(h, r, question, type, answer) : ask_worker(h, r, question, type, answer);
}

/* A question in the making: which file it is about, and what is opened for it. */
struct asking {
	struct symbol_request request;
	struct file_key key;
	bool remember; /* a failure: it is a file that others gave us */
	int own, modules;
	struct buf bytes;
};

static int open_kernel(struct asking *a)
{
	a->own = a->request.fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	if (a->own < 0)
		return -errno;
	a->modules = a->request.modules_fd = open("/proc/modules", O_RDONLY | O_CLOEXEC);
	return 0;
}

/* 0, or why nothing is to be asked. */
static int begin(struct helper *h, const struct symbol_request *r, struct asking *a)
{
	struct stat st;
	int err = 0;

	*a = (struct asking){.request = *r, .own = -1, .modules = -1};
	a->request.modules_fd = -1;
	if (r->source == SYMBOLS_KERNEL) {
		err = open_kernel(a);
	} else if (r->source == SYMBOLS_VDSO) {
		a->request.fd = helper__vdso(h);
		err = a->request.fd < 0 ? a->request.fd : 0;
	} else {
		a->remember = true;
		err = fstat(r->fd, &st) ? -errno : 0;
		if (!err) {
			file_key__from_stat(&a->key, &st);
			err = helper__known_failure(h, &a->key);
		}
	}
	if (err)
		return err;
	if (h->asked)
		builds__finish(h);
	return helper__ensure(h);
}

static void end(struct asking *a)
{
	fd__close(&a->own);
	fd__close(&a->modules);
	buf__free(&a->bytes);
}

/* Asks about addresses [from, from + count). The answer's bytes, valid until the next question, or -errno. */
static int put(struct helper *h, struct asking *a, uint32_t question_type, size_t from, size_t count,
	       uint32_t type, struct message *answer)
{
	struct message question = {.type = question_type, .fds = {a->request.fd, a->request.modules_fd}};
	int err;

	buf__clear(&a->bytes);
	protocol__put_question(&a->bytes, &a->request, from, count);
	if (a->bytes.failed)
		return -ENOMEM;
	question.bytes = a->bytes.data;
	question.len = a->bytes.len;
	err = exchange(h, &a->request, &question, type, answer);
	return err && !h->server ? helper__give_up(h, a->remember ? &a->key : NULL, err) : err;
}

/* --- names */

static int keep_inlined(struct helper *h, struct inlined *inlined)
{
	struct inlined_block *block = inlined ? malloc(sizeof(*block)) : NULL;

	if (!inlined)
		return 0;
	if (!block) {
		free(inlined);
		return -ENOMEM;
	}
	*block = (struct inlined_block){h->inlined, inlined};
	h->inlined = block;
	return 0;
}

static int resolve_part(struct helper *h, struct asking *a, size_t from, size_t count, struct symbol *symbols)
{
	struct inlined *inlined = NULL;
	struct message answer;
	int err = put(h, a, MESSAGE_RESOLVE, from, count, MESSAGE_NAMES, &answer), err2;

	if (err)
		return err;
	err = protocol__get_names(answer.bytes, answer.len, &h->strings, symbols, count, &inlined);
	if (err == -EPROTO && !h->server)
		return helper__give_up(h, a->remember ? &a->key : NULL, err);
	err2 = keep_inlined(h, inlined);
	return err2 ? err2 : err;
}

int helper__resolve(struct helper *h, const struct symbol_request *r, struct symbol *symbols)
{
	size_t count;
	struct asking a;
	int err;

	if (!r->count)
		return 0;
	err = begin(h, r, &a);
	for (size_t from = 0; from < r->count && !err; from += count) {
		count = r->count - from < NAMES_MAX ? r->count - from : NAMES_MAX;
		err = resolve_part(h, &a, from, count, symbols + from);
		/* The next part of a file in /proc is read from its start. */
		if (!err && a.own >= 0 && lseek(a.own, 0, SEEK_SET) < 0)
			err = -errno;
	}
	for (size_t i = 0; i < r->count && err; i++)
		symbols[i] = (struct symbol){.address = r->addresses[i]};
	end(&a);
	return err;
}

int helper__coverage(struct helper *h, const struct symbol_request *r, struct symbol_coverage *c)
{
	struct message answer = {0};
	struct asking a;
	int err = begin(h, r, &a);

	memset(c, 0, sizeof(*c));
	if (!err)
		err = put(h, &a, MESSAGE_COVERAGE, 0, 0, MESSAGE_COVERED, &answer);
	if (!err) {
		err = protocol__get_coverage(answer.bytes, answer.len, c);
		if (err == -EPROTO && !h->server)
			err = helper__give_up(h, &a.key, err);
	}
	end(&a);
	return err;
}

int helper__function(struct helper *h, const struct symbol_request *r, const char *name,
		     struct function_place *place)
{
	struct message answer = {0};
	struct asking a;
	int err = begin(h, r, &a);

	*place = (struct function_place){0};
	a.request.path = name;
	if (!err)
		err = put(h, &a, MESSAGE_FUNCTION, 0, 0, MESSAGE_FOUND, &answer);
	if (!err) {
		err = protocol__get_function(answer.bytes, answer.len, place);
		if (err == -EPROTO && !h->server)
			err = helper__give_up(h, &a.key, err);
	}
	end(&a);
	return err;
}
