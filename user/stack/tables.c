/* SPDX-License-Identifier: Apache-2.0 */
#include "stack/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "object/vdso.h"
#include "stack/tables_private.h"

#define CHECKED_A_TICK 64   /* processes; a look at one takes some 20 us */
#define LIMBO_LEFT     1024 /* so much is not worth a wait */

static bool init(struct tables *t, const struct tables_options *o)
{
	t->memory_bytes = o->memory_bytes ? o->memory_bytes : TABLES_MEMORY_BYTES;
	if (t->memory_bytes < UNWIND_SHARD_BYTES)
		t->memory_bytes = UNWIND_SHARD_BYTES;
	t->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	t->vdso_bytes = vdso__size();
	table__init(&t->processes, sizeof(struct process_key), sizeof(struct watched *));
	table__init(&t->files, sizeof(struct file_key), sizeof(uint32_t));
	t->scratch = calloc(PROCESS_SEGMENTS_MAX, sizeof(*t->scratch));
	/* The first chunk stays unbuilt: what points nowhere points there. */
	return t->scratch && !ranges__give(&t->free_chunks, 1, UNWIND_CHUNKS_MAX - 1) &&
	       !ranges__give(&t->free_segments, 0, UNWIND_SEGMENTS_MAX);
}

struct tables *tables__new_from(const struct table_memory *memory, const struct table_builder *builder,
				const struct tables_options *o)
{
	struct tables *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->memory = *memory;
	t->builder = *builder;
	if (!init(t, o)) {
		tables__free(t);
		errno = ENOMEM;
		return NULL;
	}
	/* Without a cache all is built anew: slower, not worse. */
	if (o->cache_directory)
		t->cache = unwind_cache__open(o->cache_directory, UNWIND_CACHE_LIMIT_BYTES);
	return t;
}

static void free_watched(struct tables *t, struct watched *w)
{
	places__drop(t, w->places, w->count);
	free(w);
}

void tables__free(struct tables *t)
{
	size_t cursor = 0;
	void *value;

	if (!t)
		return;
	ask__close(t);
	while (table__next(&t->processes, &cursor, NULL, &value))
		free_watched(t, *(struct watched **)value);
	table__free(&t->processes);
	for (size_t i = 0; i < EXECUTABLES_MAX; i++) {
		if (!t->executables[i])
			continue;
		executable__save(t, t->executables[i]);
		executable__let_go(t, t->executables[i]);
		free(t->executables[i]->notes);
		free(t->executables[i]);
	}
	table__free(&t->files);
	for (uint32_t i = 0; i < t->shard_count; i++) {
		t->memory.free_shard(t->memory.context, i, t->shards[i]);
		ranges__free(&t->free_lines[i]);
	}
	ranges__free(&t->free_chunks);
	ranges__free(&t->free_segments);
	unwind_cache__close(t->cache);
	free(t->limbo);
	free(t->scratch);
	free(t);
}

static struct watched *find(const struct tables *t, const struct process_key *key)
{
	struct watched **w = table__find(&t->processes, key);

	return w ? *w : NULL;
}

bool tables__knows(const struct tables *t, const struct process_key *key)
{
	const struct watched *w = find(t, key);

	return w && w->is_public;
}

static uint64_t *mark_of(const struct tables *t, const struct process_key *key)
{
	return &t->memory.marks[unwind_mark__index(key->start_boot_ns)];
}

int tables__compare(const struct tables *t, const struct process_key *key, uint64_t mark, uint64_t exec_pages)
{
	const struct watched *w = find(t, key);

	if (!w || !w->is_public)
		return 1;
	if (w->range.mark != mark)
		return (int64_t)(mark - w->range.mark) < 0 ? -1 : 1;
	return UNWIND_MARK_PAGES(mark) != exec_pages;
}

uint64_t tables__begin_reading(struct tables *t, const struct process_key *key)
{
	uint64_t *mark = mark_of(t, key), before = __atomic_load_n(mark, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(mark, &before, UNWIND_MARK_NEXT(before), false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST))
		;
	return UNWIND_MARK_NEXT(before);
}

