/* SPDX-License-Identifier: Apache-2.0 */
/* A helper that dies, hangs or was taken over costs one file; broken files cost their own names. */
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "helper/channel.h"
#include "helper/helper.h"
#include "helper/protocol.h"

static char *dir;

static struct helper *start(uint64_t file_ns)
{
	const struct helper_options options = {.file_ns = file_ns};
	struct helper *h = helper__start(&options);

	assert_non_null(h);
	assert_true(helper__pid(h) > 0);
	return h;
}

static struct helper_status status_of(const struct helper *h)
{
	struct helper_status status;

	helper__status(h, &status);
	return status;
}

/* Another file each time, with the same content. */
static int copy_of_program(void)
{
	struct buf bytes = {0};
	int fd;

	fd = fixture__open(dir, "x");
	assert_int_equal(buf__read_fd(&bytes, fd, 1 << 20), 0);
	close(fd);
	fd = fixture__file(bytes.data, bytes.len);
	buf__free(&bytes);
	return fd;
}

#define ADDRESSES 64

struct answer {
	int err;
	size_t named;
};

static struct answer ask(struct helper *h, int fd, int (*debug_file)(void *, const struct debug_wanted *))
{
	struct symbol symbols[ADDRESSES];
	uint64_t at[ADDRESSES];
	struct symbol_request r = {.source = SYMBOLS_ELF,
				   .fd = fd,
				   .modules_fd = -1,
				   .count = ADDRESSES,
				   .addresses = at,
				   .debug_file = debug_file,
				   .context = h};
	struct answer a = {0};

	for (size_t i = 0; i < ADDRESSES; i++)
		at[i] = 0x1000 + 9 * i;
	a.err = helper__resolve(h, &r, symbols);
	for (size_t i = 0; i < ADDRESSES; i++) {
		a.named += symbols[i].name != NULL;
		if (a.err)
			assert_null(symbols[i].name);
	}
	return a;
}

static void assert_works(struct helper *h)
{
	int fd = copy_of_program();
	struct answer a = ask(h, fd, NULL);

	assert_int_equal(a.err, 0);
	assert_true(a.named > 0);
	close(fd);
}

/* --- a process that ends or hangs */

static void dies_idle(void **state)
{
	struct helper *h = start(0);
	struct pollfd p = {.fd = helper__fd(h), .events = POLLIN};
	int pid = helper__pid(h);

	(void)state;
	assert_works(h);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(poll(&p, 1, -1), 1);
	assert_works(h);
	assert_int_not_equal(helper__pid(h), pid);
	helper__stop(h);
}

static int kill_it(void *context, const struct debug_wanted *wanted)
{
	(void)wanted;
	assert_int_equal(kill(helper__pid(context), SIGKILL), 0);
	return -ENOENT;
}

/* In the middle of a question: the file it is about has failed, for good, and no other. */
static void dies_on_a_file(void **state)
{
	struct helper *h = start(0);
	int fd = copy_of_program();

	(void)state;
	assert_int_equal(ask(h, fd, kill_it).err, -EPIPE);
	assert_int_equal(status_of(h).deaths, 1);
	assert_works(h);
	assert_int_equal(ask(h, fd, NULL).err, -EPIPE);
	assert_int_equal(status_of(h).deaths, 1);
	assert_works(h);
	assert_true(helper__cpu_ns(h) > 0);
	close(fd);
	helper__stop(h);
}

static void gives_up(void **state)
{
	struct helper *h = start(0);
	int fds[20];

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		fds[i] = copy_of_program(); /* kept open: an inode that is free is used again */
		assert_int_equal(ask(h, fds[i], kill_it).err, -EPIPE);
	}
	assert_true(status_of(h).gave_up);
	assert_int_equal(status_of(h).deaths, 16);
	assert_int_equal(helper__pid(h), 0);
	for (size_t i = 0; i < 20; i++)
		close(fds[i]);
	helper__stop(h);
}

static int stop_it(void *context, const struct debug_wanted *wanted)
{
	(void)wanted;
	assert_int_equal(kill(helper__pid(context), SIGSTOP), 0);
	return -ENOENT;
}

static void hangs(void **state)
{
	struct helper *h = start(300000000);
	int fd = copy_of_program();

	(void)state;
	assert_int_equal(ask(h, fd, stop_it).err, -ETIMEDOUT);
	assert_int_equal(status_of(h).timeouts, 1);
	helper__stop(h);
	/* time for the next one, whatever this machine is doing */
	h = start(60000000000ULL);
	assert_works(h);
	helper__stop(h);
	close(fd);
}

static int give_garbage(void *context, const struct debug_wanted *wanted)
{
	char bytes[256];

	(void)context;
	memset(bytes, wanted->attempt ? 0x7f : 0, sizeof(bytes));
	memcpy(bytes, "\177ELF\2\1\1", 7);
	return fixture__file(bytes, sizeof(bytes));
}

