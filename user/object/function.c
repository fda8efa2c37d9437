/* SPDX-License-Identifier: Apache-2.0 */
#include "object/function.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "object/debugfile.h"
#include "object/elf.h"
#include "object/minidebug.h"
#include "object/symtab.h"

/* One that everybody may call by its name before one of an older version, and that before a local one. */
enum preference { FOUND_NOT, FOUND_LOCAL, FOUND_HIDDEN, FOUND_EXPORTED };

struct search {
	const char *name;
	const struct elf_file *f; /* whose symbols are looked at, and their names */
	struct elf_section strings;
	struct elf_section versions; /* one for each symbol; size 0: there are none */
	char text[SYMBOL_NAME_MAX];
	uint64_t index; /* of the next symbol */
	enum preference found;
	bool is_several;
	GElf_Sym symbol; /* the best so far */
};

static bool is_function(const GElf_Sym *symbol)
{
	unsigned type = GELF_ST_TYPE(symbol->st_info);

	return (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE) &&
	       symbol->st_shndx != SHN_UNDEF && symbol->st_shndx != SHN_ABS && symbol->st_name;
}

static bool is_named(struct search *s, const GElf_Sym *symbol)
{
	size_t len = strlen(s->name);

	return elf__string(s->f, &s->strings, symbol->st_name, s->text, sizeof(s->text)) >= (ssize_t)len &&
	       !memcmp(s->text, s->name, len) && (!s->text[len] || s->text[len] == '@');
}

#define VERSION_HIDDEN 0x8000

static enum preference prefer(const struct search *s, const GElf_Sym *symbol, uint64_t index)
{
	uint16_t version = 0;

	if (GELF_ST_BIND(symbol->st_info) == STB_LOCAL)
		return FOUND_LOCAL;
	if (index < s->versions.size / sizeof(version))
		elf__read(s->f, &version, sizeof(version), s->versions.offset + index * sizeof(version));
	return version & VERSION_HIDDEN ? FOUND_HIDDEN : FOUND_EXPORTED;
}

static int offer(void *context, const GElf_Sym *symbol)
{
	struct search *s = context;
	uint64_t index = s->index++;
	enum preference found;

	if (!is_function(symbol) || !is_named(s, symbol))
		return 0;
	found = prefer(s, symbol, index);
	if (found > s->found) {
		s->found = found;
		s->is_several = false;
		s->symbol = *symbol;
	} else if (found == s->found) {
		s->is_several |= symbol->st_value != s->symbol.st_value;
	}
	return 0;
}

static void look_in(struct search *s, const struct elf_file *f, uint32_t type)
{
	struct elf_section table;

	if (s->found || !elf__section_by_type(f, type, &table) || !elf__section(f, table.link, &s->strings) ||
	    s->strings.type != SHT_STRTAB)
		return;
	s->versions.size = 0;
	if (type == SHT_DYNSYM && !elf__section_by_type(f, SHT_GNU_versym, &s->versions))
		s->versions.size = 0;
	s->index = 0;
	s->f = f;
	symtab__each(f, &table, offer, s);
}

static void look_in_debug_file(struct search *s, const struct elf_file *f, const struct symbol_request *r)
{
	const struct debug_asker asker = {r->debug_file, r->context};
	struct elf_file debug;
	int fd = s->found ? -ENOENT : debugfile__open(f, &asker);

	if (fd < 0)
		return;
	if (!elf__open(&debug, fd)) {
		look_in(s, &debug, SHT_SYMTAB);
		elf__close(&debug);
	}
	close(fd);
}

static void look_in_minidebug(struct search *s, const struct elf_file *f)
{
	struct minidebug m;

	if (s->found || minidebug__open(&m, f))
		return;
	look_in(s, &m.file, SHT_SYMTAB);
	minidebug__close(&m);
}

/* Where code of this address lies in the file. */
static bool find_offset(const struct elf_file *f, uint64_t address, uint64_t *offset)
{
	GElf_Phdr p;

	for (size_t i = 0; i < f->segments; i++) {
		if (!gelf_getphdr(f->elf, (int)i, &p) || p.p_type != PT_LOAD || !(p.p_flags & PF_X) ||
		    address < p.p_vaddr || address - p.p_vaddr >= p.p_filesz)
			continue;
		*offset = p.p_offset + (address - p.p_vaddr);
		return *offset < f->size_bytes;
	}
	return false;
}

int function__find(const struct symbol_request *r, const char *name, struct function_place *place)
{
	struct search s = {.name = name};
	struct elf_section section;
	struct elf_file f;
	int err = elf__open(&f, r->fd);

	*place = (struct function_place){0};
	if (err)
		return err;
	look_in(&s, &f, SHT_SYMTAB);
	look_in(&s, &f, SHT_DYNSYM);
	look_in_debug_file(&s, &f, r);
	look_in_minidebug(&s, &f);
	if (!s.found || !find_offset(&f, s.symbol.st_value, &place->offset))
		err = -ENOENT;
	else if (s.is_several)
		err = -ENOTUNIQ;
	place->bytes = s.symbol.st_size;
	place->is_resolver = s.found && GELF_ST_TYPE(s.symbol.st_info) == STT_GNU_IFUNC;
	place->is_go = elf__section_by_name(&f, ".go.buildinfo", &section);
	elf__close(&f);
	return err;
}
