/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who is killed because memory has run out. Part of memory.bpf.c. */
#ifndef SONDE_MEMORY_KILLS_BPF_H
#define SONDE_MEMORY_KILLS_BPF_H

#include "memory_state.bpf.h"

/* The kernel kills the victim by a signal and then marks it, in one go: the signal tells who it is, the mark
 * that it is such a kill. Who is dying already is marked, too, but not killed. */
struct victim {
	struct event_record event;
	u64 by; /* thread that sent the signal */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct victim);
} victims SEC(".maps");

/* By kind: 0 files, 1 anonymous, 2 swapped out, 3 shared. A macro, since the place is relocated. */
#define mm__pages(mm, kind)                                                            \
	({                                                                             \
		struct mm_struct___counters *counters = (void *)(mm);                  \
		struct mm_struct___atomics *atomics = (void *)(mm);                    \
		s64 pages = bpf_core_field_exists(atomics->rss_stat.count)             \
				    ? (s64)READ(atomics, rss_stat.count[kind].counter) \
				    : (s64)READ(counters, rss_stat[kind].count);       \
		pages < 0 ? 0 : pages; /* what CPUs have not added yet is missing */   \
	})

struct memory_limit {
	u64 cgroup, pages;
};

#define MEMCG_LEVELS 16

/* The smallest limit of the cgroup and its ancestors. */
inline_always void limit__of(struct task_struct *task, struct memory_limit *limit)
{
	void *at = (void *)READ(task__cast(task), cgroups) + bpf_core_field_offset(struct css_set, subsys) +
		   8 * bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	struct mem_cgroup *group = NULL;
	u64 max = 0;

	limit->pages = ~0ULL;
	bpf_probe_read_kernel(&group, sizeof(group), at);
	for (u32 level = 0; group && level < MEMCG_LEVELS; level++) {
		max = BPF_CORE_READ(group, memory.max);
		if (max < limit->pages) {
			limit->pages = max;
			limit->cgroup = BPF_CORE_READ(group, css.cgroup, kn, id);
		}
		group = (void *)BPF_CORE_READ(group, css.parent);
	}
}

inline_always void victim__describe(struct event_record *e, struct task_struct *task)
{
	struct memory_limit limit = {};
	struct mm_struct *mm = READ(task__cast(task), mm);

	event__who(e, task);
	if (mm) {
		e->value[KILL_FILE] = mm__pages(mm, 0);
		e->value[KILL_ANON] = mm__pages(mm, 1);
		e->value[KILL_SWAP] = mm__pages(mm, 2);
		e->value[KILL_SHMEM] = mm__pages(mm, 3);
	}
	if (kernel_reads) {
		limit__of(task, &limit);
		e->value[KILL_CGROUP] = limit.cgroup;
		e->value[KILL_LIMIT_PAGES] = limit.pages;
	}
}

#define SIGKILL 9

HOOK("signal_generate")
int BPF_PROG(on_signal, int signal, void *info, struct task_struct *task)
{
	struct loss *l = loss__here();
	struct victim *v;
	u32 key = 0;

	if (!l)
		return 0;
	l->runs++;
	if (signal != SIGKILL || !control__running(bpf_ktime_get_ns()) || !target__wants(task))
		return 0;
	v = bpf_map_lookup_elem(&victims, &key);
	if (!v)
		return 0;
	zero(v, sizeof(*v));
	v->by = bpf_get_current_pid_tgid();
	v->event.time_ns = bpf_ktime_get_ns();
	victim__describe(&v->event, task);
	return 0;
}

#define MARK_WITHIN_NS 1000000000 /* at once, but an emulated CPU may pause */

HOOK("mark_victim")
int BPF_PROG(on_victim)
{
	struct task_struct *task = task__current();
	u64 now = bpf_ktime_get_ns();
	struct loss *l = loss__here();
	struct event_record *e;
	struct watched *w;
	struct victim *v;
	u32 key = 0;

	if (!l)
		return 0;
	l->runs++;
	v = bpf_map_lookup_elem(&victims, &key);
	if (!v || v->by != bpf_get_current_pid_tgid() || now - v->event.time_ns > MARK_WITHIN_NS)
		return 0;
	v->by = 0;
	e = event__begin(PART_MEMORY, MEMORY_EVENT_KILL, now, l);
	if (!e)
		return 0;
	copy(e, &v->event, sizeof(*e));
	e->type = RECORD_EVENT;
	e->part = PART_MEMORY;
	e->kind = MEMORY_EVENT_KILL;
	w = watched__peek(task);
	e->value[KILL_REASON] = w ? w->state.pressure : MEMORY_OF_NOBODY;
	e->value[KILL_BY] = pids__of(task).tgid;
	task__comm(e->text, task);
	event__send(e, l);
	return 0;
}

#endif
