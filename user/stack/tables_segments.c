/* SPDX-License-Identifier: Apache-2.0 */
/* From the mappings of a process to the segments that the kernel's side searches. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "stack/tables_private.h"

#define LOW_ADDRESSES (1ULL << 32) /* a 32-bit process has another vdso than we */
#define LOCATED_MAX   256	   /* files looked for at once; the others when they are asked for */

/* --- places */

static void hold(struct tables *t, uint32_t executable)
{
	if (!PLACE_IS_FILE(executable))
		return;
	t->executables[executable]->users++;
	t->executables[executable]->used_ns = units__now_ns();
}

static void let_go(struct tables *t, uint32_t executable)
{
	if (PLACE_IS_FILE(executable) && !--t->executables[executable]->users)
		executable__let_go(t, t->executables[executable]);
}

void place__bind(struct tables *t, struct place *p, uint32_t executable)
{
	hold(t, executable);
	let_go(t, p->executable);
	p->executable = executable;
}

void places__drop(struct tables *t, struct place *places, size_t count)
{
	for (size_t i = 0; i < count; i++)
		let_go(t, places[i].executable);
	free(places);
}

int places__fail(struct tables *t, struct place *p, int err)
{
	/* Out of descriptors or gone meanwhile: that says nothing about the file. */
	if (err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ESRCH)
		return err;
	if (p->executable == PLACE_UNLOCATED && err != -ENOEXEC)
		t->counts.files_failed++;
	place__bind(t, p, err == -ENOEXEC ? PLACE_GAP : PLACE_FAILED);
	return err;
}

int executable__locate(struct tables *t, const struct mapping *m, int dir, uint32_t *index)
{
	struct file_key key;
	struct stat st;
	int fd = process__locate(m, dir, &st);

	if (fd < 0)
		return fd;
	file_key__from_stat(&key, &st);
	*index = executable__find_or_add(t, &key);
	if (*index == UINT32_MAX) {
		close(fd);
		return -ENOSPC;
	}
	t->executables[*index]->is_system =
		(!st.st_uid || st.st_uid == geteuid()) && !(st.st_mode & (S_IWGRP | S_IWOTH));
	return fd;
}

uint32_t executable__of_vdso(struct tables *t, const struct mapping *m)
{
	const struct file_key key = {.size_bytes = t->vdso_bytes};

	return m->start < LOW_ADDRESSES || m->end - m->start != t->vdso_bytes
		       ? UINT32_MAX
		       : executable__find_or_add(t, &key);
}

int places__locate(struct tables *t, struct place *p, const struct mapping *m, int dir)
{
	uint32_t index;
	int fd = executable__locate(t, m, dir, &index);

	if (fd < 0)
		return places__fail(t, p, fd);
	place__bind(t, p, index);
	return fd;
}

static bool is_same_place(const struct place *a, const struct place *b)
{
	return a->start == b->start && a->end == b->end && a->offset == b->offset && a->inode == b->inode &&
	       a->major == b->major && a->minor == b->minor && a->kind == b->kind;
}

struct update {
	const struct process *process;
	struct place *places;
	size_t count, located;
	int dir;
};

/* What a new mapping is: at once, so that the first stack of a process finds the tables of known files. */
static int bind_new(struct tables *t, struct update *u, struct place *p, const struct mapping *m)
{
	const struct place *before = p > u->places ? p - 1 : NULL;
	uint32_t vdso;
	int fd;

	if (m->kind == MAPPED_VDSO) {
		vdso = executable__of_vdso(t, m);
		if (vdso != UINT32_MAX)
			place__bind(t, p, vdso);
		return 0;
	}
	if (m->kind != MAPPED_FILE) {
		p->executable = m->kind == MAPPED_ANON ? PLACE_GAP : PLACE_FAILED;
		return 0;
	}
	p->executable = PLACE_UNLOCATED;
	if (before && before->kind == MAPPED_FILE && before->inode == p->inode && before->major == p->major &&
	    before->minor == p->minor) {
		place__bind(t, p, before->executable);
		return 0;
	}
	if (u->located++ == LOCATED_MAX)
		return 0;
	if (u->dir < 0)
		u->dir = process__open(u->process);
	if (u->dir < 0)
		return u->dir;
	fd = places__locate(t, p, m, u->dir);
	if (fd >= 0)
		close(fd);
	return 0;
}

