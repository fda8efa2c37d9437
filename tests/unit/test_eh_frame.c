/* SPDX-License-Identifier: Apache-2.0 */
/* Call frame information of known content as rules, and what is broken, odd or hostile. */
#include "fixture.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>

#include "eh_file.h"
#include "object/eh_frame.h"
#include "object/elf.h"

/* --- rows as text: "0 sp+8; 1 sp+16 fp-16" are offsets in the code and rules */

struct listing {
	struct buf text;
	uint16_t machine;
	uint64_t limit, rows;
};

static void print_wide(struct buf *b, const uint32_t *words)
{
	uint32_t flags = UNWIND_WIDE_FLAGS(words[0]), ra = UNWIND_RA(words[0]);

	buf__printf(b, flags & UNWIND_WIDE_DEREF ? "*(r%u%+d" : "r%u%+d", UNWIND_WIDE_BASE(words[0]),
		    (int)words[1]);
	if (flags & UNWIND_WIDE_INDEX)
		buf__printf(b, "+8*r%u", UNWIND_WIDE_IX(words[0]));
	if (flags & UNWIND_WIDE_DEREF)
		buf__printf(b, ")%+d", UNWIND_WIDE_ADD(words[2]));
	if (ra == UNWIND_RA_LINK)
		buf__printf(b, " ra=r%u", UNWIND_WIDE_IX(words[0]));
	if (ra == UNWIND_RA_AT)
		buf__printf(b, " ra%+d", 8 * UNWIND_WIDE_RA(words[2]));
	if (flags & UNWIND_WIDE_FP_AT_REGISTER)
		buf__printf(b, " fp=r%u%+d", UNWIND_WIDE_IX(words[0]), UNWIND_FP(words[0]));
}

static int print_row(void *context, uint64_t address, const uint32_t *words)
{
	static const char *const names[] = {"gap",    "sp",   "fp",	     "plt11", "plt10",
					    "signal", "stop", "unsupported", ""};
	struct listing *l = context;
	struct buf *b = &l->text;
	uint32_t kind = UNWIND_KIND(words[0]), ra = 0, rbx = 0;

	if (l->machine == EM_AARCH64 || kind == UNWIND_WIDE)
		ra = UNWIND_RA(words[0]);
	else
		rbx = UNWIND_RBX(words[0]);
	if (address >= l->limit)
		return 1;
	l->rows++;
	buf__printf(b, "%s%jx %s", b->len ? "; " : "", (uintmax_t)(address - EH_CODE), names[kind]);
	if (kind == UNWIND_WIDE)
		print_wide(b, words);
	else if (kind == UNWIND_SP || kind == UNWIND_FRAME)
		buf__printf(b, "%+d%s", UNWIND_CFA(words[0]), ra == UNWIND_RA_LINK ? " link" : "");
	if (UNWIND_FP(words[0]) != 0 &&
	    !(kind == UNWIND_WIDE && UNWIND_WIDE_FLAGS(words[0]) & UNWIND_WIDE_FP_AT_REGISTER))
		buf__printf(b, " fp%+d", UNWIND_FP(words[0]));
	if (ra == UNWIND_RA_AFTER_FP)
		buf__puts(b, "+ra");
	if (rbx && kind != UNWIND_FRAME)
		buf__puts(b, rbx == UNWIND_RBX_LOST ? " rbx?" : " rbx");
	return 0;
}

/* Rows from EH_CODE + from on, before `to`, of a file of this content. */
static void expect(uint16_t machine, enum eh_shape shape, const struct buf *frames, uint64_t from,
		   uint64_t to, const char *rows)
{
	struct listing l = {.machine = machine, .limit = EH_CODE + to};
	struct eh_frame *e;
	struct elf_file f;
	int fd = eh_file__new(machine, shape, frames->data, frames->len);

	assert_true(fd >= 0);
	assert_int_equal(elf__open(&f, fd), 0);
	e = eh_frame__open(&f);
	assert_non_null(e);
	eh_frame__rows(e, EH_CODE + from, EH_CODE + to, print_row, &l);
	assert_string_equal(buf__text(&l.text), rows);
	eh_frame__close(e);
	elf__close(&f);
	close(fd);
	buf__free(&l.text);
}

