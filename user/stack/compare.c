// SPDX-License-Identifier: Apache-2.0
#include "stack/compare.h"

#include <inttypes.h>
#include <stdio.h>

#include "stack/tables.h"

static const void *memory_of(const struct snapshot_record *r)
{
	return r->stack.frames + r->stack.kernel_frames + r->stack.user_frames;
}

static bool is_same(const struct stack *stack, const uint64_t *frames, size_t count)
{
	const struct frame *theirs = stack->frames + stack->kernel_count;

	if (count != stack->user_count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (theirs[i].address != (frames[i] & ~STACK_FRAME_EXACT))
			return false;
	return true;
}

static void keep(const char *directory, uint64_t number, const struct snapshot_record *r,
		 const struct stack *stack)
{
	const struct compared_walk header = {
		.tgid = r->stack.tgid,
		.bytes = r->bytes,
		.frames = stack->user_count,
		.end = stack->end,
		.registers = r->registers,
	};
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%" PRIu64 ".walk", directory, number);
	f = fopen(path, "wxe");
	if (!f)
		return;
	fwrite(&header, sizeof(header), 1, f);
	fwrite(memory_of(r), 1, r->bytes, f);
	for (size_t i = 0; i < stack->user_count; i++)
		fwrite(&stack->frames[stack->kernel_count + i].address, sizeof(uint64_t), 1, f);
	fclose(f);
}

void compare__snapshot(struct stacks *s, const struct snapshot_record *r)
{
	struct stack *const *slot = table__find(&s->stacks, &r->stack.hash);
	struct process *process = stacks__process(s, &r->stack);
	uint64_t frames[STACK_DEPTH_MAX], missing;
	enum stack_end end;
	size_t count;

	if (!slot || !process)
		return;
	tables__walk(s->tables, process, &r->registers, memory_of(r), r->bytes, false, frames, &count, &end,
		     &missing);
	s->counts.walks_compared++;
	/* What lies beyond the snapshot, and code, is out of sight here. */
	if (end != STACK_FAULT && end != STACK_NO_FRAME_PTR && !is_same(*slot, frames, count))
		s->counts.walks_different++;
	if (*s->options.compare_directory)
		keep(s->options.compare_directory, s->counts.walks_compared, r, *slot);
}
