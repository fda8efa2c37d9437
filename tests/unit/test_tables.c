/* SPDX-License-Identifier: Apache-2.0 */
#include "tables_fixture.h"

/* Every mapping of this process, as the kernel shows it, becomes segments; what is asked for becomes a table.
 */
static void own_process(void **state)
{
	struct world *w = world__new(0, NULL);
	struct process self = process__self(w);
	uint64_t inside = (uint64_t)(uintptr_t)own_process, other = (uint64_t)(uintptr_t)memcpy;
	struct tables_counts counts;
	struct unwind_process range;

	(void)state;
	assert_false(tables__knows(w->tables, &self.key));
	assert_int_equal(tables__set_process(w->tables, &self, 0), 0);
	assert_true(tables__knows(w->tables, &self.key));
	assert_true(tables__range(w->tables, &self.key, &range));
	assert_true(range.count >= 4);
	assert_int_equal(UNWIND_MARK_PAGES(range.mark), self.exec_pages);
	assert_int_equal(world__kind(w, &self, inside), UNWIND_SEGMENT_UNKNOWN);
	assert_int_equal(world__kind(w, &self, 4096), NOWHERE);
	assert_int_equal(tables__want(w->tables, &self, 4096), -ENOENT);
	assert_int_equal(tables__work(w->tables, 0), 0);
	assert_int_equal(tables__want(w->tables, &self, inside), 0);
	assert_int_equal(tables__want(w->tables, &self, inside), 0); /* once is enough */
	assert_int_equal(tables__want(w->tables, &self, other), 0);
	assert_int_equal(world__work(w), 2);
	assert_int_equal(w->asked, 2);
	assert_int_equal(world__rule(w, &self, inside), world__expected(w, &self, inside));
	assert_int_equal(world__rule(w, &self, other), world__expected(w, &self, other));
	assert_int_not_equal(world__rule(w, &self, other), world__rule(w, &self, inside));
	assert_int_equal(tables__want(w->tables, &self, inside), 0);
	assert_int_equal(tables__work(w->tables, 0), 0);
	tables__counts(w->tables, &counts);
	assert_int_equal(counts.processes, 1);
	assert_int_equal(counts.chunks, 2);
	assert_int_equal(counts.chunks_built, 2);
	assert_int_equal(counts.shard_bytes, UNWIND_SHARD_BYTES);
	assert_true(counts.table_bytes > 600 && counts.rows == 2 * ROWS);
	tables__remove_process(w->tables, &self.key);
	assert_false(tables__knows(w->tables, &self.key));
	assert_int_equal(w->process_count, 0);
	process__free_mappings(&self);
	world__free(w);
}

/* What one process made known, all that map the file have; also one that comes later, at once. */
static void shared(void **state)
{
	struct world *w = world__new(0, NULL);
	struct process self = process__self(w), child, later;
	pid_t pids[2] = {fixture__child(), fixture__child()};
	uint64_t address = (uint64_t)(uintptr_t)memcpy;

	(void)state;
	child = process__read_pid(w, pids[0]);
	later = process__read_pid(w, pids[1]);
	assert_int_equal(tables__set_process(w->tables, &self, 0), 0);
	assert_int_equal(tables__set_process(w->tables, &child, 0), 0);
	assert_int_equal(tables__want(w->tables, &child, address), 0);
	assert_int_equal(world__kind(w, &self, address), UNWIND_SEGMENT_UNKNOWN);
	assert_int_equal(world__work(w), 1);
	assert_int_equal(world__rule(w, &self, address), world__expected(w, &self, address));
	assert_int_equal(world__rule(w, &child, address), world__expected(w, &self, address));
	assert_int_equal(tables__set_process(w->tables, &later, 0), 0);
	assert_int_equal(world__rule(w, &later, address), world__expected(w, &self, address));
	/* The first ones end: it is seen, and what the others need stays. */
	fixture__end(pids[0]);
	for (int i = 0; i < 3; i++)
		tables__tick(w->tables);
	assert_false(tables__knows(w->tables, &child.key));
	assert_true(tables__knows(w->tables, &later.key));
	assert_int_equal(tables__set_process(w->tables, &child, 0), -ESRCH);
	assert_int_equal(tables__want(w->tables, &child, address), -ESRCH);
	assert_int_equal(world__rule(w, &later, address), world__expected(w, &self, address));
	fixture__end(pids[1]);
	process__free_mappings(&self);
	process__free_mappings(&child);
	process__free_mappings(&later);
	world__free(w);
}

