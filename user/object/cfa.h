/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call frame instructions (DWARF 5, section 6.4; the LSB's .eh_frame) in, rules of include/sonde/unwind.h
 * out. Of all registers only four places matter for a walk: the frame address (CFA), the caller's frame
 * pointer, the return address and, on x86-64, the caller's rbx.
 */
#ifndef SONDE_OBJECT_CFA_H
#define SONDE_OBJECT_CFA_H

#include "object/cursor.h"
#include "sonde/unwind.h"

#define CFA_NO_REGISTER 0xff

/* A machine, its registers by their DWARF numbers. */
struct cfa_machine {
	uint16_t number; /* EM_ */
	uint8_t sp, fp, link;
	uint8_t rbx;	    /* CFA_NO_REGISTER: has none that matters */
	uint8_t word_bytes; /* unit of the offsets in rules; x86-32 is here for its share of frame pointers */
	bool calls_push;    /* the return address; else it begins in the link register */
};
const struct cfa_machine *cfa_machine__of(unsigned int elf_machine); /* NULL: none of ours */

enum cfa_kind {
	CFA_NONE,     /* nobody has said yet, or an instruction was not understood */
	CFA_REGISTER, /* base + offset */
	CFA_DEREF,    /* *(base + offset [+ 8 * index]) + add */
	CFA_PLT11,    /* base + offset, and 8 more from byte 11 of an entry of 16 on */
	CFA_PLT10,
	CFA_OTHER,
};

/* Where a register of the caller is. */
enum cfa_place_kind {
	CFA_SAME, /* where it was */
	CFA_UNDEFINED,
	CFA_AT,		 /* in memory, at the frame address + offset */
	CFA_AT_REGISTER, /* in memory, at register + offset */
	CFA_IN_REGISTER,
	CFA_ELSEWHERE,
};

struct cfa_place {
	uint8_t kind;
	uint8_t reg;
	int64_t offset;
};

/* Larger offsets are nonsense; sums of two that are sane do not overflow. */
static inline bool cfa__is_sane(int64_t offset)
{
	return offset > -(1LL << 31) && offset < 1LL << 31;
}

struct cfa_state {
	uint8_t kind;
	uint8_t base, index; /* index: CFA_NO_REGISTER if none */
	int64_t offset, add;
	struct cfa_place fp, ra, rbx;
};

/* What the instructions of several functions share: their CIE. */
struct cfa_common {
	const struct cfa_machine *machine;
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra; /* register number under which they speak of the return address */
	uint8_t pointer_encoding;
	uint8_t pointer_bytes;
	bool is_signal;
	struct cfa_state initial;
};

/* One row: [from, to) of the function, not empty. Anything but 0 ends the run, which then returns it. */
typedef int cfa_row(void *context, uint64_t from, uint64_t to, const struct cfa_state *);

/*
 * Runs the instructions of a function that is [from, to); `address`: where c->at lies. Behind an instruction
 * that cannot be understood the state is CFA_NONE.
 */
int cfa__run(const struct cfa_common *, struct cursor *c, uint64_t address, uint64_t from, uint64_t to,
	     cfa_row *row, void *context);
/* Runs the instructions of a CIE, which make its initial state. */
bool cfa__run_initial(struct cfa_common *, struct cursor *c);

/*
 * The state as a rule; what the format cannot say is UNWIND_UNSUPPORTED: a frame pointer or return address
 * that is computed, or saved relative to another register than the one that leads to the CFA. An undefined
 * frame pointer is one that was not saved: whoever leaves it undefined has no caller that needs it.
 */
void cfa__rule(const struct cfa_common *, const struct cfa_state *, __u32 words[UNWIND_WIDE_WORDS]);

#endif
