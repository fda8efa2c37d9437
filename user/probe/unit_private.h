/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the loader's units tell each other. */
#ifndef SONDE_PROBE_UNIT_PRIVATE_H
#define SONDE_PROBE_UNIT_PRIVATE_H

#include <sched.h>

#include "probe/loader.h"

/* Takes ownership of the link; NULL: errno says why there is none. 0 or -errno. */
int unit__keep(struct unit *u, struct bpf_link *link);

/*
 * While a map is read or changed by a system call, the kernel runs no program of a perf event on that CPU;
 * whoever is preempted in the middle of it keeps them off for as long as others run. So where an object has
 * such programs sonde is a real-time process for that moment, if it may be one.
 */
struct urgency {
	int policy;
	struct sched_param parameters;
	bool on;
};
void urgency__begin(struct urgency *g, const struct unit *u);
void urgency__end(const struct urgency *g);

#endif
