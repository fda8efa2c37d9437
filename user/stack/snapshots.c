// SPDX-License-Identifier: Apache-2.0
#include "stack/snapshots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "stack/compare.h"
#include "stack/tables.h"

#define PARKED_MAX    1024 /* half a second of two CPUs at 997 Hz */
#define PARKED_BYTES  (16u << 20)
#define LOOK_AGAIN_NS 300000ULL /* between two looks at a process's mappings that walks ask for */
#define TRIES_MAX     64	/* each brings the walk past one place that had no table */

/* One that waits. */
struct parked {
	struct process *process;
	struct unwind_registers registers;
	unsigned char *memory;
	size_t bytes;
	uint64_t exec_pages, mark; /* of the process, then */
	uint64_t missing;	   /* the address whose table was asked for; 0: none was */
	unsigned tries;
	bool looked_again; /* its process's mappings were read after it was taken */
	struct stack_record *record;
};

struct snapshots {
	struct stacks *stacks;
	struct parked parked[PARKED_MAX]; /* the oldest first */
	size_t count, bytes;
};

struct snapshots *snapshots__new(struct stacks *stacks)
{
	struct snapshots *s = calloc(1, sizeof(*s));

	if (s)
		s->stacks = stacks;
	return s;
}

static void drop(struct snapshots *s, struct parked *p)
{
	s->bytes -= p->bytes;
	free(p->memory);
	free(p->record);
	*p = (struct parked){0};
}

void snapshots__free(struct snapshots *s)
{
	for (size_t i = 0; s && i < s->count; i++)
		drop(s, &s->parked[i]);
	free(s);
}

/* A walk's outcome, until it is stored. */
struct walked {
	uint64_t frames[STACK_DEPTH_MAX], missing;
	size_t count;
	enum stack_end end;
};

static void walk(struct snapshots *s, const struct parked *p, struct walked *w)
{
	tables__walk(s->stacks->tables, p->process, &p->registers, p->memory, p->bytes, true, w->frames,
		     &w->count, &w->end, &w->missing);
}

static int store(struct snapshots *s, const struct parked *p, const struct walked *w)
{
	size_t before = (size_t)p->record->kernel_frames + p->record->user_frames;
	size_t limit = STACK_DEPTH_MAX - p->record->user_frames;
	size_t count = w->count < limit ? w->count : limit;
	size_t size = sizeof(*p->record) + (before + count) * sizeof(uint64_t);
	struct stack_record *r = malloc(size);
	int err;

	if (!r)
		return -ENOMEM;
	memcpy(r, p->record, sizeof(*r) + before * sizeof(uint64_t));
	memcpy(r->frames + before, w->frames, count * sizeof(uint64_t));
	r->user_frames = (uint16_t)(r->user_frames + count);
	r->end = (uint16_t)(w->count > count ? STACK_DEPTH_LIMIT : w->end);
	err = stacks__add(s->stacks, r, size);
	free(r);
	return err;
}

static void look_again(struct snapshots *s, struct parked *p)
{
	p->looked_again = true;
	p->process->stale |= units__now_ns() - p->process->read_at_ns >= LOOK_AGAIN_NS;
	source__reread(s->stacks, p->process, 0);
}

/* Whether it shows the mappings that were read after it was taken, or meanwhile: nothing had changed. Settled
 * marks show changes only from the number of pages that they say. */
static bool is_of_reading(const struct parked *p)
{
	const struct process *process = p->process;

	if (p->exec_pages != process->exec_pages)
		return false;
	return p->mark == process->mark ||
	       (UNWIND_MARK_NEXT(p->mark) == process->mark &&
		(!(p->mark & UNWIND_MARK_SETTLED) || p->exec_pages == UNWIND_MARK_PAGES(p->mark)));
}

static int compare(const struct snapshots *s, const struct parked *p)
{
	return tables__compare(s->stacks->tables, &p->process->key, p->mark, p->exec_pages);
}

/* In a process where files take each other's place: which ones were there then nobody knows any more. */
static bool is_outdated(const struct snapshots *s, const struct parked *p)
{
	return p->process->replaces && !is_of_reading(p) && compare(s, p);
}

/* The mappings may be others than they were: see unwind__is_doubtful() in bpf/snapshot.bpf.h. */
static bool is_doubtful(const struct walked *w)
{
	return (w->end == STACK_COMPLETE && w->missing) || w->end == STACK_NO_MAPPING ||
	       w->end == STACK_NO_FRAME_PTR || w->end == STACK_UNSUPPORTED;
}

