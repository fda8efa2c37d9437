/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs of unwind tables: what a look-up finds is what the rows say, also where the format's room ends. */
#include "fixture.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <signal.h>
#include <stdbool.h>

#include "eh_file.h"
#include "object/elf.h"
#include "object/unwind_table.h"
#include "object/vdso.h"

struct opened {
	struct elf_file f;
	struct unwind_table *t;
	int fd;
};

static void open_fd(struct opened *o, int fd)
{
	o->fd = fd;
	assert_true(fd >= 0);
	assert_int_equal(elf__open(&o->f, fd), 0);
	o->t = unwind_table__open(&o->f);
}

static void close_opened(struct opened *o)
{
	unwind_table__close(o->t);
	elf__close(&o->f);
	close(o->fd);
}

static void open_frames(struct opened *o, const struct buf *frames)
{
	open_fd(o, eh_file__new(EM_X86_64, EH_SECTIONS, frames->data, frames->len));
}

/* A look-up as simple as possible: it reads the header by its definition. */
static void look_up(const char *blob, uint32_t header, uint16_t address, uint32_t words[UNWIND_WIDE_WORDS])
{
	const unsigned char *rows = (const unsigned char *)blob + header + sizeof(struct unwind_header);
	struct unwind_header h;
	unsigned int bucket = address >> 8, row, last, number;

	memcpy(&h, blob + header, sizeof(h));
	row = h.group[bucket / 16];
	for (unsigned int b = bucket / 16 * 16; b < bucket; b++)
		row += h.count[b];
	last = row - 1;
	for (unsigned int i = 0; i < h.count[bucket]; i++)
		if (rows[2 * (row + i)] <= (address & 255))
			last = row + i;
	number = rows[2 * last + 1];
	memset(words, 0, UNWIND_WIDE_WORDS * sizeof(*words));
	memcpy(&words[0], blob + header - 4 * (number + 1), 4);
	if (UNWIND_KIND(words[0]) != UNWIND_WIDE)
		return;
	memcpy(&words[1], blob + header - 4 * (number + 2), 4);
	memcpy(&words[2], blob + header - 4 * (number + 3), 4);
}

/* Compares a chunk's blob with its rows at every address. */
struct comparison {
	const char *blob;
	uint32_t header;
	uint64_t begin, next; /* address up to which the words hold */
	uint32_t words[UNWIND_WIDE_WORDS];
	uint32_t rows, unsupported;
};

static void compare_until(struct comparison *c, uint64_t end)
{
	uint32_t words[UNWIND_WIDE_WORDS];

	for (; c->next < end; c->next++) {
		look_up(c->blob, c->header, (uint16_t)(c->next - c->begin), words);
		if (words[0] == UNWIND_UNSUPPORTED && c->words[0] != UNWIND_UNSUPPORTED)
			c->unsupported++;
		else
			assert_memory_equal(words, c->words, sizeof(words));
	}
}

static int compare_row(void *context, uint64_t address, const uint32_t *words)
{
	struct comparison *c = context;

	assert_true(address == c->next || c->rows);
	compare_until(c, address);
	memcpy(c->words, words, sizeof(c->words));
	c->rows++;
	return 0;
}

/* Bytes of code whose rule had to be given up. */
static uint32_t compare_chunk(struct opened *o, uint64_t chunk)
{
	struct comparison c = {.begin = chunk << UNWIND_CHUNK_SHIFT, .next = chunk << UNWIND_CHUNK_SHIFT};
	struct unwind_chunk what;
	struct buf blob = {0};

	assert_int_equal(unwind_table__build(o->t, chunk, &blob, &what), 0);
	if (what.kind == UNWIND_CHUNK_GAP) {
		assert_int_equal(blob.len, 0);
		return 0;
	}
	assert_int_equal(what.kind, UNWIND_CHUNK_TABLE);
	assert_int_equal(blob.len, what.header + sizeof(struct unwind_header) + 2 * what.rows);
	assert_int_equal(what.header % UNWIND_LINE, 32);
	c.blob = blob.data;
	c.header = what.header;
	assert_int_equal(unwind_table__rows(o->t, c.begin, c.begin + 0x10000, compare_row, &c), 0);
	compare_until(&c, c.begin + 0x10000);
	if (!c.unsupported)
		assert_int_equal(c.rows, what.rows);
	buf__free(&blob);
	return c.unsupported;
}

