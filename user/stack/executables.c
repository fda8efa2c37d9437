/* SPDX-License-Identifier: Apache-2.0 */
/* Files with code: which chunks they have, and what is known of each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/units.h"
#include "stack/tables_private.h"
#include "object/unwind_blob.h"

#define ADDRESS_END (1ULL << 56)

static uint32_t free_slot(struct tables *t)
{
	for (uint32_t i = 0; i < EXECUTABLES_MAX; i++)
		if (!t->executables[i])
			return i;
	return UINT32_MAX;
}

uint32_t executable__find_or_add(struct tables *t, const struct file_key *key)
{
	uint32_t *known = table__find(&t->files, key), index;
	struct executable *e;

	if (known)
		return *known;
	index = free_slot(t);
	if (index == UINT32_MAX) {
		index = memory__victim(t, true, NULL);
		if (index == UINT32_MAX)
			return UINT32_MAX;
		memory__evict(t, index);
	}
	e = calloc(1, sizeof(*e));
	known = e ? table__add(&t->files, key, NULL) : NULL;
	if (!known) {
		free(e);
		return UINT32_MAX;
	}
	*known = index;
	e->key = *key;
	e->fd = -1;
	e->is_vdso = !key->inode && !key->device;
	e->used_ns = units__now_ns();
	t->executables[index] = e;
	t->counts.files++;
	return index;
}

/* Its chunks are unlinked already. */
void executable__free(struct tables *t, uint32_t index)
{
	struct executable *e = t->executables[index];

	for (uint32_t i = 0; i < e->count; i++)
		executable__set(t, e, &e->notes[i], UNWIND_CHUNK_UNBUILT);
	if (e->count)
		memory__retire(t, LIMBO_CHUNKS, 0, e->first, e->count);
	table__remove(&t->files, &e->key);
	executable__let_go(t, e);
	free(e->notes);
	free(e);
	t->executables[index] = NULL;
}

void executable__hold(struct tables *t, struct executable *e, int *fd)
{
	if (*fd < 0 || e->fd >= 0 || !e->users || t->held == HELD_MAX)
		return;
	e->fd = *fd;
	*fd = -1;
	t->held++;
}

void executable__let_go(struct tables *t, struct executable *e)
{
	if (e->fd >= 0)
		t->held--;
	fd__close(&e->fd);
}

const struct table_load *executable__load(const struct tables *t, const struct executable *e, uint64_t offset)
{
	uint64_t mask = ~(uint64_t)(t->page_bytes - 1), begin, end;
	const struct table_load *l, *best = NULL;

	for (uint32_t i = 0; i < e->load_count; i++) {
		l = &e->loads[i];
		begin = l->offset & mask;
		end = (l->offset + l->bytes + t->page_bytes - 1) & mask;
		/* Two may share a page of the file: a mapping that begins there is the second one's. */
		if (begin <= offset && offset < end && (!best || begin > (best->offset & mask)))
			best = l;
	}
	return best;
}

uint64_t executable__address(const struct tables *t, const struct table_load *l, uint64_t offset)
{
	uint64_t mask = ~(uint64_t)(t->page_bytes - 1);

	return (l->address & mask) + (offset - (l->offset & mask));
}

/* Every chunk that a page of code can lie in. */
static bool measure(const struct tables *t, const struct table_answer *a, uint64_t *number, uint64_t *count)
{
	uint64_t mask = ~(uint64_t)(t->page_bytes - 1), low = UINT64_MAX, high = 0, end;

	if (!a->load_count || a->load_count > TABLE_LOADS_MAX)
		return false;
	for (uint32_t i = 0; i < a->load_count; i++) {
		const struct table_load *l = &a->loads[i];

		if (!l->bytes || l->bytes > ADDRESS_END || l->address > ADDRESS_END ||
		    l->offset > ADDRESS_END)
			return false;
		/* By the file's pages: its bytes may begin elsewhere in theirs than the address does. */
		end = executable__address(t, l, (l->offset + l->bytes + t->page_bytes - 1) & mask);
		if ((l->address & mask) < low)
			low = l->address & mask;
		if (end > high)
			high = end;
	}
	*number = low >> UNWIND_CHUNK_SHIFT;
	*count = ((high - 1) >> UNWIND_CHUNK_SHIFT) + 1 - *number;
	return *count <= SPAN_MAX;
}

static int take_chunks(struct tables *t, uint32_t count, uint32_t *first)
{
	uint32_t victim;

	if (ranges__take(&t->free_chunks, count, first))
		return 0;
	for (;;) {
		memory__flush_limbo(t);
		if (ranges__take(&t->free_chunks, count, first))
			return 0;
		victim = memory__victim(t, true, NULL);
		if (victim == UINT32_MAX)
			return -ENOSPC;
		memory__evict(t, victim);
	}
}

