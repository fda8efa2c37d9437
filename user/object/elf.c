/* SPDX-License-Identifier: Apache-2.0 */
#include "object/elf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "object/safefile.h"

#define SECTIONS_MAX 4096 /* linked files have some dozens; libelf allocates about 200 bytes for each */
#define SEGMENTS_MAX 512
#define NOTE_BYTES   4096 /* of a note section or segment that are looked at for a build id */
#define PAGE_MASK    4095ULL

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_DATA ELFDATA2LSB
#else
#define NATIVE_DATA ELFDATA2MSB
#endif

ssize_t elf__read(const struct elf_file *f, void *bytes, size_t count, uint64_t offset)
{
	if (!f->memory)
		return safefile__read_at(f->fd, bytes, count, offset);
	if (offset >= f->size_bytes)
		return 0;
	if (count > f->size_bytes - offset)
		count = f->size_bytes - offset;
	memcpy(bytes, f->memory + offset, count);
	return (ssize_t)count;
}

/* Refuses what libelf would believe: counts that decide how much memory it takes. */
static int check_counts(struct elf_file *f)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr e32;
		Elf64_Ehdr e64;
	} header;
	ssize_t n = elf__read(f, &header, sizeof(header), 0);
	bool wide;

	if (n < 0)
		return (int)n;
	if (n < (ssize_t)sizeof(header.e32) || memcmp(header.ident, ELFMAG, SELFMAG) ||
	    header.ident[EI_DATA] != NATIVE_DATA || header.ident[EI_VERSION] != EV_CURRENT)
		return -ENOEXEC;
	f->class = header.ident[EI_CLASS];
	wide = f->class == ELFCLASS64;
	if ((!wide && f->class != ELFCLASS32) || (wide && n < (ssize_t)sizeof(header.e64)))
		return -ENOEXEC;
	f->segments = wide ? header.e64.e_phnum : header.e32.e_phnum;
	f->sections = wide ? header.e64.e_shnum : header.e32.e_shnum;
	/* No count but a table: the real one stands in the first section, where nothing bounds it. */
	if (!f->sections && (wide ? header.e64.e_shoff : header.e32.e_shoff))
		return -E2BIG;
	return f->segments > SEGMENTS_MAX || f->sections > SECTIONS_MAX ? -E2BIG : 0;
}

static size_t align4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* Looks for NT_GNU_BUILD_ID among the notes that stand at `offset`. */
static bool find_build_id(struct elf_file *f, uint64_t offset, uint64_t size)
{
	unsigned char notes[NOTE_BYTES];
	ssize_t n = elf__read(f, notes, size < sizeof(notes) ? size : sizeof(notes), offset);
	size_t at = 0, name, desc;
	Elf32_Nhdr note; /* the same for both classes */

	while (n > 0 && at + sizeof(note) <= (size_t)n) {
		memcpy(&note, notes + at, sizeof(note));
		name = at + sizeof(note);
		if (note.n_namesz > (size_t)n - name)
			return false;
		desc = name + align4(note.n_namesz);
		if (desc > (size_t)n || note.n_descsz > (size_t)n - desc)
			return false;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && !memcmp(notes + name, "GNU", 4) &&
		    note.n_descsz) {
			f->build_id_len = note.n_descsz < BUILD_ID_MAX ? note.n_descsz : BUILD_ID_MAX;
			memcpy(f->build_id, notes + desc, f->build_id_len);
			return true;
		}
		at = desc + align4(note.n_descsz);
	}
	return false;
}

/* Sections first: the program headers of a separate debug file speak of bytes that it does not hold. */
static void read_build_id(struct elf_file *f)
{
	struct elf_section s;
	GElf_Phdr p;

	for (size_t i = 1; i < f->sections; i++)
		if (elf__section(f, i, &s) && s.type == SHT_NOTE && find_build_id(f, s.offset, s.size))
			return;
	for (size_t i = 0; i < f->segments; i++)
		if (gelf_getphdr(f->elf, (int)i, &p) && p.p_type == PT_NOTE &&
		    find_build_id(f, p.p_offset, p.p_filesz))
			return;
}

static int read_section_names(struct elf_file *f, size_t index)
{
	struct elf_section s;

	if (index == SHN_UNDEF || !elf__section(f, index, &s) || s.type != SHT_STRTAB)
		return 0;
	f->names = malloc(sizeof(*f->names));
	if (!f->names)
		return -ENOMEM;
	*f->names = s;
	return 0;
}

static int begin(struct elf_file *f, char *bytes)
{
	GElf_Ehdr header;
	int err = check_counts(f);

	if (err)
		return err;
	elf_version(EV_CURRENT);
	f->elf = bytes ? elf_memory(bytes, f->size_bytes) : elf_begin(f->fd, ELF_C_READ, NULL);
	if (!f->elf || elf_kind(f->elf) != ELF_K_ELF || !gelf_getehdr(f->elf, &header)) {
		elf__close(f);
		return -ENOEXEC;
	}
	f->entry = header.e_entry;
	err = read_section_names(f, header.e_shstrndx);
	if (err)
		elf__close(f);
	else
		read_build_id(f);
	return err;
}

