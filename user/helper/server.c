// SPDX-License-Identifier: Apache-2.0
#include "helper/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "helper/files.h"

#define PAGE_MASK 4095ULL
#define NAMES_FORGET \
	(16u << 20) /* bytes of names after which the symbolizer begins anew: who asked keeps them */

struct server {
	struct peer peer;
	struct symbolizer *symbolizer;
	struct files files;
	struct buf answer, blob;
	size_t named_bytes;
};

struct server *server__new(const struct peer *peer)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->peer = *peer;
	files__init(&s->files);
	s->symbolizer = symbolizer__new();
	if (s->symbolizer)
		return s;
	server__free(s);
	errno = ENOMEM;
	return NULL;
}

void server__free(struct server *s)
{
	if (!s)
		return;
	symbolizer__free(s->symbolizer);
	files__close(&s->files);
	buf__free(&s->answer);
	buf__free(&s->blob);
	free(s);
}

static int reply(struct server *s, uint32_t type)
{
	return s->answer.failed ? -ENOMEM : s->peer.send(s->peer.context, type, &s->answer);
}

static bool get_question(struct server *s, const struct message *m, struct symbol_request *r)
{
	bool has_debug_files;

	if (!protocol__get_question(m->bytes, m->len, r, &has_debug_files) || m->fds[0] < 0)
		return false;
	r->fd = m->fds[0];
	r->modules_fd = m->fds[1];
	if (has_debug_files) {
		r->debug_file = s->peer.debug_file;
		r->context = s->peer.context;
	}
	return true;
}

/* --- names */

/* Names are interned for the symbolizer's life; the asker keeps its own. */
static int forget(struct server *s)
{
	struct symbolizer *fresh;

	s->named_bytes += s->answer.len;
	if (s->named_bytes < NAMES_FORGET)
		return 0;
	fresh = symbolizer__new();
	if (!fresh)
		return -ENOMEM;
	symbolizer__free(s->symbolizer);
	s->symbolizer = fresh;
	s->named_bytes = 0;
	return 0;
}

static int answer_names(struct server *s, const struct message *m)
{
	struct symbol_request r;
	struct symbol *symbols;
	int err;

	if (!get_question(s, m, &r))
		return -EPROTO;
	symbols = calloc(r.count + 1, sizeof(*symbols));
	if (!symbols)
		return -ENOMEM;
	err = symbolizer__resolve(s->symbolizer, &r, symbols);
	err = protocol__put_names(&s->answer, err, symbols, r.count);
	if (err) {
		memset(symbols, 0, r.count * sizeof(*symbols));
		buf__clear(&s->answer);
		err = protocol__put_names(&s->answer, err, symbols, r.count);
	}
	free(symbols);
	if (!err)
		err = reply(s, MESSAGE_NAMES);
	return err ? err : forget(s);
}

static int answer_coverage(struct server *s, const struct message *m)
{
	struct coverage_answer a = {0};
	struct symbol_request r;

	if (!get_question(s, m, &r))
		return -EPROTO;
	a.err = symbolizer__coverage(s->symbolizer, &r, &a.coverage);
	buf__add(&s->answer, &a, sizeof(a));
	return reply(s, MESSAGE_COVERED);
}

static int answer_function(struct server *s, const struct message *m)
{
	struct function_answer a = {0};
	struct symbol_request r;

	if (!get_question(s, m, &r) || !r.path)
		return -EPROTO;
	a.err = function__find(&r, r.path, &a.place);
	buf__add(&s->answer, &a, sizeof(a));
	return reply(s, MESSAGE_FOUND);
}

/* --- tables */

