/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "stack/store_private.h"
#include "object/vdso.h"

#define REREAD_FIRST_NS \
	10000000ULL /* between two looks at a process's mappings for addresses that are in none */
#define REREAD_LAST_NS                                                                                       \
	640000000ULL /* the same, after looks that found nothing: walks without frame pointers yield garbage \
		      */
#define LOW_ADDRESSES (1ULL << 32) /* a 32-bit process has another vdso than we */
#define UNBOUND	      0u
#define UNOPENED      UINT32_MAX /* the mapping's file cannot be had */

static int add_source(struct stacks *s, const struct source *new, uint32_t *index)
{
	size_t capacity = s->source_capacity ? 2 * s->source_capacity : 32;
	struct source *grown;

	if (s->source_count == s->source_capacity) {
		grown = reallocarray(s->sources, capacity, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->sources = grown;
		s->source_capacity = capacity;
	}
	*index = (uint32_t)s->source_count;
	s->sources[s->source_count++] = *new;
	return 0;
}

int source__init(struct stacks *s)
{
	const struct source first[SOURCE_FIRST_FREE] = {
		[SOURCE_NONE] = {.fd = -1, .object = ""},
		[SOURCE_KERNEL] = {.kind = SYMBOLS_KERNEL, .fd = -1, .object = "[kernel]"},
		[SOURCE_VDSO] = {.kind = SYMBOLS_VDSO, .fd = -1, .object = "[vdso]"},
	};
	uint32_t index;
	int err = 0;

	s->vdso_size = vdso__size();
	table__init(&s->images, sizeof(struct image_key), sizeof(struct image *));
	for (size_t i = 0; i < SOURCE_FIRST_FREE && !err; i++)
		err = add_source(s, &first[i], &index);
	return err;
}

static void close_file(struct stacks *s, struct source *source)
{
	if (source->fd < 0)
		return;
	close(source->fd);
	source->fd = -1;
	s->open_files--;
}

void source__close_files(struct stacks *s)
{
	for (size_t i = 0; i < s->source_count; i++)
		close_file(s, &s->sources[i]);
}

void source__free(struct stacks *s)
{
	size_t i = 0;
	void *value;

	while (table__next(&s->images, &i, NULL, &value))
		free(*(struct image **)value);
	table__free(&s->images);
	source__close_files(s);
	free(s->sources);
}

static int name_frame(struct stacks *s, struct frame *frame, struct location *l, const char *object,
		      const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The frame gets a name that no symbol table can better. */
static int name_frame(struct stacks *s, struct frame *frame, struct location *l, const char *object,
		      const char *format, ...)
{
	char text[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	l->source = SOURCE_NONE;
	frame->object = object;
	frame->name = strings__add(&s->strings, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
	return frame->name ? 0 : -ENOMEM;
}

static bool is_elf(int fd)
{
	char magic[SELFMAG];

	return safefile__read_at(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	       !memcmp(magic, ELFMAG, SELFMAG);
}

static int open_source(struct stacks *s, struct source *source, struct process *p, int path_fd)
{
	int fd = safefile__reopen(path_fd);

	if (fd < 0)
		return fd;
	source->fd = fd;
	source->process = p;
	s->open_files++;
	return 0;
}

static int new_file_source(struct stacks *s, struct process *p, const struct mapping *m,
			   const struct file_key *key, int path_fd, uint32_t *index)
{
	struct source source = {.kind = SYMBOLS_ELF, .path = m->path, .key = *key, .fd = -1};
	size_t len;
	const char *base = maps__base_name(m->path, &len);
	uint32_t *slot;
	int err;

	source.object = strings__add(&s->strings, base, len);
	if (!source.object)
		return -ENOMEM;
	err = open_source(s, &source, p, path_fd);
	if (err)
		return err;
	source.is_elf = is_elf(source.fd);
	if (!source.is_elf)
		close_file(s, &source);
	slot = table__add(&s->files, key, NULL);
	err = slot ? add_source(s, &source, index) : -ENOMEM;
	if (err) {
		close_file(s, &source);
		return err;
	}
	*slot = *index;
	s->counts.files++;
	return 0;
}

/* Of one that has ended nothing is asked again: a stack has many frames. */
static int open_process(struct process *p)
{
	int dir = p->ended ? -ESRCH : process__open(p);

	p->ended |= dir == -ESRCH;
	return dir;
}

/* A descriptor that names the mapped file, for the caller to close; when the process has ended, of what the
 * tables hold of it. -EBADF: the key alone is known. */
static int locate_file(struct stacks *s, struct process *p, const struct mapping *m, struct file_key *key)
{
	int dir = open_process(p), fd;
	struct stat st;

	if (dir < 0) {
		fd = s->tables ? tables__file(s->tables, p, m, key) : dir;
		return fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	fd = process__locate(m, dir, &st);
	close(dir);
	if (fd >= 0)
		file_key__from_stat(key, &st);
	return fd;
}

/* Finds the source of a mapped file by what it is, not by how it is called, and opens it if `need_fd`. */
static int file_source(struct stacks *s, struct process *p, struct mapping *m, bool need_fd)
{
	struct file_key key;
	uint32_t *known;
	int path_fd = locate_file(s, p, m, &key), err = 0;

	if (path_fd < 0 && path_fd != -EBADF)
		return path_fd;
	known = table__find(&s->files, &key);
	if (known)
		m->source = *known;
	if (path_fd < 0)
		return known ? 0 : -ESRCH;
	if (!known)
		err = new_file_source(s, p, m, &key, path_fd, &m->source);
	else if (need_fd && s->sources[*known].fd < 0)
		err = open_source(s, &s->sources[*known], p, path_fd);
	close(path_fd);
	return err;
}

static bool is_named(const struct stacks *s, const struct location *l)
{
	const struct name_key key = {.address = l->address, .source = l->source, .exact = l->exact};

	const struct name *name = table__find(&s->names, &key);

	return name && !name->provisional;
}

/* Code without a file belongs to the process: its perf map may name it. */
static int bind_jit(struct stacks *s, struct process *p, struct frame *frame, struct location *l)
{
	struct source source = {.kind = SYMBOLS_PERF_MAP, .fd = -1, .process = p, .object = "[jit]"};
	int dir, err;

	if (!p->jit_source) {
		dir = open_process(p);
		source.failed = dir < 0 || perf_map_owner__read(&source.owner, p, dir);
		if (dir >= 0)
			close(dir);
		err = add_source(s, &source, &p->jit_source);
		if (err)
			return err;
	}
	l->source = p->jit_source;
	l->address = frame->address;
	l->kind = FRAME_JIT;
	return 0;
}

static void set_file_kind(const struct stacks *s, const struct process *p, struct location *l)
{
	const struct file_key *key = &s->sources[l->source].key;

	l->kind = key->device == p->exe_device && key->inode == p->exe_inode ? FRAME_USER : FRAME_LIBRARY;
}

/* Without the file its segments and virtual addresses are not known: the offset in the file has to do. */
static int name_unopened(struct stacks *s, const struct mapping *m, struct frame *frame, struct location *l)
{
	size_t len;
	const char *base = maps__base_name(m->path, &len);
	const char *object = strings__add(&s->strings, base, len);

	l->kind = FRAME_LIBRARY;
	return object ? name_frame(s, frame, l, object, "%.400s+0x%" PRIx64, object, l->address) : -ENOMEM;
}

void source__name_images(struct stacks *s)
{
	const void *key;
	void *value;
	size_t i = 0;

	while (table__next(&s->images, &i, &key, &value)) {
		const struct source *source = &s->sources[((const struct image_key *)key)->source];

		if (source->build_id)
			(*(struct image **)value)->build_id = source->build_id;
	}
}

static int set_image(struct stacks *s, const struct mapping *m, struct frame *frame)
{
	const struct image_key key = {m->start, m->end, m->offset, m->path, m->source};
	struct image **slot, *image;
	bool is_new;

	slot = table__add(&s->images, &key, &is_new);
	if (!slot)
		return -ENOMEM;
	if (is_new) {
		image = malloc(sizeof(*image));
		if (!image) {
			table__remove(&s->images, &key);
			return -ENOMEM;
		}
		*image = (struct image){m->start, m->end, m->offset, m->path, ""};
		*slot = image;
	}
	frame->image = *slot;
	return 0;
}

static int bind_file(struct stacks *s, struct process *p, struct mapping *m, struct frame *frame,
		     struct location *l)
{
	int err = 0;

	l->address = frame->address - m->start + m->offset;
	if (m->source == UNBOUND)
		err = file_source(s, p, m, true);
	if (err == -ENOMEM)
		return err;
	if (err) {
		m->source = UNOPENED;
		s->counts.files_failed++;
	}
	if (m->source == UNOPENED)
		return name_unopened(s, m, frame, l);
	if (!s->sources[m->source].is_elf)
		return bind_jit(s, p, frame, l);
	l->source = m->source;
	set_file_kind(s, p, l);
	if (set_image(s, m, frame))
		return -ENOMEM;
	/* Closed since: named from what is known, or opened again while the process lives. */
	if (s->sources[l->source].fd < 0 && !is_named(s, l))
		err = file_source(s, p, m, true);
	return err == -ENOMEM ? err : 0;
}

static int bind_vdso(struct stacks *s, struct process *p, struct mapping *m, struct frame *frame,
		     struct location *l)
{
	(void)p;
	l->kind = FRAME_LIBRARY;
	l->source = SOURCE_VDSO;
	l->address = frame->address - m->start;
	if (m->start < LOW_ADDRESSES || m->end - m->start != s->vdso_size)
		return name_frame(s, frame, l, "[vdso]", "[vdso]+0x%" PRIx64, l->address);
	return 0;
}

static int bind_anon(struct stacks *s, struct process *p, struct mapping *m, struct frame *frame,
		     struct location *l)
{
	(void)m;
	return bind_jit(s, p, frame, l);
}

static int bind_special(struct stacks *s, struct process *p, struct mapping *m, struct frame *frame,
			struct location *l)
{
	(void)p;
	l->kind = FRAME_LIBRARY;
	return name_frame(s, frame, l, m->path, "%s", m->path);
}

static int (*const binders[])(struct stacks *, struct process *, struct mapping *, struct frame *,
			      struct location *) = {
	[MAPPED_FILE] = bind_file,	  [MAPPED_ANON] = bind_anon,	   [MAPPED_VDSO] = bind_vdso,
	[MAPPED_VSYSCALL] = bind_special, [MAPPED_UPROBES] = bind_special,
};

int source__read(struct stacks *s, struct process *p, int dir)
{
	uint64_t mark = s->tables ? tables__begin_reading(s->tables, &p->key) : 0;
	int err = process__read(p, dir, &s->strings);

	p->mark = err ? 0 : mark;
	return err;
}

/* After dlopen and for new code: the mappings as they are now, not too often. */
void source__reread(struct stacks *s, struct process *p, uint64_t exec_pages)
{
	int dir;

	if (!p->stale && units__now_ns() - p->read_at_ns < p->reread_after_ns)
		return;
	dir = open_process(p);
	if (dir < 0) { /* what was read before has to do, and holds for ever */
		p->stale = false;
		p->read_at_ns = units__now_ns();
		return;
	}
	if (source__read(s, p, dir))
		p->read_at_ns = units__now_ns();
	else if (s->tables && tables__knows(s->tables, &p->key))
		tables__set_process(s->tables, p, exec_pages);
	close(dir);
}

/* What stands at an address now, if need be by looking again. */
static struct mapping *find_mapping(struct stacks *s, struct process *p, uint64_t address)
{
	struct mapping *m;
	uint64_t read_at;

	if (!p->reread_after_ns)
		p->reread_after_ns = REREAD_FIRST_NS;
	if (p->stale)
		source__reread(s, p, 0);
	m = process__find(p, address);
	if (m)
		return m;
	read_at = p->read_at_ns;
	source__reread(s, p, 0);
	m = process__find(p, address);
	if (m)
		p->reread_after_ns = REREAD_FIRST_NS;
	else if (p->read_at_ns != read_at && p->reread_after_ns < REREAD_LAST_NS)
		p->reread_after_ns *= 2;
	return m;
}

int source__bind(struct stacks *s, struct process *p, struct frame *frame, struct location *l)
{
	struct mapping *m = p->gone ? NULL : find_mapping(s, p, frame->address);

	l->kind = FRAME_USER;
	if (!p->count)
		return name_frame(s, frame, l, "[unknown]", "[unknown: process gone]");
	if (m)
		return binders[m->kind](s, p, m, frame, l);
	/* Named when it is known to stay: most are what a walk without frame pointers stumbled over. */
	l->unmapped = true;
	return 0;
}
