/* SPDX-License-Identifier: Apache-2.0 */
/* The files whose tables are being built, open with what was found in them: the next question about one of
 * them finds it ready. The one that was not asked for longest makes room. */
#ifndef SONDE_HELPER_FILES_H
#define SONDE_HELPER_FILES_H

#include <stdint.h>

#include "helper/helper.h"
#include "object/elf.h"

#define FILES_OPEN 32

struct table_file {
	struct file_key key;
	int fd; /* owned; -1: this place is free */
	struct elf_file elf;
	struct unwind_table *table;
	uint32_t load_count;
	struct table_load loads[TABLE_LOADS_MAX];
	uint64_t chunks;   /* that its loads touch */
	uint64_t asked_at; /* in questions */
};

struct files {
	struct table_file at[FILES_OPEN];
	uint64_t questions;
};

void files__init(struct files *f);
void files__close(struct files *f);
/* The file, opened from *fd (which it takes over, and sets to -1) if it is not known. NULL and *err: -errno.
 */
struct table_file *files__get(struct files *f, const struct file_key *key, int *fd, int *err);

#endif
