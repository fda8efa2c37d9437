// SPDX-License-Identifier: Apache-2.0
/* The walk of the BPF programs, in user space, over a snapshot and the same tables. */
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "stack/tables_private.h"

/* What a walk can see. Code is not in the snapshot: it is asked of the process itself, if that still lives.
 */
struct snapshot_view {
	const struct tables *tables;
	const struct process *process;
	const unsigned char *memory;
	uint64_t from, bytes;
	int memory_fd; /* of /proc/PID/mem; -1: not opened yet */
	bool code;     /* it may be */
};

#define UNWIND_READER struct snapshot_view *
#define opaque(x)     ((void)(x))

static int open_memory(const struct process *p)
{
	int dir = process__open(p), fd = -1;

	if (dir >= 0)
		fd = openat(dir, "mem", O_RDONLY | O_CLOEXEC);
	fd__close(&dir);
	return fd;
}

static int unwind__read(UNWIND_READER r, void *to, uint32_t bytes, uint64_t from)
{
	uint64_t offset = from - r->from;

	if (offset < r->bytes && bytes <= r->bytes - offset) {
		memcpy(to, r->memory + offset, bytes);
		return 0;
	}
	/* The stack itself has changed since. */
	if (!r->code || !process__find(r->process, from) || !process__find(r->process, from + bytes - 1))
		return -1;
	if (r->memory_fd < 0)
		r->memory_fd = open_memory(r->process);
	r->code = r->memory_fd >= 0;
	return safefile__read_at(r->memory_fd, to, bytes, from) == (ssize_t)bytes ? 0 : -1;
}

static int unwind__segment(UNWIND_READER r, uint32_t index, struct unwind_segment *segment)
{
	if (index >= UNWIND_SEGMENTS_MAX)
		return -1;
	*segment = r->tables->memory.segments[index];
	return 0;
}

static uint32_t unwind__chunk(UNWIND_READER r, uint32_t index)
{
	return index < UNWIND_CHUNKS_MAX ? r->tables->memory.chunks[index] : UNWIND_CHUNK_UNBUILT;
}

static const uint8_t *unwind__shard(UNWIND_READER r, uint32_t index)
{
	return index < UNWIND_SHARDS_MAX ? r->tables->shards[index] : NULL;
}

#include "sonde/walk.h"

void tables__walk(const struct tables *t, const struct process *p, const struct unwind_registers *registers,
		  const void *memory, size_t bytes, bool code, uint64_t *frames, size_t *count,
		  enum stack_end *end, uint64_t *missing)
{
	struct snapshot_view view = {.tables = t,
				     .process = p,
				     .memory = memory,
				     .from = registers->sp,
				     .bytes = bytes,
				     .memory_fd = -1,
				     .code = code};
	struct unwind_process range;
	struct unwind_walk w = {.start = *registers};

	*count = 0;
	*missing = 0;
	frames[(*count)++] = registers->ip;
	*end = STACK_NO_TABLE;
	if (!tables__range(t, &p->key, &range))
		return;
	*count = 0;
	unwind__begin(&w, &range);
	while (*count < STACK_DEPTH_MAX) {
		frames[(*count)++] = unwind__frame_address(&w);
		if (unwind__step(&view, &w))
			break;
	}
	fd__close(&view.memory_fd);
	*end = (enum stack_end)w.end;
	if (w.end == STACK_NO_TABLE || w.end == STACK_NO_MAPPING ||
	    (w.end == STACK_COMPLETE && !unwind__has_stopped(&w)))
		*missing = w.missing;
}
