// SPDX-License-Identifier: Apache-2.0
#include "probe/cgroup_files.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

#define FILE_LIMIT 262144 /* io.stat has a line per device */

const char *const cgroup__controllers[CGROUP_HIERARCHIES] = {
	[CGROUP_V2] = "",
	[CGROUP_V1_MEMORY] = "memory",
	[CGROUP_V1_CPU] = "cpu",
	[CGROUP_V1_CPUACCT] = "cpuacct",
	[CGROUP_V1_BLKIO] = "blkio",
	[CGROUP_V1_PIDS] = "pids",
};

const char *const pressure__words[] = {"cpu", "memory", "io"};

int cgroup_files__open(struct cgroup_files *f)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *m;

	*f = (struct cgroup_files){0};
	if (!mounts)
		return -errno;
	while ((m = getmntent(mounts))) {
		if (!strcmp(m->mnt_type, "cgroup2") && !f->root[CGROUP_V2])
			f->root[CGROUP_V2] = strdup(m->mnt_dir);
		for (int i = CGROUP_V1_MEMORY; i < CGROUP_HIERARCHIES && !strcmp(m->mnt_type, "cgroup"); i++)
			if (hasmntopt(m, cgroup__controllers[i]) && !f->root[i])
				f->root[i] = strdup(m->mnt_dir);
	}
	endmntent(mounts);
	return 0;
}

void cgroup_files__close(struct cgroup_files *f)
{
	for (int i = 0; i < CGROUP_HIERARCHIES; i++)
		free(f->root[i]);
	*f = (struct cgroup_files){0};
}

/* --- one file */