static int open_error(uint16_t machine, enum eh_shape shape, const struct buf *frames)
{
	int fd = eh_file__new(machine, shape, frames->data, frames->len), err = 0;
	struct eh_frame *e;
	struct elf_file f;

	assert_int_equal(elf__open(&f, fd), 0);
	e = eh_frame__open(&f);
	if (!e)
		err = errno;
	eh_frame__close(e);
	elf__close(&f);
	close(fd);
	return err;
}

/* --- instructions */

struct sample {
	const char *rows;
	const uint8_t *instructions;
	size_t count;
};
#define SAMPLE(rows, ...)                   \
	{                                   \
		rows, EH_BYTES(__VA_ARGS__) \
	}

/* One function of 0x40 bytes each; what follows it is a gap. */
static void try_samples(uint16_t machine, const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct buf b = {0};
		size_t cie = machine == EM_AARCH64 ? eh__cie(&b, EH_ARM64) : eh__cie(&b, EH_X86);

		eh__fde(&b, cie, 0x100, 0x40, samples[i].instructions, samples[i].count);
		expect(machine, EH_SECTIONS, &b, 0x100, 0x140, samples[i].rows);
		expect(machine, EH_SEGMENTS, &b, 0x100, 0x140, samples[i].rows);
		buf__free(&b);
	}
}