static void whole_libc(void **state)
{
	Dl_info libc;
	struct opened o;
	uint32_t tables = 0;

	(void)state;
	assert_true(dladdr((void *)(uintptr_t)getpid, &libc));
	open_fd(&o, fixture__open("", libc.dli_fname));
	assert_non_null(o.t);
	for (uint64_t chunk = 0; chunk < 0x20; chunk++)
		tables += !compare_chunk(&o, chunk);
	assert_int_equal(tables, 0x20);
	close_opened(&o);
}

static void frequency(void **state)
{
	struct buf b = {0}, blob = {0};
	struct unwind_chunk what;
	struct opened o;
	uint32_t word;
	size_t cie = eh__cie(&b, EH_X86);

	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		eh__fde(&b, cie, 0x100 * i, 0x80, EH_BYTES(0x41, 0x0e, 32, 0x41, 0x0e, 16, 0x41, 0x0e, 32));
	open_frames(&o, &b);
	buf__puts(&blob, "before");
	assert_int_equal(unwind_table__build(o.t, EH_CODE >> UNWIND_CHUNK_SHIFT, &blob, &what), 0);
	assert_int_equal(what.kind, UNWIND_CHUNK_TABLE);
	assert_memory_equal(blob.data, "before", 6);
	/* 25 rows: of each function four, and the gap behind it. Four rules fit into half a line. */
	assert_int_equal(what.rows, 25);
	assert_int_equal(what.header, 32);
	assert_int_equal(blob.len, 6 + what.header + 288 + 2 * what.rows);
	memcpy(&word, blob.data + 6 + what.header - 4, sizeof(word));
	assert_int_equal(word, unwind_rule__make(UNWIND_SP, UNWIND_RA_CALL, 4, 0));
	buf__free(&blob);
	buf__free(&b);
	close_opened(&o);
}

static void across_chunks(void **state)
{
	struct buf b = {0}, blob = {0};
	struct unwind_chunk what;
	uint32_t words[UNWIND_WIDE_WORDS];
	struct opened o;
	size_t cie = eh__cie(&b, EH_X86);

	(void)state;
	/* From the first chunk of the code through the second into the third; the fourth is empty. */
	eh__fde(&b, cie, 0xfff0, 0x10020, EH_BYTES(0x41, 0x0e, 16, 4, 0x17, 0, 1, 0, 0x0e, 24));
	open_frames(&o, &b);
	for (uint64_t chunk = 1; chunk <= 3; chunk++)
		assert_int_equal(compare_chunk(&o, chunk), 0);
	assert_int_equal(unwind_table__build(o.t, 2, &blob, &what), 0);
	assert_int_equal(what.rows, 1);
	look_up(blob.data, what.header, 0, words);
	assert_int_equal(words[0], unwind_rule__make(UNWIND_SP, UNWIND_RA_CALL, 2, 0));
	assert_int_equal(unwind_table__build(o.t, 4, &blob, &what), 0);
	assert_int_equal(what.kind, UNWIND_CHUNK_GAP);
	assert_int_equal(unwind_table__build(o.t, UINT64_MAX, &blob, &what), 0);
	assert_int_equal(what.kind, UNWIND_CHUNK_GAP);
	buf__free(&blob);
	buf__free(&b);
	close_opened(&o);
}

