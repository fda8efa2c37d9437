/* SPDX-License-Identifier: Apache-2.0 */
#include "stack/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stack/snapshots.h"
#include "stack/store_private.h"
#include "stack/tables.h"

struct stacks *stacks__new(const struct stacks_options *options)
{
	struct stacks *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->options = *options;
	strings__init(&s->strings);
	table__init(&s->stacks, sizeof(uint64_t), sizeof(struct stack *));
	table__init(&s->contents, sizeof(uint64_t), sizeof(struct stack *));
	table__init(&s->processes, sizeof(struct process_key), sizeof(struct process *));
	table__init(&s->files, sizeof(struct file_key), sizeof(uint32_t));
	table__init(&s->names, sizeof(struct name_key), sizeof(struct name));
	s->helper = helper__start(&options->helper);
	if (s->helper && !source__init(s))
		return s;
	stacks__free(s);
	errno = ENOMEM;
	return NULL;
}

void stack__free(struct stack *stack)
{
	free(stack->pending);
	if (stack->frames != stack->own)
		free(stack->frames);
	free(stack);
}

/* Several hashes may lead to one stack, which its own hash owns. */
static void free_stacks(struct stacks *s)
{
	struct stack **stack;
	const void *key;
	void *value;

	for (size_t i = 0; table__next(&s->stacks, &i, &key, &value);) {
		stack = value;
		if ((*stack)->hash != *(const uint64_t *)key)
			*stack = NULL;
	}
	for (size_t i = 0; table__next(&s->stacks, &i, &key, &value);)
		if (*(struct stack **)value)
			stack__free(*(struct stack **)value);
	table__free(&s->stacks);
	table__free(&s->contents);
}

void stacks__free(struct stacks *s)
{
	size_t i = 0;
	const void *key;
	void *value;

	if (!s)
		return;
	free_stacks(s);
	while (table__next(&s->processes, &i, &key, &value))
		process__free(*(struct process **)value);
	snapshots__free(s->snapshots);
	tables__free(s->tables);
	source__free(s);
	table__free(&s->processes);
	table__free(&s->files);
	table__free(&s->names);
	strings__free(&s->strings);
	helper__stop(s->helper);
	free(s->pending);
	free(s);
}

static bool is_sound(const struct stack_record *r, size_t size)
{
	size_t frames;

	if (size < sizeof(*r) || r->type != RECORD_STACK || r->end >= STACK_END_COUNT)
		return false;
	frames = (size_t)r->kernel_frames + r->user_frames;
	return frames <= STACK_DEPTH_MAX + STACK_DEPTH + 1 &&
	       size - sizeof(*r) >= frames * sizeof(r->frames[0]);
}

struct process *stacks__process(struct stacks *s, const struct stack_record *r)
{
	const struct process_key key = {
		.start_boot_ns = r->start_boot_ns, .exec_id = r->exec_id, .tgid = r->tgid};
	struct process **slot, *p;
	bool is_new;
	int dir;

	slot = table__add(&s->processes, &key, &is_new);
	if (!slot)
		return NULL;
	if (!is_new)
		return *slot;
	p = calloc(1, sizeof(*p));
	if (!p) {
		table__remove(&s->processes, &key);
		return NULL;
	}
	*slot = p;
	p->key = key;
	p->stack_start = r->stack_start;
	dir = process__open(p);
	p->gone = dir < 0 || source__read(s, p, dir);
	if (dir >= 0)
		close(dir);
	s->counts.processes++;
	s->counts.processes_gone += p->gone;
	return p;
}

static bool has_user_frames(const struct stacks *s, const struct stack_record *r)
{
	const uint32_t none = STACK_FLAG_KTHREAD | STACK_FLAG_IRQ;

	return r->user_frames && !s->options.kernel_only && !(r->flags & none);
}

static void place_kernel(struct stack *stack, const struct stack_record *r)
{
	for (size_t i = 0; i < stack->kernel_count; i++) {
		stack->frames[i] = (struct frame){
			.name = "[unknown]",
			.object = "[kernel]",
			.address = r->frames[i],
			.kind = FRAME_KERNEL,
		};
		stack->pending[i] = (struct location){
			.address = r->frames[i],
			.source = SOURCE_KERNEL,
			.kind = FRAME_KERNEL,
			.exact = i == 0,
		};
	}
}

