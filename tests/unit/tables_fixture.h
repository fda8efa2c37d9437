/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind tables in plain memory, with a builder whose tables are known: the only rule of a chunk says which
 * chunk of which file it is of. What the kernel may still read is watched: it must stay as it was until the
 * next wait.
 */
#ifndef SONDE_TESTS_TABLES_FIXTURE_H
#define SONDE_TESTS_TABLES_FIXTURE_H

#include "fixture.h"

#include "blob.h"
#include "stack/tables_private.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#define ROWS	      20
#define NOWHERE	      100
#define PROCESSES_MAX 9000

/* A process as the kernel side knows it, and one that it knew. */
struct known {
	struct unwind_process_key key;
	struct unwind_process value;
};

struct unlinked {
	struct unwind_process range;
	struct unwind_segment *copy;
};

struct world {
	struct tables *tables;
	uint64_t *chunks;
	struct unwind_segment *segments;
	uint64_t *marks;
	struct known *known;
	size_t process_count;
	struct unwind_process told; /* last */
	struct unlinked unlinked[64];
	size_t unlinked_count;
	int waits, sets, shards;
	int set_error; /* the kernel's side takes no process */
	struct strings strings;

	/* the builder */
	struct table_question question;
	bool has_question, is_busy;
	int asked, seen, last_fd, error;
	uint32_t rows;	     /* 0: ROWS */
	uint64_t load_shift; /* by how much addresses differ from offsets */
	uint64_t load_bytes; /* of the only load, from offset 0 on */
	bool all_chunks;     /* answers with every chunk */
	uint64_t next_chunk;
	const char *build_id;
	struct buf blob;
	void (*spoil)(struct world *, struct table_answer *); /* hostile builders */
};

/* --- memory */

static inline void *world__new_shard(void *context, uint32_t index)
{
	struct world *w = context;

	assert_int_equal(index, w->shards++);
	return calloc(1, UNWIND_SHARD_BYTES + UNWIND_SHARD_SLACK);
}

static inline void world__free_shard(void *context, uint32_t index, void *shard)
{
	(void)context;
	(void)index;
	free(shard);
}

static inline void world__check_unlinked(struct world *w)
{
	for (size_t i = 0; i < w->unlinked_count; i++)
		assert_memory_equal(w->unlinked[i].copy, &w->segments[w->unlinked[i].range.first],
				    w->unlinked[i].range.count * sizeof(*w->segments));
}

static inline void world__unlink(struct world *w, const struct unwind_process *range)
{
	struct unlinked *u = &w->unlinked[w->unlinked_count];

	if (w->unlinked_count == sizeof(w->unlinked) / sizeof(*w->unlinked) || !range->count)
		return;
	u->range = *range;
	u->copy = malloc(range->count * sizeof(*u->copy));
	memcpy(u->copy, &w->segments[range->first], range->count * sizeof(*u->copy));
	w->unlinked_count++;
}

static inline struct known *world__find(struct world *w, const struct unwind_process_key *key)
{
	for (size_t i = 0; i < w->process_count; i++)
		if (!memcmp(&w->known[i].key, key, sizeof(*key)))
			return &w->known[i];
	return NULL;
}

static inline int world__set_process(void *context, const struct unwind_process_key *key,
				     const struct unwind_process *value)
{
	struct world *w = context;
	struct known *known = world__find(w, key);

	if (w->set_error)
		return w->set_error;
	w->sets++;
	w->told = *value;
	for (uint32_t i = 1; i < value->count; i++)
		assert_true(UNWIND_SEGMENT_BEGIN(w->segments[value->first + i].begin) >=
			    UNWIND_SEGMENT_BEGIN(w->segments[value->first + i - 1].begin) +
				    ((uint64_t)w->segments[value->first + i - 1].pages << 12));
	if (!known) {
		assert_true(w->process_count < PROCESSES_MAX);
		known = &w->known[w->process_count++];
		known->key = *key;
	} else if (known->value.first != value->first) {
		world__unlink(w, &known->value);
	}
	known->value = *value;
	world__check_unlinked(w);
	return 0;
}

static inline int world__remove_process(void *context, const struct unwind_process_key *key)
{
	struct world *w = context;
	struct known *known = world__find(w, key);

	assert_non_null(known);
	world__unlink(w, &known->value);
	*known = w->known[--w->process_count];
	world__check_unlinked(w);
	return 0;
}

