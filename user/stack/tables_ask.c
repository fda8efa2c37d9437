/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the builder, one at a time, and what comes of its answers. Those are not believed: the process
 * that reads foreign files may have been taken over by one. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/units.h"
#include "stack/tables_private.h"

#define ANSWERS_AT_ONCE 64 /* then the events have their turn */

/* The chunk at a file offset; NULL: none there, or the file is not known yet. */
static struct chunk_note *note_at(const struct tables *t, struct executable *e, uint64_t offset)
{
	const struct table_load *load;

	if (e->state != EXECUTABLE_KNOWN)
		return NULL;
	load = executable__load(t, e, offset);
	return load ? &e->notes[(executable__address(t, load, offset) >> UNWIND_CHUNK_SHIFT) - e->number]
		    : NULL;
}

static void mark_dirty(struct tables *t, uint32_t executable)
{
	size_t cursor = 0;
	void *value;
	struct watched *w;

	while (table__next(&t->processes, &cursor, NULL, &value)) {
		w = *(struct watched **)value;
		for (size_t i = 0; i < w->count && !w->is_dirty; i++)
			w->is_dirty = w->places[i].executable == executable;
	}
}

/* Publishing may remove other processes, which changes the order of the table: until a pass finds none. */
static void publish_dirty(struct tables *t)
{
	bool again = true;
	size_t cursor;
	void *value;

	while (again) {
		again = false;
		cursor = 0;
		while (table__next(&t->processes, &cursor, NULL, &value)) {
			struct watched *w = *(struct watched **)value;

			if (!w->is_dirty)
				continue;
			watched__publish(t, w);
			again = true;
		}
	}
}

static void drop_first(struct tables *t)
{
	struct want *w = &t->wants[0];
	struct executable *e = t->executables[w->executable];
	struct chunk_note *note = note_at(t, e, w->offset);

	fd__close(&w->fd);
	e->asked--;
	if (note)
		note->asked = false;
	memmove(w, w + 1, --t->want_count * sizeof(*w));
	t->is_asking = false;
}

/* The file has no code there; what else it has is not known yet. */
static void mark_gap(struct tables *t, const struct want *want)
{
	size_t cursor = 0;
	void *value;

	while (table__next(&t->processes, &cursor, NULL, &value)) {
		struct watched *w = *(struct watched **)value;

		for (size_t i = 0; i < w->count; i++) {
			struct place *p = &w->places[i];

			if (p->executable != want->executable || want->offset < p->offset ||
			    want->offset - p->offset >= p->end - p->start)
				continue;
			place__bind(t, p, PLACE_GAP);
			w->is_dirty = true;
		}
	}
}

/* What the first want asked for cannot be had. */
static void fail(struct tables *t, int err)
{
	uint32_t index = t->wants[0].executable;
	struct executable *e = t->executables[index];
	struct chunk_note *note = note_at(t, e, t->wants[0].offset);

	if (e->state == EXECUTABLE_NEW && err == -ENXIO) {
		mark_gap(t, &t->wants[0]);
	} else if (e->state == EXECUTABLE_NEW) {
		e->state = err == -ENOENT || err == -ENOEXEC ? EXECUTABLE_GAP : EXECUTABLE_FAILED;
		if (e->state == EXECUTABLE_FAILED)
			t->counts.files_failed++;
		mark_dirty(t, index);
	} else if (note && note->kind == UNWIND_CHUNK_UNBUILT) {
		executable__set(t, e, note, UNWIND_CHUNK_FAILED);
	}
}

static void take(struct tables *t, const struct table_answer *a)
{
	const struct want *w = &t->wants[0];
	const struct unwind_cache_chunk c = {a->chunk, a->what, a->blob, a->blob_bytes};
	struct chunk_note *note;
	struct executable *e;
	int err = a->error;

	if (!t->is_asking || a->ticket != w->ticket)
		return;
	e = t->executables[w->executable];
	if (!err && e->state == EXECUTABLE_NEW) {
		err = executable__learn(t, e, a);
		if (!err) {
			executable__fill_from_cache(t, e);
			mark_dirty(t, w->executable);
		}
	}
	note = note_at(t, e, w->offset);
	if (err) {
		fail(t, err);
	} else {
		uint32_t before = e->settled;

		executable__put(t, e, &c, true);
		t->counts.chunks_built += e->settled - before;
		/* Answered, but not what was asked: it would be asked for ever. */
		if (a->last && note && note->kind == UNWIND_CHUNK_UNBUILT &&
		    units__now_ns() - e->dropped_ns > SETTLED_NS)
			fail(t, -EIO);
	}
	/* Even of a file that has failed here, all answers are taken: the next question waits for the last.
	 */
	if (a->error || a->last)
		drop_first(t);
}

static bool is_needed(const struct tables *t, const struct want *w)
{
	struct executable *e = t->executables[w->executable];
	const struct chunk_note *note = note_at(t, e, w->offset);

	return e->state == EXECUTABLE_NEW || (note && note->kind == UNWIND_CHUNK_UNBUILT);
}

