/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the builder, one at a time, and what comes of its answers. Those are not believed: the process
 * that reads foreign files may have been taken over by one. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/units.h"
#include "stack/tables_private.h"

#define ANSWERS_AT_ONCE 64		/* then the events have their turn */
#define WANTS_AHEAD_MAX (WANTS_MAX / 2) /* the others are for stacks that wait */

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

	executable__hold(t, e, &w->fd);
	fd__close(&w->fd);
	e->asked--;
	if (note && !w->whole)
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
	const struct want *w = &t->wants[0];
	uint32_t index = w->executable;
	struct executable *e = t->executables[index];
	struct chunk_note *note = note_at(t, e, w->offset);

	if (e->state == EXECUTABLE_NEW && err == -ENXIO) {
		mark_gap(t, w);
	} else if (e->state == EXECUTABLE_NEW) {
		e->state = err == -ENOENT || err == -ENOEXEC ? EXECUTABLE_GAP : EXECUTABLE_FAILED;
		if (e->state == EXECUTABLE_FAILED)
			t->counts.files_failed++;
		mark_dirty(t, index);
	} else if (note && note->kind == UNWIND_CHUNK_UNBUILT && !w->ahead) {
		executable__set(t, e, note, UNWIND_CHUNK_FAILED);
	}
}

static void insert_want(struct tables *t, struct want want)
{
	size_t i = t->want_count;

	while (!want.ahead && i > t->is_asking && t->wants[i - 1].ahead)
		i--;
	memmove(&t->wants[i + 1], &t->wants[i], (t->want_count++ - i) * sizeof(want));
	t->wants[i] = want;
}

static void add_want(struct tables *t, struct want want)
{
	struct executable *e = t->executables[want.executable];
	struct chunk_note *note = note_at(t, e, want.offset);

	want.ticket = ++t->last_ticket;
	insert_want(t, want);
	e->asked++;
	e->used_ns = units__now_ns();
	if (note && !want.whole)
		note->asked = true;
}

/* It was foreseen; now a stack waits for it. */
static void hurry(struct tables *t, uint32_t executable, uint64_t offset)
{
	struct want w;

	for (size_t i = t->is_asking; i < t->want_count; i++) {
		w = t->wants[i];
		if (w.executable != executable || !w.ahead || w.whole)
			continue;
		memmove(&t->wants[i], &t->wants[i + 1], (--t->want_count - i) * sizeof(w));
		w.ahead = false;
		w.offset = offset;
		insert_want(t, w);
		return;
	}
}

/* What nobody waits for must not drive out what is in use. */
static bool may_look_ahead(const struct tables *t)
{
	return t->want_count < WANTS_AHEAD_MAX && t->counts.table_bytes < t->memory_bytes / 2;
}

/* The first answer about a file. Of one that is small and on no disk yet, all will be needed. */
static int learn(struct tables *t, struct want *w, const struct table_answer *a)
{
	struct executable *e = t->executables[w->executable];
	struct want rest = {.executable = w->executable, .offset = w->offset, .fd = w->fd};
	int err = executable__learn(t, e, a);

	if (err)
		return err;
	executable__fill_from_cache(t, e);
	mark_dirty(t, w->executable);
	if (e->cached || e->count == 1 || e->count > TABLE_WHOLE_CHUNKS || !may_look_ahead(t))
		return 0;
	rest.ahead = rest.whole = true;
	w->fd = -1;
	add_want(t, rest);
	return 0;
}