/* Special mappings, and files that no table can be had of. */
static void kinds(void **state)
{
	struct world *w = world__new(0, NULL);
	struct process self = process__self(w);
	uint64_t inside = (uint64_t)(uintptr_t)kinds, libc = (uint64_t)(uintptr_t)memcpy;
	struct mapping *vdso = NULL;
	struct tables_counts counts;

	(void)state;
	for (size_t i = 0; i < self.count; i++)
		if (self.mappings[i].kind == MAPPED_VDSO)
			vdso = &self.mappings[i];
	assert_non_null(vdso);
	assert_int_equal(tables__set_process(w->tables, &self, 0), 0);
	w->error = -ENOENT;
	assert_int_equal(tables__want(w->tables, &self, inside), 0);
	world__work(w);
	assert_int_equal(world__kind(w, &self, inside), UNWIND_SEGMENT_GAP);
	w->error = -EPIPE;
	assert_int_equal(tables__want(w->tables, &self, libc), 0);
	world__work(w);
	assert_int_equal(world__kind(w, &self, libc), UNWIND_SEGMENT_FAILED);
	w->error = 0;
	assert_int_equal(tables__want(w->tables, &self, libc), 0); /* nor asked for again */
	assert_int_equal(world__work(w), 0);
	assert_int_equal(tables__want(w->tables, &self, vdso->start + 100), 0);
	world__work(w);
	assert_int_equal(w->last_fd, -1);
	assert_int_equal(world__rule(w, &self, vdso->start), world__expected(w, &self, vdso->start));
	tables__counts(w->tables, &counts);
	assert_int_equal(counts.files_failed, 1);
	process__free_mappings(&self);
	world__free(w);
}

/* The file has no code at that offset: that says nothing of its other mappings. */
static void no_code_there(void **state)
{
	struct world *w = world__new(0, NULL);
	struct process self = process__self(w), child;
	pid_t pid = fixture__child();
	uint64_t address = (uint64_t)(uintptr_t)memcpy;
	struct tables_counts counts;

	(void)state;
	child = process__read_pid(w, pid);
	assert_int_equal(tables__set_process(w->tables, &self, 0), 0);
	w->error = -ENXIO;
	assert_int_equal(tables__want(w->tables, &self, address), 0);
	world__work(w);
	assert_int_equal(world__kind(w, &self, address), UNWIND_SEGMENT_GAP);
	w->error = 0;
	assert_int_equal(tables__want(w->tables, &self, address), 0);
	assert_int_equal(world__work(w), 0);
	assert_int_equal(tables__set_process(w->tables, &child, 0), 0);
	assert_int_equal(world__kind(w, &child, address), UNWIND_SEGMENT_UNKNOWN);
	tables__counts(w->tables, &counts);
	assert_int_equal(counts.files_failed, 0);
	fixture__end(pid);
	process__free_mappings(&self);
	process__free_mappings(&child);
	world__free(w);
}

/* Anonymous code is a gap, many areas side by side one segment; a 32-bit vdso is not ours. */
static void by_hand(void **state)
{
	static struct mapping m[] = {
		{.start = 0x1000, .end = 0x3000, .kind = MAPPED_ANON, .path = ""},
		{.start = 0x3000, .end = 0x4000, .kind = MAPPED_ANON, .path = ""},
		{.start = 0x5000, .end = 0x6000, .kind = MAPPED_ANON, .path = ""},
		{.start = 0x8000, .end = 0xa000, .kind = MAPPED_VDSO, .path = "[vdso]"},
		{.start = 0x7fffffffe000, .end = 0x7ffffffff000, .kind = MAPPED_UPROBES, .path = "[uprobes]"},
		{.start = 0xffffffffff600000,
		 .end = 0xffffffffff601000,
		 .kind = MAPPED_VSYSCALL,
		 .path = "[]"},
	};
	struct world *w = world__new(0, NULL);
	struct process p = {
		.key = {1, 2, 3}, .mappings = m, .count = sizeof(m) / sizeof(*m), .exec_pages = 5};
	struct unwind_process range;

	(void)state;
	assert_int_equal(tables__set_process(w->tables, &p, 0), 0);
	assert_true(tables__range(w->tables, &p.key, &range));
	assert_int_equal(range.count, 5);
	assert_int_equal(w->segments[range.first].begin, 0x1000 | UNWIND_SEGMENT_GAP << 4);
	assert_int_equal(w->segments[range.first].pages, 3);
	assert_int_equal(world__kind(w, &p, 0x3fff), UNWIND_SEGMENT_GAP);
	assert_int_equal(world__kind(w, &p, 0x4000), NOWHERE);
	assert_int_equal(world__kind(w, &p, 0x8000), UNWIND_SEGMENT_GAP);
	assert_int_equal(world__kind(w, &p, 0x7fffffffe000), UNWIND_SEGMENT_FAILED);
	assert_int_equal(world__kind(w, &p, 0xffffffffff600fff), UNWIND_SEGMENT_FAILED);
	assert_int_equal(tables__want(w->tables, &p, 0x3000), 0);
	/* Unmapped: nothing is left of it. */
	p.count = 2;
	assert_int_equal(tables__set_process(w->tables, &p, 0), 0);
	assert_int_equal(world__kind(w, &p, 0x8000), NOWHERE);
	p.count = 0;
	assert_int_equal(tables__set_process(w->tables, &p, 0), 0);
	assert_int_equal(world__kind(w, &p, 0x1000), NOWHERE);
	assert_true(tables__knows(w->tables, &p.key));
	world__free(w);
}