static struct place place_of(const struct mapping *m)
{
	return (struct place){
		.start = m->start,
		.end = m->end,
		.offset = m->offset,
		.inode = m->inode,
		.major = m->major,
		.minor = m->minor,
		.kind = m->kind,
		.executable = PLACE_GAP,
	};
}

int places__update(struct tables *t, struct watched *w, const struct process *process)
{
	struct update u = {.process = process, .dir = -1};
	struct place *p;
	size_t old = 0;
	int err = 0;

	u.places = calloc(process->count ? process->count : 1, sizeof(*u.places));
	if (!u.places)
		return -ENOMEM;
	for (; u.count < process->count && !err; u.count++) {
		p = &u.places[u.count];
		*p = place_of(&process->mappings[u.count]);
		while (old < w->count && w->places[old].start < p->start)
			old++;
		if (old < w->count && is_same_place(&w->places[old], p))
			place__bind(t, p, w->places[old].executable);
		else
			err = bind_new(t, &u, p, &process->mappings[u.count]);
	}
	if (u.dir >= 0)
		close(u.dir);
	if (err) {
		places__drop(t, u.places, u.count);
		return err;
	}
	places__drop(t, w->places, w->count);
	w->places = u.places;
	w->count = u.count;
	return 0;
}

/* --- segments */

struct segments {
	struct unwind_segment *at;
	uint32_t count;
};

static void emit(struct segments *s, enum unwind_segment_kind kind, uint64_t begin, uint64_t end,
		 uint32_t chunk, uint32_t low)
{
	uint64_t pages = (end - begin) >> 12;
	struct unwind_segment *last = s->count ? &s->at[s->count - 1] : NULL;

	if (pages > UINT32_MAX)
		pages = UINT32_MAX;
	/* Compilers of other languages make many small areas side by side. */
	if (last && kind != UNWIND_SEGMENT_TABLE && UNWIND_SEGMENT_KIND(last->begin) == kind &&
	    UNWIND_SEGMENT_BEGIN(last->begin) + ((uint64_t)last->pages << 12) == begin &&
	    last->pages + pages <= UINT32_MAX) {
		last->pages += (uint32_t)pages;
		return;
	}
	if (s->count < PROCESS_SEGMENTS_MAX)
		s->at[s->count++] = (struct unwind_segment){
			.begin = (begin & ~0xfffULL) | (uint64_t)kind << 4 | low,
			.pages = (uint32_t)pages,
			.chunk = chunk,
		};
}

/* How far the mapping goes on from `offset` in the file as it is there: to the end of the load, or to the
 * next one. */
static uint64_t stretch(const struct tables *t, const struct executable *e, const struct table_load *load,
			uint64_t offset)
{
	uint64_t mask = ~(uint64_t)(t->page_bytes - 1), begin, next = UINT64_MAX;

	if (load)
		return ((load->offset + load->bytes + t->page_bytes - 1) & mask) - offset;
	for (uint32_t i = 0; i < e->load_count; i++) {
		begin = e->loads[i].offset & mask;
		if (begin > offset && begin - offset < next)
			next = begin - offset;
	}
	return next;
}

/* A mapping may hold several loads, if they follow each other in the file and in memory. */
static void emit_file(const struct tables *t, struct segments *s, const struct executable *e,
		      const struct place *p)
{
	uint64_t at = p->start, end, offset, length, address;
	const struct table_load *load;

	for (; at < p->end; at = end) {
		offset = at - p->start + p->offset;
		load = executable__load(t, e, offset);
		length = stretch(t, e, load, offset);
		end = p->end - at > length ? at + length : p->end;
		if (!load) {
			emit(s, UNWIND_SEGMENT_GAP, at, end, 0, 0);
			continue;
		}
		address = executable__address(t, load, offset);
		emit(s, UNWIND_SEGMENT_TABLE, at, end,
		     e->first + (uint32_t)((address >> UNWIND_CHUNK_SHIFT) - e->number),
		     (uint32_t)(address >> 12) & 15);
	}
}

