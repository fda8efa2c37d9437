/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the resources probe: each reads its files of /proc, keeps the reading before, and gives points
 * for the time between the two. Private to user/probe/resources*.c. */
#ifndef SONDE_PROBE_RESOURCES_H
#define SONDE_PROBE_RESOURCES_H

#include "model/proc_text.h"
#include "probe/cgroup_files.h"
#include "probe/probe.h"

/* Points of one drain. The first error stays, and no more points are given. */
struct emitter {
	struct point_stream *out;
	struct who who;
	double seconds; /* between the readings */
	int err;
};

/* resources_metrics.c */
extern const struct metric resource_cpu_share, resource_cpu_time, resource_load_1, resource_load_5,
	resource_load_15, resource_running, resource_blocked, resource_switches, resource_forks,
	resource_memory_limit, resource_memory_usage, resource_memory_available, resource_memory_shared,
	resource_memory_slab, resource_memory_dirty, resource_swap_usage, resource_paging_faults,
	resource_paging_operations, resource_disk_io, resource_disk_operations, resource_disk_merged,
	resource_disk_operation_time, resource_disk_mean, resource_disk_io_time, resource_disk_busy,
	resource_net_io, resource_net_packets, resource_net_dropped, resource_net_errors,
	resource_pressure_share, resource_pressure_time, resource_fs_limit, resource_fs_usage,
	resource_fs_share, resource_fs_inodes, resource_cgroup_cpus, resource_cgroup_cpu_time,
	resource_cgroup_throttled, resource_cgroup_periods, resource_cgroup_cpu_limit, resource_cgroup_memory,
	resource_cgroup_working_set, resource_cgroup_rss, resource_cgroup_memory_limit, resource_cgroup_swap,
	resource_cgroup_faults, resource_cgroup_oom_kills, resource_cgroup_io, resource_cgroup_threads,
	resource_process_cpus, resource_process_cpu_time, resource_process_share, resource_process_rss,
	resource_process_virtual, resource_process_threads, resource_process_files, resource_process_io,
	resource_process_faults;
extern const struct metric *const resources__metrics[]; /* all of them */

#define LABELS(...)            \
	(const char *const[4]) \
	{                      \
		__VA_ARGS__    \
	}

void emit__counter(struct emitter *e, const struct metric *m, const char *const labels[4], uint64_t value);
void emit__gauge(struct emitter *e, const struct metric *m, const char *const labels[4], double value);

/* Replaces what is in `b`. 0 or -errno. */
int resources__read(struct buf *b, const char *path);
uint64_t resources__ticks_to_ns(uint64_t ticks);

/* --- the machine: resources_node.c */

struct node_reading {
	struct proc_stat stat;
	struct proc_meminfo memory;
	struct proc_vmstat paging;
	double load[3];
	bool has_load;
	struct disk_counts *disks;
	struct net_counts *interfaces;
	size_t disk_count, interface_count;
	struct pressure pressure[PRESSURE_COUNT];
	bool has_pressure[PRESSURE_COUNT];
};
int node__read(struct node_reading *r); /* 0 or -errno */
void node__emit(struct emitter *e, const struct node_reading *before, const struct node_reading *now);
void node__headline(struct buf *out, const struct node_reading *before, const struct node_reading *now);
void node__free(struct node_reading *r);

/* Of the node ("/") and of cgroups. */
void pressure__emit(struct emitter *e, const char *path, enum pressure_of of, const struct pressure *before,
		    const struct pressure *now);

/* --- file systems: resources_mounts.c */

void mounts__emit(struct emitter *e);

/* --- control groups: resources_cgroups.c */

struct cgroup_reading {
	char *path;
	uint64_t id;
	struct cgroup_cpu cpu;
	struct cgroup_memory memory;
	struct cgroup_pids pids;
	uint64_t read_bytes, written_bytes;
	bool has_cpu, has_memory, has_pids, has_io, has_pressure[PRESSURE_COUNT];
	struct pressure pressure[PRESSURE_COUNT];
};
struct cgroups_reading {
	struct cgroup_reading *at;
	size_t count;
	bool truncated;
};
int cgroups__read(struct cgroups_reading *r, const struct cgroup_files *files, const char *below);
void cgroups__emit(struct emitter *e, const struct cgroups_reading *before,
		   const struct cgroups_reading *now);
void cgroups__free(struct cgroups_reading *r);

/* --- processes: resources_processes.c */

struct process_reading {
	struct process_stat stat;
	struct process_io io;
	bool has_io;
	uint64_t files; /* UINT64_MAX: may not be counted */
};
struct processes_reading {
	struct process_reading *at;
	size_t count;
};
int processes__read(struct processes_reading *r, const struct target *target);
void processes__emit(struct emitter *e, const struct processes_reading *before,
		     const struct processes_reading *now);
void processes__free(struct processes_reading *r);

#endif
