/* SPDX-License-Identifier: Apache-2.0 */
/* Unwind tables by the real helper: what the kernel's side finds is what the file says. */
#include "tables_fixture.h"

#include "base/units.h"
#include "object/vdso.h"

#define SECOND_NS 1000000000ull

struct expected {
	uint64_t address;
	uint32_t rule;
};

static int keep_last(void *context, uint64_t address, const uint32_t *words)
{
	struct expected *e = context;

	if (address <= e->address)
		e->rule = words[0];
	return 0;
}

/* Straight from the file. */
static uint32_t rule_of(int fd, uint64_t offset)
{
	struct expected e = {0};
	struct unwind_table *table;
	struct elf_file elf;

	assert_int_equal(elf__open(&elf, fd), 0);
	assert_true(elf__address(&elf, offset, &e.address));
	table = unwind_table__open(&elf);
	assert_non_null(table);
	assert_int_equal(unwind_table__rows(table, e.address & ~0xffffull, e.address + 1, keep_last, &e), 0);
	unwind_table__close(table);
	elf__close(&elf);
	close(fd);
	return e.rule;
}

static int open_mapped(const struct mapping *m)
{
	return m->kind == MAPPED_VDSO ? vdso__open() : open(m->path, O_RDONLY | O_CLOEXEC);
}

static void work(struct world *w)
{
	uint64_t until = units__now_ns() + 60 * SECOND_NS;

	while (w->tables->want_count && units__now_ns() < until)
		tables__work(w->tables, until);
	assert_int_equal(w->tables->want_count, 0);
}

/* Every executable mapping of this process, at many places. */
static void check(bool in_process)
{
	const struct helper_options options = {.in_process = in_process, .file_ns = 60 * SECOND_NS};
	struct helper *helper = helper__start(&options);
	struct world *w = world__new(0, NULL);
	const struct table_memory memory = world__memory(w);
	const struct tables_options no_options = {0};
	struct process self = process__self(w);
	struct tables_counts counts;
	uint32_t expected;
	int checked = 0, described = 0;

	assert_non_null(helper);
	tables__free(w->tables);
	w->tables = tables__new(&memory, helper, &no_options);
	assert_non_null(w->tables);
	for (size_t i = 0; i < self.count; i++) {
		const struct mapping *m = &self.mappings[i];

		if (m->kind != MAPPED_FILE && m->kind != MAPPED_VDSO)
			continue;
		for (uint64_t at = m->start + 0x234; at < m->end; at += 0x7531) {
			int err;

			while ((err = tables__want(w->tables, &self, at)) == -EBUSY)
				work(w);
			assert_int_equal(err, 0);
			work(w);
			assert_int_equal(tables__want(w->tables, &self, at), 0);
			work(w); /* the first answer of a file may be about less */
			if (checked++ % 7)
				continue;
			expected = rule_of(open_mapped(m), at - m->start + m->offset);
			assert_int_equal(world__rule(w, &self, at), expected);
			described += expected != 0;
		}
	}
	assert_true(checked > 50 && described > checked / 10);
	tables__counts(w->tables, &counts);
	assert_int_equal(counts.files_failed, 0);
	assert_int_equal(counts.chunks_dropped, 0);
	assert_true(counts.rows > 10000);
	process__free_mappings(&self);
	world__free(w);
	helper__stop(helper);
}

static void in_process(void **state)
{
	(void)state;
	check(true);
}

static void in_its_own_process(void **state)
{
	(void)state;
	check(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_process),
		cmocka_unit_test(in_its_own_process),
	};

	return cmocka_run_group_tests_name("tables_helper", tests, NULL, NULL);
}
