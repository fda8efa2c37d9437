/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel itself keeps of each cgroup, read from its files: memory, CPU, I/O, pressure. In version 2
 * where that has the controller, else in the version 1 hierarchy of the controller, in the directory of the
 * same path. Paths begin with "/", the root, below the mount point.
 *
 * Times are ns, sizes bytes, both since the cgroup was made unless said otherwise; each number is that of the
 * cgroup with all below it. What a kernel does not tell is CGROUP_UNKNOWN.
 */
#ifndef SONDE_PROBE_CGROUP_FILES_H
#define SONDE_PROBE_CGROUP_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_UNKNOWN	UINT64_MAX
#define CGROUP_NO_LIMIT (UINT64_MAX - 1)

enum cgroup_hierarchy {
	CGROUP_V2,
	CGROUP_V1_MEMORY,
	CGROUP_V1_CPU,
	CGROUP_V1_CPUACCT,
	CGROUP_V1_BLKIO,
	CGROUP_V1_PIDS,
	CGROUP_HIERARCHIES,
};

/* Where the hierarchies are mounted; NULL: not mounted. Of version 1 none that version 2 stands for. */
struct cgroup_files {
	char *root[CGROUP_HIERARCHIES];
};

struct cgroup_memory {
	uint64_t current; /* charged, page cache and kernel memory included; of version 2's root: used on the
			     machine (MemTotal - MemFree) */
	uint64_t limit,
		swap_limit; /* its own, or CGROUP_NO_LIMIT; of ancestors: cgroup_files__memory_limit() */
	uint64_t peak, swap;
	/* now */
	uint64_t anon, file, shmem, file_mapped, dirty, writeback, inactive_file, active_file, slab, stacks;
	/* counts */
	uint64_t refault_anon, refault_file, faults, major_faults;
	uint64_t reached_high, reached_max, oom, oom_kills;
};

struct cgroup_cpu {
	uint64_t usage, user, system;
	uint64_t periods, throttled_periods, throttled; /* with a quota: how many periods, and for how long */
	uint64_t quota, period; /* `quota` ns of CPU time in each `period` ns, or CGROUP_NO_LIMIT */
};

/* Of one device. */
struct cgroup_io {
	uint32_t major, minor;
	uint64_t read_bytes, written_bytes, reads, writes, discarded_bytes, discards;
};

struct cgroup_pids {
	uint64_t current, limit; /* threads */
};

/* Pressure stall information: the share of time in which some, or all, tasks that could have worked waited
 * for the resource. */
enum pressure_of { PRESSURE_CPU, PRESSURE_MEMORY, PRESSURE_IO, PRESSURE_COUNT };

struct pressure_line {
	double avg10, avg60, avg300; /* percent */
	uint64_t total;
};

struct pressure {
	struct pressure_line some, full;
	bool has_full; /* of the CPU: since 890d550d7dbac (5.13) */
};

/* 0 or -errno. */
int cgroup_files__open(struct cgroup_files *f);
void cgroup_files__close(struct cgroup_files *f);

/* 0; -ENOENT: there is no such cgroup, or its controller is off; or -errno. */
int cgroup_files__memory(const struct cgroup_files *f, const char *path, struct cgroup_memory *m);
int cgroup_files__cpu(const struct cgroup_files *f, const char *path, struct cgroup_cpu *c);
int cgroup_files__pids(const struct cgroup_files *f, const char *path, struct cgroup_pids *p);
/* At most `room` devices; how many in *count. */
int cgroup_files__io(const struct cgroup_files *f, const char *path, struct cgroup_io *devices, size_t room,
		     size_t *count);
int cgroup_files__pressure(const struct cgroup_files *f, const char *path, enum pressure_of of,
			   struct pressure *p);
int pressure__of_node(enum pressure_of of, struct pressure *p);
extern const char *const pressure__words[]; /* by enum pressure_of */

/* The smallest limit of the cgroup and its ancestors, and whose it is (owned by the caller; NULL: nobody's).
 */
uint64_t cgroup_files__memory_limit(const struct cgroup_files *f, const char *path, char **whose);

/* The cgroups of all hierarchies, by path. */
struct cgroup_entry {
	char *path;
	uint64_t id; /* in version 2; 0: it is in version 1 only */
};

struct cgroup_list {
	struct cgroup_entry *at;
	size_t count;
	bool truncated; /* there are more than the limit */
};

/* `below` itself and all below it. 0 or -errno. */
int cgroup_files__list(const struct cgroup_files *f, const char *below, size_t limit,
		       struct cgroup_list *list);
/* The path of one, by its id in that hierarchy: owned by the caller; NULL and errno. */
char *cgroup_files__path(const struct cgroup_files *f, enum cgroup_hierarchy hierarchy, uint64_t id);
void cgroup_list__free(struct cgroup_list *list);

/* In which cgroup a process is, of one hierarchy: owned by the caller; NULL and errno. */
char *cgroup__of_process(enum cgroup_hierarchy hierarchy, uint32_t tgid);
extern const char *const cgroup__controllers[]; /* by enum cgroup_hierarchy; "" of version 2 */

#endif
