/* SPDX-License-Identifier: Apache-2.0 */
#include "object/cfa.h"

#include <elf.h>

#define STATES_MAX 16 /* remembered ones, nested */

const struct cfa_machine *cfa_machine__of(unsigned int elf_machine)
{
	static const struct cfa_machine machines[] = {
		{.number = EM_X86_64,
		 .sp = 7,
		 .fp = 6,
		 .link = 16,
		 .rbx = 3,
		 .word_bytes = 8,
		 .calls_push = true},
		{.number = EM_AARCH64,
		 .sp = 31,
		 .fp = 29,
		 .link = 30,
		 .rbx = CFA_NO_REGISTER,
		 .word_bytes = 8},
		{.number = EM_386,
		 .sp = 4,
		 .fp = 5,
		 .link = 8,
		 .rbx = CFA_NO_REGISTER,
		 .word_bytes = 4,
		 .calls_push = true},
	};

	for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++)
		if (machines[i].number == elf_machine)
			return &machines[i];
	return NULL;
}

struct run {
	const struct cfa_common *common;
	struct cfa_state now;
	struct cfa_state saved[STATES_MAX];
	unsigned int depth;
	uint64_t at, end;
	cfa_row *row; /* NULL: of a CIE */
	void *context;
	int result;
	/* Operands of the instruction at hand. */
	uint64_t a, b;
	struct cursor block;
};

/* --- expressions: those that compilers and assembly writers use, by their shape */

enum {
	OP_DEREF = 0x06,
	OP_CONST = 0x08, /* 1u 1s 2u 2s 4u 4s 8u 8s uleb sleb */
	OP_CONST_LAST = 0x11,
	OP_MINUS = 0x1c,
	OP_MUL = 0x1e,
	OP_PLUS = 0x22,
	OP_PLUS_ULEB = 0x23,
	OP_SHL = 0x24,
	OP_LIT = 0x30, /* 0 to 31 */
	OP_REG = 0x50,
	OP_BREG = 0x70, /* 0 to 31 */
	OP_BREG_LAST = 0x8f,
	OP_BREGX = 0x92,
};

static uint8_t peek(const struct cursor *c)
{
	return c->at < c->end ? *c->at : 0;
}

static bool take(struct cursor *c, uint8_t op)
{
	if (peek(c) != op)
		return false;
	c->at++;
	return true;
}

/* breg: a register and an offset */
static bool take_register(struct cursor *c, uint8_t *reg, int64_t *offset)
{
	uint8_t op = peek(c);
	uint64_t number = 0;

	if (op >= OP_BREG && op <= OP_BREG_LAST)
		number = op - OP_BREG;
	else if (op != OP_BREGX)
		return false;
	c->at++;
	if (op == OP_BREGX)
		number = cursor__uleb(c);
	*reg = number < CFA_NO_REGISTER ? (uint8_t)number : CFA_NO_REGISTER;
	*offset = cursor__sleb(c);
	return number < CFA_NO_REGISTER && cfa__is_sane(*offset) && !c->failed;
}

static int64_t constant(struct cursor *c)
{
	uint8_t op = cursor__byte(c);
	unsigned int bytes, bits;
	uint64_t value;

	if (op >= OP_LIT && op < OP_REG)
		return op - OP_LIT;
	if (op < OP_CONST || op > OP_CONST_LAST) {
		c->failed = true;
		return 0;
	}
	if (op == OP_CONST_LAST)
		return cursor__sleb(c);
	if (op == OP_CONST_LAST - 1)
		return (int64_t)cursor__uleb(c);
	bytes = 1u << ((op - OP_CONST) / 2);
	bits = 64 - 8 * bytes;
	value = cursor__fixed(c, bytes);
	return op & 1 ? (int64_t)(value << bits) >> bits : (int64_t)value;
}

