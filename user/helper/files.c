// SPDX-License-Identifier: Apache-2.0
#include "helper/files.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"

void files__init(struct files *f)
{
	memset(f, 0, sizeof(*f));
	for (size_t i = 0; i < FILES_OPEN; i++)
		f->at[i].fd = -1;
}

static void close_file(struct table_file *t)
{
	if (t->fd < 0)
		return;
	unwind_table__close(t->table);
	elf__close(&t->elf);
	fd__close(&t->fd);
}

void files__close(struct files *f)
{
	for (size_t i = 0; i < FILES_OPEN; i++)
		close_file(&f->at[i]);
}

/* The executable segments, each where it lies; those that wrap are none. */
static void read_loads(struct table_file *t)
{
	uint64_t last;
	GElf_Phdr p;

	for (size_t i = 0; i < t->elf.segments && t->load_count < TABLE_LOADS_MAX; i++) {
		if (!gelf_getphdr(t->elf.elf, (int)i, &p) || p.p_type != PT_LOAD || !(p.p_flags & PF_X) ||
		    !p.p_filesz || p.p_offset > UINT64_MAX - p.p_filesz ||
		    __builtin_add_overflow(p.p_vaddr, p.p_filesz - 1, &last))
			continue;
		t->loads[t->load_count++] =
			(struct table_load){.offset = p.p_offset, .address = p.p_vaddr, .bytes = p.p_filesz};
		t->chunks += (last >> UNWIND_CHUNK_SHIFT) - (p.p_vaddr >> UNWIND_CHUNK_SHIFT) + 1;
	}
}

static int open_file(struct table_file *t, const struct file_key *key, int *fd)
{
	int err;

	*t = (struct table_file){.key = *key, .fd = *fd};
	err = elf__open(&t->elf, t->fd);
	if (!err)
		t->table = unwind_table__open(&t->elf);
	if (!err && !t->table)
		err = -errno;
	if (!err) {
		*fd = -1;
		read_loads(t);
		return 0;
	}
	elf__close(&t->elf);
	t->fd = -1;
	return err;
}

struct table_file *files__get(struct files *f, const struct file_key *key, int *fd, int *err)
{
	struct table_file *oldest = &f->at[0];

	*err = 0;
	for (size_t i = 0; i < FILES_OPEN; i++) {
		struct table_file *t = &f->at[i];

		if (t->fd >= 0 && !memcmp(&t->key, key, sizeof(*key))) {
			t->asked_at = ++f->questions;
			return t;
		}
		if (oldest->fd >= 0 && (t->fd < 0 || t->asked_at < oldest->asked_at))
			oldest = t;
	}
	close_file(oldest);
	*err = *fd < 0 ? -EBADF : open_file(oldest, key, fd);
	oldest->asked_at = ++f->questions;
	return *err ? NULL : oldest;
}