/* A function whose every row has a rule of its own; those of the first rows come back. */
static void many_rules(struct buf *b, unsigned int count, unsigned int step, bool wide)
{
	struct buf code = {0};

	for (unsigned int i = 0; i < count; i++) {
		unsigned int offset = (i + 2) * 8 + (wide ? 4 : 0);

		eh__add(&code, 0x40 | step, 1);
		eh__add(&code, 0x0e, 1);
		eh__add(&code, (offset & 0x7f) | 0x80, 1);
		eh__add(&code, offset >> 7, 1);
	}
	for (unsigned int i = 0; i < 10; i++) {
		eh__add(&code, 0x40 | step, 1);
		buf__add(&code, EH_BYTES(0x0e, 16));
		eh__add(&code, 0x40 | step, 1);
		buf__add(&code, EH_BYTES(0x0e, 24));
	}
	eh__fde(b, eh__cie(b, EH_X86), 0, (count + 30) * step, (uint8_t *)code.data, code.len);
	buf__free(&code);
}

static void too_many_rules(void **state)
{
	static const struct {
		unsigned int count, wide, lost; /* rows of 4 bytes */
	} cases[] = {
		/* sp+8, the gap and 254 more are all the numbers there are */
		{254, 0, 0},
		/* with one more, one number is UNSUPPORTED's: two rules, one row each, are lost */
		{255, 0, 2},
		{1000, 0, 747},
		/* wide ones take three: 84 * 3 + 4 words */
		{82, 1, 0},
		{100, 1, 17},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf b = {0};
		struct opened o;

		many_rules(&b, cases[i].count, 4, cases[i].wide);
		open_frames(&o, &b);
		assert_non_null(o.t);
		assert_int_equal(compare_chunk(&o, EH_CODE >> UNWIND_CHUNK_SHIFT), 4 * cases[i].lost);
		close_opened(&o);
		buf__free(&b);
	}
}

/* A row for every byte of a bucket is more than its count can say. */
static void too_many_rows(void **state)
{
	for (unsigned int last = 0xfd; last <= 0xff; last++) {
		struct buf b = {0}, code = {0}, blob = {0};
		struct unwind_chunk what;
		struct opened o;

		(void)state;
		for (unsigned int i = 0; i < last; i++) {
			eh__add(&code, 0x41, 1);
			eh__add(&code, 0x0e, 1);
			eh__add(&code, i & 1 ? 8 : 16, 1);
		}
		eh__fde(&b, eh__cie(&b, EH_X86), 0, 0x100, (uint8_t *)code.data, code.len);
		open_frames(&o, &b);
		assert_int_equal(unwind_table__build(o.t, EH_CODE >> UNWIND_CHUNK_SHIFT, &blob, &what), 0);
		assert_int_equal(what.kind, last == 0xff ? UNWIND_CHUNK_FAILED : UNWIND_CHUNK_TABLE);
		assert_true((last == 0xff) == !blob.len);
		close_opened(&o);
		buf__free(&blob);
		buf__free(&code);
		buf__free(&b);
	}
}

/* Rows in every bucket, as many as there may be: the blob would have more than 64 KB. */
static void too_large(void **state)
{
	struct buf b = {0}, code = {0}, blob = {0};
	struct unwind_chunk what;
	struct opened o;
	size_t cie = eh__cie(&b, EH_X86);

	(void)state;
	for (unsigned int i = 0; i < 0xfd; i++) {
		eh__add(&code, 0x41, 1);
		eh__add(&code, 0x0e, 1);
		eh__add(&code, i & 1 ? 8 : 16, 1);
	}
	for (unsigned int i = 0; i < 0x100; i++)
		eh__fde(&b, cie, 0x100 * i, 0x100, (uint8_t *)code.data, code.len);
	open_frames(&o, &b);
	assert_int_equal(unwind_table__build(o.t, EH_CODE >> UNWIND_CHUNK_SHIFT, &blob, &what), 0);
	assert_int_equal(what.kind, UNWIND_CHUNK_FAILED);
	assert_int_equal(blob.len, 0);
	close_opened(&o);
	buf__free(&blob);
	buf__free(&code);
	buf__free(&b);
}

