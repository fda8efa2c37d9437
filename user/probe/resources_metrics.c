// SPDX-License-Identifier: Apache-2.0
/* The metrics of the resources probe: names of the OpenTelemetry conventions where there is one. Those
 * without columns stand in no table. */
#include <stddef.h>

#include "probe/resources.h"

#define METRIC(variable, metric_name, metric_unit, metric_kind, table_name, words, about) \
	const struct metric variable = {.name = metric_name,                              \
					.unit = metric_unit,                              \
					.kind = metric_kind,                              \
					.help = about,                                    \
					.shape = SHAPE_ROWS,                              \
					.table = table_name,                              \
					.columns = words}
#define PIVOT(variable, metric_name, metric_unit, metric_kind, table_name, words, about, ...) \
	const struct metric variable = {.name = metric_name,                                  \
					.unit = metric_unit,                                  \
					.kind = metric_kind,                                  \
					.help = about,                                        \
					.shape = SHAPE_ROWS,                                  \
					.table = table_name,                                  \
					.columns = words,                                     \
					.labels = {__VA_ARGS__},                              \
					.pivot = true}

const struct metric resource_cpu_share = {
	.name = "system.cpu.utilization",
	.unit = "1",
	.kind = POINT_GAUGE,
	.help = "Share of a CPU's time by mode; without a number: of all CPUs",
	.shape = SHAPE_ROWS,
	.table = "cpu",
	.labels = {"cpu.logical_number", "cpu.mode"},
	.columns = "user nice system iowait interrupt:irq steal idle",
	.pivot = true,
	.percent = true,
};
PIVOT(resource_cpu_time, "system.cpu.time", "ns", POINT_COUNTER, "cpu", "", "Time of each CPU by mode",
      "cpu.logical_number", "cpu.mode");

METRIC(resource_load_1, "system.cpu.load_average.1m", "{thread}", POINT_GAUGE, "load", "value:load_1m",
       "Threads that run, are runnable or in uninterruptible sleep, mean of the last minute");
METRIC(resource_load_5, "system.cpu.load_average.5m", "{thread}", POINT_GAUGE, "load", "value:5m",
       "The same, of five minutes");
METRIC(resource_load_15, "system.cpu.load_average.15m", "{thread}", POINT_GAUGE, "load", "value:15m",
       "The same, of fifteen minutes");
METRIC(resource_running, "sonde_node_threads_running", "{thread}", POINT_GAUGE, "load", "value:running",
       "Threads that run or are runnable");
METRIC(resource_blocked, "sonde_node_threads_blocked", "{thread}", POINT_GAUGE, "load", "value:blocked",
       "Threads that wait for I/O");
METRIC(resource_switches, "sonde_node_context_switches", "{switch}", POINT_COUNTER, "load", "value:switches",
       "Context switches");
METRIC(resource_forks, "system.process.created", "{process}", POINT_COUNTER, "load", "value:forks",
       "Forks; of threads, too");

METRIC(resource_memory_limit, "system.memory.limit", "By", POINT_GAUGE, "memory", "value:memory",
       "Memory that the kernel has");
PIVOT(resource_memory_usage, "system.memory.usage", "By", POINT_GAUGE, "memory", "used buffers cached free",
      "Memory by state; cached: page cache and what of the slab can be reclaimed", "system.memory.state");
METRIC(resource_memory_available, "system.memory.linux.available", "By", POINT_GAUGE, "memory",
       "value:available", "What could be had without swapping, as the kernel estimates");
METRIC(resource_memory_shared, "system.memory.linux.shared", "By", POINT_GAUGE, "memory", "value:shared",
       "Memory of tmpfs and shared mappings");
PIVOT(resource_memory_slab, "system.memory.linux.slab.usage", "By", POINT_GAUGE, "memory", "",
      "Memory of the kernel's own objects", "system.memory.linux.slab.state");
