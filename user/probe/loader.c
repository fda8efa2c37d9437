// SPDX-License-Identifier: Apache-2.0
#include "probe/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/fd.h"
#include "base/msg.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

#define RING_CPU_BYTES (256u << 10) /* what a CPU may fill until sonde has its turn */
#define RING_BYTES_MIN (2u << 20)
#define RING_BYTES_MAX (8u << 20)
#define KNOWN_STACKS   16

static int print_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int print_all(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : vfprintf(stderr, format, args);
}

/* The loops of bpf/snapshot.bpf.h. */
enum { LOOP_BPF = 1, LOOP_EACH = 2 };

#ifdef NO_UNWIND_TABLES
#define HAS_TABLES false
#else
#define HAS_TABLES true
#endif

static unsigned best_loop(const struct loader_options *o)
{
	if (!HAS_TABLES || o->unwind == UNWIND_BY_FRAME_POINTERS || o->kernel_only || !o->stacks)
		return 0;
	if (o->unwind == UNWIND_BY_TABLES_EACH)
		return LOOP_EACH;
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_loop, NULL) == 1 ? LOOP_BPF
											   : LOOP_EACH;
}

/* Without tables stacks end where frame pointers do: less, and said with every profile, but no reason to
 * stop. */
static void loader__create_tables(struct loader *l)
{
	l->unwind_loop = best_loop(&l->options);
	if (l->unwind_loop && unwind_maps__open(&l->unwind)) {
		msg__note("no unwind tables: %s; stacks of code without frame pointers will be short",
			  strerror(errno));
		l->unwind_loop = 0;
	}
	l->wants_mappings = l->unwind_loop;
}

const struct table_memory *loader__table_memory(const struct loader *l)
{
	return l->unwind_loop ? &l->unwind.memory : NULL;
}

static int loader__create_maps(struct loader *l)
{
	unsigned stacks = l->options.stacks ? l->options.stacks : KNOWN_STACKS;

	l->ring_bytes = RING_BYTES_MIN;
	while (l->ring_bytes < RING_BYTES_MAX && l->ring_bytes < (unsigned)l->cpus * RING_CPU_BYTES)
		l->ring_bytes *= 2;
	l->ring_fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, l->ring_bytes, NULL);
	if (l->ring_fd < 0)
		return -errno;
	l->known_stacks_fd = bpf_map_create(BPF_MAP_TYPE_HASH, "known_stacks", 8, 4, stacks, NULL);
	return l->known_stacks_fd < 0 ? -errno : 0;
}

/* Names of the capabilities that BPF tracing needs and this process lacks, in `text`. */
static void missing_capabilities(char *text, size_t size)
{
	static const struct {
		int number; /* include/uapi/linux/capability.h */
		const char *name;
	} needed[] = {{39, "CAP_BPF"}, {38, "CAP_PERFMON"}};
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long effective = ~0ULL;
	char line[256];
	size_t used = 0;

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "CapEff: %llx", &effective) != 1)
		;
	if (f)
		fclose(f);
	text[0] = 0;
	if (effective & 1ULL << 21) /* CAP_SYS_ADMIN stands for both */
		return;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!(effective & 1ULL << needed[i].number))
			used += snprintf(text + used, size - used, "%s%s", used ? " and " : "",
					 needed[i].name);
}

int loader__explain(const char *what, int err, const char *why)
{
	char missing[64];

	missing_capabilities(missing, sizeof(missing));
	if ((err == -EPERM || err == -EACCES) && missing[0])
		msg__error("cannot %s: %s %s missing (root has %s; see `sonde check`)", what, missing,
			   strstr(missing, " and ") ? "are" : "is", strstr(missing, " and ") ? "them" : "it");
	else if (err == -ENOMEM)
		msg__error("cannot %s: no memory (the memory limit of this cgroup counts BPF maps)", what);
	else
		msg__error("cannot %s: %s%s%s%s (see `sonde check`)", what, strerror(-err), *why ? " (" : "",
			   why, *why ? ")" : "");
	return err;
}

static bool has_thread_pidfds(void)
{
	int fd = syscall(SYS_pidfd_open, getpid(), PIDFD_THREAD);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int has_type_information(void)
{
	char byte;
	int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (read(fd, &byte, 1) != 1)
		err = -ENODATA;
	close(fd);
	return err;
}

#define INITIAL_PID_NAMESPACE 0xEFFFFFFCU /* include/linux/proc_ns.h */

uint64_t loader__pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) || st.st_ino == INITIAL_PID_NAMESPACE ? 0 : st.st_ino;
}

