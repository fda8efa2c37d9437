// SPDX-License-Identifier: Apache-2.0
/* The table of probes, and what probes with stacks have in common. */
#include <stddef.h>

#include "probe/probe.h"

const struct probe_type *const probe__types[] = {&probe_cpu, &probe_sched, NULL};

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

void probe__fill_sample(struct sample *sample, struct who *who, const struct stack_view *view,
			struct drain *d, uint64_t weight)
{
	*who = view->who;
	sample->frames = view->frames;
	sample->count = view->count;
	sample->incomplete = view->incomplete;
	d->coverage.stacks += weight;
	if (!view->incomplete) {
		d->coverage.complete += weight;
	} else if (!d->coverage.worst_reason) { /* stacks come largest first */
		d->coverage.worst_reason = view->incomplete;
		d->coverage.worst_object = view->stopped_in;
	}
}