/* The mark with which what was read is published; `begin`: tables__begin_reading(). */
static uint64_t settle(uint64_t *mark, uint64_t begin, uint64_t exec_pages)
{
	uint64_t found = __atomic_load_n(mark, __ATOMIC_RELAXED), settled;

	while (begin &&
	       (found == begin || (found & (UNWIND_MARK_CHANGE - 1)) == (UNWIND_MARK_SAME | exec_pages))) {
		settled = UNWIND_MARK_NEXT(found) | UNWIND_MARK_SETTLED | exec_pages;
		if (__atomic_compare_exchange_n(mark, &found, settled, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return settled;
	}
	return begin | UNWIND_MARK_SETTLED | exec_pages; /* no mark is that */
}

bool tables__range(const struct tables *t, const struct process_key *key, struct unwind_process *range)
{
	const struct watched *w = find(t, key);

	if (!w || !w->is_public)
		return false;
	*range = w->range;
	return true;
}

struct watched *tables__oldest(const struct tables *t, const struct watched *except)
{
	struct watched *oldest = NULL, *w;
	size_t cursor = 0;
	void *value;

	while (table__next(&t->processes, &cursor, NULL, &value)) {
		w = *(struct watched **)value;
		if (w != except && (!oldest || w->set_ns < oldest->set_ns))
			oldest = w;
	}
	return oldest;
}

void watched__remove(struct tables *t, struct watched *w)
{
	const struct unwind_process_key key = {w->who.key.start_boot_ns, (uint32_t)w->who.key.tgid,
					       (uint32_t)w->who.key.exec_id};

	if (w->is_public)
		t->memory.remove_process(t->memory.context, &key);
	if (w->range.count)
		memory__retire(t, LIMBO_SEGMENTS, 0, w->range.first, w->range.count);
	table__remove(&t->processes, &w->who.key);
	free_watched(t, w);
}

void tables__remove_process(struct tables *t, const struct process_key *key)
{
	struct watched *w = find(t, key);

	if (w)
		watched__remove(t, w);
}

static struct watched *add(struct tables *t, const struct process *process)
{
	struct watched *w, **slot;

	if (t->processes.count >= UNWIND_PROCESSES_MAX)
		watched__remove(t, tables__oldest(t, NULL));
	w = calloc(1, sizeof(*w));
	slot = w ? table__add(&t->processes, &process->key, NULL) : NULL;
	if (!slot) {
		free(w);
		return NULL;
	}
	*slot = w;
	w->who.key = process->key;
	w->who.stack_start = process->stack_start;
	return w;
}

/*
 * What the kernel compares its own number with. A difference may mean that mappings were made between its
 * look and ours: then it will ask again. The same difference again means that it counts in another way than
 * we do: its number it is, or it would ask for ever.
 */
static uint64_t agree(struct watched *w, uint64_t ours, uint64_t kernels)
{
	bool is_odd_again = w->odd_pages == ours + 1;

	if (!kernels)
		return is_odd_again ? w->exec_pages : ours;
	if (kernels == ours) {
		w->odd_pages = 0;
		return ours;
	}
	w->odd_pages = ours + 1;
	return is_odd_again ? kernels : ours;
}

int tables__set_process(struct tables *t, const struct process *process, uint64_t exec_pages)
{
	struct watched *w = find(t, &process->key);
	bool is_new = !w;
	int err;

	if (!w)
		w = add(t, process);
	if (!w)
		return -ENOMEM;
	err = places__update(t, w, process);
	if (!err) {
		w->set_ns = units__now_ns();
		w->generation = process->generation;
		w->exec_pages = agree(w, process->exec_pages, exec_pages);
		w->mark = settle(mark_of(t, &process->key), process->mark, w->exec_pages);
		err = watched__publish(t, w);
	}
	if (err && is_new)
		watched__remove(t, w);
	return err;
}

static bool is_gone(const struct watched *w)
{
	int dir = process__open(&w->who);

	if (dir >= 0)
		close(dir);
	return dir == -ESRCH;
}

void tables__tick(struct tables *t)
{
	struct watched *w;
	void *value;

	for (size_t i = 0; i < CHECKED_A_TICK && i < t->processes.count; i++) {
		if (!table__next(&t->processes, &t->tick_cursor, NULL, &value)) {
			t->tick_cursor = 0;
			continue;
		}
		w = *(struct watched **)value;
		if (is_gone(w))
			watched__remove(t, w);
	}
	if (t->limbo_count > LIMBO_LEFT)
		memory__flush_limbo(t);
}

void tables__counts(const struct tables *t, struct tables_counts *c)
{
	*c = t->counts;
	c->processes = t->processes.count;
}
