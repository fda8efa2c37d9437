/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of processes that have ended: their stacks, images and mappings, freed when nothing can refer
 * to them any more. A process's last events are told when the interval ends in which it did; so its stacks go
 * after an interval in which nobody asked for them.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "stack/store_private.h"

#define FORGET_PART  8 /* of the memory limit: while stacks take less, nothing is looked for */
#define FORGET_STEP  32
#define FORGET_EVERY 16 /* intervals */
#define IDLE	     2	/* intervals, the one that has just ended included */

struct pass {
	struct stacks *s;
	struct table ended; /* struct process_key, whatever its program -> bool */
	bool no_memory;
	struct table kept; /* images and processes that something refers to, by their addresses */
	void (*forgotten)(void *context, uint64_t hash);
	void *context;
};

static bool has_ended(struct pass *pass, uint64_t tgid, uint64_t start_boot_ns)
{
	const struct process any = {.key = {.start_boot_ns = start_boot_ns, .tgid = tgid}};
	bool is_new, *ended = table__add(&pass->ended, &any.key, &is_new);
	int dir;

	if (!ended || !is_new)
		return ended && *ended;
	/* What has no number in our namespace cannot be looked for. */
	dir = tgid ? process__open(&any) : -EACCES;
	*ended = dir == -ESRCH;
	if (dir >= 0)
		close(dir);
	return *ended;
}

static bool is_over(struct pass *pass, const struct stack *stack)
{
	return pass->s->interval - stack->used >= IDLE && has_ended(pass, stack->tgid, stack->start_boot_ns);
}

static bool drop_content(void *context, const void *key, void *value)
{
	(void)key;
	return is_over(context, *(struct stack **)value);
}

/* Several hashes may lead to one stack, which its own hash owns: the others go first. */
static bool drop_twin(void *context, const void *key, void *value)
{
	const struct stack *stack = *(struct stack **)value;
	struct pass *pass = context;

	if (stack->hash == *(const uint64_t *)key || !is_over(pass, stack))
		return false;
	pass->s->bytes -= TWIN_BYTES;
	pass->forgotten(pass->context, *(const uint64_t *)key);
	return true;
}

static bool drop_stack(void *context, const void *key, void *value)
{
	struct stack *stack = *(struct stack **)value;
	struct pass *pass = context;

	if (!is_over(pass, stack))
		return false;
	pass->s->bytes -= stack->bytes;
	pass->forgotten(pass->context, *(const uint64_t *)key);
	stack__free(stack);
	return true;
}

static void keep(struct pass *pass, const void *object)
{
	const uint64_t key = (uintptr_t)object;

	pass->no_memory |= !table__add(&pass->kept, &key, NULL);
}

static bool is_kept(const struct pass *pass, const void *object)
{
	const uint64_t key = (uintptr_t)object;

	return table__find(&pass->kept, &key);
}

static void keep_what_is_used(struct pass *pass)
{
	struct stacks *s = pass->s;
	size_t i = 0;
	void *value;

	while (table__next(&s->stacks, &i, NULL, &value)) {
		const struct stack *stack = *(struct stack **)value;

		for (size_t j = 0; j < stack->count; j++)
			if (stack->frames[j].image)
				keep(pass, stack->frames[j].image);
	}
	for (i = 0; i < s->source_count; i++)
		if (s->sources[i].process)
			keep(pass, s->sources[i].process);
}

static bool drop_image(void *context, const void *key, void *value)
{
	struct image *image = *(struct image **)value;

	(void)key;
	if (is_kept(context, image))
		return false;
	free(image);
	return true;
}

static bool drop_process(void *context, const void *key, void *value)
{
	struct process *p = *(struct process **)value;

	(void)key;
	if (is_kept(context, p) || !has_ended(context, p->key.tgid, p->key.start_boot_ns))
		return false;
	process__free(p);
	return true;
}

void stacks__forget(struct stacks *s, void (*forgotten)(void *context, uint64_t hash), void *context)
{
	struct pass pass = {.s = s, .forgotten = forgotten, .context = context};

	s->interval++;
	if (s->pending_count || s->bytes < s->options.memory_limit_bytes / FORGET_PART ||
	    (s->bytes < s->forget_bytes && s->interval % FORGET_EVERY))
		return;
	table__init(&pass.ended, sizeof(struct process_key), sizeof(bool));
	table__init(&pass.kept, sizeof(uint64_t), 0);
	table__drop(&s->contents, drop_content, &pass);
	table__drop(&s->stacks, drop_twin, &pass);
	table__drop(&s->stacks, drop_stack, &pass);
	keep_what_is_used(&pass);
	/* Nothing is freed that could not be noted as kept. */
	if (!pass.no_memory) {
		table__drop(&s->images, drop_image, &pass);
		table__drop(&s->processes, drop_process, &pass);
	}
	/* What lives is not looked at again before there is more, or after a while. */
	s->forget_bytes = s->bytes + s->options.memory_limit_bytes / FORGET_STEP;
	table__free(&pass.ended);
	table__free(&pass.kept);
}
