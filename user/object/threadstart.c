/* SPDX-License-Identifier: Apache-2.0 */
#include "object/threadstart.h"

#include <stdlib.h>
#include <string.h>

#include "object/safefile.h"
#include "object/symtab.h"

#define ENTRY_BYTES	64   /* `_start` of every libc we know is shorter */
#define HEADER_ENCODING 0x3b /* DW_EH_PE_datarel | DW_EH_PE_sdata4: what every linker writes */

static const struct {
	const char *name;
	enum symbol_start start;
} starts[] = {
	{"_start", SYMBOL_START},
	{"_start_c", SYMBOL_START}, /* musl */
	{"_dl_start_user", SYMBOL_START},
	{"__libc_start_main", SYMBOL_START},
	{"__libc_start_main_impl", SYMBOL_START},
	{"__libc_start_call_main", SYMBOL_START},
	{"libc_start_main_stage2", SYMBOL_START}, /* musl */
	{"generic_start_main", SYMBOL_START},	  /* older glibc on other CPUs */
	{"start_thread", SYMBOL_START},
	{"__clone_start", SYMBOL_START},
	{"thread_start", SYMBOL_START_IF_LAST},
	{"clone", SYMBOL_START_IF_LAST},
	{"__clone", SYMBOL_START_IF_LAST},
	{"__GI___clone", SYMBOL_START_IF_LAST},
	{"clone3", SYMBOL_START_IF_LAST},
	{"__clone3", SYMBOL_START_IF_LAST},
	{"__GI___clone3", SYMBOL_START_IF_LAST},
	{"runtime.goexit", SYMBOL_START},
	{"runtime.goexit.abi0", SYMBOL_START},
	{"runtime.mstart", SYMBOL_START},
	{"runtime.mstart.abi0", SYMBOL_START},
	{"runtime.mcall", SYMBOL_START_IF_LAST}, /* these leave a goroutine's stack for good */
	{"runtime.mcall.abi0", SYMBOL_START_IF_LAST},
	{"runtime.morestack", SYMBOL_START_IF_LAST},
	{"runtime.morestack.abi0", SYMBOL_START_IF_LAST},
	{"runtime.rt0_go", SYMBOL_START},
	{"runtime.rt0_go.abi0", SYMBOL_START},
};

enum symbol_start threadstart__by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (!strcmp(starts[i].name, name))
			return starts[i].start;
	return SYMBOL_NO_START;
}

static bool at_entry(const struct elf_file *f, const struct lookup *l)
{
	uint64_t start = l->text ? l->value : f->entry;
	uint64_t size = l->text ? l->size : ENTRY_BYTES;

	/* A name without a size (unsized symbol) is trusted at its own address only. */
	return f->entry && f->entry >= start && f->entry - start < (size ? size : 1) &&
	       l->address >= f->entry && l->address - f->entry < (l->text ? size : ENTRY_BYTES);
}

/* The binary search table of .eh_frame_hdr: pairs of (function start, FDE), relative to the section. */
struct functions {
	const struct elf_file *f;
	struct elf_section section;
	uint32_t count;
};

static bool open_functions(struct functions *t, const struct elf_file *f)
{
	struct {
		uint8_t version, frame_encoding, count_encoding, table_encoding;
		int32_t frame;
		uint32_t count;
	} header;

	t->f = f;
	if (!elf__section_by_name(f, ".eh_frame_hdr", &t->section) ||
	    safefile__read_at(f->fd, &header, sizeof(header), t->section.offset) != sizeof(header))
		return false;
	if (header.version != 1 || header.table_encoding != HEADER_ENCODING || header.count_encoding != 0x03)
		return false;
	t->count = header.count;
	return t->count <= (t->section.size - sizeof(header)) / 8;
}

static uint64_t function_start(const struct functions *t, uint32_t i)
{
	int32_t at = 0;

	safefile__read_at(t->f->fd, &at, sizeof(at), t->section.offset + 12 + 8 * (uint64_t)i);
	return t->section.address + (uint64_t)(int64_t)at;
}

/* Where the function after the one at `address` starts; 0: it is the last. */
static uint64_t next_function(const struct functions *t, uint64_t address)
{
	uint32_t low = 0, high = t->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (function_start(t, middle) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->count ? function_start(t, low) : 0;
}

/* A taker that keeps no name but says whether it is one of the two neighbours. */
static int take_neighbour(struct name_taker *t, struct lookup *l, const char *name, const char *module)
{
	size_t len = strcspn(name, "@");

	(void)t;
	(void)module;
	if (l->value == l->address && ((len == 17 && !memcmp(name, "__libc_start_main", len)) ||
				       (len == 14 && !memcmp(name, "pthread_create", len))))
		l->text = "";
	return 0;
}

/*
 * glibc's two callers of a thread's first function are local and have no exported name. Each is followed at
 * once by the exported function of the same source file that leads to it: __libc_start_call_main by
 * __libc_start_main and start_thread by pthread_create, seen in glibc 2.34 to 2.36. Only tables say where the
 * nameless function ends.
 */
static void mark_by_neighbour(const struct elf_file *f, struct lookup *l, size_t count)
{
	struct lookup *next = calloc(count, sizeof(*next));
	struct name_taker taker = {.take = take_neighbour};
	struct elf_section exports;
	struct functions table;
	size_t n = 0;

	if (!next || !elf__section_by_type(f, SHT_DYNSYM, &exports) || !open_functions(&table, f))
		goto out;
	for (size_t i = 0; i < count; i++) {
		if (l[i].text || l[i].nowhere || l[i].start)
			continue;
		next[n].address = next_function(&table, l[i].address);
		next[n].index = (uint32_t)i;
		n += next[n].address != 0;
	}
	lookup__sort(next, n);
	if (n)
		symtab__scan(f, &exports, false, next, n, &taker);
	for (size_t i = 0; i < n; i++)
		if (next[i].text)
			l[next[i].index].start = SYMBOL_START;
out:
	free(next);
}

/* Only there is it worth a second pass over the symbols. */
static bool is_glibc(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash && (!strncmp(slash, "/libc.so", 8) || !strncmp(slash, "/libc-2.", 8));
}

void threadstart__mark(const struct elf_file *f, const char *path, struct lookup *l, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!l[i].nowhere && !l[i].start && at_entry(f, &l[i]))
			l[i].start = SYMBOL_START;
	if (is_glibc(path) && lookup__missing(l, count))
		mark_by_neighbour(f, l, count);
}
