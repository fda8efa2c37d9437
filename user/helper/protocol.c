// SPDX-License-Identifier: Apache-2.0
#include "helper/protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper/channel.h"
#include "object/unwind_blob.h"

#define ERRNO_MAX   4095
#define INLINED_MAX 256 /* at one address */

bool protocol__is_error(int32_t err)
{
	return err <= 0 && err >= -ERRNO_MAX;
}

/* --- questions */

void protocol__put_question(struct buf *b, const struct symbol_request *r, size_t from, size_t count)
{
	struct names_question q = {
		.source = r->source,
		.count = (uint32_t)count,
		.lines = r->lines,
		.has_path = r->path != NULL,
		.has_debug_files = r->debug_file != NULL,
	};

	buf__add(b, &q, sizeof(q));
	if (count)
		buf__add(b, r->addresses + from, count * sizeof(*r->addresses));
	if (r->path)
		buf__puts(b, r->path);
}

bool protocol__get_question(const char *bytes, size_t len, struct symbol_request *r, bool *has_debug_files)
{
	struct names_question q;

	if (len < sizeof(q))
		return false;
	memcpy(&q, bytes, sizeof(q));
	if (q.source >= SYMBOLS_SOURCES || q.count > NAMES_MAX ||
	    len - sizeof(q) < q.count * sizeof(*r->addresses))
		return false;
	*r = (struct symbol_request){
		.source = (enum symbol_source)q.source,
		.fd = -1,
		.modules_fd = -1,
		.count = q.count,
		.addresses = (const uint64_t *)(const void *)(bytes + sizeof(q)),
		.lines = q.lines,
	};
	if (q.has_path)
		r->path = bytes + sizeof(q) + q.count * sizeof(*r->addresses);
	*has_debug_files = q.has_debug_files;
	return true;
}

/* --- names: writing. The same string stands behind many addresses, so each goes once. */

struct writer {
	struct table known; /* const char * -> uint32_t: its number */
	struct buf inlined, strings;
	uint32_t inlined_count, string_count;
	bool failed;
};

static uint32_t number_of(struct writer *w, const char *text)
{
	uint32_t *number;
	bool is_new;

	if (!text)
		return 0;
	number = table__add(&w->known, &text, &is_new);
	if (!number) {
		w->failed = true;
		return 0;
	}
	if (is_new) {
		*number = ++w->string_count;
		buf__add(&w->strings, text, strlen(text) + 1);
	}
	return *number;
}

static void put_symbol(struct writer *w, struct buf *b, const struct symbol *s)
{
	uint32_t inlined = s->inlined_count < INLINED_MAX ? s->inlined_count : INLINED_MAX;
	struct named n = {
		.offset = s->offset,
		.address = s->address,
		.name = number_of(w, s->name),
		.module = number_of(w, s->module),
		.build_id = number_of(w, s->build_id),
		.file = number_of(w, s->file),
		.line = s->line,
		.inlined = w->inlined_count,
		.inlined_count = inlined,
		.start = (uint8_t)s->start,
		.scheduler = s->scheduler,
	};

	buf__add(b, &n, sizeof(n));
	for (uint32_t i = 0; i < inlined; i++) {
		struct named_inlined f = {.name = number_of(w, s->inlined[i].name),
					  .call_file = number_of(w, s->inlined[i].call_file),
					  .call_line = s->inlined[i].call_line};

		buf__add(&w->inlined, &f, sizeof(f));
	}
	w->inlined_count += inlined;
}

int protocol__put_names(struct buf *b, int err, const struct symbol *symbols, size_t count)
{
	struct names_answer a = {.err = err, .count = (uint32_t)count};
	struct writer w = {0};
	size_t start = b->len;

	table__init(&w.known, sizeof(const char *), sizeof(uint32_t));
	buf__add(b, &a, sizeof(a));
	for (size_t i = 0; i < count && b->len + w.inlined.len + w.strings.len <= CHANNEL_MESSAGE_BYTES; i++)
		put_symbol(&w, b, &symbols[i]);
	a.inlined = w.inlined_count;
	a.strings = w.string_count;
	buf__add(b, w.inlined.data, w.inlined.len);
	buf__add(b, w.strings.data, w.strings.len);
	w.failed |= b->failed || w.inlined.failed || w.strings.failed;
	if (!w.failed)
		memcpy(b->data + start, &a, sizeof(a));
	buf__free(&w.inlined);
	buf__free(&w.strings);
	table__free(&w.known);
	if (w.failed)
		return -ENOMEM;
	return b->len - start > CHANNEL_MESSAGE_BYTES ? -E2BIG : 0;
}