/* The kernel's number is taken when it is known not to be a matter of time. */
static void exec_pages(void **state)
{
	static const struct {
		uint64_t ours, kernels, told;
	} rows[] = {
		{10, 0, 10},  {10, 10, 10}, {10, 12, 10}, /* mapped meanwhile */
		{12, 12, 12}, {12, 13, 12}, {12, 13, 13}, /* it counts otherwise */
		{12, 0, 13},  {12, 14, 14}, {15, 14, 15}, {15, 16, 16}, {15, 15, 15}, {15, 17, 15},
	};
	struct mapping m = {.start = 0x1000, .end = 0x3000, .kind = MAPPED_ANON, .path = ""};
	struct world *w = world__new(0, NULL);
	struct process p = {.key = {1, 2, 3}, .mappings = &m, .count = 1};
	struct unwind_process range;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		p.exec_pages = rows[i].ours;
		assert_int_equal(tables__set_process(w->tables, &p, rows[i].kernels), 0);
		assert_true(tables__range(w->tables, &p.key, &range));
		assert_int_equal(UNWIND_MARK_PAGES(range.mark), rows[i].told);
		assert_int_equal(UNWIND_MARK_PAGES(w->told.mark), rows[i].told);
	}
	world__free(w);
}

/* What is published holds if, while it was read, the kernel chose no address, or saw the number that was
 * read. */
static void marks(void **state)
{
	static const struct {
		uint64_t meanwhile[3], after[3]; /* executable pages at choices; 0: none */
		bool holds, still_holds;
	} rows[] = {
		{{0}, {0}, true, true},
		{{0}, {10}, true, true},
		{{0}, {10, 10}, true, true},
		{{10}, {10}, true, true},
		{{10, 10}, {10}, true, true},
		{{9}, {0}, false, false},
		{{9, 10}, {0}, false, false},
		{{10, 9}, {10}, false, false},
		{{10, 9, 10}, {10}, false, false},
		{{0}, {9}, true, false},
		{{0}, {9, 10}, true, false},
		{{0}, {9, 9}, true, false},
		{{10}, {11, 9, 10}, true, false},
	};
	struct mapping m = {.start = 0x1000, .end = 0x3000, .kind = MAPPED_ANON, .path = ""};
	struct world *w = world__new(0, NULL);
	struct process p = {.key = {1, 2, 3}, .mappings = &m, .count = 1, .exec_pages = 10};
	uint64_t *mark = &w->marks[unwind_mark__index(1)];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		p.mark = tables__begin_reading(w->tables, &p.key);
		assert_true(!i || tables__compare(w->tables, &p.key, *mark, 10) > 0);
		for (size_t k = 0; k < 3 && rows[i].meanwhile[k]; k++)
			*mark = unwind_mark__choice(*mark, rows[i].meanwhile[k]);
		assert_int_equal(tables__set_process(w->tables, &p, 0), 0);
		assert_int_equal(w->told.mark == *mark, rows[i].holds);
		assert_int_equal(!tables__compare(w->tables, &p.key, *mark, 10), rows[i].holds);
		assert_true(tables__compare(w->tables, &p.key, *mark, 11) > 0);
		assert_true(tables__compare(w->tables, &p.key, p.mark, 10) < 0);
		for (size_t k = 0; k < 3 && rows[i].after[k]; k++)
			*mark = unwind_mark__choice(*mark, rows[i].after[k]);
		assert_int_equal(w->told.mark == *mark, rows[i].still_holds);
		/* How long ago the same reading was is not known. */
		assert_int_equal(tables__set_process(w->tables, &p, 0), 0);
		assert_int_not_equal(w->told.mark, *mark);
	}
	world__free(w);
}

