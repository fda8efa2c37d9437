/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/unwind.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"

#define SHARD_BYTES   (UNWIND_SHARD_BYTES + UNWIND_SHARD_SLACK)
#define SEGMENT_BYTES (UNWIND_SEGMENTS_MAX * sizeof(struct unwind_segment))
#define MARK_BYTES    (UNWIND_MARKS * sizeof(uint64_t))

/* The kernel lays out an array's values in steps of 8 bytes and maps whole pages. */
static size_t mapped(uint64_t value, uint64_t entries)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return (size_t)((((value + 7) & ~7ull) * entries + page - 1) & ~(page - 1));
}

static int create(enum bpf_map_type type, const char *name, uint32_t key, uint32_t value, uint32_t entries,
		  uint32_t flags, int inner)
{
	LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = flags);
	int fd;

	if (inner >= 0)
		o.inner_map_fd = (uint32_t)inner;
	fd = bpf_map_create(type, name, key, value, entries, &o);
	return fd < 0 ? -errno : fd;
}

static int new_shard_map(void)
{
	return create(BPF_MAP_TYPE_ARRAY, "unwind_shard", 4, SHARD_BYTES, 1, BPF_F_MMAPABLE, -1);
}

/* The memory of an array; NULL and errno. */
static void *map_memory(int fd, size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		at = NULL;
	return at;
}

/* --- what the tables ask for */

static void drop_ready(struct unwind_maps *m)
{
	while (m->ready_count)
		fd__close(&m->ready[--m->ready_count]);
}

/* Several shards at once: each update of a map of maps waits for a grace period, some 10 ms. */
static int make_shards(struct unwind_maps *m, uint32_t first)
{
	LIBBPF_OPTS(bpf_map_batch_opts, no_options);
	uint32_t keys[UNWIND_SHARDS_AT_ONCE], count;
	int fd;

	drop_ready(m);
	while (m->ready_count < UNWIND_SHARDS_AT_ONCE && first + m->ready_count < UNWIND_SHARDS_MAX &&
	       (fd = new_shard_map()) >= 0) {
		keys[m->ready_count] = first + m->ready_count;
		m->ready[m->ready_count++] = fd;
	}
	if (!m->ready_count)
		return -ENOMEM;
	m->ready_first = first;
	count = m->ready_count;
	if (!bpf_map_update_batch(m->shards_fd, keys, m->ready, &count, &no_options))
		return 0;
	/* Older kernels have no batches for maps of maps. */
	while (m->ready_count > 1)
		fd__close(&m->ready[--m->ready_count]);
	return bpf_map_update_elem(m->shards_fd, &first, &m->ready[0], BPF_ANY) ? -errno : 0;
}

static void *new_shard(void *context, uint32_t index)
{
	struct unwind_maps *m = context;
	uint32_t i = index - m->ready_first;
	void *at;

	if (i >= m->ready_count || m->ready[i] < 0) {
		if (make_shards(m, index))
			return NULL;
		i = 0;
	}
	at = map_memory(m->ready[i], mapped(SHARD_BYTES, 1));
	if (at)
		fd__close(&m->ready[i]); /* the outer map and the mapping keep it */
	return at;
}

/* It stays in the outer map: whoever could still read it may do so until that is closed. */
static void free_shard(void *context, uint32_t index, void *shard)
{
	(void)context;
	(void)index;
	munmap(shard, mapped(SHARD_BYTES, 1));
}

static int set_process(void *context, const struct unwind_process_key *key,
		       const struct unwind_process *process)
{
	const struct unwind_maps *m = context;

	return bpf_map_update_elem(m->processes_fd, key, process, BPF_ANY) ? -errno : 0;
}

static int remove_process(void *context, const struct unwind_process_key *key)
{
	const struct unwind_maps *m = context;

	return bpf_map_delete_elem(m->processes_fd, key) ? -errno : 0;
}

/*
 * After a change of a map of maps the kernel waits for the programs that run (maybe_wait_bpf_programs(),
 * kernel/bpf/syscall.c, since 1ae80cf31938, 4.19: synchronize_rcu()). membarrier(MEMBARRIER_CMD_GLOBAL) waits
 * for the same, but not on machines with one CPU online, where a preempted program may be in the middle of a
 * table, and it is refused with nohz_full (kernel/sched/membarrier.c). Sleepable programs are not waited for
 * by either: those that walk stacks are iterators, which run inside this thread's own read().
 */
static void wait_for_readers(void *context)
{
	const struct unwind_maps *m = context;
	uint32_t key = 0;

	bpf_map_update_elem(m->waiting_fd, &key, &m->waiting_inner_fd, BPF_ANY);
}

