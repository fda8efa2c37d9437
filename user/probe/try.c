// SPDX-License-Identifier: Apache-2.0
/* The table of features, and those trials that need no program. */
#include "probe/try.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "probe/features.h"
#include "probe/loader.h"

static int try__btf(struct buf *why)
{
	struct features features;
	int err = features__ask(&features);

	if (err)
		buf__printf(why, "/sys/kernel/btf/vmlinux: %s", strerror(-err));
	return err;
}

static int try__kallsyms(struct buf *why)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	unsigned long long address = 0;
	char line[512];
	int err = f ? 0 : -errno;

	while (f && !address && fgets(line, sizeof(line), f))
		sscanf(line, "%llx", &address);
	if (f)
		fclose(f);
	if (err)
		buf__printf(why, "/proc/kallsyms: %s", strerror(-err));
	else if (!address)
		buf__puts(
			why,
			"the kernel hides its addresses (kernel.kptr_restrict, kernel.perf_event_paranoid)");
	return err || address ? err : -EPERM;
}

static int try__irq_text(struct buf *why)
{
	uint64_t range[2];

	if (features__irq_text(range))
		return 0;
	buf__puts(why, "no __irqentry_text_start in /proc/kallsyms");
	return -ENOENT;
}

static int try__bpf_stats(struct buf *why)
{
	int fd = loader__statistics();

	if (fd < 0) {
		buf__printf(why, "BPF_ENABLE_STATS: %s", strerror(-fd));
		return fd;
	}
	close(fd);
	return 0;
}

/* Two inner maps change places, as at the end of each interval. */
static int try__map_in_map(struct buf *why)
{
	int inner[2], outer = -1, err = 0;
	uint32_t slot = 0;

	for (int i = 0; i < 2; i++) {
		inner[i] = bpf_map_create(BPF_MAP_TYPE_PERCPU_HASH, "try_inner", 8, 8, 16, NULL);
		err = err || inner[i] >= 0 ? err : -errno;
	}
	if (!err) {
		LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = inner[0]);

		outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "try_outer", 4, 4, 1, &opts);
		err = outer < 0 ? -errno : 0;
	}
	for (int i = 0; !err && i < 2; i++)
		err = bpf_map_update_elem(outer, &slot, &inner[i], BPF_ANY) ? -errno : 0;
	if (err)
		buf__printf(why, "%s: %s", outer < 0 ? "create" : "exchange", strerror(-err));
	for (int i = 0; i < 2; i++)
		if (inner[i] >= 0)
			close(inner[i]);
	if (outer >= 0)
		close(outer);
	return err;
}

static bool is_mounted(const char *type)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	const struct mntent *m = NULL;

	while (mounts && (m = getmntent(mounts)) && strcmp(m->mnt_type, type))
		;
	if (mounts)
		endmntent(mounts);
	return m;
}

static int try__cgroup_v2(struct buf *why)
{
	if (is_mounted("cgroup2"))
		return try__cgroup_id(why);
	buf__puts(why, "no cgroup2 filesystem is mounted");
	return -ENOENT;
}

static bool has_throttle_count(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int id = btf ? btf__find_by_name_kind(btf, "cfs_rq", BTF_KIND_STRUCT) : -1;
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;
	bool found = false;

	for (int i = 0; t && !found && i < btf_vlen(t); i++)
		found = !strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), "throttle_count");
	btf__free(btf);
	return found;
}

/* Lines of /proc/cgroups: name, hierarchy, number of cgroups, enabled. */
static bool has_cpu_controller(void)
{
	FILE *f = fopen("/proc/cgroups", "re");
	char line[256], name[64];
	int enabled = 0;

	while (f && !enabled && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %*d %*d %d", name, &enabled) != 2 || strcmp(name, "cpu"))
			enabled = 0;
	if (f)
		fclose(f);
	return enabled;
}

static int try__throttling(struct buf *why)
{
	if (!has_throttle_count())
		buf__puts(why, "struct cfs_rq has no throttle_count (CONFIG_CFS_BANDWIDTH)");
	else if (!has_cpu_controller())
		buf__puts(why, "the kernel has no CPU controller, or it is disabled");
	else
		return 0;
	return -EOPNOTSUPP;
}

#define TRACING (NEEDS_BPF | NEEDS_TRACE)
#define NOTHING "nothing"
#define CALLERS "callers in code without frame pointers"

/* In the order of the report: what everything stands on, then alternatives side by side. */
const struct feature try__features[] = {
	{"btf", "type information of the kernel", NULL, "every command", 0, try__btf},
	{"map_in_map", "intervals that end at one instant", NULL, "every command", NEEDS_BPF,
	 try__map_in_map},
	{"ringbuf", "records from the kernel", NULL, "every command", TRACING, try__ringbuf},
	{"tp_btf", "scheduler hooks with direct loads", "raw_tp", "under lockdown: all", TRACING,
	 try__tp_btf},
	{"raw_tp", "scheduler hooks where tp_btf is missing", "tp_btf", NOTHING, TRACING, try__raw_tp},
	{"task_storage", "accounts and marks of threads", "raw_tp", "time per event", TRACING,
	 try__task_storage},
	{"iter_task", "threads that never switch", NULL, "offcpu, runq, wall", TRACING, try__iter_task},
	{"iter_task_sleepable", "stacks of threads that are blocked", "iter_task",
	 "user stacks of open waits; offcpu --sample: long waits are sampled, too", TRACING,
	 try__iter_task_sleepable},
	{"perf_cycles", "CPU samples by the PMU", "perf_cpu_clock", "code with interrupts off",
	 TRACING | NEEDS_EVENT, try__perf_cycles},
	{"perf_cpu_clock", "CPU samples by a timer", "perf_cycles", NOTHING, TRACING | NEEDS_EVENT,
	 try__perf_cpu_clock},
	{"stacks", "kernel and user stacks", NULL, "profile, offcpu", TRACING, try__stacks},
	{"bpf_loop", CALLERS, "for_each_map_elem", NOTHING, TRACING, try__bpf_loop},
	{"for_each_map_elem", CALLERS, "frame pointers", CALLERS, TRACING, try__for_each_map_elem},
	{"kallsyms", "names of kernel functions", "addresses", "kernel names", NEEDS_SYSLOG, try__kallsyms},
	{"irq_text", "wakers in interrupts (offcpu --waker)", "told by frame names", NOTHING, 0,
	 try__irq_text},
	{"throttling", "time held back by a CPU quota", NULL, "wall: throttled", 0, try__throttling},
	{"cgroup_v2", "-G, --container, --pod, --by cgroup", NULL, "targets by cgroup", TRACING,
	 try__cgroup_v2},
	{"bpf_stats", "own cost in the kernel", NULL, "own cost: user part only", NEEDS_ADMIN,
	 try__bpf_stats},
	{"kprobe", "any function of the kernel", "tp_btf", NOTHING, TRACING | NEEDS_EVENT, try__kprobe},
	{"fentry", "any function of the kernel, cheaper", "tp_btf", "how long connections wait for accept()",
	 TRACING, try__fentry},
	{"uprobe", "functions of user libraries", "uprobe_multi", NOTHING, TRACING | NEEDS_ADMIN,
	 try__uprobe},
	{"uprobe_multi", "many of them at once", "uprobe", "time to attach and detach", TRACING,
	 try__uprobe_multi},
	{NULL},
};