/* More segments than there are: those that were set the longest ago give way, after a wait. */
static void crowded(void **state)
{
	enum { AREAS = 10000, PROCESSES = 20 };
	struct world *w = world__new(0, NULL);
	struct mapping *m = calloc(AREAS, sizeof(*m));
	struct process p = {.mappings = m, .count = AREAS};

	(void)state;
	for (size_t i = 0; i < AREAS; i++)
		m[i] = (struct mapping){.start = (i + 1) << 20,
					.end = ((i + 1) << 20) + 4096,
					.kind = MAPPED_ANON,
					.path = ""};
	for (uint64_t i = 1; i <= PROCESSES; i++) {
		p.key = (struct process_key){i, i, i};
		assert_int_equal(tables__set_process(w->tables, &p, 0), 0);
		assert_int_equal(world__kind(w, &p, m[AREAS - 1].start), UNWIND_SEGMENT_GAP);
	}
	assert_true(w->waits > 0);
	assert_int_equal(w->process_count, UNWIND_SEGMENTS_MAX / AREAS);
	p.key = (struct process_key){1, 1, 1};
	assert_false(tables__knows(w->tables, &p.key));
	/* The same again: nothing is written anew. */
	p.key = (struct process_key){PROCESSES, PROCESSES, PROCESSES};
	w->waits = w->sets = 0;
	assert_int_equal(tables__set_process(w->tables, &p, 0), 0);
	assert_int_equal(w->waits + w->sets, 0);
	free(m);
	world__free(w);
}

static void too_many_processes(void **state)
{
	struct mapping m = {.start = 0x1000, .end = 0x3000, .kind = MAPPED_ANON, .path = ""};
	struct world *w = world__new(0, NULL);
	struct process p = {.mappings = &m, .count = 1};

	(void)state;
	for (uint64_t i = 1; i <= UNWIND_PROCESSES_MAX + 5; i++) {
		p.key = (struct process_key){i, i, i};
		assert_int_equal(tables__set_process(w->tables, &p, 0), 0);
	}
	assert_int_equal(w->process_count, UNWIND_PROCESSES_MAX);
	p.key = (struct process_key){5, 5, 5};
	assert_false(tables__knows(w->tables, &p.key));
	p.key = (struct process_key){6, 6, 6};
	assert_true(tables__knows(w->tables, &p.key));
	/* None of them lives: they go by and by, a few at a time. */
	for (int i = 0; i < 1000 && w->process_count; i++)
		tables__tick(w->tables);
	assert_int_equal(w->process_count, 0);
	world__free(w);
}

/* What is known of a process no longer holds, and its files are let go: better nothing than that. */
static void not_told(void **state)
{
	struct mapping m = {.start = 0x1000, .end = 0x3000, .kind = MAPPED_ANON, .path = ""};
	struct world *w = world__new(0, NULL);
	struct process p = {.key = {1, 1, 1}, .mappings = &m, .count = 1};
	uint32_t left = (uint32_t)ranges__left(&w->tables->free_segments);

	(void)state;
	assert_int_equal(tables__set_process(w->tables, &p, 0), 0);
	m.end = 0x5000;
	w->set_error = -ENOMEM;
	assert_int_equal(tables__set_process(w->tables, &p, 0), -ENOMEM);
	assert_false(tables__knows(w->tables, &p.key));
	assert_int_equal(w->process_count, 0);
	w->set_error = 0;
	assert_int_equal(tables__set_process(w->tables, &p, 0), 0);
	assert_true(tables__knows(w->tables, &p.key));
	tables__remove_process(w->tables, &p.key);
	memory__flush_limbo(w->tables);
	assert_int_equal(ranges__left(&w->tables->free_segments), left);
	world__free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_process),
		cmocka_unit_test(shared),
		cmocka_unit_test(kinds),
		cmocka_unit_test(no_code_there),
		cmocka_unit_test(by_hand),
		cmocka_unit_test(exec_pages),
		cmocka_unit_test(marks),
		cmocka_unit_test(crowded),
		cmocka_unit_test(too_many_processes),
		cmocka_unit_test(not_told),
	};

	return cmocka_run_group_tests_name("tables", tests, NULL, NULL);
}
