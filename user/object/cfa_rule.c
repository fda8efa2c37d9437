/* SPDX-License-Identifier: Apache-2.0 */
/* What a state of the interpreter is as a rule. */
#include "object/cfa.h"

/* A rule in the making. */
struct draft {
	uint32_t ra, flags;
	int64_t fp, ra_at; /* words */
	uint8_t fp_register, ra_register;
};

static bool fits(int64_t words)
{
	return words >= UNWIND_CFA_MIN && words <= UNWIND_CFA_MAX;
}

/* Offsets from the register that leads to the CFA become offsets from the CFA. */
static struct cfa_place from_cfa(const struct cfa_state *s, struct cfa_place p)
{
	if (p.kind == CFA_AT_REGISTER && s->kind == CFA_REGISTER && p.reg == s->base)
		p = (struct cfa_place){.kind = CFA_AT, .offset = p.offset - s->offset};
	return p;
}

static bool is_known(const struct cfa_machine *m, uint8_t reg)
{
	return reg == m->sp || reg == m->fp || (m->calls_push && reg < UNWIND_REGISTERS);
}

/* What cannot be said from the CFA can often be said from the register that leads to it. */
static bool draft_fp(const struct cfa_machine *m, const struct cfa_state *s, struct draft *d)
{
	struct cfa_place p = from_cfa(s, s->fp);

	if (p.kind == CFA_SAME || p.kind == CFA_UNDEFINED)
		return true;
	if (p.kind == CFA_AT && s->kind == CFA_REGISTER && (!p.offset || !fits(p.offset / m->word_bytes)))
		p = (struct cfa_place){
			.kind = CFA_AT_REGISTER, .reg = s->base, .offset = p.offset + s->offset};
	d->fp = p.offset / m->word_bytes;
	if (p.offset % m->word_bytes || !fits(d->fp))
		return false;
	if (p.kind != CFA_AT_REGISTER)
		return p.kind == CFA_AT && p.offset;
	d->flags |= UNWIND_WIDE_FP_AT_REGISTER;
	d->fp_register = p.reg;
	return is_known(m, p.reg);
}

static bool draft_ra(const struct cfa_common *c, const struct cfa_state *s, struct draft *d)
{
	const struct cfa_machine *m = c->machine;
	struct cfa_place p = from_cfa(s, s->ra), fp = from_cfa(s, s->fp);

	d->ra_register = m->link;
	if (p.kind == CFA_IN_REGISTER || p.kind == CFA_SAME) {
		d->ra = UNWIND_RA_LINK;
		if (p.kind == CFA_SAME || p.reg == m->link)
			return !m->calls_push && c->ra == m->link;
		d->ra_register = p.reg;
		return m->calls_push && is_known(m, p.reg);
	}
	if (p.kind == CFA_AT && m->calls_push && p.offset == -m->word_bytes) {
		d->ra = UNWIND_RA_CALL;
		return true;
	}
	if (!m->calls_push && p.kind == fp.kind && (p.kind == CFA_AT || p.reg == fp.reg) &&
	    (p.kind == CFA_AT || p.kind == CFA_AT_REGISTER) && p.offset == fp.offset + m->word_bytes) {
		d->ra = UNWIND_RA_AFTER_FP;
		return true;
	}
	d->ra = UNWIND_RA_AT;
	d->ra_at = p.offset / m->word_bytes;
	return p.kind == CFA_AT && !(p.offset % m->word_bytes) && d->ra_at == (int16_t)d->ra_at;
}

/* fp: where the frame pointer is saved, words from the CFA; 0: it is not */
static enum unwind_rbx rbx_of(const struct cfa_machine *m, const struct cfa_state *s, int64_t fp)
{
	struct cfa_place p = from_cfa(s, s->rbx);

	if (s->base == m->fp)
		return UNWIND_RBX_LOST;
	if (p.kind == CFA_AT && p.offset == ((fp ? fp : -1) - 1) * m->word_bytes)
		return UNWIND_RBX_BELOW_FP;
	return p.kind == CFA_SAME ? UNWIND_RBX_SAME : UNWIND_RBX_LOST;
}

static bool is_narrow(const struct cfa_machine *m, const struct cfa_state *s, const struct draft *d)
{
	return s->kind == CFA_REGISTER && (s->base == m->sp || s->base == m->fp) && !d->flags &&
	       d->ra != UNWIND_RA_AT && d->ra_register == m->link && !(s->offset % m->word_bytes) &&
	       fits(s->offset / m->word_bytes);
}

/* One field for up to three registers: the index, where the return address is, from where fp counts. */
static bool draft_index(const struct cfa_machine *m, const struct cfa_state *s, struct draft *d, __u32 *index)
{
	int wanted = 0;

	*index = 0;
	if (s->index != CFA_NO_REGISTER && ++wanted) {
		d->flags |= UNWIND_WIDE_INDEX;
		*index = s->index;
		if (!is_known(m, s->index))
			return false;
	}
	if (d->ra_register != m->link && ++wanted)
		*index = d->ra_register;
	if ((d->flags & UNWIND_WIDE_FP_AT_REGISTER) && ++wanted)
		*index = d->fp_register;
	return wanted <= 1;
}

static void make_wide(const struct cfa_machine *m, const struct cfa_state *s, struct draft *d, __u32 *words)
{
	__u32 base = s->base, index;

	if (!is_known(m, s->base) || s->add != (int16_t)s->add || !cfa__is_sane(s->offset) ||
	    !draft_index(m, s, d, &index))
		return;
	if (s->kind == CFA_DEREF)
		d->flags |= UNWIND_WIDE_DEREF;
	words[0] = unwind_rule__make(UNWIND_WIDE, d->ra, (__s32)(base | index << 5 | d->flags << 10),
				     (__s32)d->fp);
	words[1] = (__u32)s->offset;
	words[2] = (__u32)(uint16_t)s->add | (__u32)d->ra_at << 16;
}

void cfa__rule(const struct cfa_common *c, const struct cfa_state *s, __u32 words[UNWIND_WIDE_WORDS])
{
	const struct cfa_machine *m = c->machine;
	struct draft d = {0};
	__s32 cfa = (__s32)(s->offset / m->word_bytes), fp;

	words[0] = UNWIND_UNSUPPORTED;
	words[1] = words[2] = 0;
	if (c->is_signal)
		words[0] = UNWIND_SIGNAL;
	else if (s->kind != CFA_NONE && s->ra.kind == CFA_UNDEFINED)
		words[0] = UNWIND_STOP;
	if (words[0] != UNWIND_UNSUPPORTED || s->kind == CFA_NONE)
		return;
	if (s->kind == CFA_OTHER || !draft_fp(m, s, &d) || !draft_ra(c, s, &d))
		return;
	fp = (__s32)d.fp;
	if (is_narrow(m, s, &d))
		words[0] = unwind_rule__make(s->base == m->sp ? UNWIND_SP : UNWIND_FRAME,
					     m->calls_push ? rbx_of(m, s, d.fp) : d.ra, cfa, fp);
	else if (s->kind == CFA_REGISTER || s->kind == CFA_DEREF)
		make_wide(m, s, &d, words);
	else if (d.ra == UNWIND_RA_CALL && !d.flags && s->offset == m->word_bytes)
		words[0] =
			unwind_rule__make(s->kind == CFA_PLT11 ? UNWIND_PLT11 : UNWIND_PLT10, d.ra, cfa, fp);
}