static void x86_instructions(void **state)
{
	const struct sample samples[] = {
		SAMPLE("100 sp+8", 0),
		/* push %rbp; mov %rsp,%rbp; ...; leave */
		SAMPLE("100 sp+8; 101 sp+16 fp-16; 104 fp+16 fp-16; 10b sp+8", 0x41, 0x0e, 16, 0x86, 2, 0x43,
		       0x0d, 6, 0x47, 0xc6, 0x0c, 7, 8),
		/* other registers are no rows of their own */
		SAMPLE("100 sp+8; 106 sp+32", 0x42, 0x8d, 3, 0x42, 0x8c, 4, 0x42, 0x0e, 32),
		/* advances of one, two and four bytes; beyond the end nothing holds */
		SAMPLE("100 sp+8; 110 sp+16; 120 sp+24; 130 sp+32", 2, 0x10, 0x0e, 16, 3, 0x10, 0, 0x0e, 24,
		       4, 0x10, 0, 0, 0, 0x0e, 32, 2, 0x80, 0x0e, 40),
		/* an advance by 0: the last one counts */
		SAMPLE("100 sp+8; 101 sp+24", 0x41, 0x0e, 16, 0x40, 0x0e, 24),
		SAMPLE("100 sp+8; 104 sp+16 fp-16; 108 sp+8; 10c sp+16 fp-16", 0x44, 0x0e, 16, 0x86, 2, 0x0a,
		       0x44, 0x0e, 8, 0xc6, 0x44, 0x0b),
		/* set_loc: from its own place, as the CIE says */
		SAMPLE("100 sp+8; 110 sp+16", 1, 0xe6, 0xfe, 0xe0, 0xff, 0x0e, 16),
		/* offset_extended, _sf, GNU_negative_offset_extended, restore_extended, same_value */
		SAMPLE("100 sp+8 fp-16; 101 sp+8 fp+16; 102 sp+8 fp-24; 103 sp+8; 104 sp+8 fp-8; 105 sp+8", 5,
		       6, 2, 0x41, 0x11, 6, 0x7e, 0x41, 5, 6, 3, 0x41, 6, 6, 0x41, 0x2f, 6, 0x7f, 0x2f, 6,
		       0x7f, 5, 6, 1, 0x41, 8, 6),
		/* def_cfa_sf, def_cfa_offset_sf */
		SAMPLE("100 sp+16; 101 sp+24", 0x12, 7, 0x7e, 0x41, 0x13, 0x7d),
		/* what is accepted and means nothing here: args_size, negate_ra_state, window_save,
		 * val_offset of a register that does not matter */
		SAMPLE("100 sp+8; 101 sp+16", 0x2e, 0x80, 1, 0x2d, 0x2c, 0x14, 12, 1, 0x16, 12, 1, 0x50, 0x41,
		       0x0e, 16),
		SAMPLE("100 stop", 7, 16),
		SAMPLE("100 sp+8", 7, 6), /* an undefined frame pointer is none that was saved */
		SAMPLE("100 sp+8", 9, 6, 6),
		/* a computed frame pointer, one in a register, a return address that is computed */
		SAMPLE("100 sp+8; 101 unsupported; 102 sp+8", 0x41, 0x14, 6, 2, 0x41, 0xc6),
		SAMPLE("100 sp+8; 101 unsupported; 102 sp+8", 0x41, 9, 6, 9, 0x41, 0xc6),
		SAMPLE("100 unsupported", 0x14, 16, 2),
		SAMPLE("100 unsupported", 8, 16),
		/* vfork keeps its return address in rdi */
		SAMPLE("100 sp+8; 101 r7+0 ra=r5", 0x41, 0x0e, 0, 9, 16, 5),
		SAMPLE("100 r7+8 ra-16", 0x90, 2),
		/* offsets that words cannot say */
		SAMPLE("100 r7+12", 0x0e, 12),
		SAMPLE("100 r7+65536", 0x0e, 0x80, 0x80, 4),
		SAMPLE("100 sp+32760; 101 r7+32768", 0x0e, 0xf8, 0xff, 1, 0x41, 0x0e, 0x80, 0x80, 2),
		SAMPLE("100 r7+8 fp=r7+8", 0x86, 0),
		SAMPLE("100 r7+65552 fp=r7+0", 0x0e, 0x90, 0x80, 4, 0x86, 0x82, 0x40),
		SAMPLE("100 unsupported", 0x0e, 0x80, 0x80, 0x80, 0x80, 0x40),
		/* other registers, known in the innermost frame */
		SAMPLE("100 r10+0; 101 r0+16", 0x0c, 10, 0, 0x41, 0x0c, 0, 16),
		SAMPLE("100 unsupported", 0x0c, 17, 0),
		SAMPLE("100 unsupported", 0x0c, 0xff, 0x7f, 0),
	};

	(void)state;
	try_samples(EM_X86_64, samples, sizeof(samples) / sizeof(*samples));
}

static void x86_rbx(void **state)
{
	const struct sample samples[] = {
		/* push %rbx; push %rbp, push %rbx; rbx elsewhere; by the frame pointer it has no rows either
		 */
		SAMPLE("100 sp+8; 101 sp+16 rbx; 102 sp+8", 0x41, 0x0e, 16, 0x83, 2, 0x41, 0x0e, 8, 0xc3),
		SAMPLE("100 sp+8; 101 sp+16 fp-16; 102 sp+24 fp-16 rbx; 103 sp+24 fp-16 rbx?; 104 fp+24 "
		       "fp-16",
		       0x41, 0x0e, 16, 0x86, 2, 0x41, 0x0e, 24, 0x83, 3, 0x41, 0x83, 4, 0x41, 0x0d, 6, 0x41,
		       0x83, 3),
	};

	(void)state;
	try_samples(EM_X86_64, samples, sizeof(samples) / sizeof(*samples));
}