void ask__next(struct tables *t)
{
	struct want *w = &t->wants[0];
	struct table_question q;
	int err;

	while (!t->is_asking && t->want_count) {
		q = (struct table_question){.ticket = w->ticket,
					    .fd = w->fd,
					    .key = t->executables[w->executable]->key,
					    .offset = w->offset};
		err = is_needed(t, w) ? t->builder.ask(t->builder.context, &q) : -ECANCELED;
		if (err == -EAGAIN)
			return;
		if (err && err != -ECANCELED)
			fail(t, err);
		if (err) {
			drop_first(t);
			continue;
		}
		fd__close(&w->fd);
		t->is_asking = true;
	}
}

void ask__close(struct tables *t)
{
	while (t->want_count)
		drop_first(t);
}

int tables__work(struct tables *t, uint64_t until_ns)
{
	struct table_answer a;
	int taken = 0, got;

	ask__next(t);
	/* Once even if nothing is awaited: a builder that has died is noticed by it. */
	while (taken < ANSWERS_AT_ONCE) {
		got = t->builder.take(t->builder.context, &a, t->is_asking && !taken ? until_ns : 0);
		if (got < 0 && t->is_asking)
			a = (struct table_answer){
				.ticket = t->wants[0].ticket, .error = -EPIPE, .last = true};
		else if (got <= 0)
			break;
		take(t, &a);
		taken++;
		ask__next(t);
	}
	publish_dirty(t);
	return taken > 0;
}

static struct watched *find_watched(const struct tables *t, const struct process_key *key)
{
	struct watched **w = table__find(&t->processes, key);

	return w ? *w : NULL;
}

static struct place *place_at(const struct watched *w, const struct mapping *m)
{
	size_t low = 0, high = w->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (w->places[middle].start < m->start)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == w->count || w->places[low].start != m->start || w->places[low].end != m->end ||
	    w->places[low].offset != m->offset || w->places[low].inode != m->inode)
		return NULL;
	return &w->places[low];
}

/* Whether there is something to ask about it. */
static bool is_missing(const struct tables *t, const struct place *p, uint64_t offset)
{
	const struct chunk_note *note;
	struct executable *e;

	if (!PLACE_IS_FILE(p->executable))
		return p->executable == PLACE_UNLOCATED;
	e = t->executables[p->executable];
	if (e->state == EXECUTABLE_NEW)
		return !e->asked;
	note = note_at(t, e, offset);
	return note && note->kind == UNWIND_CHUNK_UNBUILT && !note->asked &&
	       (!e->dropped_ns || units__now_ns() - e->dropped_ns > SETTLED_NS);
}

/* The file of a place, opened: the place is bound to what was found there now. */
static int open_place(struct tables *t, const struct process *process, struct place *p,
		      const struct mapping *m)
{
	int dir, path, fd;

	dir = process__open(process);
	if (dir < 0)
		return dir;
	path = places__locate(t, p, m, dir);
	close(dir);
	if (path < 0)
		return path;
	fd = safefile__reopen(path);
	close(path);
	return fd < 0 ? places__fail(t, p, fd) : fd;
}

static void add_want(struct tables *t, uint32_t executable, uint64_t offset, int fd)
{
	struct executable *e = t->executables[executable];
	struct chunk_note *note = note_at(t, e, offset);

	t->wants[t->want_count++] = (struct want){
		.executable = executable, .offset = offset, .ticket = ++t->last_ticket, .fd = fd};
	e->asked++;
	e->used_ns = units__now_ns();
	if (note)
		note->asked = true;
	ask__next(t);
}

static int want_place(struct tables *t, struct watched *w, const struct process *process, struct place *p,
		      const struct mapping *m, uint64_t offset)
{
	uint32_t before = p->executable;
	int fd = -1;

	if (!is_missing(t, p, offset))
		return 0;
	if (t->want_count == WANTS_MAX)
		return -EBUSY;
	if (m->kind == MAPPED_FILE)
		fd = open_place(t, process, p, m);
	w->is_dirty |= p->executable != before;
	if (m->kind == MAPPED_FILE && fd < 0)
		return fd == -ESRCH ? fd : 0;
	if (PLACE_IS_FILE(p->executable) && is_missing(t, p, offset))
		add_want(t, p->executable, offset, fd);
	else
		fd__close(&fd);
	return 0;
}

int tables__want(struct tables *t, const struct process *process, uint64_t address)
{
	const struct mapping *m = process__find(process, address);
	struct watched *w = find_watched(t, &process->key);
	struct place *p = m && w ? place_at(w, m) : NULL;
	int err;

	if (!m)
		return -ENOENT;
	if (!p) {
		err = tables__set_process(t, process, 0);
		if (err)
			return err;
		w = find_watched(t, &process->key);
		p = w ? place_at(w, m) : NULL;
		if (!p)
			return -ENOENT;
	}
	err = want_place(t, w, process, p, m, address - m->start + m->offset);
	if (w->is_dirty)
		watched__publish(t, w);
	return err;
}