static int place_user(struct stacks *s, struct stack *stack, const struct stack_record *r)
{
	struct process *p = stacks__process(s, r);
	struct frame *frame = stack->frames + stack->kernel_count;
	struct location *l = stack->pending + stack->kernel_count;
	int err = p ? 0 : -ENOMEM;

	if (p)
		p->used = true;
	stack->process = p;
	for (size_t i = 0; i < stack->user_count && !err; i++, frame++, l++) {
		uint64_t address = r->frames[r->kernel_frames + i];

		*frame = (struct frame){
			.name = "[unknown]",
			.object = "[unknown]",
			.address = address & ~STACK_FRAME_EXACT,
			.kind = FRAME_USER,
		};
		*l = (struct location){.exact = i == 0 || (address & STACK_FRAME_EXACT)};
		err = source__bind(s, p, frame, l);
	}
	return err;
}

/* Read since it was walked, the mappings of a process where files take each other's place may not be those
 * that it went through. */
static bool is_outdated(struct stacks *s, const struct stack_record *r)
{
	struct process *p = s->tables && r->mark ? stacks__process(s, r) : NULL;

	if (!p)
		return false;
	if (r->mark == UNWIND_MARK_STALE && !p->replaces) {
		p->stale = true;
		source__reread(s, p, 0);
	}
	return p->replaces && (r->mark == UNWIND_MARK_STALE ||
			       tables__compare(s->tables, &p->key, r->mark, UNWIND_MARK_PAGES(r->mark)));
}

/* Neither what it went through nor what any of its addresses was is known any more. */
static void stack__forget_user(struct stack *stack)
{
	stack->count -= stack->user_count - 1;
	stack->user_count = 1;
	stack->end = STACK_NO_TABLE;
	stack->frames[stack->kernel_count] =
		(struct frame){.name = "[unknown]", .object = "[unknown]", .kind = FRAME_USER};
}

static struct stack *new_stack(const struct stacks *s, const struct stack_record *r, size_t *bytes)
{
	size_t kernel = s->options.user_only ? 0 : r->kernel_frames;
	size_t user = has_user_frames(s, r) ? r->user_frames : 0;
	struct stack *stack;

	*bytes = sizeof(*stack) + (kernel + user + 1) * sizeof(stack->own[0]);
	stack = calloc(1, *bytes);
	if (!stack)
		return NULL;
	stack->pending = calloc(kernel + user + 1, sizeof(*stack->pending));
	if (!stack->pending) {
		free(stack);
		return NULL;
	}
	stack->frames = stack->own;
	stack->hash = r->hash;
	stack->used = s->interval;
	stack->start_boot_ns = r->start_boot_ns;
	stack->cgroup = r->cgroup;
	stack->tgid = r->tgid;
	stack->tid = r->tid;
	stack->flags = r->flags;
	stack->end = r->end;
	stack->kernel_count = (uint16_t)kernel;
	stack->user_count = (uint16_t)user;
	stack->count = (uint16_t)(kernel + user);
	memcpy(stack->comm, r->comm, sizeof(stack->comm) - 1);
	memcpy(stack->leader_comm, r->leader_comm, sizeof(stack->leader_comm) - 1);
	return stack;
}