static int send_chunk(struct server *s, struct table_file *t, struct table_answer *a, uint64_t chunk,
		      bool last)
{
	int err;

	buf__clear(&s->blob);
	a->chunk = chunk;
	a->last = last;
	err = unwind_table__build(t->table, chunk, &s->blob, &a->what);
	if (err || s->blob.failed)
		a->what.kind = UNWIND_CHUNK_FAILED;
	a->blob = s->blob.data;
	a->blob_bytes = a->what.kind == UNWIND_CHUNK_TABLE ? s->blob.len : 0;
	buf__clear(&s->answer);
	protocol__put_built(&s->answer, a);
	return reply(s, MESSAGE_BUILT);
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* All chunks of a small file, ascending, each once: segments may share one. */
static size_t list_chunks(const struct table_file *t, uint64_t chunks[TABLE_WHOLE_CHUNKS])
{
	size_t n = 0, unique = 0;

	for (uint32_t i = 0; i < t->load_count; i++)
		for (uint64_t c = t->loads[i].address >> UNWIND_CHUNK_SHIFT;
		     c <= (t->loads[i].address + t->loads[i].bytes - 1) >> UNWIND_CHUNK_SHIFT; c++)
			chunks[n++] = c;
	qsort(chunks, n, sizeof(*chunks), by_number);
	for (size_t i = 0; i < n; i++)
		if (!i || chunks[i] != chunks[i - 1])
			chunks[unique++] = chunks[i];
	return unique;
}

static int send_chunks(struct server *s, struct table_file *t, struct table_answer *a, uint64_t wanted,
		       bool whole)
{
	uint64_t chunks[TABLE_WHOLE_CHUNKS] = {wanted};
	size_t n = 1;
	int err = 0;

	if (whole && t->chunks <= TABLE_WHOLE_CHUNKS)
		n = list_chunks(t, chunks);
	for (size_t i = 0; i < n && !err; i++)
		err = send_chunk(s, t, a, chunks[i], i + 1 == n);
	return err;
}

/* The virtual address of code at a file offset. A mapping also shows what stands around its segment, to the
 * end of the page: there the segment's nearest byte has to do. */
static bool find_address(const struct table_file *t, uint64_t offset, uint64_t *address)
{
	for (uint64_t mask = 0; mask <= PAGE_MASK; mask += PAGE_MASK)
		for (uint32_t i = 0; i < t->load_count; i++) {
			const struct table_load *l = &t->loads[i];
			uint64_t end = l->offset + l->bytes, at = offset;

			if (offset < (l->offset & ~mask) || offset > ((end - 1) | mask))
				continue;
			at = at < l->offset ? l->offset : at >= end ? end - 1 : at;
			*address = l->address + (at - l->offset);
			return true;
		}
	return false;
}

static int answer_table(struct server *s, struct message *m)
{
	struct table_wish wish;
	struct table_answer a = {.last = true};
	struct table_file *t;
	uint64_t address;

	if (m->len != sizeof(wish))
		return -EPROTO;
	memcpy(&wish, m->bytes, sizeof(wish));
	a.ticket = wish.ticket;
	t = files__get(&s->files, &wish.key, &m->fds[0], &a.error);
	if (!a.error && !find_address(t, wish.offset, &address))
		a.error = -ENXIO;
	if (a.error) {
		protocol__put_built(&s->answer, &a);
		return reply(s, MESSAGE_BUILT);
	}
	a.load_count = t->load_count;
	memcpy(a.loads, t->loads, sizeof(a.loads));
	elf__build_id_hex(&t->elf, a.build_id);
	return send_chunks(s, t, &a, address >> UNWIND_CHUNK_SHIFT, wish.whole);
}

int server__answer(struct server *s, struct message *m)
{
	int err = -EPROTO;

	buf__clear(&s->answer);
	if (m->type == MESSAGE_RESOLVE)
		err = answer_names(s, m);
	else if (m->type == MESSAGE_COVERAGE)
		err = answer_coverage(s, m);
	else if (m->type == MESSAGE_FUNCTION)
		err = answer_function(s, m);
	else if (m->type == MESSAGE_TABLE)
		err = answer_table(s, m);
	message__close_fds(m);
	return err;
}
