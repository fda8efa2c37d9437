/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as .gnu_debugdata: the first byte says whether they are packed or already the file in it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "object/minidebug.h"
#include "object/symtab.h"

static int take(struct name_taker *taker, struct lookup *l, const char *name, const char *module)
{
	(void)taker;
	(void)module;
	l->text = *name ? "named" : "empty";
	return 0;
}

static void scan(const struct elf_file *f)
{
	enum { ADDRESSES = 40 };
	struct name_taker taker = {.take = take};
	struct lookup l[ADDRESSES] = {0};
	struct elf_section table;

	for (uint32_t i = 0; i < ADDRESSES; i++) {
		l[i].address = i < 32 ? 0x1000 + i * 64 : i * 0x0101010101010101;
		l[i].index = i;
	}
	lookup__sort(l, ADDRESSES);
	if (elf__section_by_type(f, SHT_SYMTAB, &table))
		symtab__scan(f, &table, false, l, ADDRESSES, &taker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_file f = {.fd = -1, .size_bytes = size ? size - 1 : 0};
	struct elf_section packed = {.size = f.size_bytes};
	struct minidebug m;
	char *bytes;

	if (!size)
		return 0;
	bytes = malloc(size);
	if (!bytes)
		return 0;
	memcpy(bytes, data + 1, size - 1);
	f.memory = bytes;
	if (data[0] == 'x') {
		if (!minidebug__unpack(&m, &f, &packed)) {
			scan(&m.file);
			minidebug__close(&m);
		}
	} else if (!elf__open_memory(&f, bytes, size - 1)) {
		scan(&f);
		elf__close(&f);
	}
	free(bytes);
	return 0;
}
