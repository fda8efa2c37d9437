// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/units.h"
#include "helper/helper_private.h"

#define ANSWERS_MAX TABLE_WHOLE_CHUNKS /* to one question */

/* --- answers that wait */

static void queue(struct helper *h, struct queued *q)
{
	if (!h->first)
		eventfd_write(h->event_fd, 1);
	q->next = NULL;
	*h->last = q;
	h->last = &q->next;
}

static int take_first(struct helper *h, struct table_answer *answer)
{
	eventfd_t value;

	free(h->taken);
	h->taken = h->first;
	if (!h->taken)
		return 0;
	h->first = h->taken->next;
	if (!h->first) {
		h->last = &h->first;
		eventfd_read(h->event_fd, &value);
	}
	*answer = h->taken->answer;
	return 1;
}

/* Believed only if it fits the question: this ticket, chunks ascending. */
static bool fits(const struct helper *h, const struct table_answer *a)
{
	return h->asked && a->ticket == h->question.ticket && h->answers < ANSWERS_MAX &&
	       (a->error || !h->answers || a->chunk > h->last_chunk);
}

int builds__keep(struct helper *h, const char *bytes, size_t len)
{
	struct queued *q = malloc(sizeof(*q) + len);

	if (!q)
		return -ENOMEM;
	memcpy(q->bytes, bytes, len);
	if (!protocol__get_built(q->bytes, len, &q->answer) || !fits(h, &q->answer)) {
		free(q);
		return -EPROTO;
	}
	h->answers++;
	h->last_chunk = q->answer.chunk;
	h->asked = !q->answer.last;
	queue(h, q);
	return 0;
}

/* The question is answered by an error of its file. */
static int fail(struct helper *h, int err)
{
	struct queued *q = calloc(1, sizeof(*q));

	h->asked = false;
	if (!q)
		return -ENOMEM;
	q->answer = (struct table_answer){.ticket = h->question.ticket, .error = err, .last = true};
	queue(h, q);
	return 0;
}

void builds__free(struct helper *h)
{
	struct table_answer ignored;

	while (take_first(h, &ignored))
		;
}

/* --- asking */

static int ask_worker(struct helper *h, const struct message *question)
{
	int err;

	worker__allow_cpu(&h->worker, h->options.file_ns);
	h->deadline_ns = helper__deadline(h, 1);
	err = channel__send(&h->channel, question, h->deadline_ns);
	return err ? fail(h, helper__give_up(h, &h->question.key, err)) : 0;
}

static int ask_here(struct helper *h, struct message question)
{
	int err;

	question.fds[0] = fcntl(question.fds[0], F_DUPFD_CLOEXEC, 0);
	err = question.fds[0] < 0 ? -errno : server__answer(h->server, &question);
	return err ? fail(h, err) : 0;
}

int helper__ask_table(struct helper *h, const struct table_question *q)
{
	const struct table_wish wish = {
		.ticket = q->ticket, .key = q->key, .offset = q->offset, .whole = q->whole};
	struct message m = {.type = MESSAGE_TABLE,
			    .bytes = (const char *)&wish,
			    .len = sizeof(wish),
			    .fds = {q->fd < 0 ? helper__vdso(h) : q->fd, -1}};
	int err;

	if (h->asked)
		return -EAGAIN;
	if (m.fds[0] < 0)
		return m.fds[0];
	err = helper__known_failure(h, &q->key);
	if (!err)
		err = helper__ensure(h);
	h->question = *q;
	h->question.fd = -1;
	h->asked = true;
	h->answers = 0;
	if (err)
		return fail(h, err);
	return h->server ? ask_here(h, m) : ask_worker(h, &m);
}

/* --- taking */

/* Moves one answer into the queue. 0: none came until then. */
static int receive(struct helper *h, uint64_t until_ns)
{
	struct message m;
	uint64_t last_ns = until_ns < h->deadline_ns ? until_ns : h->deadline_ns;
	int err = channel__receive(&h->channel, &m, last_ns);

	if (err > 0) {
		err = m.type == MESSAGE_BUILT ? builds__keep(h, m.bytes, m.len) : -EPROTO;
		if (!err)
			return 1;
	} else if (!err) {
		if (units__now_ns() < h->deadline_ns)
			return 0;
		err = -ETIMEDOUT;
	}
	err = fail(h, helper__give_up(h, &h->question.key, err));
	return err ? err : 1;
}

void builds__finish(struct helper *h)
{
	while (h->asked && receive(h, CHANNEL_FOREVER) > 0)
		;
}

int helper__take_table(struct helper *h, struct table_answer *answer, uint64_t until_ns)
{
	int err = 1;

	helper__look(h);
	while (!h->first && h->asked && err > 0)
		err = receive(h, until_ns);
	return err < 0 ? err : take_first(h, answer);
}
