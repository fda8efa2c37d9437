/* SPDX-License-Identifier: Apache-2.0 */
#include "object/symtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SYMBOLS 2048
#define SYMBOLS_MAX   (8u << 20)  /* the largest browsers have two million */
#define STEPS_MAX     (64u << 20) /* symbol meets address; only nested giants by the thousand reach it */
#define TIE_READS_MAX 200000	  /* names read to choose between aliases */

struct scan {
	const struct elf_file *f;
	struct elf_section strings;
	bool data;
	struct lookup *l;
	size_t count;
	uint64_t steps;
	uint32_t tie_reads;
	char *name, *other; /* SYMBOL_NAME_MAX bytes each */
};

enum { RANK_NONE, RANK_SIZELESS, RANK_CODE, RANK_FUNCTION };

/* RANK_NONE: cannot name any address. */
static uint8_t rank(const GElf_Sym *s, bool data)
{
	unsigned type = GELF_ST_TYPE(s->st_info);

	if (s->st_shndx == SHN_UNDEF || s->st_shndx == SHN_ABS || s->st_shndx == SHN_COMMON || !s->st_name)
		return RANK_NONE;
	if (data)
		return type == STT_OBJECT && s->st_size ? RANK_FUNCTION : RANK_NONE;
	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
		return RANK_NONE;
	if (!s->st_size)
		return RANK_SIZELESS;
	return type == STT_NOTYPE ? RANK_CODE : RANK_FUNCTION;
}

static size_t underscores(const char *name)
{
	return strspn(name, "_");
}

/* Of two names of one place. */
static bool better_name(const char *a, unsigned a_bind, const char *b, unsigned b_bind)
{
	if ((a_bind == STB_LOCAL) != (b_bind == STB_LOCAL))
		return b_bind == STB_LOCAL;
	if (underscores(a) != underscores(b))
		return underscores(a) < underscores(b);
	if (a_bind != b_bind)
		return a_bind == STB_GLOBAL;
	if (strlen(a) != strlen(b))
		return strlen(a) < strlen(b);
	return strcmp(a, b) < 0;
}

/* A lookup's rank holds the candidate's binding in its upper bits. */
#define RANK_OF(packed) ((packed)&3)
#define BIND_OF(packed) ((packed) >> 2)

static bool better_alias(struct scan *s, const struct lookup *l, const GElf_Sym *sym)
{
	if (l->name == sym->st_name || s->tie_reads >= TIE_READS_MAX)
		return false;
	s->tie_reads++;
	if (elf__string(s->f, &s->strings, sym->st_name, s->name, SYMBOL_NAME_MAX) <= 0)
		return false;
	if (elf__string(s->f, &s->strings, l->name, s->other, SYMBOL_NAME_MAX) <= 0)
		return true;
	return better_name(s->name, GELF_ST_BIND(sym->st_info), s->other, BIND_OF(l->rank));
}

static bool better(struct scan *s, const struct lookup *l, const GElf_Sym *sym, uint8_t new_rank)
{
	if (RANK_OF(l->rank) != new_rank)
		return new_rank > RANK_OF(l->rank);
	if (l->value != sym->st_value)
		return sym->st_value > l->value;
	if (l->size != sym->st_size)
		return sym->st_size < l->size;
	return better_alias(s, l, sym);
}

static int offer(void *context, const GElf_Sym *sym)
{
	struct scan *s = context;
	uint8_t r = rank(sym, s->data);
	uint64_t last = sym->st_value + (sym->st_size ? sym->st_size - 1 : 0);

	if (r == RANK_NONE || last < sym->st_value)
		return 0;
	for (size_t i = lookup__first(s->l, s->count, sym->st_value); i < s->count && s->l[i].address <= last;
	     i++) {
		struct lookup *l = &s->l[i];

		if (++s->steps > STEPS_MAX)
			return -EFBIG;
		if (l->text || l->nowhere || !better(s, l, sym, r))
			continue;
		l->rank = r | (uint8_t)(GELF_ST_BIND(sym->st_info) << 2);
		l->value = sym->st_value;
		l->size = sym->st_size;
		l->name = sym->st_name;
	}
	return 0;
}

static void widen(GElf_Sym *out, const Elf32_Sym *in)
{
	*out = (GElf_Sym){
		.st_name = in->st_name,
		.st_info = in->st_info,
		.st_other = in->st_other,
		.st_shndx = in->st_shndx,
		.st_value = in->st_value,
		.st_size = in->st_size,
	};
}

static int see_chunk(const struct elf_file *f, const char *bytes, size_t symbols, size_t entry,
		     int (*see)(void *, const GElf_Sym *), void *context)
{
	Elf32_Sym narrow;
	GElf_Sym sym;
	int err = 0;

	for (size_t i = 0; i < symbols && !err; i++) {
		if (f->class == ELFCLASS64) {
			memcpy(&sym, bytes + i * entry, sizeof(sym));
		} else {
			memcpy(&narrow, bytes + i * entry, sizeof(narrow));
			widen(&sym, &narrow);
		}
		err = see(context, &sym);
	}
	return err;
}

/* The native byte order was checked at elf__open: symbols are read as they stand. */
int symtab__each(const struct elf_file *f, const struct elf_section *table,
		 int (*see)(void *, const GElf_Sym *), void *context)
{
	size_t entry = f->class == ELFCLASS64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	uint64_t left = table->size / entry, at = table->offset;
	char *chunk = malloc(CHUNK_SYMBOLS * entry);
	int err = chunk ? 0 : -ENOMEM;
	size_t want;
	ssize_t n;

	if (left > SYMBOLS_MAX)
		left = SYMBOLS_MAX;
	while (left && !err) {
		want = left < CHUNK_SYMBOLS ? left : CHUNK_SYMBOLS;
		n = elf__read(f, chunk, want * entry, at);
		if (n < (ssize_t)entry) {
			err = n < 0 ? (int)n : -EIO;
			break;
		}
		err = see_chunk(f, chunk, (size_t)n / entry, entry, see, context);
		at += want * entry;
		left -= want;
	}
	free(chunk);
	return err;
}

/*
 * Candidates become names; neighbours of one symbol share the work. A name that cannot be read leaves the
 * field to the next source, and so does `$x`: arm64's mark for where code begins.
 */
static int take_names(struct scan *s, struct name_taker *names)
{
	const struct lookup *previous = NULL;
	int err = 0;

	for (size_t i = 0; i < s->count && !err; i++) {
		struct lookup *l = &s->l[i];

		if (l->text || !l->rank)
			continue;
		if (previous && previous->name == l->name && previous->value == l->value)
			l->text = previous->text;
		else if (elf__string(s->f, &s->strings, l->name, s->name, SYMBOL_NAME_MAX) > 0)
			err = *s->name == '$' ? 0 : names->take(names, l, s->name, NULL);
		l->rank = RANK_NONE;
		if (l->text)
			previous = l;
	}
	return err;
}

int symtab__scan(const struct elf_file *f, const struct elf_section *table, bool data, struct lookup *l,
		 size_t count, struct name_taker *names)
{
	struct scan s = {.f = f, .data = data, .l = l, .count = count};
	int err, err2;

	if (!elf__section(f, table->link, &s.strings) || s.strings.type != SHT_STRTAB)
		return -EINVAL;
	s.name = malloc(SYMBOL_NAME_MAX);
	s.other = malloc(SYMBOL_NAME_MAX);
	err = s.name && s.other ? symtab__each(f, table, offer, &s) : -ENOMEM;
	err2 = s.name ? take_names(&s, names) : 0;
	free(s.name);
	free(s.other);
	return err ? err : err2;
}