/* --- the maps */

static int create_maps(struct unwind_maps *m)
{
	int shard = new_shard_map(); /* only its shape counts */

	if (shard < 0)
		return shard;
	m->shards_fd = create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "unwind_shards", 4, 4, UNWIND_SHARDS_MAX, 0, shard);
	close(shard);
	/* Its values lie 8 bytes apart. */
	m->chunks_fd =
		create(BPF_MAP_TYPE_ARRAY, "unwind_chunks", 4, 4, UNWIND_CHUNKS_MAX, BPF_F_MMAPABLE, -1);
	m->segments_fd =
		create(BPF_MAP_TYPE_ARRAY, "unwind_segments", 4, SEGMENT_BYTES, 1, BPF_F_MMAPABLE, -1);
	m->processes_fd = create(BPF_MAP_TYPE_HASH, "unwind_processes", sizeof(struct unwind_process_key),
				 sizeof(struct unwind_process), UNWIND_PROCESSES_MAX, BPF_F_NO_PREALLOC, -1);
	m->marks_fd = create(BPF_MAP_TYPE_ARRAY, "unwind_marks", 4, 8, UNWIND_MARKS, BPF_F_MMAPABLE, -1);
	m->waiting_inner_fd = create(BPF_MAP_TYPE_ARRAY, "unwind_wait_in", 4, 4, 1, 0, -1);
	if (m->waiting_inner_fd >= 0)
		m->waiting_fd =
			create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "unwind_wait", 4, 4, 1, 0, m->waiting_inner_fd);
	for (size_t i = 0; i < 7; i++) {
		const int fds[] = {m->shards_fd, m->chunks_fd,	      m->segments_fd, m->processes_fd,
				   m->marks_fd,	 m->waiting_inner_fd, m->waiting_fd};

		if (fds[i] < 0)
			return fds[i];
	}
	return 0;
}

int unwind_maps__open(struct unwind_maps *m)
{
	int err;

	*m = (struct unwind_maps){.shards_fd = -1,
				  .chunks_fd = -1,
				  .segments_fd = -1,
				  .processes_fd = -1,
				  .marks_fd = -1,
				  .waiting_fd = -1,
				  .waiting_inner_fd = -1,
				  .chunks_bytes = mapped(sizeof(uint32_t), UNWIND_CHUNKS_MAX),
				  .segments_bytes = mapped(SEGMENT_BYTES, 1),
				  .memory = {.context = m,
					     .new_shard = new_shard,
					     .free_shard = free_shard,
					     .set_process = set_process,
					     .remove_process = remove_process,
					     .wait_for_readers = wait_for_readers}};
	err = create_maps(m);
	if (!err) {
		m->memory.chunks = map_memory(m->chunks_fd, m->chunks_bytes);
		m->memory.segments = map_memory(m->segments_fd, m->segments_bytes);
		m->memory.marks = map_memory(m->marks_fd, mapped(MARK_BYTES, 1));
		if (!m->memory.chunks || !m->memory.segments || !m->memory.marks)
			err = -ENOMEM;
	}
	if (err)
		unwind_maps__close(m);
	return err;
}

void unwind_maps__close(struct unwind_maps *m)
{
	if (m->memory.chunks)
		munmap(m->memory.chunks, m->chunks_bytes);
	if (m->memory.segments)
		munmap(m->memory.segments, m->segments_bytes);
	if (m->memory.marks)
		munmap(m->memory.marks, mapped(MARK_BYTES, 1));
	m->memory.chunks = NULL;
	m->memory.segments = NULL;
	m->memory.marks = NULL;
	drop_ready(m);
	fd__close(&m->shards_fd);
	fd__close(&m->chunks_fd);
	fd__close(&m->segments_fd);
	fd__close(&m->processes_fd);
	fd__close(&m->marks_fd);
	fd__close(&m->waiting_fd);
	fd__close(&m->waiting_inner_fd);
}

uint64_t unwind_maps__bytes(size_t shard_bytes)
{
	uint64_t shards = shard_bytes / UNWIND_SHARD_BYTES;
	/* An element of a hash map without preallocation: key, value and some 48 bytes of links. */
	uint64_t process = sizeof(struct unwind_process_key) + sizeof(struct unwind_process) + 48;

	return mapped(sizeof(uint32_t), UNWIND_CHUNKS_MAX) + mapped(SEGMENT_BYTES, 1) +
	       mapped(MARK_BYTES, 1) + shards * mapped(SHARD_BYTES, 1) + 8 * UNWIND_SHARDS_MAX +
	       UNWIND_PROCESSES_MAX * (process + 16);
}