static void take(struct tables *t, const struct table_answer *a)
{
	struct want *w = &t->wants[0];
	const struct unwind_cache_chunk c = {a->chunk, a->what, a->blob, a->blob_bytes};
	struct chunk_note *note;
	struct executable *e;
	int err = a->error;

	if (!t->is_asking || a->ticket != w->ticket)
		return;
	e = t->executables[w->executable];
	if (!err && e->state == EXECUTABLE_NEW)
		err = learn(t, w, a);
	note = note_at(t, e, w->offset);
	if (err) {
		fail(t, err);
	} else {
		uint32_t before = e->settled;

		executable__put(t, e, &c, !w->ahead);
		t->counts.chunks_built += e->settled - before;
		/* Answered, but not what was asked: it would be asked for ever. */
		if (a->last && !w->ahead && note && note->kind == UNWIND_CHUNK_UNBUILT &&
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

	return e->state == EXECUTABLE_NEW || w->whole || (note && note->kind == UNWIND_CHUNK_UNBUILT);
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
					    .offset = w->offset,
					    .whole = w->whole};
		err = is_needed(t, w) ? t->builder.ask(t->builder.context, &q) : -ECANCELED;
		if (err == -EAGAIN)
			return;
		if (err && err != -ECANCELED)
			fail(t, err);
		if (err) {
			drop_first(t);
			continue;
		}
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
	if (dir == -ESRCH && PLACE_IS_FILE(p->executable) && t->executables[p->executable]->fd >= 0)
		return fcntl(t->executables[p->executable]->fd, F_DUPFD_CLOEXEC, 0);
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

static int want_place(struct tables *t, struct watched *w, const struct process *process, struct place *p,
		      const struct mapping *m, uint64_t offset)
{
	uint32_t before = p->executable;
	int fd = -1;

	if (PLACE_IS_FILE(p->executable) && t->executables[p->executable]->state == EXECUTABLE_NEW)
		hurry(t, p->executable, offset);
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
		add_want(t, (struct want){.executable = p->executable, .offset = offset, .fd = fd});
	else
		fd__close(&fd);
	ask__next(t);
	return 0;
}

bool tables__is_waiting(const struct tables *t)
{
	return t->want_count > 0;
}

int tables__file(const struct tables *t, const struct process *process, const struct mapping *m,
		 struct file_key *key)
{
	const struct watched *w = find_watched(t, &process->key);
	const struct place *p = w ? place_at(w, m) : NULL;

	if (!p || !PLACE_IS_FILE(p->executable))
		return -ENOENT;
	*key = t->executables[p->executable]->key;
	return t->executables[p->executable]->fd < 0 ? -EBADF : t->executables[p->executable]->fd;
}

bool tables__awaits(const struct tables *t, const struct process *process, uint64_t address)
{
	const struct mapping *m = process__find(process, address);
	const struct watched *w = find_watched(t, &process->key);
	const struct place *p = m && w ? place_at(w, m) : NULL;
	const struct chunk_note *note;
	struct executable *e;

	if (!p || !PLACE_IS_FILE(p->executable))
		return false;
	e = t->executables[p->executable];
	if (e->state == EXECUTABLE_NEW)
		return e->asked;
	note = note_at(t, e, address - m->start + m->offset);
	return note && note->kind == UNWIND_CHUNK_UNBUILT && note->asked;
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

static bool is_known(const struct tables *t, const struct watched *w, const struct mapping *m)
{
	const struct place *p = w ? place_at(w, m) : NULL;
	const struct executable *e = p && PLACE_IS_FILE(p->executable) ? t->executables[p->executable] : NULL;

	return e && e->state != EXECUTABLE_NEW && (e->fd >= 0 || e->is_vdso || t->held == HELD_MAX);
}

static void foresee(struct tables *t, const struct mapping *m, int dir)
{
	struct want want = {.offset = m->offset, .fd = -1, .ahead = true};
	struct executable *e;
	int path = -1;

	if (m->kind == MAPPED_FILE)
		path = executable__locate(t, m, dir, &want.executable);
	else if (m->kind == MAPPED_VDSO)
		want.executable = executable__of_vdso(t, m);
	if (m->kind == MAPPED_FILE ? path < 0 : want.executable == UINT32_MAX)
		return;
	e = t->executables[want.executable];
	if (path >= 0 && e->fd < 0 && !e->asked)
		want.fd = safefile__reopen(path);
	if (e->state == EXECUTABLE_NEW && !e->asked && (want.fd >= 0 || e->is_vdso)) {
		add_want(t, want);
		want.fd = -1;
	}
	executable__hold(t, e, &want.fd);
	fd__close(&want.fd);
	fd__close(&path);
}

void tables__foresee(struct tables *t, const struct process *process)
{
	const struct watched *w = find_watched(t, &process->key);
	int dir = -1;

	for (size_t i = 0; i < process->count && may_look_ahead(t); i++) {
		const struct mapping *m = &process->mappings[i];

		if ((m->kind != MAPPED_FILE && m->kind != MAPPED_VDSO) || is_known(t, w, m))
			continue;
		if (dir < 0)
			dir = process__open(process);
		if (dir < 0)
			return;
		foresee(t, m, dir);
	}
	fd__close(&dir);
	ask__next(t);
}