/* The first answer about a file: where its code lies. */
int executable__learn(struct tables *t, struct executable *e, const struct table_answer *a)
{
	uint64_t number, count;
	int err;

	if (!measure(t, a, &number, &count))
		return -EINVAL;
	e->notes = calloc(count, sizeof(*e->notes));
	if (!e->notes)
		return -ENOMEM;
	err = take_chunks(t, (uint32_t)count, &e->first);
	if (err) {
		free(e->notes);
		e->notes = NULL;
		return err;
	}
	e->number = number;
	e->count = (uint32_t)count;
	e->load_count = a->load_count;
	memcpy(e->loads, a->loads, sizeof(e->loads));
	memcpy(e->build_id, a->build_id, sizeof(e->build_id));
	e->build_id[sizeof(e->build_id) - 1] = '\0';
	e->state = EXECUTABLE_KNOWN;
	return 0;
}

/* What chunks[] says from now on. Whatever a table refers to was written before. */
void executable__set(struct tables *t, struct executable *e, struct chunk_note *note,
		     enum unwind_chunk_kind kind)
{
	uint32_t index = e->first + (uint32_t)(note - e->notes), chunk = kind;

	if (kind == UNWIND_CHUNK_TABLE)
		chunk = unwind_chunk__make(kind, note->shard,
					   (uint32_t)note->line * UNWIND_LINE + note->header);
	__atomic_store_n(&t->memory.chunks[index], chunk, __ATOMIC_RELEASE);
	if (note->kind == UNWIND_CHUNK_TABLE || note->kind == UNWIND_CHUNK_GAP)
		e->settled--;
	if (kind == UNWIND_CHUNK_TABLE || kind == UNWIND_CHUNK_GAP)
		e->settled++;
	note->kind = (uint8_t)kind;
}

void executable__put(struct tables *t, struct executable *e, const struct unwind_cache_chunk *c,
		     bool may_evict)
{
	struct chunk_note *note;

	if (c->number < e->number || c->number - e->number >= e->count)
		return;
	note = &e->notes[c->number - e->number];
	if (note->kind != UNWIND_CHUNK_UNBUILT || c->what.kind == UNWIND_CHUNK_UNBUILT)
		return;
	if (c->what.kind == UNWIND_CHUNK_GAP) {
		executable__set(t, e, note, UNWIND_CHUNK_GAP);
		return;
	}
	if (c->what.kind != UNWIND_CHUNK_TABLE ||
	    !unwind_blob__is_sound(c->blob, c->blob_bytes, c->what.header)) {
		executable__set(t, e, note, UNWIND_CHUNK_FAILED);
		return;
	}
	note->header = (uint16_t)c->what.header;
	note->rows = unwind_blob__rows(c->blob, c->what.header);
	if (memory__put(t, e, note, c->blob, c->blob_bytes, may_evict)) {
		if (may_evict) {
			e->dropped_ns = units__now_ns();
			t->counts.chunks_dropped++;
		}
		return;
	}
	executable__set(t, e, note, UNWIND_CHUNK_TABLE);
}

static bool describe(const struct tables *t, const struct executable *e, struct unwind_cache_file *f)
{
	if (!t->cache || !e->is_system || !*e->build_id)
		return false;
	*f = (struct unwind_cache_file){.size_bytes = e->key.size_bytes, .load_count = e->load_count};
	memcpy(f->build_id, e->build_id, sizeof(f->build_id));
	memcpy(f->loads, e->loads, sizeof(f->loads));
	return true;
}

void executable__fill_from_cache(struct tables *t, struct executable *e)
{
	struct unwind_cache_view view;
	struct unwind_cache_chunk c;
	struct unwind_cache_file f;
	struct buf bytes = {0};
	uint32_t before = e->settled;

	if (describe(t, e, &f) && !unwind_cache__load(t->cache, &f, &bytes, &view)) {
		e->cached = view.count;
		while (unwind_cache__next(&view, &c))
			executable__put(t, e, &c, false);
		t->counts.chunks_cached += e->settled - before;
	}
	buf__free(&bytes);
}

/* If there is more of it than the disk has. */
void executable__save(struct tables *t, struct executable *e)
{
	struct unwind_cache_chunk *chunks;
	struct unwind_cache_file f;
	const struct chunk_note *n;
	size_t count = 0;

	if (e->settled <= e->cached || !describe(t, e, &f))
		return;
	chunks = calloc(e->settled, sizeof(*chunks));
	for (uint32_t i = 0; chunks && i < e->count && count < e->settled; i++) {
		n = &e->notes[i];
		if (n->kind != UNWIND_CHUNK_TABLE && n->kind != UNWIND_CHUNK_GAP)
			continue;
		chunks[count] = (struct unwind_cache_chunk){.number = e->number + i, .what.kind = n->kind};
		if (n->kind == UNWIND_CHUNK_TABLE) {
			chunks[count].what.header = n->header;
			chunks[count].blob =
				(const char *)t->shards[n->shard] + (size_t)n->line * UNWIND_LINE;
			chunks[count].blob_bytes = n->bytes;
		}
		count++;
	}
	if (chunks && !unwind_cache__save(t->cache, &f, chunks, count))
		e->cached = (uint32_t)count;
	free(chunks);
}