/* True: it is done with, stored or not. False: a table is to come. */
static bool try(struct snapshots *s, struct parked *p, bool last)
{
	struct walked w;
	int err;

	if (p->missing && !last && tables__awaits(s->stacks->tables, p->process, p->missing))
		return false;
	for (;;) {
		if (is_outdated(s, p)) {
			w = (struct walked){.frames = {p->registers.ip}, .count = 1};
			p->record->user_frames = 0;
			p->record->mark = UNWIND_MARK_STALE;
			break;
		}
		walk(s, p, &w);
		if (last || ++p->tries > TRIES_MAX || (is_doubtful(&w) && p->looked_again))
			break;
		if (is_doubtful(&w)) {
			look_again(s, p);
			continue;
		}
		if (!w.missing)
			break;
		err = tables__want(s->stacks->tables, p->process, w.missing);
		p->missing = err ? 0 : w.missing;
		if (!err || err == -EBUSY)
			return false;
		break;
	}
	store(s, p, &w);
	return true;
}

static void try_all(struct snapshots *s, bool last)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (try(s, &s->parked[i], last))
			drop(s, &s->parked[i]);
		else
			s->parked[kept++] = s->parked[i];
	}
	s->count = kept;
}

size_t snapshots__work(struct snapshots *s, uint64_t until_ns)
{
	while (tables__work(s->stacks->tables, s->count ? until_ns : 0) > 0)
		if (s->count)
			try_all(s, false);
	return s->count;
}

void snapshots__finish(struct snapshots *s, uint64_t until_ns)
{
	while (s->count && units__now_ns() < until_ns) {
		size_t before = s->count;

		snapshots__work(s, until_ns);
		if (s->count == before)
			break;
	}
	try_all(s, true);
}

static int park(struct snapshots *s, struct process *process, const struct snapshot_record *r)
{
	size_t frames = (size_t)r->stack.kernel_frames + r->stack.user_frames;
	size_t size = sizeof(r->stack) + frames * sizeof(uint64_t);
	struct parked *p = &s->parked[s->count];

	*p = (struct parked){.process = process,
			     .registers = r->registers,
			     .bytes = r->bytes,
			     .exec_pages = r->exec_pages,
			     .mark = r->mark};
	s->bytes += r->bytes;
	p->memory = malloc(r->bytes + 1);
	p->record = malloc(size);
	if (!p->memory || !p->record) {
		drop(s, p);
		return -ENOMEM;
	}
	memcpy(p->memory, r->stack.frames + frames, r->bytes);
	memcpy(p->record, &r->stack, size);
	p->record->mark = 0; /* it is not the kernel's side that walks */
	p->record->type = RECORD_STACK;
	s->count++;
	return 0;
}

/* The one that has waited longest goes as far as its tables lead. */
static void make_room(struct snapshots *s, size_t bytes)
{
	while (s->count == PARKED_MAX || (s->count && s->bytes + bytes > PARKED_BYTES)) {
		try(s, &s->parked[0], true);
		drop(s, &s->parked[0]);
		memmove(&s->parked[0], &s->parked[1], --s->count * sizeof(s->parked[0]));
	}
}

/* The kernel's side did not know the process, or its mappings have changed since they were read. */
static void bring_up_to_date(struct snapshots *s, struct parked *p)
{
	struct process *process = p->process;

	if (!tables__knows(s->stacks->tables, &process->key)) {
		tables__set_process(s->stacks->tables, process, p->exec_pages);
	} else if (compare(s, p) > 0) {
		p->looked_again = process->stale = true;
		source__reread(s->stacks, process, p->exec_pages);
	}
}

int snapshots__add(struct snapshots *s, const struct snapshot_record *r)
{
	struct process *process;
	uint64_t read_at;
	bool is_new;
	int err;

	if (r->stack.flags & STACK_FLAG_COMPARE) {
		compare__snapshot(s->stacks, r);
		return 0;
	}
	process = stacks__process(s->stacks, &r->stack);
	if (!process)
		return -ENOMEM;
	read_at = process->read_at_ns;
	is_new = !process->gone && !tables__knows(s->stacks->tables, &process->key);
	/* Its mappings were let go: they say which file is to be asked for, and what is code. */
	if (process->stale)
		source__reread(s->stacks, process, 0);
	make_room(s, r->bytes);
	err = park(s, process, r);
	if (err)
		return err;
	if (!process->gone)
		bring_up_to_date(s, &s->parked[s->count - 1]);
	if (try(s, &s->parked[s->count - 1], process->gone))
		drop(s, &s->parked[--s->count]);
	if (is_new || process->read_at_ns != read_at)
		tables__foresee(s->stacks->tables, process);
	return 0;
}