int elf__open(struct elf_file *f, int fd)
{
	struct stat st;

	*f = (struct elf_file){.fd = fd};
	if (fstat(fd, &st))
		return -errno;
	f->size_bytes = (uint64_t)st.st_size;
	return begin(f, NULL);
}

int elf__open_memory(struct elf_file *f, char *bytes, size_t size)
{
	*f = (struct elf_file){.fd = -1, .memory = bytes, .size_bytes = size};
	return begin(f, bytes);
}

void elf__close(struct elf_file *f)
{
	elf_end(f->elf);
	free(f->names);
	f->elf = NULL;
	f->names = NULL;
}

bool elf__section(const struct elf_file *f, size_t index, struct elf_section *out)
{
	Elf_Scn *section = index && index < f->sections ? elf_getscn(f->elf, index) : NULL;
	GElf_Shdr h;

	if (!section || !gelf_getshdr(section, &h))
		return false;
	if (h.sh_type != SHT_NOBITS &&
	    (h.sh_offset > f->size_bytes || h.sh_size > f->size_bytes - h.sh_offset))
		return false;
	*out = (struct elf_section){
		.offset = h.sh_offset,
		.size = h.sh_size,
		.address = h.sh_addr,
		.type = h.sh_type,
		.link = h.sh_link,
	};
	return true;
}

bool elf__section_by_type(const struct elf_file *f, uint32_t type, struct elf_section *out)
{
	for (size_t i = 1; i < f->sections; i++)
		if (elf__section(f, i, out) && out->type == type)
			return true;
	return false;
}

bool elf__section_name(const struct elf_file *f, size_t index, char *name, size_t size)
{
	Elf_Scn *section = f->names ? elf_getscn(f->elf, index) : NULL;
	GElf_Shdr h;

	return section && gelf_getshdr(section, &h) && elf__string(f, f->names, h.sh_name, name, size) >= 0;
}

bool elf__section_by_name(const struct elf_file *f, const char *name, struct elf_section *out)
{
	char text[32];

	for (size_t i = 1; i < f->sections; i++)
		if (elf__section_name(f, i, text, sizeof(text)) && !strcmp(text, name) &&
		    elf__section(f, i, out))
			return out->type != SHT_NOBITS;
	return false;
}

bool elf__address(const struct elf_file *f, uint64_t offset, uint64_t *address)
{
	GElf_Phdr p;
	uint64_t start, end;

	/*
	 * A page may be mapped twice, as the end of one segment and the start of the next: code decides. Then
	 * the same again by whole pages, because a mapping also shows what stands around its segment.
	 */
	for (int pass = 0; pass < 4; pass++) {
		for (size_t i = 0; i < f->segments; i++) {
			if (!gelf_getphdr(f->elf, (int)i, &p) || p.p_type != PT_LOAD ||
			    (p.p_flags & PF_X ? 0 : 1) != (pass & 1))
				continue;
			start = pass < 2 ? p.p_offset : p.p_offset & ~PAGE_MASK;
			if (__builtin_add_overflow(p.p_offset, p.p_filesz, &end))
				continue;
			if (pass >= 2 && end <= UINT64_MAX - PAGE_MASK)
				end = (end + PAGE_MASK) & ~PAGE_MASK;
			if (offset >= start && offset < end) {
				*address = p.p_vaddr + (offset - p.p_offset);
				return true;
			}
		}
	}
	return false;
}

bool elf__data_address(const struct elf_file *f, uint64_t offset, uint64_t *address)
{
	uint64_t first, end;
	GElf_Phdr p;

	for (size_t i = 0; i < f->segments; i++) {
		if (!gelf_getphdr(f->elf, (int)i, &p) || p.p_type != PT_LOAD || !(p.p_flags & PF_W) ||
		    __builtin_add_overflow(p.p_offset, p.p_memsz, &end))
			continue;
		first = p.p_offset & ~PAGE_MASK;
		if (offset >= first && offset < end) {
			*address = p.p_vaddr + (offset - p.p_offset);
			return true;
		}
	}
	return false;
}

ssize_t elf__string(const struct elf_file *f, const struct elf_section *strings, uint64_t at, char *text,
		    size_t size)
{
	uint64_t left;
	size_t want;
	ssize_t n;
	char *end;

	if (at >= strings->size)
		return -ENOENT;
	left = strings->size - at;
	/* Nearly all names are short: the second, longer read is rare. */
	for (want = size < 128 ? size : 128;; want = size) {
		if (want > left)
			want = left;
		n = elf__read(f, text, want, strings->offset + at);
		if (n <= 0)
			return n < 0 ? n : -ENOENT;
		end = memchr(text, 0, (size_t)n);
		if (end)
			return end - text;
		if ((uint64_t)n >= left)
			return -ENOENT;
		if ((size_t)n >= size || (size_t)n < want)
			return -ENAMETOOLONG;
	}
}

void elf__build_id_hex(const struct elf_file *f, char hex[2 * BUILD_ID_MAX + 1])
{
	static const char digits[] = "0123456789abcdef";
	char *out = hex;

	for (size_t i = 0; i < f->build_id_len; i++) {
		*out++ = digits[f->build_id[i] >> 4];
		*out++ = digits[f->build_id[i] & 15];
	}
	*out = 0;
}
