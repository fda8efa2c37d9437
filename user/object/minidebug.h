/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MiniDebugInfo: the section .gnu_debugdata of a stripped file holds an xz-compressed ELF file with the
 * symbols that .dynsym lacks (Fedora, RHEL and their kin build all packages so). Unpacked in memory, within
 * limits.
 */
#ifndef SONDE_OBJECT_MINIDEBUG_H
#define SONDE_OBJECT_MINIDEBUG_H

#include "object/elf.h"

struct minidebug {
	struct elf_file file;
	char *bytes; /* of the file; owned */
};

/* 0; -ENOENT: it has none; -EFBIG: absurdly large; -EBADMSG: not sound xz data; or as elf__open(). */
int minidebug__open(struct minidebug *m, const struct elf_file *f);
int minidebug__unpack(struct minidebug *m, const struct elf_file *f, const struct elf_section *packed);
void minidebug__close(struct minidebug *m); /* also of a zeroed one */

#endif
