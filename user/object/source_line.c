/* SPDX-License-Identifier: Apache-2.0 */
#include "object/source_line.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "object/symbolizer.h"

#define DWARF_BYTES_MAX (1ULL << 30) /* of all .debug sections as they stand in the file */
#define DIES_MAX	(64u << 20)  /* looked at in one batch: seconds */
#define DEPTH_MAX	256	     /* of nested scopes */

/* The functions inlined at one address, outermost first. */
struct chain {
	struct inlined *at;
	uint32_t count;
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_DATA ELFDATA2LSB
#else
#define NATIVE_DATA ELFDATA2MSB
#endif

struct walk {
	Dwarf *dwarf;
	struct lookup *l;
	size_t count;
	struct chain *chains; /* one for each lookup */
	struct name_taker *names;
	Dwarf_Files *files; /* of the unit */
	bool nests;	    /* functions may stand in types and in other functions */
	uint64_t dies_left;
};

/* A range of code. Where the linker dropped a function it left 0 (or 1) as its start. */
struct range {
	Dwarf_Addr base, start, end;
	ptrdiff_t next;
};

static bool next_range(Dwarf_Die *die, struct range *r)
{
	do
		r->next = dwarf_ranges(die, r->next, &r->base, &r->start, &r->end);
	while (r->next > 0 && (r->start <= 1 || r->start >= r->end));
	return r->next > 0;
}

static bool covers_any(struct walk *w, Dwarf_Die *die)
{
	struct range r = {0};
	size_t i;

	while (next_range(die, &r)) {
		i = lookup__first(w->l, w->count, r.start);
		if (i < w->count && w->l[i].address < r.end)
			return true;
	}
	return false;
}

static bool has_code(Dwarf_Die *die)
{
	return dwarf_hasattr(die, DW_AT_low_pc) || dwarf_hasattr(die, DW_AT_ranges);
}

static const char *keep_function_name(struct walk *w, Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	const char *name = NULL;
	bool mangled = true;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
	    dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute))
		name = dwarf_formstring(&attribute);
	if (!name) {
		name = dwarf_diename(die);
		mangled = false;
	}
	if (!name || !*name || strlen(name) >= SYMBOL_NAME_MAX)
		name = "[unknown]";
	return w->names->keep(w->names, name, mangled);
}

static uint32_t number_of(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	if (!dwarf_attr(die, name, &attribute) || dwarf_formudata(&attribute, &value) || value > UINT32_MAX)
		return 0;
	return (uint32_t)value;
}

static int describe(struct walk *w, Dwarf_Die *die, struct inlined *out)
{
	uint32_t index = number_of(die, DW_AT_call_file);
	const char *file = w->files ? dwarf_filesrc(w->files, index, NULL, NULL) : NULL;

	*out = (struct inlined){
		.name = keep_function_name(w, die),
		.call_line = number_of(die, DW_AT_call_line),
	};
	if (file && dwarf_hasattr(die, DW_AT_call_file)) {
		out->call_file = w->names->keep(w->names, file, false);
		if (!out->call_file)
			return -ENOMEM;
	}
	return out->name ? 0 : -ENOMEM;
}

static int append(struct chain *c, const struct inlined *one)
{
	struct inlined *grown;

	if (c->count == INLINED_MAX)
		return 0;
	/* Doubles whenever the count is a power of two. */
	if (!(c->count & (c->count - 1))) {
		grown = reallocarray(c->at, c->count ? 2 * (size_t)c->count : 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		c->at = grown;
	}
	c->at[c->count++] = *one;
	return 0;
}

/* The addresses that lie in an inlined function, directly inside of `level` others. */
static int take_inlined(struct walk *w, Dwarf_Die *die, uint32_t level, bool *covered)
{
	struct inlined one;
	struct range r = {0};
	int err = 0;

	*covered = false;
	while (!err && next_range(die, &r)) {
		for (size_t i = lookup__first(w->l, w->count, r.start);
		     i < w->count && w->l[i].address < r.end && !err; i++) {
			if (!*covered)
				err = describe(w, die, &one);
			*covered = true;
			if (!err && w->chains[i].count == level && !w->l[i].nowhere)
				err = append(&w->chains[i], &one);
		}
	}
	return err;
}

static int visit_children(struct walk *w, Dwarf_Die *parent, uint32_t level, unsigned depth);

static int visit(struct walk *w, Dwarf_Die *die, uint32_t level, unsigned depth)
{
	bool inside = false;
	int err = 0;

	switch (dwarf_tag(die)) {
	case DW_TAG_subprogram:
		level = 0;
		inside = w->nests || covers_any(w, die);
		break;
	case DW_TAG_inlined_subroutine:
		err = take_inlined(w, die, level++, &inside);
		break;
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
		inside = w->nests || !has_code(die) || covers_any(w, die);
		break;
	case DW_TAG_namespace:
	case DW_TAG_module:
		inside = true;
		break;
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_interface_type:
		inside = w->nests;
		break;
	}
	return err || !inside ? err : visit_children(w, die, level, depth + 1);
}

static int visit_children(struct walk *w, Dwarf_Die *parent, uint32_t level, unsigned depth)
{
	Dwarf_Die die;
	int err = 0;

	if (depth == DEPTH_MAX || dwarf_child(parent, &die))
		return 0;
	do {
		if (!w->dies_left)
			return -EFBIG;
		w->dies_left--;
		err = visit(w, &die, level, depth);
	} while (!err && !dwarf_siblingof(&die, &die));
	return err;
}

/* In C and C++ a function with code stands in the unit itself or in a namespace: the rest can be skipped. */
static bool can_nest(Dwarf_Die *unit)
{
	switch (dwarf_srclang(unit)) {
	case DW_LANG_C89:
	case DW_LANG_C:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case DW_LANG_Mips_Assembler:
		return false;
	}
	return true;
}

static int take_line(struct walk *w, Dwarf_Die *unit, struct lookup *l)
{
	Dwarf_Line *line = l->file || l->nowhere ? NULL : dwarf_getsrc_die(unit, l->address);
	const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
	int number;

	if (!file || dwarf_lineno(line, &number) || number <= 0)
		return 0;
	l->file = w->names->keep(w->names, file, false);
	l->line = (uint32_t)number;
	return l->file ? 0 : -ENOMEM;
}

static int take_lines(struct walk *w, Dwarf_Die *unit)
{
	struct range r = {0};
	int err = 0;

	while (!err && next_range(unit, &r))
		for (size_t i = lookup__first(w->l, w->count, r.start);
		     i < w->count && w->l[i].address < r.end && !err; i++)
			err = take_line(w, unit, &w->l[i]);
	return err;
}

static int visit_unit(struct walk *w, Dwarf_Die *unit)
{
	int err;

	if (!covers_any(w, unit))
		return 0;
	w->nests = can_nest(unit);
	if (dwarf_getsrcfiles(unit, &w->files, NULL))
		w->files = NULL;
	err = take_lines(w, unit);
	return err ? err : visit_children(w, unit, 0, 0);
}

static int visit_units(struct walk *w)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	uint8_t type;
	int err = 0;

	while (!err && !dwarf_get_units(w->dwarf, unit, &unit, NULL, &type, &die, NULL))
		if (type == DW_UT_compile)
			err = visit_unit(w, &die);
	return err;
}

