/* SPDX-License-Identifier: Apache-2.0 */
#include "object/cfi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "object/safefile.h"

#define RECORD_BYTES_MAX (64u << 10) /* a larger one is stepped over; real ones reach some hundred */
#define WINDOW_BYTES	 (128u << 10)
#define STATES_MAX	 16 /* CFA_REMEMBER_STATE, nested */

/* A reader that cannot leave its record: past the end it yields zeros and says so. */
struct cursor {
	const unsigned char *at, *end;
	bool failed;
};

struct cie {
	uint64_t offset; /* in the section; UINT64_MAX: none read yet */
	uint64_t cfa_register, cfa_offset;
	uint8_t pointer_encoding;
	bool has_augmentation_data;
};

struct pass {
	const struct elf_file *f;
	struct elf_section section;
	unsigned char *window; /* WINDOW_BYTES of the section, from window_at on */
	uint64_t window_at;
	size_t window_len;
	unsigned char *other; /* a CIE that lies outside the window */
	struct cie cie;
	uint64_t frame_pointer; /* its DWARF number */
	uint64_t rows, frame_pointer_rows;
};

static const unsigned char *skip(struct cursor *c, uint64_t n)
{
	const unsigned char *at = c->at;

	if (n > (uint64_t)(c->end - c->at)) {
		c->failed = true;
		c->at = c->end;
		return NULL;
	}
	c->at += n;
	return at;
}

static uint8_t byte(struct cursor *c)
{
	const unsigned char *at = skip(c, 1);

	return at ? *at : 0;
}

/* Signed numbers are only stepped over: their bytes end alike. */
static uint64_t leb128(struct cursor *c)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t b;

	do {
		b = byte(c);
		if (shift < 64)
			value |= (uint64_t)(b & 127) << shift;
		shift += 7;
	} while (b & 128);
	return value;
}

/* Bytes of an encoded pointer (DW_EH_PE_ formats), 0: LEB128, -1: unknown. */
static int pointer_size(const struct pass *p, uint8_t encoding)
{
	static const signed char sizes[16] = {
		[0] = 8, [1] = 0, [2] = 2,  [3] = 4,  [4] = 8,	[5] = -1,  [6] = -1,  [7] = -1,
		[8] = 8, [9] = 0, [10] = 2, [11] = 4, [12] = 8, [13] = -1, [14] = -1, [15] = -1,
	};
	int size = sizes[encoding & 15];

	if ((encoding & 7) == 0 && p->f->class == ELFCLASS32)
		size = 4;
	return encoding == 0x50 ? -1 : size; /* aligned: not seen in .eh_frame */
}

static void skip_pointer(const struct pass *p, struct cursor *c, uint8_t encoding)
{
	int size = pointer_size(p, encoding);

	if (size < 0)
		c->failed = true;
	else if (size)
		skip(c, (uint64_t)size);
	else
		leb128(c);
}

enum operand { NONE, LEB, BLOCK, POINTER, BYTES1, BYTES2, BYTES4, BYTES8 };

