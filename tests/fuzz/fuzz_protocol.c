/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what the other side of the helper's socket says. The first one chooses who hears them: sonde,
 * as answers of a helper that was taken over, or the helper, as questions.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper/channel.h"
#include "helper/protocol.h"
#include "helper/server.h"

enum { SYMBOLS = 8 };

static void must(bool is_true)
{
	if (!is_true)
		__builtin_trap();
}

/* Reads all that a symbol points to. */
static size_t read_symbol(const struct symbol *s)
{
	size_t n = (s->name ? strlen(s->name) : 0) + (s->module ? strlen(s->module) : 0) +
		   (s->file ? strlen(s->file) : 0);

	must(s->start <= SYMBOL_START);
	for (uint32_t i = 0; i < s->inlined_count; i++)
		n += strlen(s->inlined[i].name) +
		     (s->inlined[i].call_file ? strlen(s->inlined[i].call_file) : 0);
	return n;
}

static void hear_names(const char *bytes, size_t len)
{
	struct symbol symbols[SYMBOLS] = {0};
	struct inlined *inlined;
	struct strings strings;

	strings__init(&strings);
	for (size_t count = 0; count <= SYMBOLS; count++) {
		must(protocol__get_names(bytes, len, &strings, symbols, count, &inlined) <= 0);
		for (size_t i = 0; i < count; i++)
			read_symbol(&symbols[i]);
		free(inlined);
		memset(symbols, 0, sizeof(symbols));
	}
	strings__free(&strings);
}

/* The number of rows before a bucket, and each row's rule: what a walk reads. */
static void hear_table(const char *bytes, size_t len)
{
	const struct unwind_row *rows;
	struct unwind_header header;
	struct table_answer a;
	uint32_t rule, row = 0;

	if (!protocol__get_built(bytes, len, &a) || a.error || a.what.kind != UNWIND_CHUNK_TABLE)
		return;
	must(strlen(a.build_id) < sizeof(a.build_id) && a.load_count && a.blob_bytes <= UNWIND_SHARD_BYTES);
	memcpy(&header, (const char *)a.blob + a.what.header, sizeof(header));
	rows = (const struct unwind_row *)(const void *)((const char *)a.blob + a.what.header +
							 sizeof(header));
	for (uint32_t i = 0; i < sizeof(header.count); i++) {
		must(i % 16 || header.group[i / 16] == row);
		for (uint32_t j = 0; j < header.count[i]; j++, row++) {
			must((const char *)&rows[row + 1] <= (const char *)a.blob + a.blob_bytes);
			must((rows[row].rule + 1u) * 4 <= a.what.header);
			memcpy(&rule, (const char *)a.blob + a.what.header - (rows[row].rule + 1u) * 4, 4);
			must(UNWIND_KIND(rule) != UNWIND_WIDE || (rows[row].rule + 3u) * 4 <= a.what.header);
		}
	}
	must(row == a.what.rows);
}

/* What is said of a file, or of a function of it. */
static void hear_coverage(const char *bytes, size_t len)
{
	struct function_place place;
	struct symbol_coverage c;

	if (!protocol__get_coverage(bytes, len, &c))
		must(strlen(c.build_id) < sizeof(c.build_id) && c.frame_pointer_percent <= 100);
	if (!protocol__get_function(bytes, len, &place))
		must(place.offset <= INT64_MAX);
}

static void hear_wish(const char *bytes, size_t len)
{
	struct debug_places places = {.root = "/proc/self/fdinfo", .path = "/x"};
	struct debug_wanted w;
	int fd;

	if (len < sizeof(w))
		return;
	memcpy(&w, bytes, sizeof(w));
	fd = debugfile__locate(&places, &w);
	if (fd >= 0)
		close(fd);
}

static int ignore(void *context, uint32_t type, const struct buf *bytes)
{
	(void)context;
	(void)type;
	must(!bytes->failed);
	return 0;
}

static int refuse(void *context, const struct debug_wanted *wanted)
{
	(void)context;
	(void)wanted;
	return -ENOENT;
}

/* Questions: the type, then the bytes. The file that comes with them is the same bytes. */
static void hear_questions(const char *bytes, size_t len)
{
	const struct peer peer = {.send = ignore, .debug_file = refuse};
	struct server *s = server__new(&peer);
	struct buf copy = {0};

	for (int i = 0; i < 2 && len; i++) {
		struct message m = {.type = MESSAGE_RESOLVE + (unsigned char)*bytes % 4, .fds = {-1, -1}};

		/* Between two processes bytes are aligned, and a NUL stands behind them. */
		buf__clear(&copy);
		buf__add(&copy, bytes + 1, len - 1);
		m.bytes = copy.data;
		m.len = copy.len;
		m.fds[0] = memfd_create("fuzz", MFD_CLOEXEC);
		must(write(m.fds[0], bytes, len) == (ssize_t)len);
		lseek(m.fds[0], 0, SEEK_SET);
		server__answer(s, &m);
	}
	buf__free(&copy);
	server__free(s);
}

/* Packets: a length, then the bytes. */
static void hear_packets(const char *bytes, size_t len)
{
	struct message m;
	struct channel c;
	int ends[2];
	size_t n;

	must(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	for (; len > 1; bytes += n + 1, len -= n + 1) {
		n = (unsigned char)*bytes < len ? (unsigned char)*bytes : len - 1;
		if (n)
			send(ends[0], bytes + 1, n, MSG_DONTWAIT);
	}
	close(ends[0]);
	channel__init(&c, ends[1], true);
	while (channel__receive(&c, &m, 0) == 1) {
		must(m.len <= CHANNEL_MESSAGE_BYTES && !m.bytes[m.len]);
		message__close_fds(&m);
	}
	channel__close(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const hearers[])(const char *, size_t) = {hear_names, hear_table,	    hear_coverage,
								hear_wish,  hear_questions, hear_packets};
	struct buf bytes = {0};

	if (!size)
		return 0;
	buf__add(&bytes, data + 1, size - 1);
	hearers[*data % (sizeof(hearers) / sizeof(*hearers))](bytes.data, bytes.len);
	buf__free(&bytes);
	return 0;
}