static int keep(struct stacks *s, struct stack *stack)
{
	size_t capacity = s->pending_capacity ? 2 * s->pending_capacity : 256;
	struct stack **grown, **slot;

	if (s->pending_count == s->pending_capacity) {
		grown = reallocarray(s->pending, capacity, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->pending = grown;
		s->pending_capacity = capacity;
	}
	slot = table__add(&s->stacks, &stack->hash, NULL);
	if (!slot)
		return -ENOMEM;
	*slot = stack;
	s->pending[s->pending_count++] = stack;
	return 0;
}

static int store(struct stacks *s, const struct stack_record *r)
{
	size_t bytes;
	struct stack *stack = new_stack(s, r, &bytes);
	int err = 0;

	if (!stack)
		return -ENOMEM;
	if (s->options.memory_limit_bytes && s->bytes + bytes > s->options.memory_limit_bytes) {
		s->counts.refused++;
		stack__free(stack);
		return -ENOSPC;
	}
	place_kernel(stack, r);
	if (stack->user_count && is_outdated(s, r))
		stack__forget_user(stack);
	else if (stack->user_count)
		err = place_user(s, stack, r);
	if (!err)
		err = keep(s, stack);
	if (err) {
		stack__free(stack);
		return err;
	}
	stack->bytes = bytes;
	s->bytes += bytes;
	s->counts.stored++;
	return 0;
}

int stacks__add(struct stacks *s, const struct stack_record *r, size_t size)
{
	int err;

	if (!is_sound(r, size)) {
		s->counts.malformed++;
		return -EINVAL;
	}
	if (table__find(&s->stacks, &r->hash)) {
		s->counts.duplicate++;
		return 0;
	}
	err = store(s, r);
	if (!err && (s->open_files >= OPEN_FILES_MAX || s->pending_count >= PENDING_MAX))
		err = resolve__names(s);
	return err;
}

int stacks__use_tables(struct stacks *s, const struct table_memory *memory,
		       const struct tables_options *options)
{
	s->tables = tables__new(memory, s->helper, options);
	s->snapshots = snapshots__new(s);
	return s->tables && s->snapshots ? 0 : -ENOMEM;
}

static bool is_common(const struct mapping *m)
{
	size_t len;
	const char *base = maps__base_name(m->path, &len);

	return m->kind == MAPPED_VDSO || !strncmp(base, "libc.", 5) || !strncmp(base, "ld-", 3);
}

void stacks__foresee(struct stacks *s, pid_t pid)
{
	struct process p = {0};
	size_t kept = 0;
	int dir = s->tables ? process__open_pid(&p, pid) : -ESRCH;

	if (dir < 0)
		return;
	if (!process__read(&p, dir, &s->strings)) {
		for (size_t i = 0; i < p.count; i++)
			if (pid != getpid() || is_common(&p.mappings[i]))
				p.mappings[kept++] = p.mappings[i];
		p.count = kept;
		tables__foresee(s->tables, &p);
	}
	process__free_mappings(&p);
	close(dir);
}

void stacks__await_tables(struct stacks *s, uint64_t until_ns)
{
	while (s->tables && tables__is_waiting(s->tables) && tables__work(s->tables, until_ns) > 0)
		;
}

static bool is_sound_snapshot(const struct snapshot_record *r, size_t size)
{
	const struct stack_record *stack = &r->stack;
	size_t frames;

	if (size < sizeof(*r) || r->bytes > SNAPSHOT_BYTES)
		return false;
	frames = (size_t)stack->kernel_frames + stack->user_frames;
	return stack->kernel_frames <= STACK_DEPTH && stack->user_frames < STACK_DEPTH_MAX &&
	       stack->end < STACK_END_COUNT &&
	       size - sizeof(*r) >= frames * sizeof(stack->frames[0]) + r->bytes;
}

int stacks__add_snapshot(struct stacks *s, const struct snapshot_record *r, size_t size)
{
	if (!s->snapshots || !is_sound_snapshot(r, size)) {
		s->counts.malformed++;
		return -EINVAL;
	}
	return snapshots__add(s->snapshots, r);
}

size_t stacks__work(struct stacks *s, uint64_t until_ns)
{
	return s->snapshots ? snapshots__work(s->snapshots, until_ns) : 0;
}

void stacks__tick(struct stacks *s)
{
	if (s->tables)
		tables__tick(s->tables);
}

int stacks__get(const struct stacks *s, uint64_t hash, struct stack_view *view)
{
	struct stack *const *slot = table__find(&s->stacks, &hash);
	const struct stack *stack;

	if (!slot)
		return -ENOENT;
	stack = *slot;
	(*slot)->used = s->interval;
	*view = (struct stack_view){
		.who = {.cgroup = stack->cgroup,
			.start_ns = stack->start_boot_ns,
			.tgid = stack->tgid,
			.tid = stack->tid},
		.leader_comm = stack->leader_comm,
		.frames = stack->frames,
		.count = stack->count,
		.kernel_count = stack->kernel_count,
		.incomplete = stack->incomplete,
		.stopped_in = stack->stopped_in,
		.kthread = stack->flags & STACK_FLAG_KTHREAD,
		.in_irq = stack->flags & STACK_FLAG_IRQ,
	};
	memcpy(view->who.comm, stack->comm, sizeof(view->who.comm));
	return 0;
}

uint64_t stacks__same(const struct stacks *s, uint64_t hash)
{
	struct stack *const *slot = table__find(&s->stacks, &hash);

	return slot ? (*slot)->hash : hash;
}

struct helper *stacks__helper(struct stacks *s)
{
	return s->helper;
}

void stacks__counts(const struct stacks *s, struct stacks_counts *counts)
{
	*counts = s->counts;
}
