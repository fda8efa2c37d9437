/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel writes into files of /proc, as numbers: pure functions on NUL-terminated text. Lines and
 * fields that are not understood are left out; texts in them (names of devices, mount points) are foreign.
 * Arrays are made with malloc and belong to the caller. Errors are -ENOMEM, and -EINVAL where nothing of what
 * is looked for is there.
 */
#ifndef SONDE_MODEL_PROC_TEXT_H
#define SONDE_MODEL_PROC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Words in output: proc__cpu_modes. */
enum cpu_mode {
	CPU_USER, /* guests included */
	CPU_NICE,
	CPU_SYSTEM,
	CPU_IDLE,
	CPU_IOWAIT,
	CPU_INTERRUPT, /* of both kinds */
	CPU_STEAL,
	CPU_MODES,
};
extern const char *const proc__cpu_modes[]; /* NULL-terminated */

struct cpu_times {
	uint32_t number;
	uint64_t ticks[CPU_MODES]; /* of 1 / sysconf(_SC_CLK_TCK) s */
};

/* /proc/stat */
struct proc_stat {
	struct cpu_times all, *cpus; /* those that are online */
	size_t count;
	uint64_t context_switches, forks, running, blocked; /* the last two: threads, now */
};
int proc__stat(const char *text, struct proc_stat *stat);

/* /proc/meminfo, bytes. What a kernel does not tell is 0. */
struct proc_meminfo {
	uint64_t total, free, available, buffers, cached, shared, slab, reclaimable, unreclaimable, dirty,
		swap_total, swap_free;
};
int proc__meminfo(const char *text, struct proc_meminfo *m);

/* /proc/vmstat, since boot */
struct proc_vmstat {
	uint64_t faults, major_faults, swapped_in, swapped_out; /* pages */
};
int proc__vmstat(const char *text, struct proc_vmstat *v);

/* /proc/loadavg */
int proc__loadavg(const char *text, double load[3]);

/* /proc/diskstats; partitions are devices, too */
struct disk_counts {
	char name[32];
	uint64_t reads, reads_merged, read_bytes, read_ms;
	uint64_t writes, writes_merged, written_bytes, write_ms;
	uint64_t io_ms; /* while anything was under way; 32 bits of it */
	uint64_t discards, discarded_bytes, flushes;
};
int proc__diskstats(const char *text, struct disk_counts **disks, size_t *count);

/* /proc/net/dev */
enum net_direction { NET_RECEIVE, NET_TRANSMIT, NET_DIRECTIONS };
struct net_counts {
	char name[32];
	uint64_t bytes[NET_DIRECTIONS], packets[NET_DIRECTIONS], errors[NET_DIRECTIONS],
		dropped[NET_DIRECTIONS];
};
int proc__net_dev(const char *text, struct net_counts **interfaces, size_t *count);

/* /proc/PID/mountinfo: in the order of mounting; a later one hides what lies below its mount point. */
struct mount {
	uint32_t major, minor;
	char *root, *point, *type, *source; /* owned, unescaped */
	bool read_only;
};
int proc__mounts(const char *text, struct mount **mounts, size_t *count);
void proc__free_mounts(struct mount *mounts, size_t count);

/* /proc/PID/stat */
struct process_stat {
	char comm[16]; /* not NUL-terminated if it is full */
	uint32_t pid, parent;
	char state;
	uint64_t minor_faults, major_faults, user_ticks, system_ticks, threads, start_ticks, virtual_bytes,
		resident_pages;
};
int proc__process_stat(const char *text, struct process_stat *s);

/* /proc/PID/io: what reached the block layer, and what was asked for by system calls */
struct process_io {
	uint64_t read_bytes, written_bytes, asked_read_bytes, asked_write_bytes;
};
int proc__process_io(const char *text, struct process_io *io);

/* Of a counter between two readings. Where it has gone back it has either wrapped, if it has 32 bits, or it
 * is another device's, or the kernel's correction: 0. */
uint64_t proc__delta(uint64_t before, uint64_t now);
uint64_t proc__delta32(uint64_t before, uint64_t now);

#endif