static void wrong_debug_files(void **state)
{
	struct helper *h = start(0);
	int fd = copy_of_program();
	struct answer a = ask(h, fd, give_garbage);

	(void)state;
	assert_int_equal(a.err, 0);
	assert_int_equal(status_of(h).deaths, 0);
	close(fd);
	helper__stop(h);
}

/* --- broken files */

static void broken_files(void **state)
{
	struct helper *h = start(0);
	struct buf whole = {0};
	unsigned seed = 815;
	int fd = fixture__open(dir, "x");

	(void)state;
	assert_int_equal(buf__read_fd(&whole, fd, 1 << 20), 0);
	close(fd);
	for (size_t i = 0; i < 300; i++) {
		size_t len = i % 3 ? whole.len : (size_t)rand_r(&seed) % whole.len;
		struct buf copy = {0};

		buf__add(&copy, whole.data, len);
		for (size_t n = 0; i % 3 && n < 1 + i % 7; n++)
			copy.data[i % 2 ? (size_t)rand_r(&seed) % 64 : (size_t)rand_r(&seed) % len] =
				(char)rand_r(&seed);
		fd = fixture__file(copy.data ? copy.data : "", copy.len);
		ask(h, fd, NULL);
		close(fd);
		buf__free(&copy);
	}
	assert_int_equal(status_of(h).deaths, 0);
	assert_works(h);
	buf__free(&whole);
	helper__stop(h);
}

/* --- whoever is at the other end of the channel */

struct raw {
	uint32_t type, total, offset, fd_count;
	char bytes[CHANNEL_PIECE_BYTES];
};

/* What the channel makes of one packet of `len` bytes with `fds` descriptors. */
static int take(bool takes_fds, const struct raw *raw, size_t len, size_t fds)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {(void *)raw, len};
	struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
	int ends[2], null[8], err;
	struct channel c;
	struct message m;

	for (size_t i = 0; i < 8; i++)
		null[i] = 2;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	if (fds) {
		h.msg_control = control.bytes;
		h.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		CMSG_FIRSTHDR(&h)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&h)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&h)->cmsg_len = CMSG_LEN(fds * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), null, fds * sizeof(int));
	}
	if (len)
		assert_int_equal(sendmsg(ends[0], &h, 0), (ssize_t)len);
	else
		close(ends[0]);
	channel__init(&c, ends[1], takes_fds);
	err = channel__receive(&c, &m, 0);
	message__close_fds(&m);
	channel__close(&c);
	if (len)
		close(ends[0]);
	return err;
}

static void packets(void **state)
{
	enum { HEAD = 16 };
	static struct raw raw;

	(void)state;
	raw = (struct raw){.type = 7, .total = 5};
	assert_int_equal(take(true, &raw, HEAD + 5, 0), 1);
	assert_int_equal(take(true, &raw, 0, 0), -EPIPE);
	for (size_t len = 1; len < HEAD + 5; len++)
		assert_int_equal(take(true, &raw, len, 0), -EPROTO);
	assert_int_equal(take(true, &raw, HEAD + 6, 0), -EPROTO);
	raw.fd_count = 2;
	assert_int_equal(take(true, &raw, HEAD + 5, 2), 1);
	assert_int_equal(take(true, &raw, HEAD + 5, 0), -EPROTO);
	assert_int_equal(take(true, &raw, HEAD + 5, 1), -EPROTO);
	assert_int_equal(take(true, &raw, HEAD + 5, 3), -EPROTO);
	assert_int_equal(take(true, &raw, HEAD + 5, 8), -EPROTO);
	assert_int_equal(take(false, &raw, HEAD + 5, 2), -EPROTO);
	raw = (struct raw){.type = 7, .total = 5};
	assert_int_equal(take(false, &raw, HEAD + 5, 1), -EPROTO);
	raw = (struct raw){.type = 7, .total = 5, .offset = 1};
	assert_int_equal(take(true, &raw, HEAD + 4, 0), -EPROTO);
	raw = (struct raw){.type = 7, .total = UINT32_MAX};
	assert_int_equal(take(true, &raw, sizeof(raw), 0), -EPROTO);
	raw = (struct raw){.type = 7, .total = CHANNEL_PIECE_BYTES + 1};
	assert_int_equal(take(true, &raw, sizeof(raw), 0), 0); /* the rest is to come */
	assert_int_equal(take(true, &raw, HEAD + 8, 0), -EPROTO);
}

/* Large messages arrive whole, also through a socket that holds only a part of them. */
static void large_messages(void **state)
{
	enum { BYTES = 3 << 20 };
	struct channel from, to;
	char *bytes = malloc(BYTES);
	struct message m = {.type = 3, .bytes = bytes, .len = BYTES, .fds = {2, -1}}, got;
	int ends[2], status;
	pid_t child;

	(void)state;
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (char)(i * 2654435761u >> 24);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	channel__init(&from, ends[0], false);
	channel__init(&to, ends[1], true);
	assert_int_equal(channel__send(&from, &m, 1), -ETIMEDOUT); /* nobody reads */
	channel__close(&from);
	channel__close(&to);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	channel__init(&from, ends[0], false);
	channel__init(&to, ends[1], true);
	child = fork();
	if (!child)
		_exit(channel__send(&from, &m, CHANNEL_FOREVER) ? 1 : 0);
	channel__close(&from);
	assert_int_equal(channel__receive(&to, &got, CHANNEL_FOREVER), 1);
	assert_int_equal(got.type, 3);
	assert_int_equal(got.len, BYTES);
	assert_memory_equal(got.bytes, bytes, BYTES);
	assert_true(got.fds[0] >= 0 && got.fds[1] < 0);
	message__close_fds(&got);
	assert_int_equal(channel__receive(&to, &got, CHANNEL_FOREVER), -EPIPE);
	channel__close(&to);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	free(bytes);
}