static void expressions(void **state)
{
	const struct sample samples[] = {
		/* lazy binding, as linkers write it */
		SAMPLE("100 plt11", 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22),
		SAMPLE("100 plt10", 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33, 0x24, 0x22),
		SAMPLE("100 unsupported", 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x39, 0x2a, 0x33, 0x24,
		       0x22),
		SAMPLE("100 unsupported", 0x0f, 11, 0x77, 16, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24,
		       0x22),
		SAMPLE("100 unsupported", 0x0f, 11, 0x76, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24,
		       0x22),
		/* gcc's realigned frames: the frame address lies behind rbp - 40, the old rbp at rbp */
		SAMPLE("100 *(r6-40)+0 fp=r6+0", 0x0f, 3, 0x76, 0x58, 6, 0x10, 6, 2, 0x76, 0),
		SAMPLE("100 r10+0 fp=r6+0", 0x0c, 10, 0, 0x10, 6, 2, 0x76, 0),
		SAMPLE("100 *(r6-40)+0 fp=r7+8", 0x0f, 3, 0x76, 0x58, 6, 0x10, 6, 2, 0x77, 8),
		/* libcrypto */
		SAMPLE("100 *(r7+120)+8", 0x0f, 6, 0x77, 0xf8, 0, 6, 0x23, 8),
		SAMPLE("100 *(r7-8)+8 fp-16", 0x0f, 5, 0x77, 0x78, 6, 0x23, 8, 0x86, 2),
		SAMPLE("100 *(r7+8+8*r9)+8", 0x0f, 10, 0x77, 8, 0x79, 0, 0x38, 0x1e, 0x22, 6, 0x23, 8),
		SAMPLE("100 *(r7+16+8*r9)+0", 0x0f, 8, 0x77, 8, 0x79, 1, 0x33, 0x24, 0x22, 6),
		SAMPLE("100 unsupported", 0x0f, 8, 0x77, 8, 0x79, 1, 0x34, 0x24, 0x22, 6),
		/* sums, in all forms; a register by number; a plain one */
		SAMPLE("100 sp+24", 0x0f, 2, 0x77, 24),
		SAMPLE("100 sp+48", 0x0f, 7, 0x92, 7, 24, 0x23, 16, 0x38, 0x22),
		SAMPLE("100 *(r7+8)-16", 0x0f, 7, 0x77, 8, 6, 0x40, 0x1c, 0x23, 0),
		SAMPLE("100 *(r7+8)-32", 0x0f, 6, 0x77, 8, 6, 9, 0xe0, 0x22),
		SAMPLE("100 *(r7+8)+255", 0x0f, 6, 0x77, 8, 6, 8, 0xff, 0x22),
		SAMPLE("100 *(r7+8)+256", 0x0f, 7, 0x77, 8, 6, 0x0a, 0, 1, 0x22),
		SAMPLE("100 *(r7+8)-1", 0x0f, 6, 0x77, 8, 6, 0x11, 0x7f, 0x22),
		/* more than a word can say, and nonsense */
		SAMPLE("100 unsupported", 0x0f, 7, 0x77, 8, 6, 0x0a, 0, 0x80, 0x22),
		SAMPLE("100 unsupported", 0x0f, 0),
		SAMPLE("100 unsupported", 0x0f, 1, 6),
		SAMPLE("100 unsupported", 0x0f, 2, 0x77, 0x80),
		SAMPLE("100 unsupported", 0x0f, 3, 0x77, 8, 0x22),
		SAMPLE("100 unsupported", 0x0f, 4, 0x77, 8, 6, 6),
		SAMPLE("100 unsupported", 0x0f, 3, 0x77, 8, 0x38),
		/* where the frame pointer was saved, and the return address */
		SAMPLE("100 sp+8 fp-8", 0x10, 6, 2, 0x77, 0),
		SAMPLE("100 sp+8 fp+16", 0x10, 6, 2, 0x23, 16),
		SAMPLE("100 r7+8 fp=r6+0", 0x10, 6, 2, 0x76, 0),
		SAMPLE("100 unsupported", 0x10, 6, 3, 0x92, 17, 0),
		/* one field cannot name two registers */
		SAMPLE("100 unsupported", 0x10, 6, 2, 0x76, 0, 9, 16, 5),
		SAMPLE("100 unsupported", 0x0f, 8, 0x77, 8, 0x79, 1, 0x33, 0x24, 0x22, 6, 0x10, 6, 2, 0x76,
		       0),
		SAMPLE("100 unsupported", 0x10, 6, 1, 6),
		SAMPLE("100 r7+8 ra-16", 0x10, 16, 2, 0x77, 0x78),
		SAMPLE("100 unsupported", 0x16, 16, 2, 0x77, 0x78),
		/* a rule by expression has no register and no offset to change */
		SAMPLE("100 *(r7+8)+0; 101 unsupported", 0x0f, 3, 0x77, 8, 6, 0x41, 0x0e, 16),
		SAMPLE("100 *(r7+8)+0; 101 unsupported", 0x0f, 3, 0x77, 8, 6, 0x41, 0x0d, 6),
	};

	(void)state;
	try_samples(EM_X86_64, samples, sizeof(samples) / sizeof(*samples));
}

