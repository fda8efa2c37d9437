// SPDX-License-Identifier: Apache-2.0
/* The table of probes, and what probes with stacks have in common. */
#include <stddef.h>
#include <string.h>

#include "probe/probe.h"

const struct probe_type *const probe__types[] = {
	&probe_cpu,	  &probe_uprobe,    &probe_sched, &probe_locks,
	&probe_syscalls,  &probe_tcp,	    &probe_block, &probe_memory,
	&probe_processes, &probe_resources, NULL,
};

static const struct frame lost_frame = {.name = "[stack lost]", .object = "", .kind = FRAME_MARK};
static const struct frame no_frame = {.name = "[stack not captured]", .object = "", .kind = FRAME_MARK};

bool probe__view(const struct stacks *stacks, uint64_t hash, struct stack_view *view)
{
	if (hash && !stacks__get(stacks, hash, view))
		return true;
	*view = (struct stack_view){.leader_comm = "", .frames = hash ? &lost_frame : &no_frame, .count = 1};
	view->incomplete = hash ? "lost" : "not captured";
	return !hash;
}

/* Texts by their addresses: reasons are constants, the names of objects are stored once. */
struct stop {
	const char *object; /* NULL: in none */
	const char *reason; /* NULL: for all reasons together */
};

struct stops {
	uint64_t stacks;
	uint64_t most;	    /* for all reasons together: the largest of the reasons' sums ... */
	const char *reason; /* ... and its reason */
};

static struct stops *count_stop(struct table *stopped, const char *object, const char *reason,
				uint64_t weight)
{
	const struct stop key = {.object = object, .reason = reason};
	struct stops *stops = table__add(stopped, &key, NULL);

	if (stops)
		stops->stacks += weight;
	return stops;
}

static void count_reason(struct coverage *c, const char *reason, uint64_t weight)
{
	size_t i = 0;

	while (i < c->reason_count && strcmp(c->reasons[i].reason, reason))
		i++;
	if (i == COVERAGE_REASONS)
		return;
	c->reason_count += i == c->reason_count;
	c->reasons[i].reason = reason;
	c->reasons[i].stacks += weight;
}

/* The object with the largest sum, and of its reasons the largest one. Sums only grow: what has just been
 * added to is the only one that can become the largest. There are no more rows than cells that are drained.
 * Without memory the words are about what was counted before. */
static void add_incomplete(struct coverage *c, const struct stack_view *view, uint64_t weight)
{
	const char *object = view->stopped_in && *view->stopped_in ? view->stopped_in : NULL;
	struct stops *one, *all;
	uint64_t of_reason;

	count_reason(c, view->incomplete, weight);
	if (!c->stopped.key_size)
		table__init(&c->stopped, sizeof(struct stop), sizeof(struct stops));
	one = count_stop(&c->stopped, object, view->incomplete, weight);
	of_reason = one ? one->stacks : 0; /* the next row may move this one */
	all = one ? count_stop(&c->stopped, object, NULL, weight) : NULL;
	if (!all)
		return;
	if (of_reason > all->most) {
		all->most = of_reason;
		all->reason = view->incomplete;
	}
	if (all->stacks > c->worst_stacks) {
		c->worst_stacks = all->stacks;
		c->worst_object = object;
		c->worst_reason = all->reason;
	}
}

void probe__fill_sample(struct sample *sample, struct who *who, const struct stack_view *view,
			struct drain *d, uint64_t weight)
{
	*who = view->who;
	sample->frames = view->frames;
	sample->count = view->count;
	sample->incomplete = view->incomplete;
	d->coverage.stacks += weight;
	if (view->incomplete)
		add_incomplete(&d->coverage, view, weight);
	else
		d->coverage.complete += weight;
}

/* Where an interrupt or a softirq was entered; what lies below it was merely interrupted. x86 and arm64. */
static bool is_interrupt_entry(const char *name)
{
	static const char *const entries[] = {
		"asm_sysvec_",	 "asm_common_interrupt", "asm_exc_nmi",	 "common_interrupt",
		"ret_from_intr", "el1h_64_irq",		 "el0t_64_irq",	 "el1_irq",
		"el0_irq",	 "handle_softirqs",	 "__do_softirq", "__softirqentry_text_start",
	};

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		if (!strncmp(name, entries[i], strlen(entries[i])))
			return true;
	return false;
}

void probe__fill_waker(struct sample *sample, const struct stack_view *view)
{
	sample->waker_frames = view->frames;
	sample->waker_count = view->count;
	sample->waker_comm = view->in_irq ? "" : view->who.comm;
	for (size_t i = 0; i < view->count && view->frames[i].kind == FRAME_KERNEL; i++)
		if (is_interrupt_entry(view->frames[i].name)) {
			sample->waker_count = i;
			sample->waker_comm = "";
			break;
		}
}