/* Call frame instructions with zero upper bits (DWARF 5, 6.4.2, and GNU's): code, ends a row?, operands. */
#define INSTRUCTIONS(X)                                 \
	X(NOP, 0x00, false, NONE, NONE)                 \
	X(SET_LOC, 0x01, true, POINTER, NONE)           \
	X(ADVANCE_LOC1, 0x02, true, BYTES1, NONE)       \
	X(ADVANCE_LOC2, 0x03, true, BYTES2, NONE)       \
	X(ADVANCE_LOC4, 0x04, true, BYTES4, NONE)       \
	X(OFFSET_EXTENDED, 0x05, false, LEB, LEB)       \
	X(RESTORE_EXTENDED, 0x06, false, LEB, NONE)     \
	X(UNDEFINED, 0x07, false, LEB, NONE)            \
	X(SAME_VALUE, 0x08, false, LEB, NONE)           \
	X(REGISTER, 0x09, false, LEB, LEB)              \
	X(REMEMBER_STATE, 0x0a, false, NONE, NONE)      \
	X(RESTORE_STATE, 0x0b, false, NONE, NONE)       \
	X(DEF_CFA, 0x0c, false, LEB, LEB)               \
	X(DEF_CFA_REGISTER, 0x0d, false, LEB, NONE)     \
	X(DEF_CFA_OFFSET, 0x0e, false, LEB, NONE)       \
	X(DEF_CFA_EXPRESSION, 0x0f, false, BLOCK, NONE) \
	X(EXPRESSION, 0x10, false, LEB, BLOCK)          \
	X(OFFSET_EXTENDED_SF, 0x11, false, LEB, LEB)    \
	X(DEF_CFA_SF, 0x12, false, LEB, LEB)            \
	X(DEF_CFA_OFFSET_SF, 0x13, false, LEB, NONE)    \
	X(VAL_OFFSET, 0x14, false, LEB, LEB)            \
	X(VAL_OFFSET_SF, 0x15, false, LEB, LEB)         \
	X(VAL_EXPRESSION, 0x16, false, LEB, BLOCK)      \
	X(MIPS_ADVANCE_LOC8, 0x1d, true, BYTES8, NONE)  \
	X(NEGATE_RA_STATE, 0x2d, false, NONE, NONE)     \
	X(GNU_ARGS_SIZE, 0x2e, false, LEB, NONE)        \
	X(GNU_NEGATIVE_OFFSET_EXTENDED, 0x2f, false, LEB, LEB)

enum {
#define X(name, code, new_row, first, second) CFA_##name = (code),
	INSTRUCTIONS(X)
#undef X
};

static const struct {
	bool known, new_row;
	enum operand operands[2];
} instructions[64] = {
#define X(name, code, new_row, first, second) [code] = {true, new_row, {first, second}},
	INSTRUCTIONS(X)
#undef X
};

static uint64_t operand(const struct pass *p, struct cursor *c, enum operand kind)
{
	static const uint8_t bytes[] = {[BYTES1] = 1, [BYTES2] = 2, [BYTES4] = 4, [BYTES8] = 8};
	uint64_t value = 0;

	if (kind == LEB || kind == BLOCK)
		value = leb128(c);
	if (kind == BLOCK)
		skip(c, value);
	else if (kind == POINTER)
		skip_pointer(p, c, p->cie.pointer_encoding);
	else if (kind >= BYTES1)
		skip(c, bytes[kind]);
	return value;
}

/* What an unwinder needs of a row: where the frame is, and where the caller's frame pointer was saved. */
struct rule {
	uint64_t cfa_register, cfa_offset, saved_frame_pointer;
};

struct rows {
	struct rule now, initial, counted;
	struct rule saved[STATES_MAX];
	size_t depth;
	bool any; /* counted holds a row */
};

/* A row that differs from the one before in other saved registers only is no row of its own. */
static void count_row(struct pass *p, struct rows *r)
{
	if (r->any && !memcmp(&r->now, &r->counted, sizeof(r->now)))
		return;
	r->counted = r->now;
	r->any = true;
	p->rows++;
	p->frame_pointer_rows += r->now.cfa_register == p->frame_pointer;
}

static void set_cfa(struct rule *now, uint8_t op, uint64_t first, uint64_t second)
{
	if (op == CFA_DEF_CFA || op == CFA_DEF_CFA_SF || op == CFA_DEF_CFA_REGISTER)
		now->cfa_register = first;
	if (op == CFA_DEF_CFA || op == CFA_DEF_CFA_SF)
		now->cfa_offset = second;
	else if (op == CFA_DEF_CFA_OFFSET || op == CFA_DEF_CFA_OFFSET_SF)
		now->cfa_offset = first;
	else if (op == CFA_DEF_CFA_EXPRESSION)
		now->cfa_register = UINT64_MAX;
}

