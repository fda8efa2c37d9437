/* SPDX-License-Identifier: Apache-2.0 */
/* Unwind tables that are asked for before a stack needs them: all files of a process, all of a small file,
 * and never at the expense of what is needed now. */
#include "tables_fixture.h"

#define CHUNK 65536u

/* The last mapping of another file than the first one's. */
static const struct mapping *last_file(const struct process *p)
{
	for (size_t i = p->count; i-- > 1;)
		if (p->mappings[i].kind == MAPPED_FILE && p->mappings[i].inode != p->mappings[0].inode)
			return &p->mappings[i];
	fail();
	return NULL;
}

static size_t count_files(const struct process *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		n += p->mappings[i].kind == MAPPED_VDSO ||
		     (p->mappings[i].kind == MAPPED_FILE &&
		      (!i || p->mappings[i - 1].inode != p->mappings[i].inode));
	return n;
}

/* Whoever maps these files later finds their tables. */
static void before_the_process(void **state)
{
	struct world *w = world__new(0, NULL);
	struct process self = process__self(w);

	(void)state;
	tables__foresee(w->tables, &self);
	assert_true(tables__is_waiting(w->tables));
	assert_int_equal(world__work(w), count_files(&self));
	assert_false(tables__is_waiting(w->tables));
	assert_int_equal(tables__set_process(w->tables, &self, 0), 0);
	for (size_t i = 0; i < self.count; i++)
		if (self.mappings[i].kind == MAPPED_FILE && !self.mappings[i].offset)
			assert_int_equal(world__rule(w, &self, self.mappings[i].start),
					 world__expected(w, &self, self.mappings[i].start));
	tables__foresee(w->tables, &self);
	assert_int_equal(world__work(w), 0);
	process__free_mappings(&self);
	world__free(w);
}

/* A stack needs the last file, at another place than was foreseen. */
static void urgent(void **state)
{
	struct world *w = world__new(0, NULL);
	struct process self = process__self(w);
	const struct mapping *m = last_file(&self);

	(void)state;
	w->is_busy = true;
	assert_int_equal(tables__set_process(w->tables, &self, 0), 0);
	tables__foresee(w->tables, &self);
	assert_int_equal(tables__want(w->tables, &self, m->start + 0x123), 0);
	assert_true(tables__awaits(w->tables, &self, m->start + 0x123));
	w->is_busy = false;
	assert_int_equal(tables__work(w->tables, 0), 1);
	assert_false(tables__awaits(w->tables, &self, m->start + 0x123));
	assert_int_equal(world__rule(w, &self, m->start + 0x123),
			 world__expected(w, &self, m->start + 0x123));
	world__work(w);
	process__free_mappings(&self);
	world__free(w);
}

/* Of a small file everything, but first what was needed; not again from what the disk has. */
static void whole(void **state)
{
	char *dir = fixture__new(), *cache = NULL;
	struct tables_counts c;
	struct world *w;
	struct process self;
	const struct mapping *m;

	(void)state;
	assert_true(asprintf(&cache, "%s/cache", dir) > 0);
	w = world__new(0, cache);
	self = process__self(w);
	m = last_file(&self);
	w->load_bytes = 10 * CHUNK;
	w->build_id = "0123456789abcdef";
	assert_int_equal(tables__want(w->tables, &self, m->start), 0);
	assert_false(w->question.whole);
	assert_int_equal(world__work(w), 2);
	assert_true(w->question.whole);
	tables__counts(w->tables, &c);
	assert_int_equal(c.chunks_built, 11);
	world__close_tables(w);

	world__open(w, 0, cache);
	assert_int_equal(tables__want(w->tables, &self, m->start), 0);
	assert_int_equal(world__work(w), geteuid() ? 2 : 1);
	process__free_mappings(&self);
	world__free(w);
	fixture__remove(dir);
	free(cache);
}

/* Nobody waits for the rest: it drives out nothing. */
static void no_room(void **state)
{
	struct world *w = world__new(UNWIND_SHARD_BYTES, NULL);
	struct process self = process__self(w);
	struct tables_counts c;

	(void)state;
	w->rows = 4000;
	w->load_bytes = 60 * CHUNK;
	assert_int_equal(tables__want(w->tables, &self, self.mappings[0].start), 0);
	assert_int_equal(world__work(w), 2);
	tables__counts(w->tables, &c);
	assert_true(c.chunks < 60 && c.chunks > 1);
	assert_int_equal(c.chunks_evicted, 0);
	tables__foresee(w->tables, &self);
	assert_int_equal(world__work(w), 0);
	process__free_mappings(&self);
	world__free(w);
}

/* Stacks of it are still to be walked. */
static void after_the_process(void **state)
{
	struct world *w = world__new(0, NULL);
	pid_t pid = fixture__child();
	struct process child = process__read_pid(w, pid);
	const struct mapping *m = last_file(&child);
	struct file_key key;

	(void)state;
	assert_int_equal(tables__set_process(w->tables, &child, 0), 0);
	tables__foresee(w->tables, &child);
	world__work(w);
	fixture__end(pid);
	assert_int_equal(world__rule(w, &child, m->start + CHUNK), 0);
	assert_int_equal(tables__want(w->tables, &child, m->start + CHUNK), 0);
	assert_int_equal(world__work(w), 1);
	assert_int_equal(world__rule(w, &child, m->start + CHUNK),
			 world__expected(w, &child, m->start + CHUNK));
	assert_true(tables__file(w->tables, &child, m, &key) >= 0);
	assert_int_equal(key.inode, m->inode);
	/* Nothing is held of what nobody maps. */
	tables__remove_process(w->tables, &child.key);
	assert_int_equal(w->tables->held, 0);
	assert_int_equal(tables__file(w->tables, &child, m, &key), -ENOENT);
	process__free_mappings(&child);
	world__free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_the_process),
		cmocka_unit_test(urgent),
		cmocka_unit_test(whole),
		cmocka_unit_test(no_room),
		cmocka_unit_test(after_the_process),
	};

	return cmocka_run_group_tests_name("tables_ahead", tests, NULL, NULL);
}
