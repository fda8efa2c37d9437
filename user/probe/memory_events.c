// SPDX-License-Identifier: Apache-2.0
/* Kills for want of memory, and what took long. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/cgroup.h"
#include "probe/memory.h"

const struct metric metric_memory_event = {
	.name = "sonde_memory_event",
	.unit = "1",
	.help = "A process that was killed because memory had run out; with --slow a long fault, reclaim or "
		"compaction",
	.kind = POINT_EVENT,
};

static const char *const reasons[] = {
	[MEMORY_OF_NOBODY] = "unknown",
	[MEMORY_OF_MACHINE] = "machine",
	[MEMORY_OF_CGROUP] = "cgroup",
};

static const char *reason_of(uint64_t pressure)
{
	return reasons[pressure <= MEMORY_OF_CGROUP ? pressure : 0];
}

/* Whose limit it was and how much: the kernel side has told, or by the files, while they are there. */
static uint64_t find_limit(const struct memory *m, const struct event_record *e, const char *victims,
			   char **whose)
{
	enum cgroup_hierarchy of_memory = m->files.root[CGROUP_V1_MEMORY] ? CGROUP_V1_MEMORY : CGROUP_V2;
	const __u64 *v = e->value;
	uint64_t limit;
	char *path;

	if (v[KILL_CGROUP]) {
		*whose = cgroup_files__path(&m->files, of_memory, v[KILL_CGROUP]);
		return v[KILL_LIMIT_PAGES] * (uint64_t)sysconf(_SC_PAGESIZE);
	}
	path = cgroup__of_process(of_memory, e->tgid);
	limit = cgroup_files__memory_limit(&m->files, path ? path : victims ? victims : "/", whose);
	free(path);
	return limit == CGROUP_NO_LIMIT ? 0 : limit;
}

#define FIELDS_MAX 12

static int send_kill(struct memory *m, const struct event_record *e)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const __u64 *v = e->value;
	char *victims = cgroup__path(e->cgroup), *whose = NULL, asker[COMM_LEN + 16];
	struct event_field fields[FIELDS_MAX] = {{"reason", .text = reason_of(v[KILL_REASON])}};
	size_t n = 1;
	uint64_t limit;
	int err;

	snprintf(asker, sizeof(asker), "%.15s[%llu]", e->text, (unsigned long long)v[KILL_BY]);
	if (v[KILL_REASON] == MEMORY_OF_CGROUP) {
		limit = find_limit(m, e, victims, &whose);
		if (whose)
			fields[n++] = (struct event_field){"limited", .text = whose};
		if (limit)
			fields[n++] = (struct event_field){"limit", .number = limit, .unit = "By"};
	}
	fields[n++] = (struct event_field){"anon", .number = v[KILL_ANON] * page, .unit = "By"};
	fields[n++] = (struct event_field){"file", .number = v[KILL_FILE] * page, .unit = "By"};
	fields[n++] = (struct event_field){"shmem", .number = v[KILL_SHMEM] * page, .unit = "By"};
	if (v[KILL_SWAP])
		fields[n++] = (struct event_field){"swap", .number = v[KILL_SWAP] * page, .unit = "By"};
	if (victims)
		fields[n++] = (struct event_field){"cgroup", .text = victims};
	fields[n++] = (struct event_field){"asked_by", .text = asker};
	m->kills++;
	err = tracer__send(&m->tracer, e, &metric_memory_event, "oom kill", fields, n);
	free(victims);
	free(whose);
	return err;
}

int memory__event(struct tracer *t, const struct event_record *e)
{
	const struct event_field reason = {"for", .text = reason_of(e->value[0])};

	switch (e->kind) {
	case MEMORY_EVENT_KILL:
		return send_kill((struct memory *)t, e);
	case MEMORY_EVENT_RECLAIM:
		return tracer__send(t, e, &metric_memory_event, "slow reclaim", &reason, 1);
	case MEMORY_EVENT_COMPACTION:
		return tracer__send(t, e, &metric_memory_event, "slow compaction", NULL, 0);
	default:
		return tracer__send(t, e, &metric_memory_event, "slow fault", NULL, 0);
	}
}