/* --- names: reading */

struct reader {
	const struct named *named;
	const struct named_inlined *inlined;
	const char *bytes; /* of the strings */
	size_t len;
	uint32_t inlined_count, string_count;
	const char **strings; /* by number */
	struct inlined *functions;
};

/* Lays the parts out over the bytes, which must be exactly these. */
static bool lay_out(struct reader *r, const struct names_answer *a, const char *bytes, size_t len)
{
	size_t named = a->count * sizeof(*r->named), inlined = a->inlined * sizeof(*r->inlined);

	if (len < named || len - named < inlined || a->inlined > CHANNEL_MESSAGE_BYTES ||
	    a->strings > len - named - inlined)
		return false;
	r->named = (const struct named *)(const void *)bytes;
	r->inlined = (const struct named_inlined *)(const void *)(bytes + named);
	r->bytes = bytes + named + inlined;
	r->len = len - named - inlined;
	r->inlined_count = a->inlined;
	r->string_count = a->strings;
	return true;
}

static int read_strings(struct reader *r, struct strings *strings)
{
	const char *at = r->bytes, *end = r->bytes + r->len, *nul;

	for (uint32_t i = 1; i <= r->string_count; i++) {
		nul = memchr(at, 0, (size_t)(end - at));
		if (!nul)
			return -EPROTO;
		r->strings[i] = strings__add(strings, at, (size_t)(nul - at));
		if (!r->strings[i])
			return -ENOMEM;
		at = nul + 1;
	}
	return at == end ? 0 : -EPROTO;
}

static int read_inlined(struct reader *r)
{
	for (uint32_t i = 0; i < r->inlined_count; i++) {
		const struct named_inlined *f = &r->inlined[i];

		if (!f->name || f->name > r->string_count || f->call_file > r->string_count)
			return -EPROTO;
		r->functions[i] = (struct inlined){.name = r->strings[f->name],
						   .call_file = r->strings[f->call_file],
						   .call_line = f->call_line};
	}
	return 0;
}

static bool is_sound_name(const struct reader *r, const struct named *n)
{
	return n->name <= r->string_count && n->module <= r->string_count && n->file <= r->string_count &&
	       n->build_id <= r->string_count && n->inlined <= r->inlined_count &&
	       n->inlined_count <= r->inlined_count - n->inlined && n->inlined_count <= INLINED_MAX &&
	       n->start <= SYMBOL_START;
}

static int read_names(struct reader *r, bool failed, struct symbol *symbols, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!is_sound_name(r, &r->named[i]))
			return -EPROTO;
	for (size_t i = 0; i < count; i++) {
		const struct named *n = &r->named[i];

		symbols[i] = (struct symbol){
			.name = r->strings[n->name],
			.module = r->strings[n->module],
			.build_id = r->strings[n->build_id],
			.offset = n->offset,
			.address = n->address,
			.start = (enum symbol_start)n->start,
			.scheduler = n->scheduler,
			.file = r->strings[n->file],
			.line = n->line,
			.inlined_count = n->inlined_count,
			.inlined = n->inlined_count ? r->functions + n->inlined : NULL,
		};
		if (failed)
			symbols[i] = (struct symbol){.address = n->address};
	}
	return 0;
}

int protocol__get_names(const char *bytes, size_t len, struct strings *strings, struct symbol *symbols,
			size_t count, struct inlined **inlined)
{
	struct reader r = {0};
	struct names_answer a;
	int err = 0;

	*inlined = NULL;
	if (len < sizeof(a))
		return -EPROTO;
	memcpy(&a, bytes, sizeof(a));
	if (!protocol__is_error(a.err) || a.count != count ||
	    !lay_out(&r, &a, bytes + sizeof(a), len - sizeof(a)))
		return -EPROTO;
	r.strings = calloc((size_t)r.string_count + 1, sizeof(*r.strings));
	r.functions = r.inlined_count ? calloc(r.inlined_count, sizeof(*r.functions)) : NULL;
	if (!r.strings || (r.inlined_count && !r.functions))
		err = -ENOMEM;
	if (!err)
		err = read_strings(&r, strings);
	if (!err)
		err = read_inlined(&r);
	if (!err)
		err = read_names(&r, a.err, symbols, count);
	free(r.strings);
	if (err)
		free(r.functions);
	else
		*inlined = r.functions;
	return err ? err : a.err;
}