static void arm64_instructions(void **state)
{
	const struct sample samples[] = {
		SAMPLE("100 sp+0 link", 0),
		/* paciasp; stp x29, x30, [sp, -48]!; mov x29, sp; ...; ldp; autiasp */
		SAMPLE("100 sp+0 link; 108 sp+48 fp-48+ra; 10c fp+48 fp-48+ra; 128 sp+0 link", 0x41, 0x2d,
		       0x41, 0x0e, 48, 0x9d, 6, 0x9e, 5, 0x41, 0x0d, 29, 0x47, 0xdd, 0xde, 0x0c, 31, 0, 0x41,
		       0x2d),
		/* str x30, [sp, -16]!: the link alone */
		SAMPLE("100 sp+0 link; 104 r31+16 ra-16; 108 sp+0 link", 0x41, 0x0e, 16, 0x9e, 2, 0x41, 0xde,
		       0x0e, 0),
		/* both, apart */
		SAMPLE("100 r31+32 ra-8 fp-32", 0x0e, 32, 0x9d, 4, 0x9e, 1),
		/* a frame of 64 KB */
		SAMPLE("100 r31+65552 fp=r31+0+ra", 0x0e, 0x90, 0x80, 4, 0x9d, 0x82, 0x40, 0x9e, 0x81, 0x40),
		SAMPLE("100 stop", 7, 30),
		SAMPLE("100 unsupported", 9, 30, 15), /* registers are x86's only */
		SAMPLE("100 unsupported", 0x0c, 0, 0),
	};

	(void)state;
	try_samples(EM_AARCH64, samples, sizeof(samples) / sizeof(*samples));
}

static void broken_instructions(void **state)
{
	const struct sample samples[] = {
		SAMPLE("100 sp+8; 101 unsupported", 0x41, 0x3f, 0x42, 0x0e, 16),
		SAMPLE("100 sp+8; 101 unsupported", 0x41, 0x17),
		SAMPLE("100 sp+8; 101 unsupported", 0x41, 0x0b), /* nothing was remembered */
		SAMPLE("100 sp+8; 101 unsupported", 0x41, 0x0f, 0x7f, 0x77, 8, 6),
		SAMPLE("100 sp+8; 101 unsupported", 0x41, 4, 1),
		SAMPLE("100 sp+8; 101 unsupported", 0x41, 1, 0, 0, 0xe0, 0xff), /* backwards */
	};
	struct buf deep = {0}, b = {0};

	(void)state;
	try_samples(EM_X86_64, samples, sizeof(samples) / sizeof(*samples));
	for (int i = 0; i < 16; i++)
		eh__add(&deep, 0x0a, 1);
	buf__add(&deep, EH_BYTES(0x41, 0x0e, 16, 0x41, 0x0b));
	eh__fde(&b, eh__cie(&b, EH_X86), 0, 0x10, (uint8_t *)deep.data, deep.len);
	expect(EM_X86_64, EH_SECTIONS, &b, 0, 0x10, "0 sp+8; 1 sp+16; 2 sp+8");
	buf__clear(&b);
	deep.data[16] = 0x0a;
	eh__fde(&b, eh__cie(&b, EH_X86), 0, 0x10, (uint8_t *)deep.data, deep.len);
	expect(EM_X86_64, EH_SECTIONS, &b, 0, 0x10, "0 unsupported");
	buf__free(&b);
	buf__free(&deep);
}