/* Any number of constants that are added or subtracted. */
static bool take_sum(struct cursor *c, int64_t *sum)
{
	int64_t value;
	uint8_t op;

	for (;;) {
		op = peek(c);
		if (op == OP_PLUS_ULEB) {
			c->at++;
			value = (int64_t)cursor__uleb(c);
		} else if ((op >= OP_LIT && op < OP_REG) || (op >= OP_CONST && op <= OP_CONST_LAST)) {
			value = constant(c);
			if (!cfa__is_sane(value))
				return false;
			if (take(c, OP_MINUS))
				value = -value;
			else if (!take(c, OP_PLUS))
				return false;
		} else {
			return true;
		}
		if (c->failed || !cfa__is_sane(value) || !cfa__is_sane(*sum + value))
			return false;
		*sum += value;
	}
}

/* "and 8 more if ip % 16 is at least 11": ip, 15, and, 11, ge, 3, shl, plus */
static bool is_plt(const struct cursor *c, uint8_t *kind)
{
	static const uint8_t ops[] = {0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22};
	enum { THRESHOLD = 4 };
	size_t len = (size_t)(c->end - c->at);

	if (len != sizeof(ops) || memcmp(c->at, ops, THRESHOLD) ||
	    memcmp(c->at + THRESHOLD + 1, ops + THRESHOLD + 1, sizeof(ops) - THRESHOLD - 1))
		return false;
	*kind = c->at[THRESHOLD] == OP_LIT + 11 ? CFA_PLT11 : CFA_PLT10;
	return c->at[THRESHOLD] == OP_LIT + 11 || c->at[THRESHOLD] == OP_LIT + 10;
}

/* "and 8 times another register": a step in an array of words */
static bool take_index(struct cursor *c, struct cfa_state *s)
{
	int64_t offset;

	if (!take_register(c, &s->index, &offset))
		return false;
	if (take(c, OP_LIT + 8) ? !take(c, OP_MUL) : !(take(c, OP_LIT + 3) && take(c, OP_SHL)))
		return false;
	s->offset += 8 * offset;
	return take(c, OP_PLUS) && cfa__is_sane(s->offset);
}

static bool read_cfa_expression(const struct cfa_machine *m, struct cursor c, struct cfa_state *s)
{
	s->index = CFA_NO_REGISTER;
	s->add = 0;
	if (!take_register(&c, &s->base, &s->offset) || !take_sum(&c, &s->offset))
		return false;
	s->kind = CFA_REGISTER;
	if (c.at == c.end)
		return true;
	if (m->calls_push && s->base == m->sp && is_plt(&c, &s->kind))
		return true;
	if (peek(&c) != OP_DEREF && !take_index(&c, s))
		return false;
	s->kind = CFA_DEREF;
	return take(&c, OP_DEREF) && take_sum(&c, &s->add) && c.at == c.end;
}

/* The address of a saved register; the CFA lies on the stack of the expression already. */
static struct cfa_place place_of(struct cursor c)
{
	struct cfa_place p = {.kind = CFA_AT};

	if (take_register(&c, &p.reg, &p.offset))
		p.kind = CFA_AT_REGISTER;
	if (c.failed || !take_sum(&c, &p.offset) || c.at != c.end)
		p = (struct cfa_place){.kind = CFA_ELSEWHERE};
	return p;
}

/* --- instructions */

static bool set_place(struct run *r, uint64_t reg, struct cfa_place p)
{
	const struct cfa_machine *m = r->common->machine;

	if (!cfa__is_sane(p.offset))
		p = (struct cfa_place){.kind = CFA_ELSEWHERE};
	if (reg == m->fp)
		r->now.fp = p;
	else if (reg == r->common->ra)
		r->now.ra = p;
	else if (reg == m->rbx)
		r->now.rbx = p;
	return true;
}

static int64_t scaled(const struct run *r, uint64_t factor)
{
	return (int64_t)(factor * (uint64_t)r->common->data_align);
}

static bool set_cfa(struct run *r, uint64_t reg, int64_t offset)
{
	r->now.kind = reg < CFA_NO_REGISTER && cfa__is_sane(offset) ? CFA_REGISTER : CFA_OTHER;
	r->now.base = (uint8_t)reg;
	r->now.index = CFA_NO_REGISTER;
	r->now.offset = offset;
	r->now.add = 0;
	return true;
}