static int open_error(int fd, unsigned char class, uint16_t machine)
{
	struct opened o;

	assert_int_equal(pwrite(fd, &class, 1, EI_CLASS), 1);
	assert_int_equal(pwrite(fd, &machine, 2, offsetof(Elf64_Ehdr, e_machine)), 2);
	errno = 0;
	open_fd(&o, fd);
	assert_null(o.t);
	elf__close(&o.f);
	return errno;
}

static void refused(void **state)
{
	struct buf b = {0};
	int fd;

	(void)state;
	eh__fde(&b, eh__cie(&b, EH_X86), 0, 0x10, EH_BYTES(0));
	fd = eh_file__new(EM_X86_64, EH_SECTIONS, b.data, b.len);
	assert_int_equal(open_error(fd, ELFCLASS64, EM_386), ENOEXEC);
	assert_int_equal(open_error(fd, ELFCLASS64, EM_RISCV), ENOEXEC);
	close(fd);
	fd = eh_file__new(EM_X86_64, EH_SECTIONS, b.data, 4);
	assert_int_equal(open_error(fd, ELFCLASS64, EM_AARCH64), ENOENT);
	close(fd);
	buf__free(&b);
	unwind_table__close(NULL);
}

/* The kernel's object has tables, too, with section headers and without. */
static void vdso(void **state)
{
	const Elf64_Half none = 0;
	const Elf64_Off nowhere = 0;

	(void)state;
	for (int pass = 0; pass < 2; pass++) {
		struct opened o;
		int fd = vdso__open();

		if (fd == -ENOENT)
			skip();
		if (pass) {
			assert_int_equal(pwrite(fd, &none, 2, offsetof(Elf64_Ehdr, e_shnum)), 2);
			assert_int_equal(pwrite(fd, &none, 2, offsetof(Elf64_Ehdr, e_shstrndx)), 2);
			assert_int_equal(pwrite(fd, &nowhere, 8, offsetof(Elf64_Ehdr, e_shoff)), 8);
		}
		open_fd(&o, fd);
		assert_non_null(o.t);
		assert_int_equal(compare_chunk(&o, 0), 0);
		close_opened(&o);
	}
}

/* What a row says of the address before the return address of a signal handler. */
struct signals {
	uint64_t at, signals;
};

static int count_signal(void *context, uint64_t address, const uint32_t *words)
{
	struct signals *s = context;

	s->signals += words[0] == UNWIND_SIGNAL;
	s->at = words[0] == UNWIND_SIGNAL ? address : s->at;
	return 0;
}

/* glibc's restorer is a return address, looked up by the byte before it: its FDE begins there. */
static void signal_restorer(void **state)
{
#ifdef __x86_64__
	struct signals s = {0};
	struct sigaction action = {.sa_handler = SIG_IGN};
	struct opened o;
	Dl_info libc;
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} raw = {0};

	(void)state;
	assert_int_equal(sigaction(SIGUSR2, &action, NULL), 0);
	assert_int_equal(syscall(13 /* rt_sigaction */, SIGUSR2, NULL, &raw, 8), 0);
	assert_true(dladdr(raw.restorer, &libc));
	open_fd(&o, fixture__open("", libc.dli_fname));
	assert_int_equal(unwind_table__rows(o.t, 0, UINT64_MAX, count_signal, &s), 0);
	assert_int_equal(s.signals, 1);
	assert_int_equal(s.at, (uint64_t)((char *)raw.restorer - (char *)libc.dli_fbase) - 1);
	close_opened(&o);
#else
	(void)state;
	(void)count_signal;
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_libc),	   cmocka_unit_test(frequency),
		cmocka_unit_test(across_chunks),   cmocka_unit_test(too_many_rules),
		cmocka_unit_test(too_many_rows),   cmocka_unit_test(too_large),
		cmocka_unit_test(refused),	   cmocka_unit_test(vdso),
		cmocka_unit_test(signal_restorer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
