/* SPDX-License-Identifier: Apache-2.0 */
/* Where tables lie, and how they are let go: unlinked at once, used again after a wait for whoever reads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "stack/tables_private.h"

/* Each round of eviction frees at least this part of all memory: a wait for readers takes milliseconds. */
#define EVICTED_PART 16

static bool add_shard(struct tables *t)
{
	uint32_t i = t->shard_count;

	if (i == UNWIND_SHARDS_MAX || (size_t)(i + 1) * UNWIND_SHARD_BYTES > t->memory_bytes)
		return false;
	t->shards[i] = t->memory.new_shard(t->memory.context, i);
	if (!t->shards[i])
		return false;
	t->shard_count++;
	t->counts.shard_bytes += UNWIND_SHARD_BYTES;
	return !ranges__give(&t->free_lines[i], 0, SHARD_LINES);
}

static bool take_lines(struct tables *t, uint32_t lines, struct chunk_note *note)
{
	uint32_t line;

	for (uint32_t i = 0; i < t->shard_count || add_shard(t); i++) {
		if (!ranges__take(&t->free_lines[i], lines, &line))
			continue;
		note->shard = (uint16_t)i;
		note->line = (uint16_t)line;
		return true;
	}
	return false;
}

static uint32_t lines_of(size_t bytes)
{
	return (uint32_t)((bytes + UNWIND_LINE - 1) / UNWIND_LINE);
}

/* Makes room for that many lines side by side, if it can be had. */
static bool make_room(struct tables *t, const struct executable *e, uint32_t lines, struct chunk_note *note)
{
	size_t goal = t->memory_bytes / EVICTED_PART, before;
	uint32_t victim;

	for (;;) {
		if (t->limbo_count) {
			memory__flush_limbo(t);
			if (take_lines(t, lines, note))
				return true;
		}
		before = t->counts.table_bytes;
		while (before - t->counts.table_bytes <= goal) {
			victim = memory__victim(t, false, e);
			if (victim == UINT32_MAX)
				break;
			memory__evict(t, victim);
		}
		if (!t->limbo_count)
			return false;
	}
}

int memory__put(struct tables *t, struct executable *e, struct chunk_note *note, const void *blob,
		size_t bytes, bool may_evict)
{
	uint32_t lines = lines_of(bytes);
	char *to;

	if (!take_lines(t, lines, note) && (!may_evict || !make_room(t, e, lines, note)))
		return -ENOSPC;
	to = (char *)t->shards[note->shard] + (size_t)note->line * UNWIND_LINE;
	memcpy(to, blob, bytes);
	note->bytes = (uint32_t)bytes;
	e->tables++;
	e->filled_ns = units__now_ns();
	t->counts.chunks++;
	t->counts.rows += note->rows;
	t->counts.table_bytes += (size_t)lines * UNWIND_LINE;
	return 0;
}

void memory__retire(struct tables *t, enum limbo_kind kind, uint32_t shard, uint32_t first, uint32_t count)
{
	size_t capacity = t->limbo_capacity ? 2 * t->limbo_capacity : 64;
	struct limbo_entry *grown;

	if (t->limbo_count == t->limbo_capacity) {
		grown = reallocarray(t->limbo, capacity, sizeof(*grown));
		if (!grown)
			return; /* never used again */
		t->limbo = grown;
		t->limbo_capacity = capacity;
	}
	t->limbo[t->limbo_count++] = (struct limbo_entry){kind, shard, first, count};
}

void memory__flush_limbo(struct tables *t)
{
	const struct limbo_entry *l;

	if (!t->limbo_count)
		return;
	t->memory.wait_for_readers(t->memory.context);
	for (size_t i = 0; i < t->limbo_count; i++) {
		struct ranges *const to[] = {
			[LIMBO_CHUNKS] = &t->free_chunks,
			[LIMBO_SEGMENTS] = &t->free_segments,
			[LIMBO_LINES] = &t->free_lines[t->limbo[i].shard],
		};

		l = &t->limbo[i];
		ranges__give(to[l->kind], l->first, l->count);
	}
	t->limbo_count = 0;
}

void memory__evict(struct tables *t, uint32_t index)
{
	struct executable *e = t->executables[index];
	struct chunk_note *n;

	executable__save(t, e);
	for (uint32_t i = 0; i < e->count; i++) {
		n = &e->notes[i];
		if (n->kind != UNWIND_CHUNK_TABLE)
			continue;
		executable__set(t, e, n, UNWIND_CHUNK_UNBUILT);
		memory__retire(t, LIMBO_LINES, n->shard, n->line, lines_of(n->bytes));
		t->counts.table_bytes -= (size_t)lines_of(n->bytes) * UNWIND_LINE;
		t->counts.rows -= n->rows;
		t->counts.chunks--;
		t->counts.chunks_evicted++;
	}
	e->tables = 0;
	if (!e->users && !e->asked)
		executable__free(t, index);
}

/*
 * Nothing tells which tables the kernel has read of late: so first those that nobody maps, then those that
 * were mapped or asked for the longest ago.
 */
uint32_t memory__victim(const struct tables *t, bool idle, const struct executable *except)
{
	uint64_t now = units__now_ns();
	const struct executable *e, *best = NULL;
	uint32_t index = UINT32_MAX;

	for (uint32_t i = 0; i < EXECUTABLES_MAX; i++) {
		e = t->executables[i];
		if (!e || e == except)
			continue;
		if (idle ? e->users || e->asked : !e->tables || now - e->filled_ns < SETTLED_NS)
			continue;
		if (best && (!e->users != !best->users ? e->users > 0 : e->used_ns >= best->used_ns))
			continue;
		best = e;
		index = i;
	}
	return index;
}