/* Replaces what is in `b`. */
static int read_file(const struct cgroup_files *f, enum cgroup_hierarchy hierarchy, const char *path,
		     const char *name, struct buf *b)
{
	char full[PATH_MAX];

	buf__clear(b);
	if (!f->root[hierarchy])
		return -ENOENT;
	if (snprintf(full, sizeof(full), "%s%s/%s", f->root[hierarchy], path, name) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	return buf__read_file(b, full, FILE_LIMIT);
}

/* A file with one number: "max" is no limit, and so is what version 1 writes of none (a page less than the
 * largest number, or -1). */
static uint64_t read_number(const struct cgroup_files *f, enum cgroup_hierarchy hierarchy, const char *path,
			    const char *name)
{
	struct buf b = {0};
	uint64_t value = CGROUP_UNKNOWN;
	char *end;

	if (!read_file(f, hierarchy, path, name, &b)) {
		value = strtoull(buf__text(&b), &end, 10);
		if (end == buf__text(&b))
			value = strncmp(buf__text(&b), "max", 3) ? CGROUP_UNKNOWN : CGROUP_NO_LIMIT;
		else if (value >= INT64_MAX / 4096 * 4096)
			value = CGROUP_NO_LIMIT;
	}
	buf__free(&b);
	return value;
}

/* "key value" lines: which key goes where. */
struct field {
	const char *key;
	size_t at;
	uint64_t times; /* to ns or bytes; 0: 1 */
};

static void take_field(const struct field *fields, const char *key, size_t len, uint64_t value, void *out)
{
	for (; fields->key; fields++)
		if (strlen(fields->key) == len && !memcmp(fields->key, key, len)) {
			*(uint64_t *)((char *)out + fields->at) = value * (fields->times ? fields->times : 1);
			return;
		}
}

static int read_fields(const struct cgroup_files *f, enum cgroup_hierarchy hierarchy, const char *path,
		       const char *name, const struct field *fields, void *out)
{
	struct buf b = {0};
	int err = read_file(f, hierarchy, path, name, &b);

	for (const char *line = buf__text(&b); !err && *line; line += strspn(line, "\n")) {
		size_t key = strcspn(line, " \n");

		if (line[key] == ' ')
			take_field(fields, line, key, strtoull(line + key + 1, NULL, 10), out);
		line += strcspn(line, "\n");
	}
	buf__free(&b);
	return err;
}

static void make_unknown(void *numbers, size_t size)
{
	memset(numbers, 0xff, size);
}

/* --- memory */

#define MEMORY(key, member)                                 \
	{                                                   \
		key, offsetof(struct cgroup_memory, member) \
	}

static const struct field memory_v2[] = {
	MEMORY("anon", anon),
	MEMORY("file", file),
	MEMORY("shmem", shmem),
	MEMORY("file_mapped", file_mapped),
	MEMORY("file_dirty", dirty),
	MEMORY("file_writeback", writeback),
	MEMORY("inactive_file", inactive_file),
	MEMORY("active_file", active_file),
	MEMORY("slab", slab),
	MEMORY("kernel_stack", stacks),
	MEMORY("workingset_refault_anon", refault_anon),
	MEMORY("workingset_refault_file", refault_file),
	MEMORY("workingset_refault", refault_file), /* of files only, before 170b04b7ae49 (5.9) */
	MEMORY("pgfault", faults),
	MEMORY("pgmajfault", major_faults),
	{NULL},
};

static const struct field memory_v1[] = {
	MEMORY("total_rss", anon),
	MEMORY("total_cache", file),
	MEMORY("total_shmem", shmem),
	MEMORY("total_mapped_file", file_mapped),
	MEMORY("total_dirty", dirty),
	MEMORY("total_writeback", writeback),
	MEMORY("total_inactive_file", inactive_file),
	MEMORY("total_active_file", active_file),
	MEMORY("total_swap", swap),
	MEMORY("total_workingset_refault_anon", refault_anon),
	MEMORY("total_workingset_refault_file", refault_file),
	MEMORY("total_pgfault", faults),
	MEMORY("total_pgmajfault", major_faults),
	{NULL},
};

static const struct field memory_events[] = {
	MEMORY("high", reached_high),
	MEMORY("max", reached_max),
	MEMORY("oom", oom),
	MEMORY("oom_kill", oom_kills),
	{NULL},
};

static const struct field node_memory[] = {
	{"MemTotal:", 0, 1024},
	{"MemFree:", 8, 1024},
	{NULL},
};

/* Version 2's root has no memory.current. */
static uint64_t used_on_node(void)
{
	const struct cgroup_files node = {.root = {(char *)"/proc"}};
	uint64_t total_free[2] = {0};

	read_fields(&node, CGROUP_V2, "", "meminfo", node_memory, total_free);
	return total_free[0] > total_free[1] ? total_free[0] - total_free[1] : CGROUP_UNKNOWN;
}

static int read_memory_v1(const struct cgroup_files *f, const char *path, struct cgroup_memory *m)
{
	int err = read_fields(f, CGROUP_V1_MEMORY, path, "memory.stat", memory_v1, m);

	if (err)
		return err;
	read_fields(f, CGROUP_V1_MEMORY, path, "memory.oom_control", memory_events, m);
	m->current = read_number(f, CGROUP_V1_MEMORY, path, "memory.usage_in_bytes");
	m->limit = read_number(f, CGROUP_V1_MEMORY, path, "memory.limit_in_bytes");
	m->peak = read_number(f, CGROUP_V1_MEMORY, path, "memory.max_usage_in_bytes");
	m->reached_max = read_number(f, CGROUP_V1_MEMORY, path, "memory.failcnt");
	return 0;
}

int cgroup_files__memory(const struct cgroup_files *f, const char *path, struct cgroup_memory *m)
{
	int err;

	make_unknown(m, sizeof(*m));
	if (f->root[CGROUP_V1_MEMORY])
		return read_memory_v1(f, path, m);
	err = read_fields(f, CGROUP_V2, path, "memory.stat", memory_v2, m);
	if (err)
		return err;
	read_fields(f, CGROUP_V2, path, "memory.events", memory_events, m);
	m->current = read_number(f, CGROUP_V2, path, "memory.current");
	m->limit = read_number(f, CGROUP_V2, path, "memory.max");
	m->peak = read_number(f, CGROUP_V2, path, "memory.peak");
	m->swap = read_number(f, CGROUP_V2, path, "memory.swap.current");
	m->swap_limit = read_number(f, CGROUP_V2, path, "memory.swap.max");
	if (!strcmp(path, "/")) {
		m->current = used_on_node();
		m->limit = CGROUP_NO_LIMIT;
	}
	return 0;
}

uint64_t cgroup_files__memory_limit(const struct cgroup_files *f, const char *path, char **whose)
{
	bool old = f->root[CGROUP_V1_MEMORY];
	uint64_t least = CGROUP_NO_LIMIT, limit;
	char *at = strdup(path), *slash;

	*whose = NULL;
	while (at && *at && strcmp(at, "/")) {
		limit = read_number(f, old ? CGROUP_V1_MEMORY : CGROUP_V2, at,
				    old ? "memory.limit_in_bytes" : "memory.max");
		if (limit < least) {
			least = limit;
			free(*whose);
			*whose = strdup(at);
		}
		slash = strrchr(at, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	free(at);
	return least;
}

/* --- CPU, threads */

#define CPU(key, member, times)                                 \
	{                                                       \
		key, offsetof(struct cgroup_cpu, member), times \
	}

static const struct field cpu_stat[] = {
	CPU("usage_usec", usage, 1000),
	CPU("user_usec", user, 1000),
	CPU("system_usec", system, 1000),
	CPU("nr_periods", periods, 1),
	CPU("nr_throttled", throttled_periods, 1),
	CPU("throttled_usec", throttled, 1000),
	CPU("throttled_time", throttled, 1), /* version 1 */
	{NULL},
};

/* "QUOTA PERIOD" in microseconds. */
static void read_quota(const struct cgroup_files *f, const char *path, struct cgroup_cpu *c)
{
	struct buf b = {0};
	uint64_t quota, period;

	if (!read_file(f, CGROUP_V2, path, "cpu.max", &b)) {
		if (sscanf(buf__text(&b), "%" SCNu64 " %" SCNu64, &quota, &period) == 2) {
			c->quota = quota * 1000;
			c->period = period * 1000;
		} else if (!strncmp(buf__text(&b), "max", 3)) {
			c->quota = CGROUP_NO_LIMIT;
		}
	}
	buf__free(&b);
}

static void read_quota_v1(const struct cgroup_files *f, const char *path, struct cgroup_cpu *c)
{
	uint64_t quota = read_number(f, CGROUP_V1_CPU, path, "cpu.cfs_quota_us");
	uint64_t period = read_number(f, CGROUP_V1_CPU, path, "cpu.cfs_period_us");

	if (quota == CGROUP_UNKNOWN || period == CGROUP_UNKNOWN)
		return;
	c->quota =
		quota == CGROUP_NO_LIMIT || quota > INT64_MAX ? CGROUP_NO_LIMIT : quota * 1000; /* -1: none */
	c->period = period * 1000;
}

int cgroup_files__cpu(const struct cgroup_files *f, const char *path, struct cgroup_cpu *c)
{
	int err, old;

	make_unknown(c, sizeof(*c));
	err = read_fields(f, CGROUP_V2, path, "cpu.stat", cpu_stat, c);
	read_quota(f, path, c);
	if (!f->root[CGROUP_V1_CPUACCT])
		return err;
	/* Each number from where the controllers are: version 2 counts usage without any. */
	old = read_fields(f, CGROUP_V1_CPU, path, "cpu.stat", cpu_stat, c);
	read_quota_v1(f, path, c);
	if (err || c->usage == CGROUP_UNKNOWN) {
		c->usage = read_number(f, CGROUP_V1_CPUACCT, path, "cpuacct.usage");
		c->user = read_number(f, CGROUP_V1_CPUACCT, path, "cpuacct.usage_user");
		c->system = read_number(f, CGROUP_V1_CPUACCT, path, "cpuacct.usage_sys");
	}
	return c->usage != CGROUP_UNKNOWN || !old ? 0 : err;
}

int cgroup_files__pids(const struct cgroup_files *f, const char *path, struct cgroup_pids *p)
{
	enum cgroup_hierarchy in = f->root[CGROUP_V1_PIDS] ? CGROUP_V1_PIDS : CGROUP_V2;

	p->current = read_number(f, in, path, "pids.current");
	p->limit = read_number(f, in, path, "pids.max");
	return p->current == CGROUP_UNKNOWN ? -ENOENT : 0;
}

/* --- I/O */

static struct cgroup_io *find_device(struct cgroup_io *devices, size_t room, size_t *count, uint32_t major,
				     uint32_t minor)
{
	for (size_t i = 0; i < *count; i++)
		if (devices[i].major == major && devices[i].minor == minor)
			return &devices[i];
	if (*count == room)
		return NULL;
	devices[*count] = (struct cgroup_io){.major = major, .minor = minor};
	return &devices[(*count)++];
}

#define IO(key, member)                                 \
	{                                               \
		key, offsetof(struct cgroup_io, member) \
	}

static const struct field io_stat[] = {
	IO("rbytes", read_bytes),
	IO("wbytes", written_bytes),
	IO("rios", reads),
	IO("wios", writes),
	IO("dbytes", discarded_bytes),
	IO("dios", discards),
	{NULL},
};

static const struct field io_bytes_v1[] = {
	IO("Read", read_bytes), IO("Write", written_bytes), IO("Discard", discarded_bytes), {NULL}};
static const struct field io_counts_v1[] = {
	IO("Read", reads), IO("Write", writes), IO("Discard", discards), {NULL}};

/* "8:0 rbytes=1 wbytes=2 ..." or, in version 1, "8:0 Read 1". */
static int read_devices(const struct cgroup_files *f, enum cgroup_hierarchy in, const char *path,
			const char *name, const struct field *fields, struct cgroup_io *devices, size_t room,
			size_t *count)
{
	struct buf b = {0};
	int err = read_file(f, in, path, name, &b), used;

	for (const char *line = buf__text(&b); !err && *line; line += strspn(line, "\n")) {
		const char *end = line + strcspn(line, "\n");
		struct cgroup_io *device = NULL;
		uint32_t major, minor;

		if (sscanf(line, "%u:%u%n", &major, &minor, &used) == 2)
			device = find_device(devices, room, count, major, minor);
		for (line += used; device && line < end; line += strcspn(line, " \n")) {
			size_t key;

			line += strspn(line, " ");
			key = strcspn(line, "= \n");
			if (line + key < end)
				take_field(fields, line, key, strtoull(line + key + 1, NULL, 10), device);
			line += key + (line + key < end);
		}
		line = end;
	}
	buf__free(&b);
	return err;
}

int cgroup_files__io(const struct cgroup_files *f, const char *path, struct cgroup_io *devices, size_t room,
		     size_t *count)
{
	int err;

	*count = 0;
	if (!f->root[CGROUP_V1_BLKIO])
		return read_devices(f, CGROUP_V2, path, "io.stat", io_stat, devices, room, count);
	err = read_devices(f, CGROUP_V1_BLKIO, path, "blkio.throttle.io_service_bytes_recursive", io_bytes_v1,
			   devices, room, count);
	return err ? err
		   : read_devices(f, CGROUP_V1_BLKIO, path, "blkio.throttle.io_serviced_recursive",
				  io_counts_v1, devices, room, count);
}

/* --- pressure */

static int parse_pressure(const char *text, struct pressure *p)
{
	const char *full = strstr(text, "full ");
	struct pressure_line *lines[] = {&p->some, &p->full};
	const char *words[] = {"some ", "full "};

	*p = (struct pressure){.has_full = full};
	for (int i = 0; i < 2; i++) {
		const char *at = strstr(text, words[i]);
		struct pressure_line *l = lines[i];

		if (at && sscanf(at + 5, "avg10=%lf avg60=%lf avg300=%lf total=%" SCNu64, &l->avg10,
				 &l->avg60, &l->avg300, &l->total) != 4)
			return -EINVAL;
		l->total *= 1000;
	}
	return strstr(text, "some ") ? 0 : -EINVAL;
}

int cgroup_files__pressure(const struct cgroup_files *f, const char *path, enum pressure_of of,
			   struct pressure *p)
{
	struct buf b = {0};
	char name[32];
	int err;

	snprintf(name, sizeof(name), "%s.pressure", pressure__words[of]);
	err = read_file(f, CGROUP_V2, path, name, &b);
	if (!err)
		err = parse_pressure(buf__text(&b), p);
	buf__free(&b);
	return err;
}

int pressure__of_node(enum pressure_of of, struct pressure *p)
{
	struct buf b = {0};
	char path[32];
	int err;

	snprintf(path, sizeof(path), "/proc/pressure/%s", pressure__words[of]);
	err = buf__read_file(&b, path, FILE_LIMIT);
	if (!err)
		err = parse_pressure(buf__text(&b), p);
	buf__free(&b);
	return err;
}