static inline void world__forget_unlinked(struct world *w)
{
	world__check_unlinked(w);
	while (w->unlinked_count)
		free(w->unlinked[--w->unlinked_count].copy);
}

static inline void world__wait(void *context)
{
	struct world *w = context;

	w->waits++;
	world__forget_unlinked(w);
}

/* --- the builder */

static inline uint32_t world__tag(const struct file_key *key, uint64_t chunk)
{
	return (uint32_t)(key->inode * 1021 + chunk) & 0xffffff;
}

static inline int world__ask(void *context, const struct table_question *q)
{
	struct world *w = context;

	if (w->has_question || w->is_busy)
		return -EAGAIN;
	if (q->fd >= 0)
		assert_true(fcntl(q->fd, F_GETFD) >= 0);
	w->question = *q;
	w->last_fd = q->fd;
	w->has_question = true;
	w->asked++;
	w->next_chunk = w->load_shift >> UNWIND_CHUNK_SHIFT;
	return 0;
}

static inline int world__take(void *context, struct table_answer *a, uint64_t until_ns)
{
	struct world *w = context;
	uint64_t wanted = (w->question.offset + w->load_shift) >> UNWIND_CHUNK_SHIFT;

	(void)until_ns;
	if (!w->has_question)
		return 0;
	*a = (struct table_answer){.ticket = w->question.ticket, .error = w->error, .last = true};
	a->load_count = 1;
	a->loads[0] = (struct table_load){0, w->load_shift, w->load_bytes};
	snprintf(a->build_id, sizeof(a->build_id), "%s", w->build_id);
	a->chunk = w->all_chunks || w->question.whole ? w->next_chunk++ : wanted;
	a->last = w->error || (!w->all_chunks && !w->question.whole) ||
		  w->next_chunk > (w->load_shift + w->load_bytes - 1) >> UNWIND_CHUNK_SHIFT;
	buf__clear(&w->blob);
	blob__make(&w->blob, world__tag(&w->question.key, a->chunk), w->rows ? w->rows : ROWS);
	a->what = (struct unwind_chunk){UNWIND_CHUNK_TABLE, BLOB_HEADER, w->rows ? w->rows : ROWS};
	a->blob = w->blob.data;
	a->blob_bytes = w->blob.len;
	if (w->spoil)
		w->spoil(w, a);
	w->has_question = !a->last;
	return 1;
}

/* --- the world */

static inline struct table_memory world__memory(struct world *w)
{
	return (struct table_memory){.context = w,
				     .chunks = w->chunks,
				     .segments = w->segments,
				     .marks = w->marks,
				     .new_shard = world__new_shard,
				     .free_shard = world__free_shard,
				     .set_process = world__set_process,
				     .remove_process = world__remove_process,
				     .wait_for_readers = world__wait};
}

static inline void world__open(struct world *w, size_t memory_bytes, const char *cache)
{
	const struct table_memory memory = world__memory(w);
	const struct table_builder builder = {.context = w, .ask = world__ask, .take = world__take};
	const struct tables_options options = {.memory_bytes = memory_bytes, .cache_directory = cache};

	w->tables = tables__new_from(&memory, &builder, &options);
	assert_non_null(w->tables);
}

static inline struct world *world__new(size_t memory_bytes, const char *cache)
{
	struct world *w = calloc(1, sizeof(*w));

	w->load_shift = 0x12345000;
	w->load_bytes = 64 << 20;
	w->build_id = "";
	w->chunks = calloc(UNWIND_CHUNKS_MAX, sizeof(*w->chunks));
	w->segments = calloc(UNWIND_SEGMENTS_MAX, sizeof(*w->segments));
	w->marks = calloc(UNWIND_MARKS, sizeof(*w->marks));
	w->known = calloc(PROCESSES_MAX, sizeof(*w->known));
	strings__init(&w->strings);
	world__open(w, memory_bytes, cache);
	return w;
}

static inline void world__close_tables(struct world *w)
{
	tables__free(w->tables);
	w->tables = NULL;
	w->process_count = 0;
	w->shards = 0;
	memset(w->chunks, 0, UNWIND_CHUNKS_MAX * sizeof(*w->chunks));
	world__forget_unlinked(w);
}