/* Rules of the saved frame pointer: 0 is "unchanged", offsets count from 1, others differ by kind only. */
static void set_register(const struct pass *p, struct rows *r, uint8_t op, uint64_t first, uint64_t second)
{
	if (first != p->frame_pointer)
		return;
	if (op == CFA_OFFSET_EXTENDED || op == CFA_OFFSET_EXTENDED_SF)
		r->now.saved_frame_pointer = second + 1;
	else if (op == CFA_RESTORE_EXTENDED)
		r->now.saved_frame_pointer = r->initial.saved_frame_pointer;
	else if (op == CFA_SAME_VALUE)
		r->now.saved_frame_pointer = 0;
	else if (op == CFA_UNDEFINED || op == CFA_REGISTER || op == CFA_EXPRESSION ||
		 op == CFA_VAL_EXPRESSION)
		r->now.saved_frame_pointer = UINT64_MAX - op;
}

/* One instruction with zero upper bits. */
static void step(struct pass *p, struct cursor *c, struct rows *r, uint8_t op)
{
	uint64_t first, second;

	if (!instructions[op].known) {
		c->failed = true;
		return;
	}
	if (instructions[op].new_row)
		count_row(p, r);
	first = operand(p, c, instructions[op].operands[0]);
	second = operand(p, c, instructions[op].operands[1]);
	set_cfa(&r->now, op, first, second);
	set_register(p, r, op, first, second);
	if (op == CFA_REMEMBER_STATE && r->depth < STATES_MAX)
		r->saved[r->depth++] = r->now;
	else if (op == CFA_RESTORE_STATE && r->depth)
		r->now = r->saved[--r->depth];
}

/* Runs instructions; every advance ends a row that began before it. */
static void run(struct pass *p, struct cursor *c, struct rows *r)
{
	uint64_t offset;
	uint8_t op;

	while (c->at < c->end && !c->failed) {
		op = byte(c);
		if (op >> 6 == 0) {
			step(p, c, r, op);
		} else if (op >> 6 == 1) {
			count_row(p, r); /* advance_loc */
		} else if (op >> 6 == 2) {
			offset = leb128(c);
			set_register(p, r, CFA_OFFSET_EXTENDED, op & 63, offset);
		} else {
			set_register(p, r, CFA_RESTORE_EXTENDED, op & 63, 0);
		}
	}
}

/* The augmentation "zR", "zPLR"…: only the encoding of pointers matters here. */
static void read_augmentation(struct pass *p, struct cursor *c, const char *letters)
{
	p->cie.has_augmentation_data = *letters == 'z';
	if (*letters == 'z')
		leb128(c);
	for (letters++; p->cie.has_augmentation_data && *letters && !c->failed; letters++) {
		if (*letters == 'R')
			p->cie.pointer_encoding = byte(c);
		else if (*letters == 'P')
			skip_pointer(p, c, byte(c));
		else if (*letters == 'L')
			byte(c);
		else if (*letters != 'S' && *letters != 'B' && *letters != 'G')
			break; /* unknown: its data are in the length, but their order is not known */
	}
}

/* c: behind the id field. */
static bool read_cie(struct pass *p, struct cursor *c, uint64_t offset)
{
	struct rows r = {.now.cfa_register = UINT64_MAX};
	const char *letters;
	const unsigned char *end, *data_end;
	struct cursor length;
	uint8_t version = byte(c);

	p->cie = (struct cie){.offset = UINT64_MAX};
	letters = (const char *)c->at;
	end = memchr(c->at, 0, (size_t)(c->end - c->at));
	if (!end || (version != 1 && version != 3) || (*letters && *letters != 'z'))
		return false;
	c->at = end + 1;
	leb128(c); /* code alignment */
	leb128(c); /* data alignment */
	if (version == 1)
		byte(c); /* return address register */
	else
		leb128(c);
	data_end = c->at;
	if (*letters == 'z') {
		length = *c;
		uint64_t size = leb128(&length);

		if (!skip(&length, size))
			return false;
		data_end = length.at;
	}
	read_augmentation(p, c, letters);
	c->at = data_end;
	run(p, c, &r); /* no advance in it: counts nothing */
	p->cie.cfa_register = r.now.cfa_register;
	p->cie.cfa_offset = r.now.cfa_offset;
	p->cie.offset = offset;
	return !c->failed;
}

