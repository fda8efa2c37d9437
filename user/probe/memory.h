/* SPDX-License-Identifier: Apache-2.0 */
/* The memory probe's parts: counts and events of its object, and what the kernel's own files say. */
#ifndef SONDE_PROBE_MEMORY_H
#define SONDE_PROBE_MEMORY_H

#include "base/table.h"
#include "probe/cgroup_files.h"
#include "probe/tracer.h"
#include "sonde/memory.h"

struct memory {
	struct tracer tracer;
	struct memory_options options;
	enum memory_cache cache_by;
	bool has_compaction;	/* the kernel can be configured without */
	uint64_t fault_text[2]; /* bpf/memory_state.bpf.h */
	struct cgroup_files files;
	struct cgroup_list memory_of, pressure_of; /* the target's processes' */
	struct table before; /* what was read of cgroups at the end of the interval before: memory_files.c */
	uint64_t kills;	     /* of the interval */
};

extern const struct metric metric_memory_event, metric_cgroup_used, metric_cgroup_working_set,
	metric_cgroup_anon, metric_cgroup_file, metric_cgroup_limit, metric_cgroup_refaults,
	metric_cgroup_kills, metric_pressure_some, metric_pressure_full, metric_pressure_some_avg,
	metric_pressure_full_avg;

int memory__event(struct tracer *t, const struct event_record *e);
/* Reads what deltas begin with; and emits what cgroups have, use and wait. 0 or -errno. */
int memory__begin_files(struct memory *m);
int memory__emit_files(struct memory *m, struct point_stream *out);
void memory__close_files(struct memory *m);
/* Resident memory of a process, if it is still there. */
bool memory__resident(const struct who *who, uint64_t *bytes);

#endif
