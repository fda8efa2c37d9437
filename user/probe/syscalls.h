/* SPDX-License-Identifier: Apache-2.0 */
/* The probe of system calls, inside: what its files share. */
#ifndef SONDE_PROBE_SYSCALLS_H
#define SONDE_PROBE_SYSCALLS_H

#include "probe/call_names.h"
#include "probe/tracer.h"

/* How the programs come to be called, the better one first. */
enum call_hook {
	HOOK_RAW,   /* tp_btf or raw_tp, cheap */
	HOOK_CALLS, /* a classic tracepoint for each call that is asked for: the others cost nearly nothing */
	HOOK_EVENT, /* classic tracepoints: the kernel leaves out no run where it may preempt the others */
	HOOK_GUARDED, /* as the first: runs may be left out, which are counted; the others keep out of each
			 other's way */
};

struct syscalls {
	struct tracer tracer;
	struct syscalls_options options;
	enum call_hook hook;
	uint64_t mark; /* of the canary's calls */
	struct bpf_link *open_link;
};

extern const struct metric *const syscalls__metrics[];

/* Calls that are open now, as the iterator finds them: an array of the caller's. 0 or -errno. */
int syscalls__open_calls(struct syscalls *s, struct open_call **calls, size_t *count);
int syscalls__drain(struct probe *probe, struct point_stream *out, struct drain *d);
/* A slow call. */
int syscalls__event(struct tracer *t, const struct event_record *e);

#endif