static bool advance_to(struct run *r, uint64_t to)
{
	uint64_t end = to < r->end ? to : r->end;

	if (!r->row || to < r->at)
		return false;
	if (to == r->at)
		return true;
	if (r->at < end)
		r->result = r->row(r->context, r->at, end, &r->now);
	r->at = end;
	return true;
}

static bool advance(struct run *r)
{
	uint64_t by, to;

	return !__builtin_mul_overflow(r->a, r->common->code_align, &by) &&
	       !__builtin_add_overflow(r->at, by, &to) && advance_to(r, to);
}

static bool set_location(struct run *r)
{
	return advance_to(r, r->a);
}

static bool nothing(struct run *r)
{
	(void)r;
	return true;
}

static bool offset(struct run *r)
{
	return set_place(r, r->a, (struct cfa_place){.kind = CFA_AT, .offset = scaled(r, r->b)});
}

static bool negative_offset(struct run *r)
{
	return set_place(r, r->a, (struct cfa_place){.kind = CFA_AT, .offset = scaled(r, 0 - r->b)});
}

static bool restore(struct run *r)
{
	const struct cfa_state *s = &r->common->initial;
	const struct cfa_machine *m = r->common->machine;

	return set_place(r, r->a, r->a == m->fp ? s->fp : r->a == m->rbx ? s->rbx : s->ra);
}

static bool undefined(struct run *r)
{
	return set_place(r, r->a, (struct cfa_place){.kind = CFA_UNDEFINED});
}

static bool same_value(struct run *r)
{
	return set_place(r, r->a, (struct cfa_place){.kind = CFA_SAME});
}

static bool in_register(struct run *r)
{
	if (r->a == r->b)
		return same_value(r);
	return set_place(r, r->a,
			 (struct cfa_place){.kind = r->b < CFA_NO_REGISTER ? CFA_IN_REGISTER : CFA_ELSEWHERE,
					    .reg = (uint8_t)r->b});
}

static bool elsewhere(struct run *r)
{
	return set_place(r, r->a, (struct cfa_place){.kind = CFA_ELSEWHERE});
}

static bool expression(struct run *r)
{
	return set_place(r, r->a, place_of(r->block));
}

static bool remember_state(struct run *r)
{
	if (r->depth == STATES_MAX)
		return false;
	r->saved[r->depth++] = r->now;
	return true;
}

static bool restore_state(struct run *r)
{
	if (!r->depth)
		return false;
	r->now = r->saved[--r->depth];
	return true;
}

static bool def_cfa(struct run *r)
{
	return set_cfa(r, r->a, (int64_t)r->b);
}

static bool def_cfa_sf(struct run *r)
{
	return set_cfa(r, r->a, scaled(r, r->b));
}

/* These two change a rule that has a register and an offset. */
static bool def_cfa_register(struct run *r)
{
	return r->now.kind == CFA_REGISTER && set_cfa(r, r->a, r->now.offset);
}

static bool def_cfa_offset(struct run *r)
{
	return r->now.kind == CFA_REGISTER && set_cfa(r, r->now.base, (int64_t)r->a);
}

static bool def_cfa_offset_sf(struct run *r)
{
	r->a = (uint64_t)scaled(r, r->a);
	return def_cfa_offset(r);
}

static bool def_cfa_expression(struct run *r)
{
	if (!read_cfa_expression(r->common->machine, r->block, &r->now))
		r->now.kind = CFA_OTHER;
	return true;
}

/* Operands. */
enum { NONE, FIXED1, FIXED2, FIXED4, FIXED8, ULEB, SLEB, POINTER, BLOCK };

