/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How much of what is read from files the page cache has. Part of memory.bpf.c. */
#ifndef SONDE_MEMORY_CACHE_BPF_H
#define SONDE_MEMORY_CACHE_BPF_H

#include "memory_state.bpf.h"

inline_always u64 folio__pages(struct folio *folio)
{
	struct folio___wrapped *wrapped = (void *)folio;
	u64 flags, order = 0;

	if (!bpf_core_type_exists(struct folio))
		return 1;
	flags = bpf_core_field_exists(wrapped->flags.f) ? READ(wrapped, flags.f) : READ(folio, flags);
	if (!(flags >> bpf_core_enum_value(enum pageflags, PG_head) & 1))
		return 1;
	if (bpf_core_field_exists(folio->_folio_order))
		order = READ(folio, _folio_order);
	else if (bpf_core_field_exists(folio->_flags_1))
		order = READ(folio, _flags_1) & 0xff;
	return 1ULL << (order & 15);
}

/* Brought in by a read, before that asks for them; or for another purpose, and then no read will claim it. */
HOOK("mm_filemap_add_to_page_cache")
int BPF_PROG(on_page_added, struct folio *folio)
{
	struct task_struct *task = task__current();
	struct loss *l = loss__here();
	struct watched *w;
	s64 call;

	if (!l)
		return 0;
	l->runs++;
	call = current__call(task);
	if (call < 0)
		return 0;
	w = watched__get(task, l);
	if (!w)
		return 0;
	if (w->state.cache_call != call)
		w->state.cache_fetched = 0;
	w->state.cache_call = call;
	w->state.cache_fetched += folio__pages(folio);
	return 0;
}

/* A long read asks for what is left of it again and again. */
inline_always u64 pages__asked(struct memory_thread *t, u64 mapping, u64 index, u64 end)
{
	u64 from = index;

	if (t->cache_mapping == mapping && index > t->cache_index && index < t->cache_end)
		from = t->cache_end;
	t->cache_mapping = mapping;
	t->cache_index = index;
	t->cache_end = end;
	return end > from ? end - from : 0;
}

HOOK("mm_filemap_get_pages")
int BPF_PROG(on_get_pages, struct address_space *mapping, unsigned long index, unsigned long last)
{
	struct task_struct *task = task__current();
	u64 now = bpf_ktime_get_ns(), size, asked, fetched = 0;
	struct loss *l = loss__here();
	struct watched *w;
	s64 call;

	if (!l)
		return 0;
	l->runs++;
	call = current__call(task);
	w = call < 0 || !control__running(now) ? NULL : watched__get(task, l);
	if (!w)
		return 0;
	size = ((u64)READ(mapping, host, i_size) + page_bytes - 1) / page_bytes;
	last = last + 1 < size ? last + 1 : size;
	asked = pages__asked(&w->state, (u64)mapping, index, last);
	if (w->state.cache_call == call)
		fetched = w->state.cache_fetched;
	w->state.cache_fetched = 0;
	if (asked || fetched)
		cell__count(w, MEMORY_CACHE_PAGES, 0, 0, asked, fetched, l);
	return 0;
}

#endif