/* --- answers */

static void answers(void **state)
{
	const struct inlined inlined[2] = {{"inner", "a.c", 3}, {"outer", NULL, 0}};
	const struct symbol symbols[3] = {
		{.name = "one", .module = "m", .offset = 4, .address = 8, .start = SYMBOL_START},
		{.address = 9, .scheduler = true},
		{.name = "one", .file = "b.c", .line = 9, .inlined_count = 2, .inlined = inlined},
	};
	struct symbol got[3];
	struct strings strings;
	struct buf good = {0}, bad = {0};
	struct inlined *kept;
	unsigned seed = 42;

	(void)state;
	strings__init(&strings);
	assert_int_equal(protocol__put_names(&good, 0, symbols, 3), 0);
	assert_int_equal(protocol__get_names(good.data, good.len, &strings, got, 3, &kept), 0);
	assert_string_equal(got[0].name, "one");
	assert_string_equal(got[0].module, "m");
	assert_int_equal(got[0].start, SYMBOL_START);
	assert_null(got[1].name);
	assert_true(got[1].scheduler);
	assert_ptr_equal(got[2].name, got[0].name);
	assert_int_equal(got[2].inlined_count, 2);
	assert_string_equal(got[2].inlined[0].call_file, "a.c");
	assert_string_equal(got[2].inlined[1].name, "outer");
	free(kept);
	assert_int_equal(protocol__get_names(good.data, good.len, &strings, got, 2, &kept), -EPROTO);
	for (size_t len = 0; len < good.len; len++)
		assert_int_equal(protocol__get_names(good.data, len, &strings, got, 3, &kept), -EPROTO);
	for (size_t i = 0; i < 20000; i++) {
		buf__clear(&bad);
		buf__add(&bad, good.data, good.len);
		for (size_t n = 0; n <= i % 3; n++)
			bad.data[(size_t)rand_r(&seed) % bad.len] = (char)rand_r(&seed);
		protocol__get_names(bad.data, bad.len, &strings, got, 3, &kept);
		free(kept);
	}
	buf__free(&good);
	buf__free(&bad);
	strings__free(&strings);
}

/* A wish by itself says nothing that could lead astray. */
static void wishes(void **state)
{
	static const char *const names[] = {"../x", "/etc/passwd", ".", "..", "text", "none"};
	struct debug_places places = {.root = dir, .directory = dir, .path = "/x"};
	struct debug_wanted w = {.kind = DEBUG_BY_LINK};
	int fd;

	(void)state;
	fixture__write(dir, "text", "a secret\n");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(w.name, sizeof(w.name), "%s", names[i]);
		assert_int_equal(debugfile__locate(&places, &w), -ENOENT);
	}
	snprintf(w.name, sizeof(w.name), "x");
	fd = debugfile__locate(&places, &w);
	assert_true(fd >= 0);
	close(fd);
	memset(w.name, 'x', sizeof(w.name));
	assert_int_equal(debugfile__locate(&places, &w), -EINVAL);
	w = (struct debug_wanted){.kind = DEBUG_KINDS, .build_id_len = 20};
	assert_int_equal(debugfile__locate(&places, &w), -EINVAL);
	w = (struct debug_wanted){.kind = DEBUG_BY_BUILD_ID, .build_id_len = UINT32_MAX};
	assert_int_equal(debugfile__locate(&places, &w), -EINVAL);
	w = (struct debug_wanted){.kind = DEBUG_SUPPLEMENT, .build_id_len = 20, .name = ".dwz/../x"};
	assert_int_equal(debugfile__locate(&places, &w), -ENOENT);
}

static int set_up(void **state)
{
	(void)state;
	dir = fixture__new();
	fixture__write(
		dir, "x.c",
		"int f(int a) { return a + 1; } int main(int n, char **v) { (void)v; return f(n); }\n");
	assert_int_equal(fixture__run(dir, "cc -O0 -s -rdynamic -Wl,--build-id x.c -o x", NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture__remove(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dies_idle),	     cmocka_unit_test(dies_on_a_file),
		cmocka_unit_test(gives_up),	     cmocka_unit_test(hangs),
		cmocka_unit_test(wrong_debug_files), cmocka_unit_test(broken_files),
		cmocka_unit_test(packets),	     cmocka_unit_test(large_messages),
		cmocka_unit_test(answers),	     cmocka_unit_test(wishes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