/* Those that have their own byte; return address signing (0x2c, 0x2d) is a matter of the walk. */
static const struct instruction {
	uint8_t a, b;
	bool (*act)(struct run *);
} instructions[] = {
	[0x00] = {NONE, NONE, nothing},		[0x01] = {POINTER, NONE, set_location},
	[0x02] = {FIXED1, NONE, advance},	[0x03] = {FIXED2, NONE, advance},
	[0x04] = {FIXED4, NONE, advance},	[0x05] = {ULEB, ULEB, offset},
	[0x06] = {ULEB, NONE, restore},		[0x07] = {ULEB, NONE, undefined},
	[0x08] = {ULEB, NONE, same_value},	[0x09] = {ULEB, ULEB, in_register},
	[0x0a] = {NONE, NONE, remember_state},	[0x0b] = {NONE, NONE, restore_state},
	[0x0c] = {ULEB, ULEB, def_cfa},		[0x0d] = {ULEB, NONE, def_cfa_register},
	[0x0e] = {ULEB, NONE, def_cfa_offset},	[0x0f] = {BLOCK, NONE, def_cfa_expression},
	[0x10] = {ULEB, BLOCK, expression},	[0x11] = {ULEB, SLEB, offset},
	[0x12] = {ULEB, SLEB, def_cfa_sf},	[0x13] = {SLEB, NONE, def_cfa_offset_sf},
	[0x14] = {ULEB, ULEB, elsewhere},  /* val_offset */
	[0x15] = {ULEB, SLEB, elsewhere},  /* val_offset_sf */
	[0x16] = {ULEB, BLOCK, elsewhere}, /* val_expression */
	[0x1d] = {FIXED8, NONE, advance},  /* MIPS_advance_loc8 */
	[0x2c] = {NONE, NONE, nothing},	   /* AARCH64_negate_ra_state_with_pc */
	[0x2d] = {NONE, NONE, nothing},	   /* AARCH64_negate_ra_state */
	[0x2e] = {ULEB, NONE, nothing},	   /* GNU_args_size */
	[0x2f] = {ULEB, ULEB, negative_offset},
};

static uint64_t operand(struct run *r, struct cursor *c, uint8_t kind, uint64_t here)
{
	uint64_t len;

	switch (kind) {
	case ULEB:
		return cursor__uleb(c);
	case SLEB:
		return (uint64_t)cursor__sleb(c);
	case POINTER:
		return cursor__pointer(c, r->common->pointer_encoding, here, r->common->pointer_bytes);
	case BLOCK:
		len = cursor__uleb(c);
		r->block.at = cursor__skip(c, len);
		r->block.end = r->block.at ? r->block.at + len : NULL;
		r->block.failed = false;
		return 0;
	case NONE:
		return 0;
	default:
		return cursor__fixed(c, 1u << (kind - FIXED1));
	}
}

/* The three most frequent ones have an operand in their byte. */
static bool step(struct run *r, struct cursor *c, const unsigned char *begin, uint64_t address)
{
	const struct instruction *i;
	uint8_t op = cursor__byte(c);

	r->a = op & 0x3f;
	switch (op >> 6) {
	case 1:
		return advance(r);
	case 2:
		r->b = cursor__uleb(c);
		return !c->failed && offset(r);
	case 3:
		return restore(r);
	}
	if (op >= sizeof(instructions) / sizeof(*instructions) || !instructions[op].act)
		return false;
	i = &instructions[op];
	if (i->a)
		r->a = operand(r, c, i->a, address + (uint64_t)(c->at - begin));
	if (i->b)
		r->b = operand(r, c, i->b, 0);
	return !c->failed && i->act(r);
}

int cfa__run(const struct cfa_common *common, struct cursor *c, uint64_t address, uint64_t from, uint64_t to,
	     cfa_row *row, void *context)
{
	struct run r;
	const unsigned char *begin = c->at;

	r.common = common;
	r.now = common->initial;
	r.depth = 0;
	r.at = from;
	r.end = to;
	r.row = row;
	r.context = context;
	r.result = 0;
	while (c->at < c->end && r.at < r.end && !r.result) {
		if (!step(&r, c, begin, address)) {
			r.now.kind = CFA_NONE;
			break;
		}
	}
	if (!r.result && r.at < r.end)
		r.result = row(context, r.at, r.end, &r.now);
	return r.result;
}

bool cfa__run_initial(struct cfa_common *common, struct cursor *c)
{
	struct run r;
	const unsigned char *begin = c->at;

	r.common = common;
	r.now = (struct cfa_state){.index = CFA_NO_REGISTER};
	r.depth = 0;
	r.row = NULL;
	while (c->at < c->end)
		if (!step(&r, c, begin, 0))
			return false;
	common->initial = r.now;
	return true;
}
