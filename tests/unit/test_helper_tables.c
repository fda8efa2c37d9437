/* SPDX-License-Identifier: Apache-2.0 */
/* Tables out of the helper: the same as in this process, in any order with names, and none from broken files.
 */
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "helper/helper.h"
#include "object/vdso.h"

#define CHUNKS 64

struct chunk {
	struct unwind_chunk what;
	uint64_t number;
	struct buf blob;
};

struct all {
	int error;
	size_t count;
	uint32_t load_count;
	struct table_load loads[TABLE_LOADS_MAX];
	char build_id[41];
	struct chunk chunks[CHUNKS];
};

static void free_built(struct all *b)
{
	for (size_t i = 0; i < b->count; i++)
		buf__free(&b->chunks[i].blob);
}

static struct helper *start(bool in_process, uint64_t file_ns)
{
	const struct helper_options options = {.in_process = in_process, .file_ns = file_ns};
	struct helper *h = helper__start(&options);

	assert_non_null(h);
	return h;
}

static struct table_question question(int fd, uint64_t offset)
{
	struct table_question q = {.ticket = 0x1234567890abcdef + offset, .fd = fd, .offset = offset};
	struct stat st;

	if (fd >= 0) {
		assert_int_equal(fstat(fd, &st), 0);
		file_key__from_stat(&q.key, &st);
	}
	return q;
}

static void take_all(struct helper *h, uint64_t ticket, struct all *b)
{
	struct table_answer a = {0};

	memset(b, 0, sizeof(*b));
	while (!a.last) {
		assert_int_equal(helper__take_table(h, &a, UINT64_MAX), 1);
		assert_int_equal(a.ticket, ticket);
		b->error = a.error;
		if (a.error)
			break;
		assert_true(b->count < CHUNKS);
		b->load_count = a.load_count;
		memcpy(b->loads, a.loads, sizeof(b->loads));
		memcpy(b->build_id, a.build_id, sizeof(b->build_id));
		b->chunks[b->count].number = a.chunk;
		b->chunks[b->count].what = a.what;
		buf__add(&b->chunks[b->count++].blob, a.blob, a.blob_bytes);
	}
	assert_int_equal(helper__take_table(h, &a, 0), 0);
}

static void ask(struct helper *h, int fd, uint64_t offset, struct all *b)
{
	struct table_question q = question(fd, offset);

	assert_int_equal(helper__ask_table(h, &q), 0);
	take_all(h, q.ticket, b);
}

/* What the builder says of the file itself. */
static void compare(const struct all *b, int fd)
{
	struct elf_file f;
	struct unwind_table *t;
	struct buf blob = {0};
	struct unwind_chunk what;
	char build_id[41];

	assert_int_equal(elf__open(&f, fd), 0);
	elf__build_id_hex(&f, build_id);
	assert_string_equal(b->build_id, build_id);
	t = unwind_table__open(&f);
	assert_non_null(t);
	for (size_t i = 0; i < b->count; i++) {
		buf__clear(&blob);
		assert_int_equal(unwind_table__build(t, b->chunks[i].number, &blob, &what), 0);
		assert_int_equal(b->chunks[i].what.kind, what.kind);
		if (what.kind != UNWIND_CHUNK_TABLE)
			continue;
		assert_int_equal(b->chunks[i].what.header, what.header);
		assert_int_equal(b->chunks[i].what.rows, what.rows);
		assert_int_equal(b->chunks[i].blob.len, blob.len);
		assert_memory_equal(b->chunks[i].blob.data, blob.data, blob.len);
	}
	buf__free(&blob);
	unwind_table__close(t);
	elf__close(&f);
}