/* `size` bytes at an offset of the section, inside the window where possible. NULL: not there. */
static const unsigned char *bytes_at(struct pass *p, uint64_t offset, size_t size, bool move_window)
{
	ssize_t n;

	if (offset > p->section.size || size > p->section.size - offset || size > RECORD_BYTES_MAX)
		return NULL;
	if (offset >= p->window_at && offset + size <= p->window_at + p->window_len)
		return p->window + (offset - p->window_at);
	if (!move_window) {
		n = safefile__read_at(p->f->fd, p->other, size, p->section.offset + offset);
		return n == (ssize_t)size ? p->other : NULL;
	}
	n = safefile__read_at(p->f->fd, p->window, WINDOW_BYTES, p->section.offset + offset);
	p->window_at = offset;
	p->window_len = n > 0 ? (size_t)n : 0;
	return size <= p->window_len ? p->window : NULL;
}

/* Length of the record at `offset` without that field; 0: the end. No compiler uses the 64-bit form. */
static uint32_t record_length(struct pass *p, uint64_t offset, bool move_window)
{
	const unsigned char *at = bytes_at(p, offset, 4, move_window);
	uint32_t length = 0;

	if (at)
		memcpy(&length, at, sizeof(length));
	return length == UINT32_MAX ? 0 : length;
}

static bool find_cie(struct pass *p, uint64_t offset)
{
	uint32_t length, id;
	const unsigned char *at;
	struct cursor c;

	if (p->cie.offset == offset)
		return true;
	length = record_length(p, offset, false);
	at = length > 4 ? bytes_at(p, offset + 4, length, false) : NULL;
	if (!at)
		return false;
	memcpy(&id, at, sizeof(id));
	c = (struct cursor){.at = at + 4, .end = at + length};
	return !id && read_cie(p, &c, offset);
}

static void read_fde(struct pass *p, struct cursor *c)
{
	struct rows r = {.now = {.cfa_register = p->cie.cfa_register, .cfa_offset = p->cie.cfa_offset}};

	skip_pointer(p, c, p->cie.pointer_encoding);
	skip_pointer(p, c, p->cie.pointer_encoding & 15);
	if (p->cie.has_augmentation_data)
		skip(c, leb128(c));
	if (c->failed)
		return;
	run(p, c, &r);
	count_row(p, &r);
}

static void read_records(struct pass *p)
{
	uint64_t at = 0;
	uint32_t length, id;
	const unsigned char *bytes;
	struct cursor c;

	for (; (length = record_length(p, at, true)) >= 4; at += 4 + (uint64_t)length) {
		bytes = bytes_at(p, at + 4, length, true);
		if (!bytes)
			continue;
		memcpy(&id, bytes, sizeof(id));
		/* An FDE's id is the distance back to its CIE. */
		if (!id || id > at + 4)
			continue;
		if (!find_cie(p, at + 4 - id))
			continue;
		bytes = bytes_at(p, at + 4, length, true);
		if (!bytes)
			continue;
		c = (struct cursor){.at = bytes + 4, .end = bytes + length};
		read_fde(p, &c);
	}
}

int cfi__frame_pointer_percent(const struct elf_file *f)
{
	struct pass p = {.f = f, .cie.offset = UINT64_MAX};
	GElf_Ehdr header;

	if (!gelf_getehdr(f->elf, &header) || !elf__section_by_name(f, ".eh_frame", &p.section))
		return -ENOENT;
	p.frame_pointer = header.e_machine == EM_AARCH64 ? 29 : header.e_machine == EM_386 ? 5 : 6;
	p.window = malloc(WINDOW_BYTES);
	p.other = malloc(RECORD_BYTES_MAX);
	if (p.window && p.other)
		read_records(&p);
	free(p.window);
	free(p.other);
	return p.rows ? (int)((p.frame_pointer_rows * 100 + p.rows / 2) / p.rows) : -ENOENT;
}