/* --- functions */

static void gaps(void **state)
{
	struct buf b = {0};
	size_t cie, signal;

	(void)state;
	cie = eh__cie(&b, EH_X86);
	signal = eh__cie(&b, "zRS", 1, 16, EH_BYTES(0));
	/* Not in the order of their addresses. */
	eh__fde(&b, cie, 0x200, 0x20, EH_BYTES(0x0e, 32));
	eh__fde(&b, cie, 0x100, 0x20, EH_BYTES(0));
	eh__fde(&b, signal, 0x22f, 0x0a, EH_BYTES(0)); /* 15 bytes of padding before it */
	eh__fde(&b, cie, 0x120, 0x11, EH_BYTES(0x0e, 16));
	eh__fde(&b, cie, 0x141, 0x0f, EH_BYTES(0x0e, 24)); /* 16: a gap */
	/* Left out: in the middle of another, without a byte, at address 0, outside of the code, across its
	 * end. */
	eh__fde(&b, cie, 0x210, 0x20, EH_BYTES(0x0e, 40));
	eh__fde(&b, cie, 0x300, 0, EH_BYTES(0x0e, 40));
	eh__fde(&b, cie, -EH_CODE, 0x100, EH_BYTES(0x0e, 40));
	eh__fde(&b, cie, -0x10, 0x20, EH_BYTES(0x0e, 40));
	eh__fde(&b, cie, EH_CODE_BYTES - 1, 2, EH_BYTES(0x0e, 40));
	expect(EM_X86_64, EH_SECTIONS, &b, 0, EH_CODE_BYTES,
	       "0 gap; 100 sp+8; 120 sp+16; 131 gap; 141 sp+24; 150 gap; 200 sp+32; 22f signal; 239 gap");
	/* From anywhere: what holds there comes first. */
	expect(EM_X86_64, EH_SECTIONS, &b, 0x110, 0x130, "110 sp+8; 120 sp+16");
	expect(EM_X86_64, EH_SECTIONS, &b, 0x220, 0x230, "220 gap; 22f signal");
	expect(EM_X86_64, EH_SECTIONS, &b, 0x238, 0x300, "238 signal; 239 gap");
	expect(EM_X86_64, EH_SECTIONS, &b, 0x239, 0x300, "239 gap");
	expect(EM_X86_64, EH_SECTIONS, &b, 0x131, 0x140, "131 gap");
	buf__free(&b);
}

static void several_cies(void **state)
{
	struct buf b = {0};
	struct listing l = {.limit = UINT64_MAX};
	size_t cies[15];

	(void)state;
	for (size_t i = 0; i < 15; i++) {
		const uint8_t instructions[] = {0x0c, 7, (uint8_t)(8 * (i + 1)), 0x90, 1};

		cies[i] = eh__cie(&b, "zR", 1, 16, instructions, sizeof(instructions));
	}
	/* An unknown letter: what follows it cannot be understood. A version nobody knows. */
	eh__fde(&b, eh__cie(&b, "zX", 1, 16, EH_BYTES(0)), 0x400, 0x10, EH_BYTES(0));
	eh__fde(&b, eh__cie(&b, "eh", 1, 16, EH_BYTES(0)), 0x500, 0x10, EH_BYTES(0));
	for (size_t i = 0; i < 30; i++)
		eh__fde(&b, cies[i % 15], (int64_t)(0x10 * i), 0x10, EH_BYTES(0));
	for (size_t i = 0; i < 30; i++)
		buf__printf(&l.text, "%s%zx sp+%zu", i ? "; " : "", 0x10 * i, 8 * (i % 15 + 1));
	buf__puts(&l.text, "; 1e0 gap");
	expect(EM_X86_64, EH_SECTIONS, &b, 0, 0x1000, buf__text(&l.text));
	buf__free(&l.text);
	buf__free(&b);
}