METRIC(resource_memory_dirty, "sonde_node_memory_dirty", "By", POINT_GAUGE, "memory", "",
       "Page cache that is not written yet");
PIVOT(resource_swap_usage, "system.paging.usage", "By", POINT_GAUGE, "memory",
      "used:swap_used free:swap_free", "Swap space by state", "system.paging.state");
PIVOT(resource_paging_faults, "system.paging.faults", "{fault}", POINT_COUNTER, "memory",
      "major:major_faults", "Page faults", "system.paging.fault.type");
PIVOT(resource_paging_operations, "system.paging.operations", "{operation}", POINT_COUNTER, "memory",
      "out:swapped_out in:swapped_in", "Pages swapped", "system.paging.direction");

#define OF_DISK "system.device", "disk.io.direction"
PIVOT(resource_disk_io, "system.disk.io", "By", POINT_COUNTER, "disk", "read write:written",
      "Bytes transferred", OF_DISK);
PIVOT(resource_disk_operations, "system.disk.operations", "{operation}", POINT_COUNTER, "disk",
      "read:reads write:writes", "Operations that were completed", OF_DISK);
PIVOT(resource_disk_merged, "system.disk.merged", "{operation}", POINT_COUNTER, "disk", "",
      "Operations that were merged into others", OF_DISK);
PIVOT(resource_disk_operation_time, "system.disk.operation_time", "ns", POINT_COUNTER, "disk", "",
      "Sum of what each operation took", OF_DISK);
PIVOT(resource_disk_mean, "sonde_disk_operation_mean", "ns", POINT_GAUGE, "disk",
      "read:read_mean write:write_mean", "What an operation took, on the mean", OF_DISK);
const struct metric resource_disk_io_time = {
	.name = "system.disk.io_time",
	.unit = "ns",
	.kind = POINT_COUNTER,
	.help = "Time in which anything was under way",
	.shape = SHAPE_ROWS,
	.table = "disk",
	.labels = {"system.device"},
	.columns = "",
};
const struct metric resource_disk_busy = {
	.name = "sonde_disk_utilization",
	.unit = "1",
	.kind = POINT_GAUGE,
	.help = "Share of the time in which anything was under way",
	.shape = SHAPE_ROWS,
	.table = "disk",
	.labels = {"system.device"},
	.columns = "value:busy",
	.percent = true,
};

#define OF_INTERFACE "network.interface.name", "network.io.direction"
PIVOT(resource_net_io, "system.network.io", "By", POINT_COUNTER, "network", "receive:received transmit:sent",
      "Bytes transferred", OF_INTERFACE);
PIVOT(resource_net_packets, "system.network.packet.count", "{packet}", POINT_COUNTER, "network",
      "receive:packets_in transmit:packets_out", "Packets transferred", OF_INTERFACE);
PIVOT(resource_net_dropped, "system.network.packet.dropped", "{packet}", POINT_COUNTER, "network",
      "receive:dropped_in transmit:dropped_out", "Packets dropped though they had no error", OF_INTERFACE);
PIVOT(resource_net_errors, "system.network.errors", "{error}", POINT_COUNTER, "network",
      "receive:errors_in transmit:errors_out", "Errors of interfaces", OF_INTERFACE);

const struct metric resource_pressure_share = {
	.name = "sonde_pressure_share",
	.unit = "1",
	.kind = POINT_GAUGE,
	.help = "Share of the time in which some tasks, or all (full), waited for a resource",
	.title = "pressure: share of the time in which some tasks, or all, waited for a resource",
	.shape = SHAPE_ROWS,
	.table = "pressure",
	.labels = {"cgroup_path", "stall"},
	.columns = "*cpu memory memory_full io io_full",
	.pivot = true,
	.percent = true,
};
PIVOT(resource_pressure_time, "sonde_pressure_time", "ns", POINT_COUNTER, "pressure", "",
      "Time in which some tasks, or all (full), waited for a resource", "cgroup_path", "stall");