static int open_libc(void)
{
	int fd = open("/lib/x86_64-linux-gnu/libc.so.6", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fd = open("/lib/aarch64-linux-gnu/libc.so.6", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Every chunk of libc, one by one, and then all at once. */
static void large_file(void **state)
{
	int fd = open_libc();

	(void)state;
	for (int in_process = 0; in_process < 2; in_process++) {
		struct helper *h = start(in_process, 60000000000ULL);
		struct table_question q = question(fd, 0x30000);
		struct all b;
		uint64_t end, seen = 0;

		ask(h, fd, 0x30000, &b);
		assert_int_equal(b.error, 0);
		assert_int_equal(b.count, 1);
		assert_true(b.load_count >= 1);
		end = b.loads[0].offset + b.loads[0].bytes;
		for (uint64_t at = b.loads[0].offset; at < end; at += 1 << UNWIND_CHUNK_SHIFT) {
			free_built(&b);
			ask(h, fd, at, &b);
			assert_int_equal(b.count, 1);
			assert_int_equal(b.chunks[0].number,
					 (b.loads[0].address + at - b.loads[0].offset) >> UNWIND_CHUNK_SHIFT);
			seen += b.chunks[0].what.kind == UNWIND_CHUNK_TABLE;
			compare(&b, fd);
		}
		assert_true(seen > 15);
		free_built(&b);
		q.whole = true;
		assert_int_equal(helper__ask_table(h, &q), 0);
		take_all(h, q.ticket, &b);
		assert_true(b.count >= seen);
		compare(&b, fd);
		free_built(&b);
		helper__stop(h);
	}
	close(fd);
}

static void small_files(void **state)
{
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC), vdso = vdso__open();
	struct all b;

	(void)state;
	for (int in_process = 0; in_process < 2; in_process++) {
		struct helper *h = start(in_process, 60000000000ULL);

		ask(h, fd, 0x3000, &b);
		assert_int_equal(b.error, 0);
		compare(&b, fd);
		free_built(&b);
		if (vdso >= 0) {
			ask(h, -1, 0x800, &b);
			assert_int_equal(b.error, 0);
			assert_true(b.count >= 1);
			compare(&b, vdso);
			free_built(&b);
		}
		ask(h, fd, 1ULL << 40, &b); /* where no code is */
		assert_int_equal(b.error, -ENXIO);
		helper__stop(h);
	}
	close(fd);
	close(vdso);
}

/* One at a time; names may be asked for meanwhile; the descriptor tells when there is something to take. */
static void in_between(void **state)
{
	struct helper *h = start(false, 60000000000ULL);
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	struct table_question q = question(fd, 0x3000);
	const uint64_t at = 0x3000;
	struct symbol_request r = {
		.source = SYMBOLS_ELF, .fd = fd, .modules_fd = -1, .count = 1, .addresses = &at};
	struct pollfd p = {.fd = helper__fd(h), .events = POLLIN};
	struct symbol symbol;
	struct all b;

	(void)state;
	assert_int_equal(poll(&p, 1, 0), 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(helper__ask_table(h, &q), 0);
		if (i % 2)
			assert_int_equal(helper__resolve(h, &r, &symbol), 0);
		else
			assert_int_equal(helper__ask_table(h, &q), -EAGAIN);
		assert_int_equal(poll(&p, 1, -1), 1);
		take_all(h, q.ticket, &b);
		assert_int_equal(b.error, 0);
		free_built(&b);
		assert_int_equal(poll(&p, 1, 0), 0);
	}
	close(fd);
	helper__stop(h);
}

/* More files than are kept open, twice. */
static void many_files(void **state)
{
	enum { FILES = 40 };
	struct helper *h = start(false, 60000000000ULL);
	struct buf bytes = {0};
	int fds[FILES], fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	struct all b;

	(void)state;
	assert_int_equal(buf__read_fd(&bytes, fd, 1 << 20), 0);
	close(fd);
	for (int i = 0; i < FILES; i++)
		fds[i] = fixture__file(bytes.data, bytes.len);
	for (int i = 0; i < 2 * FILES; i++) {
		ask(h, fds[i % FILES], 0x3000, &b);
		assert_int_equal(b.error, 0);
		assert_true(b.count > 0);
		free_built(&b);
	}
	for (int i = 0; i < FILES; i++)
		close(fds[i]);
	buf__free(&bytes);
	helper__stop(h);
}

static void broken_files(void **state)
{
	struct helper *h = start(false, 60000000000ULL);
	struct helper_status status;
	struct buf whole = {0};
	unsigned seed = 99;
	struct all b;
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(buf__read_fd(&whole, fd, 1 << 20), 0);
	close(fd);
	for (int i = 0; i < 200; i++) {
		struct buf copy = {0};

		buf__add(&copy, whole.data, i % 4 ? whole.len : (size_t)rand_r(&seed) % whole.len);
		for (size_t n = 0; copy.len && n < 40; n++)
			copy.data[(size_t)rand_r(&seed) % (i % 2 ? 512 : copy.len)] = (char)rand_r(&seed);
		fd = fixture__file(copy.data, copy.len);
		ask(h, fd, 0x3000, &b);
		free_built(&b);
		close(fd);
		buf__free(&copy);
	}
	fd = fixture__file("text", 4);
	ask(h, fd, 0, &b);
	assert_int_equal(b.error, -ENOEXEC);
	close(fd);
	helper__status(h, &status);
	assert_int_equal(status.deaths, 0);
	buf__free(&whole);
	helper__stop(h);
}

/* A file that takes too long, and one that the helper dies on: each is the answer, now and later. */
static void fails(void **state)
{
	static const struct {
		int signal, error;
		uint64_t file_ns;
	} rows[] = {{SIGSTOP, -ETIMEDOUT, 300000000}, {SIGKILL, -EPIPE, 60000000000ULL}};
	struct all b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct helper *h = start(false, rows[i].file_ns);
		int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
		struct table_question q = question(fd, 0x3000);
		struct table_answer a;

		assert_int_equal(kill(helper__pid(h), SIGSTOP), 0);
		assert_int_equal(helper__ask_table(h, &q), 0);
		assert_int_equal(helper__take_table(h, &a, 0), 0);
		if (rows[i].signal != SIGSTOP)
			assert_int_equal(kill(helper__pid(h), rows[i].signal), 0);
		take_all(h, q.ticket, &b);
		assert_int_equal(b.error, rows[i].error);
		ask(h, fd, 0x3000, &b);
		assert_int_equal(b.error, rows[i].error);
		assert_int_equal(helper__pid(h), 0);
		close(fd);
		helper__stop(h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_file), cmocka_unit_test(small_files),  cmocka_unit_test(in_between),
		cmocka_unit_test(many_files), cmocka_unit_test(broken_files), cmocka_unit_test(fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
