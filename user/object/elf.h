/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ELF file of unknown honesty, seen through a borrowed descriptor, or unpacked in memory. libelf decodes
 * the headers (after their counts were checked), bytes are read by bounded preads: nothing is mapped, nothing
 * is allocated by a size from the file.
 */
#ifndef SONDE_OBJECT_ELF_H
#define SONDE_OBJECT_ELF_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BUILD_ID_MAX 20 /* bytes kept: SHA-1; a longer id is cut, a shorter one padded with zeros */

struct elf_file {
	int fd;		    /* borrowed; -1: in memory */
	const char *memory; /* borrowed; NULL: a file */
	Elf *elf;
	int class; /* ELFCLASS32 or ELFCLASS64 */
	uint64_t size_bytes, entry;
	size_t segments, sections;
	struct elf_section *names; /* of the section names, NULL if there are none */
	unsigned char build_id[BUILD_ID_MAX];
	size_t build_id_len; /* 0: none */
};

struct elf_section {
	uint64_t offset, size, address;
	uint32_t type, link; /* link: index of the section with its names */
};

/* 0, -ENOEXEC (not an ELF file of this machine's byte order), -E2BIG (absurd counts) or another -errno. */
int elf__open(struct elf_file *f, int fd);
int elf__open_memory(struct elf_file *f, char *bytes, size_t size); /* aligned as malloc does */
void elf__close(struct elf_file *f);				    /* also of a zeroed one */

bool elf__section(const struct elf_file *f, size_t index, struct elf_section *out);
bool elf__section_by_type(const struct elf_file *f, uint32_t type, struct elf_section *out);
/* False: it has none, or a longer one. */
bool elf__section_name(const struct elf_file *f, size_t index, char *name, size_t size);
bool elf__section_by_name(const struct elf_file *f, const char *name, struct elf_section *out);

/* The virtual address at which the file's byte `offset` is mapped, as code if it can be. False: nowhere. */
bool elf__address(const struct elf_file *f, uint64_t offset, uint64_t *address);
/* The same for data: of the writable segment, which goes on in memory behind what the file holds of it. */
bool elf__data_address(const struct elf_file *f, uint64_t offset, uint64_t *address);

/* Whole reads at an offset: bytes read (fewer only at the end of the file) or -errno. */
ssize_t elf__read(const struct elf_file *f, void *bytes, size_t count, uint64_t offset);
/* Reads a NUL-terminated string of a string section. Its length, or -errno: -ENAMETOOLONG, -ENOENT (no end).
 */
ssize_t elf__string(const struct elf_file *f, const struct elf_section *strings, uint64_t at, char *text,
		    size_t size);

void elf__build_id_hex(const struct elf_file *f, char hex[2 * BUILD_ID_MAX + 1]);

#endif