#define OF_MOUNT "system.filesystem.mountpoint", "system.filesystem.type", "system.device"
const struct metric resource_fs_limit = {
	.name = "system.filesystem.limit",
	.unit = "By",
	.kind = POINT_GAUGE,
	.help = "Size of a file system",
	.shape = SHAPE_ROWS,
	.table = "filesystem",
	.labels = {OF_MOUNT},
	.columns = "value:size",
};
PIVOT(resource_fs_usage, "system.filesystem.usage", "By", POINT_GAUGE, "filesystem", "used free",
      "Space by state; reserved: for root", OF_MOUNT, "system.filesystem.state");
const struct metric resource_fs_share = {
	.name = "system.filesystem.utilization",
	.unit = "1",
	.kind = POINT_GAUGE,
	.help = "Share of what may be used that is used",
	.shape = SHAPE_ROWS,
	.table = "filesystem",
	.labels = {OF_MOUNT, "system.filesystem.state"},
	.columns = "used:use",
	.pivot = true,
	.percent = true,
};
PIVOT(resource_fs_inodes, "sonde_filesystem_inodes", "{inode}", POINT_GAUGE, "filesystem",
      "used:inodes free:inodes_free", "Inodes by state", OF_MOUNT, "system.filesystem.state");

#define CGROUP(variable, metric_name, metric_unit, metric_kind, words, about) \
	const struct metric variable = {.name = metric_name,                  \
					.unit = metric_unit,                  \
					.kind = metric_kind,                  \
					.help = about,                        \
					.shape = SHAPE_ROWS,                  \
					.table = "cgroup",                    \
					.columns = words,                     \
					.labels = {"cgroup_path"}}
CGROUP(resource_cgroup_cpus, "container.cpu.usage", "{cpu}", POINT_GAUGE, "*value:cpus",
       "How many CPUs a cgroup used, on the mean");
PIVOT(resource_cgroup_cpu_time, "container.cpu.time", "ns", POINT_COUNTER, "cgroup", "",
      "CPU time of a cgroup by mode", "cgroup_path", "cpu.mode");
CGROUP(resource_cgroup_throttled, "sonde_cgroup_cpu_throttled", "ns", POINT_COUNTER, "value:throttled",
       "Time in which a cgroup's quota was used up, summed over CPUs");
PIVOT(resource_cgroup_periods, "sonde_cgroup_cpu_periods", "{period}", POINT_COUNTER, "cgroup", "",
      "Periods of the quota in which a cgroup ran, and those in which it was throttled", "cgroup_path",
      "state");
CGROUP(resource_cgroup_cpu_limit, "sonde_cgroup_cpu_limit", "{cpu}", POINT_GAUGE, "", "Quota in CPUs");
CGROUP(resource_cgroup_memory, "container.memory.usage", "By", POINT_GAUGE, "value:memory",
       "Memory charged to a cgroup, with page cache");
CGROUP(resource_cgroup_working_set, "container.memory.working_set", "By", POINT_GAUGE, "value:working_set",
       "Memory without page cache that is not in active use");
CGROUP(resource_cgroup_rss, "container.memory.rss", "By", POINT_GAUGE, "", "Anonymous memory");
CGROUP(resource_cgroup_memory_limit, "sonde_cgroup_memory_limit", "By", POINT_GAUGE, "value:limit",
       "A cgroup's own limit, if it has one");
CGROUP(resource_cgroup_swap, "sonde_cgroup_memory_swap", "By", POINT_GAUGE, "", "Swap space of a cgroup");
PIVOT(resource_cgroup_faults, "container.paging.faults", "{fault}", POINT_COUNTER, "cgroup", "",
      "Page faults", "cgroup_path", "system.paging.fault.type");
CGROUP(resource_cgroup_oom_kills, "sonde_cgroup_oom_kills", "{process}", POINT_COUNTER, "",
       "Processes that were killed for want of memory");