static void refused(void **state)
{
	struct buf b = {0};

	(void)state;
	eh__add(&b, 0, 4);
	assert_int_equal(open_error(EM_X86_64, EH_SECTIONS, &b), ENOENT);
	assert_int_equal(open_error(EM_RISCV, EH_SECTIONS, &b), ENOEXEC);
	buf__clear(&b);
	/* By segments, the first length of 0 ends it. */
	eh__fde(&b, eh__cie(&b, EH_X86), 0x100, 0x20, EH_BYTES(0));
	eh__add(&b, 0, 4);
	eh__fde(&b, 0, 0x200, 0x20, EH_BYTES(0));
	expect(EM_X86_64, EH_SECTIONS, &b, 0x100, 0x300, "100 sp+8; 120 gap; 200 sp+8; 220 gap");
	expect(EM_X86_64, EH_SEGMENTS, &b, 0x100, 0x300, "100 sp+8; 120 gap");
	buf__free(&b);
}

/* Every prefix of a good section, and every byte of it turned: no more rows than there can be. */
static void cut_and_bent(void **state)
{
	struct buf b = {0};
	struct eh_frame *e;
	struct elf_file f;
	size_t cie;

	(void)state;
	cie = eh__cie(&b, EH_X86);
	eh__fde(&b, cie, 0x100, 0x40,
		EH_BYTES(0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x47, 0x0a, 0x0c, 7, 8, 0x41, 0x0b));
	eh__fde(&b, cie, 0x140, 0x40, EH_BYTES(0x41, 0x0f, 6, 0x77, 0xf8, 0, 6, 0x23, 8, 0x41, 7, 16));
	for (size_t i = 0; i < 2 * b.len; i++) {
		struct listing l = {.limit = UINT64_MAX};
		size_t at = i % b.len;
		int fd;

		b.data[at] ^= i < b.len ? 0 : 0x81;
		fd = eh_file__new(EM_X86_64, i & 1, b.data, i < b.len ? at : b.len);
		b.data[at] ^= i < b.len ? 0 : 0x81;
		assert_true(fd >= 0);
		if (!elf__open(&f, fd)) {
			e = eh_frame__open(&f);
			if (e)
				eh_frame__rows(e, 0, UINT64_MAX, print_row, &l);
			assert_true(l.rows <= 2 + 2 * 0x40);
			eh_frame__close(e);
			elf__close(&f);
		}
		buf__free(&l.text);
		close(fd);
	}
	buf__free(&b);
}

static void frame_pointer_share(void **state)
{
	struct buf b = {0};
	struct elf_file f;
	int fd;

	(void)state;
	/* Four rows, one of them by the frame pointer; gaps are none. */
	eh__fde(&b, eh__cie(&b, EH_X86), 0x100, 0x20,
		EH_BYTES(0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x47, 0x0c, 7, 8, 0xc6));
	fd = eh_file__new(EM_X86_64, EH_SECTIONS, b.data, b.len);
	assert_int_equal(elf__open(&f, fd), 0);
	assert_int_equal(eh_frame__frame_pointer_percent(&f), 25);
	elf__close(&f);
	close(fd);
	buf__free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x86_instructions),    cmocka_unit_test(x86_rbx),
		cmocka_unit_test(expressions),	       cmocka_unit_test(arm64_instructions),
		cmocka_unit_test(broken_instructions), cmocka_unit_test(gaps),
		cmocka_unit_test(several_cies),	       cmocka_unit_test(refused),
		cmocka_unit_test(cut_and_bent),	       cmocka_unit_test(frame_pointer_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