/* --- coverage */

static bool is_hex_id(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	return len < size && strspn(text, "0123456789abcdef") == len;
}

int protocol__get_coverage(const char *bytes, size_t len, struct symbol_coverage *c)
{
	struct coverage_answer a;

	if (len != sizeof(a))
		return -EPROTO;
	memcpy(&a, bytes, sizeof(a));
	if (!protocol__is_error(a.err) || !is_hex_id(a.coverage.build_id, sizeof(a.coverage.build_id)) ||
	    a.coverage.frame_pointer_percent > 100)
		return -EPROTO;
	*c = a.coverage;
	c->has_symtab = !!c->has_symtab;
	c->has_dynsym = !!c->has_dynsym;
	c->has_eh_frame = !!c->has_eh_frame;
	c->has_debug_file = !!c->has_debug_file;
	c->has_go_id = !!c->has_go_id;
	return a.err;
}

/* --- functions */

int protocol__get_function(const char *bytes, size_t len, struct function_place *place)
{
	struct function_answer a;

	if (len != sizeof(a))
		return -EPROTO;
	memcpy(&a, bytes, sizeof(a));
	if (!protocol__is_error(a.err) || a.place.offset > INT64_MAX)
		return -EPROTO;
	*place = a.place;
	return a.err;
}

/* --- tables */

void protocol__put_built(struct buf *b, const struct table_answer *a)
{
	struct built built = {
		.ticket = a->ticket,
		.chunk = a->chunk,
		.error = a->error,
		.last = a->last,
		.kind = a->what.kind,
		.header = a->what.header,
		.rows = a->what.rows,
		.load_count = a->load_count,
	};

	memcpy(built.loads, a->loads, sizeof(built.loads));
	memcpy(built.build_id, a->build_id, sizeof(built.build_id));
	buf__add(b, &built, sizeof(built));
	if (a->blob_bytes)
		buf__add(b, a->blob, a->blob_bytes);
}

/* The chunk is one of the file's, and addresses do not wrap. */
static bool is_in_loads(const struct built *b)
{
	bool found = false;

	for (uint32_t i = 0; i < b->load_count; i++) {
		const struct table_load *l = &b->loads[i];
		uint64_t last;

		if (!l->bytes || __builtin_add_overflow(l->address, l->bytes - 1, &last) ||
		    l->offset > UINT64_MAX - l->bytes)
			return false;
		found |= b->chunk >= l->address >> UNWIND_CHUNK_SHIFT &&
			 b->chunk <= last >> UNWIND_CHUNK_SHIFT;
	}
	return found;
}

bool protocol__get_built(const char *bytes, size_t len, struct table_answer *a)
{
	struct built b;

	if (len < sizeof(b))
		return false;
	memcpy(&b, bytes, sizeof(b));
	bytes += sizeof(b);
	len -= sizeof(b);
	if (!protocol__is_error(b.error) || b.load_count > TABLE_LOADS_MAX ||
	    !is_hex_id(b.build_id, sizeof(b.build_id)))
		return false;
	*a = (struct table_answer){.ticket = b.ticket, .error = b.error, .last = true};
	if (b.error)
		return !len;
	if (b.kind < UNWIND_CHUNK_TABLE || b.kind > UNWIND_CHUNK_FAILED || !is_in_loads(&b) ||
	    (b.kind == UNWIND_CHUNK_TABLE ? !unwind_blob__is_sound(bytes, len, b.header) : len != 0))
		return false;
	a->last = b.last;
	a->load_count = b.load_count;
	memcpy(a->loads, b.loads, sizeof(a->loads));
	memcpy(a->build_id, b.build_id, sizeof(a->build_id));
	a->chunk = b.chunk;
	a->what = (struct unwind_chunk){.kind = (enum unwind_chunk_kind)b.kind};
	if (b.kind == UNWIND_CHUNK_TABLE) {
		a->what.header = b.header;
		a->what.rows = unwind_blob__rows(bytes, b.header);
		a->blob = bytes;
		a->blob_bytes = len;
	}
	return true;
}
