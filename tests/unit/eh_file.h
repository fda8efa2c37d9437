/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files that hold nothing but call frame information, for tests and the fuzzer. */
#ifndef SONDE_TESTS_EH_FILE_H
#define SONDE_TESTS_EH_FILE_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"

#define EH_CODE	      0x10000 /* where code would be */
#define EH_CODE_BYTES 0x100000
#define EH_DATA	      0x200000 /* where the file is mapped */
#define EH_OFFSET     0x200    /* of .eh_frame in the file */
#define EH_HEADER     0x1c0    /* of .eh_frame_hdr */

enum eh_shape {
	EH_SECTIONS, /* with section headers, without PT_GNU_EH_FRAME */
	EH_SEGMENTS, /* the other way round */
};

struct eh_file {
	struct {
		Elf64_Ehdr ehdr;
		Elf64_Phdr phdr[3];
	} head;
	unsigned char header[8];
	char names[32];
	Elf64_Shdr shdr[3];
};

/* A memfd that holds `frames` as .eh_frame. */
static inline int eh_file__new(uint16_t machine, enum eh_shape shape, const void *frames, size_t size)
{
	const int32_t here = EH_OFFSET - EH_HEADER - 4;
	const uint64_t names = EH_OFFSET + ((size + 7) & ~7ull), sections = names + 32;
	struct eh_file f = {
		.head.ehdr = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
					  EV_CURRENT},
			      .e_type = ET_DYN,
			      .e_machine = machine,
			      .e_version = EV_CURRENT,
			      .e_phoff = sizeof(Elf64_Ehdr),
			      .e_ehsize = sizeof(Elf64_Ehdr),
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = shape == EH_SEGMENTS ? 3 : 2,
			      .e_shentsize = sizeof(Elf64_Shdr)},
		.head.phdr = {{.p_type = PT_LOAD,
			       .p_flags = PF_R | PF_X,
			       .p_vaddr = EH_CODE,
			       .p_filesz = 16,
			       .p_memsz = EH_CODE_BYTES},
			      {.p_type = PT_LOAD,
			       .p_flags = PF_R,
			       .p_vaddr = EH_DATA,
			       .p_filesz = names,
			       .p_memsz = names},
			      {.p_type = PT_GNU_EH_FRAME,
			       .p_offset = EH_HEADER,
			       .p_vaddr = EH_DATA + EH_HEADER,
			       .p_filesz = 8}},
		.header = {1, 0x1b, 0xff, 0xff},
		.names = "\0.eh_frame\0.shstrtab",
		.shdr = {{0},
			 {.sh_name = 1,
			  .sh_type = SHT_PROGBITS,
			  .sh_addr = EH_DATA + EH_OFFSET,
			  .sh_offset = EH_OFFSET,
			  .sh_size = size},
			 {.sh_name = 11, .sh_type = SHT_STRTAB, .sh_offset = names, .sh_size = 32}},
	};
	int fd = memfd_create("eh", MFD_CLOEXEC);
	bool good;

	memcpy(f.header + 4, &here, sizeof(here));
	if (shape == EH_SECTIONS) {
		f.head.ehdr.e_shoff = sections;
		f.head.ehdr.e_shnum = 3;
		f.head.ehdr.e_shstrndx = 2;
	}
	good = fd >= 0 && pwrite(fd, &f.head, sizeof(f.head), 0) == sizeof(f.head) &&
	       pwrite(fd, f.header, sizeof(f.header), EH_HEADER) == sizeof(f.header) &&
	       pwrite(fd, frames, size, EH_OFFSET) == (ssize_t)size &&
	       pwrite(fd, f.names, sizeof(f.names), (off_t)names) == sizeof(f.names) &&
	       (shape == EH_SEGMENTS ||
		pwrite(fd, f.shdr, sizeof(f.shdr), (off_t)sections) == sizeof(f.shdr));
	if (good)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

#define EH_BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static inline void eh__add(struct buf *b, uint64_t value, size_t bytes)
{
	buf__add(b, &value, bytes);
}

/* Ends the record that began at `begin`: padding, and its length. */
static inline void eh__end(struct buf *b, size_t begin)
{
	uint32_t length;

	while ((b->len - begin) % 4)
		buf__putc(b, 0);
	length = (uint32_t)(b->len - begin - 4);
	if (!b->failed)
		memcpy(b->data + begin, &length, sizeof(length));
}

/* A CIE as compilers make it, with its instructions; its offset. */
static inline size_t eh__cie(struct buf *b, const char *augmentation, uint8_t code_align, uint8_t ra,
			     const uint8_t *instructions, size_t count)
{
	size_t begin = b->len;

	eh__add(b, 0, 8);
	buf__putc(b, 1);
	buf__add(b, augmentation, strlen(augmentation) + 1);
	eh__add(b, code_align, 1);
	eh__add(b, 0x78, 1); /* data alignment -8 */
	eh__add(b, ra, 1);
	if (*augmentation == 'z') {
		eh__add(b, 1, 1);
		eh__add(b, 0x1b, 1); /* 4 bytes, relative */
	}
	buf__add(b, instructions, count);
	eh__end(b, begin);
	return begin;
}

/* A function, its start relative to EH_CODE, under a CIE of "zR" or "zRS". */
static inline size_t eh__fde(struct buf *b, size_t cie, int64_t start, uint32_t size,
			     const uint8_t *instructions, size_t count)
{
	size_t begin = b->len;

	eh__add(b, 0, 4);
	eh__add(b, begin + 4 - cie, 4);
	eh__add(b, (uint64_t)(EH_CODE + start - (int64_t)(EH_DATA + EH_OFFSET + b->len)), 4);
	eh__add(b, size, 4);
	eh__add(b, 0, 1);
	buf__add(b, instructions, count);
	eh__end(b, begin);
	return begin;
}

/* What gcc puts first: CFA = rsp + 8, and the return address below it; of arm64, CFA = sp. */
#define EH_X86	 "zR", 1, 16, EH_BYTES(0x0c, 7, 8, 0x90, 1)
#define EH_ARM64 "zR", 4, 30, EH_BYTES(0x0c, 31, 0)

#endif