static void emit_place(const struct tables *t, struct segments *s, const struct place *p)
{
	static const enum unwind_segment_kind kinds[] = {
		[EXECUTABLE_NEW] = UNWIND_SEGMENT_UNKNOWN,
		[EXECUTABLE_GAP] = UNWIND_SEGMENT_GAP,
		[EXECUTABLE_FAILED] = UNWIND_SEGMENT_FAILED,
	};
	const struct executable *e = PLACE_IS_FILE(p->executable) ? t->executables[p->executable] : NULL;

	if (e && e->state == EXECUTABLE_KNOWN)
		emit_file(t, s, e, p);
	else if (e)
		emit(s, kinds[e->state], p->start, p->end, 0, 0);
	else if (p->executable == PLACE_UNLOCATED)
		emit(s, UNWIND_SEGMENT_UNKNOWN, p->start, p->end, 0, 0);
	else
		emit(s, p->executable == PLACE_GAP ? UNWIND_SEGMENT_GAP : UNWIND_SEGMENT_FAILED, p->start,
		     p->end, 0, 0);
}

static int take_segments(struct tables *t, const struct watched *w, uint32_t count, uint32_t *first)
{
	struct watched *oldest;

	*first = 0;
	if (!count || ranges__take(&t->free_segments, count, first))
		return 0;
	for (;;) {
		memory__flush_limbo(t);
		if (ranges__take(&t->free_segments, count, first))
			return 0;
		oldest = tables__oldest(t, w);
		if (!oldest)
			return -ENOSPC;
		watched__remove(t, oldest);
	}
}

static struct unwind_process_key key_of(const struct watched *w)
{
	return (struct unwind_process_key){w->who.key.start_boot_ns, (uint32_t)w->who.key.tgid,
					   (uint32_t)w->who.key.exec_id};
}

static bool is_published(const struct tables *t, const struct watched *w, const struct segments *s)
{
	return w->is_public && s->count == w->range.count &&
	       !memcmp(s->at, &t->memory.segments[w->range.first], s->count * sizeof(*s->at));
}

/* The kernel's side must not go on by what it was told: what that refers to may soon belong to another file.
 */
static int unpublish(struct tables *t, struct watched *w, int err)
{
	const struct unwind_process_key key = key_of(w);

	if (w->is_public)
		t->memory.remove_process(t->memory.context, &key);
	if (w->range.count)
		memory__retire(t, LIMBO_SEGMENTS, 0, w->range.first, w->range.count);
	w->range = (struct unwind_process){0};
	w->is_public = false;
	return err;
}

/* A segment is two words, which no reader sees change at once: a new range, then one update of the process.
 */
int watched__publish(struct tables *t, struct watched *w)
{
	struct segments s = {.at = t->scratch};
	struct unwind_process range = {.mark = w->mark, .generation = w->generation};
	const struct unwind_process_key key = key_of(w);
	bool is_same;
	int err = 0;

	w->is_dirty = false;
	for (size_t i = 0; i < w->count; i++)
		emit_place(t, &s, &w->places[i]);
	is_same = is_published(t, w, &s);
	if (is_same && range.mark == w->range.mark)
		return 0;
	range.first = w->range.first;
	range.count = s.count;
	if (!is_same)
		err = take_segments(t, w, s.count, &range.first);
	if (err)
		return unpublish(t, w, err);
	if (!is_same)
		memcpy(&t->memory.segments[range.first], s.at, s.count * sizeof(*s.at));
	err = t->memory.set_process(t->memory.context, &key, &range);
	if (err) {
		/* Nobody has seen them. */
		if (!is_same)
			ranges__give(&t->free_segments, range.first, range.count);
		return unpublish(t, w, err);
	}
	if (!is_same && w->range.count)
		memory__retire(t, LIMBO_SEGMENTS, 0, w->range.first, w->range.count);
	w->range = range;
	w->is_public = true;
	return 0;
}