/* Innermost first, as the symbolizer hands them out. */
static int hand_over(struct walk *w)
{
	struct inlined other;

	for (size_t i = 0; i < w->count; i++) {
		struct chain *c = &w->chains[i];

		for (uint32_t a = 0, b = c->count; a + 1 < b; a++) {
			b--;
			other = c->at[a];
			c->at[a] = c->at[b];
			c->at[b] = other;
		}
		if (!c->count || w->l[i].inlined)
			continue;
		w->l[i].inlined = w->names->keep_inlined(w->names, c->at, c->count);
		if (!w->l[i].inlined)
			return -ENOMEM;
		w->l[i].inlined_count = c->count;
	}
	return 0;
}

/* What libdw reads before it is asked anything. */
static uint64_t dwarf_bytes(const struct elf_file *f)
{
	struct elf_section s;
	uint64_t bytes = 0;
	char name[32];

	for (size_t i = 1; i < f->sections; i++)
		if (elf__section(f, i, &s) && s.type != SHT_NOBITS &&
		    elf__section_name(f, i, name, sizeof(name)) && !strncmp(name, ".debug_", 7))
			bytes += s.size;
	return bytes;
}

/* An ELF file with nothing in it but a byte of DWARF. */
struct nothing {
	Elf64_Ehdr header;
	Elf64_Shdr sections[3];
	char names[24], bytes[8];
};

static void make_nothing(struct nothing *n)
{
	static const char names[] = "\0.debug_info\0.shstrtab";

	*n = (struct nothing){
		.header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, NATIVE_DATA,
				       EV_CURRENT},
			   .e_type = ET_DYN,
			   .e_version = EV_CURRENT,
			   .e_ehsize = sizeof(n->header),
			   .e_shoff = offsetof(struct nothing, sections),
			   .e_shentsize = sizeof(n->sections[0]),
			   .e_shnum = 3,
			   .e_shstrndx = 2},
		.sections[1] = {.sh_name = 1,
				.sh_type = SHT_PROGBITS,
				.sh_offset = offsetof(struct nothing, bytes),
				.sh_size = 1,
				.sh_addralign = 1},
		.sections[2] = {.sh_name = 13,
				.sh_type = SHT_STRTAB,
				.sh_offset = offsetof(struct nothing, names),
				.sh_size = sizeof(names),
				.sh_addralign = 1},
	};
	memcpy(n->names, names, sizeof(names));
}

/* Left to itself, libdw would look for an alternate file by name, and open it. */
static Dwarf *give_alternate(Dwarf *dwarf, Elf *elf)
{
	Dwarf *alternate = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;

	if (alternate)
		dwarf_setalt(dwarf, alternate);
	return alternate;
}

static int walk(struct walk *w)
{
	int err = visit_units(w), err2 = hand_over(w);

	for (size_t i = 0; i < w->count; i++)
		free(w->chains[i].at);
	return err ? err : err2;
}

int source_line__scan(const struct elf_file *f, const struct elf_file *alternate, struct lookup *l,
		      size_t count, struct name_taker *names)
{
	struct walk w = {.l = l, .count = count, .names = names, .dies_left = DIES_MAX};
	struct nothing nothing;
	Dwarf *other;
	Elf *empty;
	int err = -ENOMEM;

	if (dwarf_bytes(f) > DWARF_BYTES_MAX)
		return -EFBIG;
	/* It also asks the kernel for the name behind the descriptor, and goes on if that is refused. */
	w.dwarf = dwarf_begin_elf(f->elf, DWARF_C_READ, NULL);
	if (!w.dwarf)
		return -ENOENT;
	make_nothing(&nothing);
	empty = elf_memory((char *)&nothing, sizeof(nothing));
	other = give_alternate(w.dwarf, alternate ? alternate->elf : NULL);
	if (!other)
		other = give_alternate(w.dwarf, empty);
	w.chains = calloc(count + 1, sizeof(*w.chains));
	if (w.chains && other)
		err = walk(&w);
	free(w.chains);
	dwarf_end(w.dwarf);
	dwarf_end(other);
	elf_end(empty);
	return err;
}