PIVOT(resource_cgroup_io, "container.disk.io", "By", POINT_COUNTER, "cgroup", "read write:written",
      "Bytes transferred to and from all disks", "cgroup_path", "disk.io.direction");
CGROUP(resource_cgroup_threads, "sonde_cgroup_threads", "{thread}", POINT_GAUGE, "value:threads",
       "Threads of a cgroup");

#define OF_PROCESS(variable, metric_name, metric_unit, metric_kind, words, about) \
	METRIC(variable, metric_name, metric_unit, metric_kind, "process", words, about)
OF_PROCESS(resource_process_cpus, "sonde_process_cpus", "{cpu}", POINT_GAUGE, "*value:cpus",
	   "How many CPUs a process used, on the mean");
PIVOT(resource_process_cpu_time, "process.cpu.time", "ns", POINT_COUNTER, "process", "user system",
      "CPU time of a process by mode", "cpu.mode");
PIVOT(resource_process_share, "process.cpu.utilization", "1", POINT_GAUGE, "process", "",
      "Share of the time of all CPUs, by mode", "cpu.mode");
OF_PROCESS(resource_process_rss, "process.memory.usage", "By", POINT_GAUGE, "value:rss", "Resident memory");
OF_PROCESS(resource_process_virtual, "process.memory.virtual", "By", POINT_GAUGE, "", "Address space");
OF_PROCESS(resource_process_threads, "process.thread.count", "{thread}", POINT_GAUGE, "value:threads",
	   "Threads");
OF_PROCESS(resource_process_files, "process.unix.file_descriptor.count", "{file_descriptor}", POINT_GAUGE,
	   "value:files", "Open files");
PIVOT(resource_process_io, "process.disk.io", "By", POINT_COUNTER, "process", "read write:written",
      "Bytes that reached the block layer, or made pages dirty", "disk.io.direction");
PIVOT(resource_process_faults, "process.paging.faults", "{fault}", POINT_COUNTER, "process",
      "major:major_faults minor:minor_faults", "Page faults", "system.paging.fault.type");

const struct metric *const resources__metrics[] = {&resource_cpu_share,
						   &resource_cpu_time,
						   &resource_load_1,
						   &resource_load_5,
						   &resource_load_15,
						   &resource_running,
						   &resource_blocked,
						   &resource_switches,
						   &resource_forks,
						   &resource_memory_limit,
						   &resource_memory_usage,
						   &resource_memory_available,
						   &resource_memory_shared,
						   &resource_memory_slab,
						   &resource_memory_dirty,
						   &resource_swap_usage,
						   &resource_paging_faults,
						   &resource_paging_operations,
						   &resource_disk_io,
						   &resource_disk_operations,
						   &resource_disk_merged,
						   &resource_disk_operation_time,
						   &resource_disk_mean,
						   &resource_disk_io_time,
						   &resource_disk_busy,
						   &resource_net_io,
						   &resource_net_packets,
						   &resource_net_dropped,
						   &resource_net_errors,
						   &resource_pressure_share,
						   &resource_pressure_time,
						   &resource_fs_limit,
						   &resource_fs_usage,
						   &resource_fs_share,
						   &resource_fs_inodes,
						   &resource_cgroup_cpus,
						   &resource_cgroup_cpu_time,
						   &resource_cgroup_throttled,
						   &resource_cgroup_periods,
						   &resource_cgroup_cpu_limit,
						   &resource_cgroup_memory,
						   &resource_cgroup_working_set,
						   &resource_cgroup_rss,
						   &resource_cgroup_memory_limit,
						   &resource_cgroup_swap,
						   &resource_cgroup_faults,
						   &resource_cgroup_oom_kills,
						   &resource_cgroup_io,
						   &resource_cgroup_threads,
						   &resource_process_cpus,
						   &resource_process_cpu_time,
						   &resource_process_share,
						   &resource_process_rss,
						   &resource_process_virtual,
						   &resource_process_threads,
						   &resource_process_files,
						   &resource_process_io,
						   &resource_process_faults,
						   NULL};