int loader__open(struct loader *l, const struct target *target, const struct loader_options *options,
		 int (*on_record)(void *, void *, size_t), void *context)
{
	int err;

	*l = (struct loader){
		.target = target, .options = *options, .on_record = on_record, .context = context};
	l->ring_fd = l->known_stacks_fd = l->marks_fd = l->raw_marks_fd = -1;
	libbpf_set_print(options->verbose ? print_all : print_nothing);
	if (getrandom(&l->salt, sizeof(l->salt), GRND_NONBLOCK) != sizeof(l->salt))
		l->salt = (uintptr_t)l ^ (uint64_t)getpid() << 32;
	l->pid_namespace = loader__pid_namespace();
	/* Where threads have no pidfds they can be marked by number only, as the raw variant does. */
	if (target->filter.conditions & TARGET_THREADS)
		l->options.force_raw |= !has_thread_pidfds();
	l->cpus = libbpf_num_possible_cpus();
	err = l->cpus < 0 ? l->cpus : has_type_information();
	if (err) {
		msg__error("this kernel has no type information: /sys/kernel/btf/vmlinux: %s "
			   "(CONFIG_DEBUG_INFO_BTF is needed)",
			   strerror(-err));
		return -EOPNOTSUPP;
	}
	err = loader__create_maps(l);
	if (!err)
		loader__create_tables(l);
	return err ? loader__explain("create BPF maps", err, "") : 0;
}

/* Mapped only when it is needed: while objects are loaded, the kernel's type information fills the memory. */
static int loader__map_ring(struct loader *l)
{
	return l->ring.written ? 0 : ring__open(&l->ring, l->ring_fd, l->ring_bytes);
}

void loader__close(struct loader *l)
{
	ring__close(&l->ring);
	if (l->unwind_loop)
		unwind_maps__close(&l->unwind);
	l->unwind_loop = 0;
	fd__close(&l->ring_fd);
	fd__close(&l->known_stacks_fd);
	fd__close(&l->marks_fd);
	fd__close(&l->raw_marks_fd);
}

int loader__drain(struct loader *l)
{
	int err = loader__map_ring(l);

	return err ? err : ring__drain(&l->ring, l->on_record, l->context);
}

void loader__forget_stack(struct loader *l, uint64_t hash)
{
	bpf_map_delete_elem(l->known_stacks_fd, &hash);
}

struct raw_mark {
	uint64_t start_boot_ns;
	uint32_t value, reserved;
};

/* Start of a process by /proc/PID/stat, field 22, in clock ticks since boot. */
static int start_boot_ns(pid_t pid, uint64_t *ns)
{
	char path[64], line[1024], *p;
	unsigned long long ticks;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	line[n > 0 ? n : 0] = 0;
	p = strrchr(line, ')');
	if (!p ||
	    sscanf(p + 2, "%*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
		   &ticks) != 1)
		return -ESRCH;
	*ns = ticks * (1000000000ULL / sysconf(_SC_CLK_TCK));
	return 0;
}

static int loader__mark_raw(struct loader *l, pid_t pid, uint32_t value)
{
	struct raw_mark mark = {.value = value};
	uint32_t key = pid;
	int err = start_boot_ns(pid, &mark.start_boot_ns);

	if (!err && bpf_map_update_elem(l->raw_marks_fd, &key, &mark, BPF_ANY))
		err = -errno;
	return err;
}

int loader__pidfd(pid_t pid, bool thread)
{
	int fd = syscall(SYS_pidfd_open, pid, thread ? PIDFD_THREAD : 0);

	if (fd < 0 && thread && errno == EINVAL) /* good enough for a thread that leads its process */
		fd = syscall(SYS_pidfd_open, pid, 0);
	return fd;
}

/* Task storage is keyed by pidfds. */
static int loader__mark_task(struct loader *l, pid_t pid, uint32_t value)
{
	bool threads = l->target->filter.conditions & TARGET_THREADS;
	int fd = loader__pidfd(pid, threads && value != MARK_NEVER), err = 0;

	if (fd < 0)
		return -errno;
	if (bpf_map_update_elem(l->marks_fd, &fd, &value, BPF_ANY))
		err = -errno;
	close(fd);
	return err;
}

int loader__mark(struct loader *l, pid_t pid, uint32_t value)
{
	int err = 0;

	if (l->marks_fd >= 0)
		err = loader__mark_task(l, pid, value);
	if (!err && l->raw_marks_fd >= 0)
		err = loader__mark_raw(l, pid, value);
	return err;
}

bool loader__has_capability(unsigned number)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	return !syscall(SYS_capget, &header, data) && data[0].effective & 1u << number;
}

int loader__statistics(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	return fd < 0 ? -errno : fd;
}