static inline void world__free(struct world *w)
{
	world__close_tables(w);
	free(w->chunks);
	free(w->segments);
	free(w->marks);
	free(w->known);
	buf__free(&w->blob);
	strings__free(&w->strings);
	free(w);
}

/* Until nothing comes any more: how many questions there were since the last time. */
static inline int world__work(struct world *w)
{
	int before = w->seen, rounds = 0;

	while (tables__work(w->tables, 0))
		assert_true(rounds++ < 10000);
	w->seen = w->asked;
	return w->seen - before;
}

/* What the kernel's side finds. */
static inline const struct unwind_segment *world__segment(struct world *w, const struct process *p,
							  uint64_t address)
{
	const struct unwind_process_key key = {p->key.start_boot_ns, (uint32_t)p->key.tgid,
					       (uint32_t)p->key.exec_id};
	const struct known *known = world__find(w, &key);

	for (uint32_t i = 0; known && i < known->value.count; i++) {
		const struct unwind_segment *s = &w->segments[known->value.first + i];

		if (address >= UNWIND_SEGMENT_BEGIN(s->begin) &&
		    address - UNWIND_SEGMENT_BEGIN(s->begin) < (uint64_t)s->pages << 12)
			return s;
	}
	return NULL;
}

static inline uint32_t world__kind(struct world *w, const struct process *p, uint64_t address)
{
	const struct unwind_segment *s = world__segment(w, p, address);

	return s ? UNWIND_SEGMENT_KIND(s->begin) : NOWHERE;
}

static inline uint32_t world__chunk(struct world *w, const struct process *p, uint64_t address)
{
	const struct unwind_segment *s = world__segment(w, p, address);
	uint64_t offset = address - UNWIND_SEGMENT_BEGIN(s->begin) + UNWIND_SEGMENT_LOW(s->begin);

	assert_int_equal(UNWIND_SEGMENT_KIND(s->begin), UNWIND_SEGMENT_TABLE);
	return (uint32_t)w->chunks[s->chunk + (offset >> UNWIND_CHUNK_SHIFT)];
}

/* 0: there is no table. */
static inline uint32_t world__rule(struct world *w, const struct process *p, uint64_t address)
{
	const struct unwind_segment *s = world__segment(w, p, address);
	uint32_t chunk = world__chunk(w, p, address);
	uint64_t offset = address - UNWIND_SEGMENT_BEGIN(s->begin) + UNWIND_SEGMENT_LOW(s->begin);

	if (UNWIND_CHUNK_KIND(chunk) != UNWIND_CHUNK_TABLE)
		return 0;
	return blob__lookup((const char *)w->tables->shards[UNWIND_CHUNK_SHARD(chunk)] +
				    UNWIND_CHUNK_OFFSET(chunk),
			    offset & 0xffff);
}

/* What it must be. */
static inline uint32_t world__expected(const struct world *w, const struct process *p, uint64_t address)
{
	const struct mapping *m = process__find(p, address);
	struct file_key key = {.inode = m->inode};

	return blob__rule(
		world__tag(&key, (address - m->start + m->offset + w->load_shift) >> UNWIND_CHUNK_SHIFT));
}

/* --- processes */

static inline uint64_t fixture__stat(pid_t pid, int number)
{
	char path[64];
	struct buf text = {0};
	const char *p;
	uint64_t value;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	assert_int_equal(buf__read_file(&text, path, 4096), 0);
	p = strrchr(text.data, ')');
	for (int i = 2; i < number; i++)
		p = strchr(p + 1, ' ');
	value = strtoull(p, NULL, 10);
	buf__free(&text);
	return value;
}

static inline struct process process__read_pid(struct world *w, pid_t pid)
{
	struct process p = {.key = {.tgid = (uint64_t)pid}};
	int dir;

	p.key.start_boot_ns = fixture__stat(pid, 22) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK)) + 12345;
	p.stack_start = fixture__stat(pid, 28);
	dir = process__open(&p);
	assert_true(dir >= 0);
	assert_int_equal(process__read(&p, dir, &w->strings), 0);
	close(dir);
	return p;
}

static inline struct process process__self(struct world *w)
{
	return process__read_pid(w, getpid());
}

static inline pid_t fixture__child(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static inline void fixture__end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

#endif
