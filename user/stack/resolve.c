/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/units.h"
#include "object/debugfile.h"
#include "stack/snapshots.h"
#include "stack/store_private.h"

#define EXPANDED_MAX 2000 /* frames: two stacks and a bit must fit into a line of a picture */

#define IMAGES_KEPT 512 /* of processes that were not seen in the last interval; some KB each */

/* Names that somebody has to find, and the answers of one batch. */
struct questions {
	struct name_key *keys;
	size_t count, capacity;
	uint64_t *addresses;
	struct symbol *symbols;
};

static int ask(struct questions *q, const struct name_key *key)
{
	size_t capacity = q->capacity ? 2 * q->capacity : 256;
	struct name_key *grown;

	if (q->count == q->capacity) {
		grown = reallocarray(q->keys, capacity, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		q->keys = grown;
		q->capacity = capacity;
	}
	q->keys[q->count++] = *key;
	return 0;
}

static struct name_key key_of(const struct location *l)
{
	return (struct name_key){.address = l->address, .source = l->source, .exact = l->exact};
}

static int collect(struct stacks *s, struct questions *q)
{
	struct name_key key;
	struct name *name;
	bool is_new;
	int err = 0;

	for (size_t i = 0; i < s->pending_count; i++) {
		const struct stack *stack = s->pending[i];

		for (size_t j = 0; j < stack->count && !err; j++) {
			if (stack->pending[j].source == SOURCE_NONE)
				continue;
			key = key_of(&stack->pending[j]);
			name = table__add(&s->names, &key, &is_new);
			if (!name)
				err = -ENOMEM;
			else if (is_new || name->provisional)
				err = ask(q, &key);
			if (name)
				name->provisional = false;
		}
	}
	return err;
}

static int by_source(const void *a, const void *b)
{
	const struct name_key *x = a, *y = b;

	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return x->address < y->address ? -1 : x->address > y->address;
}

/* What the helper is asked about a source: descriptors that are open during the request only. */
struct access {
	struct symbol_request request;
	struct debug_places places;
	int dir, perf_map;
	char root[48];
};

static int open_access(struct stacks *s, struct access *a, struct source *source)
{
	*a = (struct access){.dir = -1, .perf_map = -1};
	a->request = (struct symbol_request){
		.source = source->kind,
		.fd = source->fd,
		.modules_fd = -1,
		.path = source->path,
		.debug_file = debugfile__locate,
		.context = &a->places,
	};
	a->places = (struct debug_places){.directory = s->options.debug_directory, .path = source->path};
	if (source->kind == SYMBOLS_ELF && source->fd < 0)
		return -ESRCH;
	if (source->kind == SYMBOLS_KERNEL && s->counts.kernel_hidden)
		return -EPERM;
	if (!source->process)
		return 0;
	a->dir = process__open(source->process);
	if (a->dir >= 0) {
		snprintf(a->root, sizeof(a->root), "/proc/self/fd/%d/root", a->dir);
		a->places.root = a->root;
	}
	if (source->kind != SYMBOLS_PERF_MAP)
		return 0;
	a->perf_map = source->failed ? -ESRCH : perf_map_owner__open(&source->owner, a->dir);
	a->request.fd = a->perf_map;
	return a->perf_map < 0 ? a->perf_map : 0;
}

static void close_access(struct access *a)
{
	fd__close(&a->dir);
	fd__close(&a->perf_map);
}

/* The object of a kernel frame is its module. */
static const char *object_of(struct stacks *s, const struct source *source, const struct symbol *symbol)
{
	char text[80];
	int n;

	if (!symbol->module)
		return source->object;
	n = snprintf(text, sizeof(text), "[%s]", symbol->module);
	return strings__add(&s->strings, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static const char *text_of(struct stacks *s, const struct source *source, const struct symbol *symbol,
			   const struct name_key *key)
{
	char text[600];
	int n;

	if (symbol->name)
		return symbol->name;
	/* No address of the kernel leaves through us. */
	if (source->kind == SYMBOLS_KERNEL)
		return "[unknown]";
	n = snprintf(text, sizeof(text), "%.500s+0x%" PRIx64, source->object, symbol->address + !key->exact);
	return strings__add(&s->strings, text, (size_t)n);
}

static int keep_answers(struct stacks *s, const struct source *source, const struct name_key *keys,
			size_t count, const struct symbol *symbols, bool provisional)
{
	struct name *name;

	for (size_t i = 0; i < count; i++) {
		name = table__find(&s->names, &keys[i]);
		name->text = text_of(s, source, &symbols[i], &keys[i]);
		name->object = object_of(s, source, &symbols[i]);
		name->start = symbols[i].start;
		name->scheduler = symbols[i].scheduler;
		name->file = symbols[i].file;
		name->line = symbols[i].line;
		name->inlined = symbols[i].inlined;
		name->inlined_count = symbols[i].inlined_count;
		name->provisional = provisional && !symbols[i].name;
		if (!name->text || !name->object)
			return -ENOMEM;
	}
	return 0;
}

/* One batch: the questions to one source. A source that fails leaves its frames without names, nothing more.
 */
static int answer(struct stacks *s, struct questions *q, const struct name_key *keys, size_t count)
{
	struct source *source = &s->sources[keys->source];
	struct access a;
	int err = open_access(s, &a, source);

	for (size_t i = 0; i < count; i++) {
		/* A return address stands behind its call: that one belongs to the caller for certain. */
		q->addresses[i] = keys[i].address - !keys[i].exact;
		q->symbols[i] = (struct symbol){.address = q->addresses[i]};
	}
	a.request.count = count;
	a.request.addresses = q->addresses;
	a.request.lines = s->options.lines;
	if (!err)
		err = helper__resolve(s->helper, &a.request, q->symbols);
	close_access(&a);
	if (err && err != -ESRCH && source->kind == SYMBOLS_ELF && !source->failed) {
		source->failed = true;
		s->counts.files_failed++;
	}
	if (!err && count && q->symbols[0].build_id)
		source->build_id = q->symbols[0].build_id;
	if (keep_answers(s, source, keys, count, q->symbols,
			 err == -ESRCH || source->kind == SYMBOLS_PERF_MAP))
		return -ENOMEM;
	if (source->kind == SYMBOLS_KERNEL && err == -EPERM)
		s->counts.kernel_hidden = true;
	return 0;
}

static int answer_all(struct stacks *s, struct questions *q)
{
	size_t end;
	int err = 0;

	q->addresses = calloc(q->count + 1, sizeof(*q->addresses));
	q->symbols = calloc(q->count + 1, sizeof(*q->symbols));
	if (!q->addresses || !q->symbols)
		return -ENOMEM;
	if (q->count)
		qsort(q->keys, q->count, sizeof(*q->keys), by_source);
	for (size_t i = 0; i < q->count && !err; i = end) {
		for (end = i + 1; end < q->count && q->keys[end].source == q->keys[i].source; end++)
			;
		err = answer(s, q, q->keys + i, end - i);
	}
	return err;
}

/* Where the user part of a stack ends. */
struct walk_end {
	size_t count;  /* frames that are kept */
	bool complete; /* they reach the start of the thread */
	bool astray;   /* cut: from there on the walk followed something that is no frame pointer */
};

static void name_unmapped(struct stacks *s, struct frame *frame)
{
	char text[40];
	int n = snprintf(text, sizeof(text), "[unknown]+0x%" PRIx64, frame->address);
	const char *name = strings__add(&s->strings, text, (size_t)n);

	if (name)
		frame->name = name;
}

/* Where the function stands that has `level` others inlined into it there: in the source, they are calls. */
static void set_line(struct frame *frame, const struct name *name, uint32_t level)
{
	frame->file = level ? name->inlined[level - 1].call_file : name->file;
	frame->line = level ? name->inlined[level - 1].call_line : name->line;
}

static enum symbol_start name_frame(struct stacks *s, struct frame *frame, const struct location *l)
{
	const struct name_key key = key_of(l);
	const struct name *name = l->source == SOURCE_NONE ? NULL : table__find(&s->names, &key);

	frame->kind = (enum frame_kind)l->kind;
	if (l->unmapped)
		name_unmapped(s, frame);
	if (!name || !name->text)
		return SYMBOL_NO_START;
	frame->name = name->text;
	frame->object = name->object;
	set_line(frame, name, name->inlined_count);
	return name->start;
}

static struct walk_end name_frames(struct stacks *s, struct stack *stack)
{
	struct walk_end end = {0};
	enum symbol_start start = SYMBOL_NO_START;

	for (; end.count < stack->count; end.count++) {
		const struct location *l = &stack->pending[end.count];

		/* A caller's address where no code is mapped: neither this nor what follows it are frames. */
		if (l->unmapped && end.count > stack->kernel_count && stack->end != STACK_COMPLETE) {
			end.astray = true;
			break;
		}
		start = name_frame(s, &stack->frames[end.count], l);
		if (end.count < stack->kernel_count)
			start = SYMBOL_NO_START;
		/* Start functions call each other; what follows the last of them is left over from before. */
		if (end.complete && start == SYMBOL_NO_START)
			return end;
		end.complete |= start == SYMBOL_START;
	}
	end.complete |= start == SYMBOL_START_IF_LAST;
	return end;
}

static const char *const reasons[STACK_END_COUNT] = {
	[STACK_COMPLETE] = NULL,
	[STACK_NO_FRAME_PTR] = "no frame pointers",
	[STACK_DEPTH_LIMIT] = "depth limit",
	[STACK_FAULT] = "unreadable",
	[STACK_NOT_CAPTURED] = "not captured",
	[STACK_NO_TABLE] = "no unwind table",
	[STACK_NO_MAPPING] = "no mapping",
	[STACK_UNSUPPORTED] = "unwind rule not supported",
};
static const char *const marks[STACK_END_COUNT] = {
	[STACK_NO_FRAME_PTR] = "[truncated: no frame pointers]",
	[STACK_DEPTH_LIMIT] = "[truncated: depth limit]",
	[STACK_FAULT] = "[truncated: unreadable]",
	[STACK_NOT_CAPTURED] = "[truncated: not captured]",
	[STACK_NO_TABLE] = "[truncated: no unwind table]",
	[STACK_NO_MAPPING] = "[truncated: no mapping]",
	[STACK_UNSUPPORTED] = "[truncated: unwind rule not supported]",
};

static void add_mark(struct stack *stack, const char *text)
{
	stack->frames[stack->count++] = (struct frame){.name = text, .object = "", .kind = FRAME_MARK};
}

static bool begins_with(const char *name, const char *const *prefixes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}
#define BEGINS_WITH(name, prefixes) begins_with(name, prefixes, sizeof(prefixes) / sizeof(*(prefixes)))

/* Of what bpf_trace_run*() calls, only BPF programs are not of the kernel itself. They may be without a name
 * (net.core.bpf_jit_harden), and even bear one of a module near by. */
static bool is_program(const struct frame *f)
{
	static const char *const interpreter[] = {"__bpf_prog_run", "___bpf_prog_run"};

	return strcmp(f->object, "[kernel]") || !strcmp(f->name, "[unknown]") ||
	       BEGINS_WITH(f->name, interpreter);
}

/* How a probe came to look: its own program, and the tracepoint that ran it. The number of these frames; 0:
 * this is no stack of a hook. A sampled stack has no such frames on top, unless it was really there. */
static uint16_t hook_frames(const struct stack *stack)
{
	static const char *const run[] = {"bpf_trace_run", "__bpf_trace_"};
	static const char *const tracepoint[] = {"bpf_trace_run", "__bpf_trace_", "__traceiter_"};
	uint16_t n = 0;

	while (n < stack->kernel_count && is_program(&stack->frames[n]))
		n++;
	if (!n || n == stack->kernel_count || !BEGINS_WITH(stack->frames[n].name, run))
		return 0;
	while (n < stack->kernel_count && BEGINS_WITH(stack->frames[n].name, tracepoint))
		n++;
	return n;
}

static bool is_scheduler(struct stacks *s, const struct stack *stack, size_t i)
{
	const struct name_key key = key_of(&stack->pending[i]);
	const struct name *name = table__find(&s->names, &key);

	return (name && name->scheduler) || !strcmp(stack->frames[i].name, "__schedule") ||
	       !strcmp(stack->frames[i].name, "schedule");
}

/*
 * A thread that waits is not "in" the tracepoint that saw it go, nor in the scheduler's way to it. The kernel
 * leaves all of the scheduler's text out of the stack of a thread that sleeps, which is what the sweep gets:
 * without it here, too, one place of waiting has one stack, whoever saw it.
 */
static void drop_machinery(struct stacks *s, struct stack *stack)
{
	size_t n = hook_frames(stack), kept = 0;
	bool switched = n && n < stack->kernel_count && is_scheduler(s, stack, n);

	for (size_t i = n; n && i < stack->count; i++)
		if (i >= stack->kernel_count || !switched || !is_scheduler(s, stack, i))
			stack->frames[kept++] = stack->frames[i];
	if (!n)
		return;
	stack->kernel_count = (uint16_t)(kept - stack->user_count);
	stack->count = (uint16_t)kept;
}

static const struct name *name_of(struct stacks *s, const struct location *l)
{
	const struct name_key key = key_of(l);

	return l->source == SOURCE_NONE ? NULL : table__find(&s->names, &key);
}

/* A frame, and before it those of the functions that became part of it. Their number, all in all. */
static size_t expand(const struct frame *frame, const struct name *name, struct frame *out)
{
	size_t n = name ? name->inlined_count : 0;

	for (uint32_t i = 0; i < n; i++) {
		out[i] = *frame;
		out[i].kind = FRAME_INLINED;
		out[i].name = name->inlined[i].name;
		set_line(&out[i], name, i);
	}
	out[n] = *frame;
	return n + 1;
}

/*
 * With --lines: inlined functions become frames. `locations`: of the first user frame. What would make the
 * stack absurdly deep, or finds no memory, stays inlined.
 */
static void add_inlined(struct stacks *s, struct stack *stack, const struct location *locations)
{
	const struct frame *user = stack->frames + stack->kernel_count;
	size_t extra = 0, n = stack->kernel_count;
	struct frame *frames;

	for (size_t i = 0; i < stack->user_count; i++) {
		const struct name *name = name_of(s, &locations[i]);

		extra += name ? name->inlined_count : 0;
	}
	if (!extra || stack->count + extra > EXPANDED_MAX)
		return;
	frames = calloc(stack->count + extra + 1, sizeof(*frames));
	if (!frames)
		return;
	memcpy(frames, stack->frames, n * sizeof(*frames));
	for (size_t i = 0; i < stack->user_count; i++)
		n += expand(&user[i], name_of(s, &locations[i]), frames + n);
	s->bytes += n * sizeof(*frames);
	stack->bytes += n * sizeof(*frames);
	stack->frames = frames;
	stack->count = (uint16_t)n;
	stack->user_count = (uint16_t)(n - stack->kernel_count);
}

/* Compiled Java uses the frame pointer as it likes, and what runs there is for the user to decide. */
static void count_jvm(struct stacks *s, struct stack *stack)
{
	struct process *p = stack->process;
	bool in_jit = false;

	stack->process = NULL;
	if (!p || !p->is_jvm)
		return;
	for (size_t i = stack->kernel_count; i < stack->count; i++)
		in_jit |= stack->frames[i].kind == FRAME_JIT;
	p->stacks++;
	if (!stack->incomplete || !in_jit)
		return;
	p->jit_truncated++;
	p->comm = strings__add(&s->strings, stack->leader_comm, strlen(stack->leader_comm));
}

bool stacks__next_jvm(struct stacks *s, struct stacks_jvm *jvm)
{
	size_t i = 0;
	const void *key;
	void *value;

	while (table__next(&s->processes, &i, &key, &value)) {
		struct process *p = *(struct process **)value;

		if (p->advised || !p->comm || p->jit_truncated < p->stacks / 4)
			continue;
		p->advised = true;
		*jvm = (struct stacks_jvm){.tgid = (uint32_t)p->key.tgid, .comm = p->comm};
		return true;
	}
	return false;
}

static void finish(struct stacks *s, struct stack *stack)
{
	const struct location *user = stack->pending + stack->kernel_count;
	struct walk_end end = name_frames(s, stack);
	enum stack_end reason = (enum stack_end)stack->end;

	if (end.astray && !end.complete && reason != STACK_NO_MAPPING)
		reason = STACK_NO_FRAME_PTR;
	stack->count = (uint16_t)end.count;
	stack->user_count = (uint16_t)(end.count - stack->kernel_count);
	drop_machinery(s, stack);
	add_inlined(s, stack, user);
	free(stack->pending);
	stack->pending = NULL;
	if ((!end.complete || (stack->flags & STACK_FLAG_STAND_IN)) && reason != STACK_COMPLETE &&
	    !s->options.kernel_only && !(stack->flags & (STACK_FLAG_KTHREAD | STACK_FLAG_IRQ))) {
		stack->incomplete = reasons[reason];
		if (stack->user_count)
			stack->stopped_in = stack->frames[stack->count - 1].object;
		add_mark(stack, marks[reason]);
		s->counts.incomplete++;
	}
	count_jvm(s, stack);
}

/* All that an output could tell of it. Texts are stored once. */
static uint64_t content_of(const struct stacks *s, const struct stack *stack)
{
	const uint64_t who[] = {stack->start_boot_ns, stack->cgroup,
				(uint64_t)stack->tgid << 32 | stack->flags,
				(uint64_t)stack->kernel_count << 32 | stack->user_count,
				s->options.per_thread ? stack->tid : 0};
	uint64_t h = hash__bytes(stack->comm, sizeof(stack->comm), stack->count);

	h = hash__bytes(stack->leader_comm, sizeof(stack->leader_comm), h);
	h = hash__bytes(who, sizeof(who), h);
	for (size_t i = 0; i < stack->count; i++) {
		const struct frame *f = &stack->frames[i];
		const uint64_t words[] = {(uintptr_t)f->name, (uintptr_t)f->object,
					  (uintptr_t)f->file, (uintptr_t)f->image,
					  f->address,	      (uint64_t)f->kind << 32 | f->line};

		h = hash__bytes(words, sizeof(words), h);
	}
	return h;
}

/* Each snapshot has a hash of its own, and so has what the kernel's side walked: where these tell the same,
 * one is kept, and the others' hashes lead to it. */
static void keep_once(struct stacks *s, struct stack *stack)
{
	const uint64_t content = content_of(s, stack);
	bool is_new;
	struct stack **known = table__add(&s->contents, &content, &is_new);

	if (!known)
		return;
	if (is_new) {
		*known = stack;
		return;
	}
	*(struct stack **)table__find(&s->stacks, &stack->hash) = *known;
	s->bytes -= stack->bytes;
	s->bytes += TWIN_BYTES;
	s->counts.twins++;
	stack__free(stack);
}

/* Images of processes that were not seen in this interval: read again if they come back. Some are kept for
 * processes that come back only to end. */
static void drop_unused_images(struct stacks *s)
{
	size_t i = 0, kept = 0;
	const void *key;
	void *value;

	while (table__next(&s->processes, &i, &key, &value)) {
		struct process *p = *(struct process **)value;

		if (!p->used && !p->gone) {
			if (p->count && ++kept > IMAGES_KEPT)
				process__free_mappings(p);
			p->stale = true;
		}
		p->used = false;
	}
}

int resolve__names(struct stacks *s)
{
	struct questions q = {0};
	int err = collect(s, &q);

	if (!err)
		err = answer_all(s, &q);
	source__name_images(s);
	/* Also after an error: a stack without names is better than none. */
	for (size_t i = 0; i < s->pending_count; i++)
		finish(s, s->pending[i]);
	for (size_t i = 0; i < s->pending_count; i++)
		keep_once(s, s->pending[i]);
	s->pending_count = 0;
	drop_unused_images(s);
	source__close_files(s);
	free(q.keys);
	free(q.addresses);
	free(q.symbols);
	return err;
}

#define SNAPSHOTS_NS 1000000000ULL /* at an interval's end their tables are waited for no longer */

int stacks__resolve(struct stacks *s)
{
	if (s->snapshots)
		snapshots__finish(s->snapshots, units__now_ns() + SNAPSHOTS_NS);
	return resolve__names(s);
}
