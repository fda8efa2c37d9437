// SPDX-License-Identifier: Apache-2.0
/* Trials by program: load one of bpf/try.bpf.c, attach it, make it run, see that it did, take it away. */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/units.h"
#include "probe/loader.h"
#include "probe/try.h"
#include "sonde/try.h"
#include "object/lines.h"
#include "object/maps.h"

#define POKES 50

struct run;

/* What is particular about one program. */
struct recipe {
	const char *program, *map; /* map: which one it needs; NULL: none */
	int attach_type;	   /* 0: what its section says */
	int (*attach)(struct run *);
	int (*poke)(struct run *); /* makes it run; called until it did, at most POKES times. 0 or -errno */
	int (*verdict)(struct run *, struct buf *why); /* when it ran; NULL: that is all */
	int absence;	    /* the error of kernels that have no such thing; 0: unknown */
	const char *absent; /* what it says */
};

struct run {
	struct bpf_object *object;
	struct bpf_program *program;
	struct bpf_link *link;
	int link_fd; /* of links that libbpf does not know; -1: none */
	struct trial trial;
	uint64_t word;	/* TRY_MAGIC */
	cpu_set_t cpus; /* that we may run on, if `pinned` */
	bool pinned;
};

static int print_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* --- attaching */

static int keep(struct run *r, struct bpf_link *link)
{
	r->link = link;
	return link ? 0 : -errno;
}

static int attach_by_section(struct run *r)
{
	return keep(r, bpf_program__attach(r->program));
}

static int attach_iter(struct run *r)
{
	return keep(r, bpf_program__attach_iter(r->program, NULL));
}

/* As the sampler does it: everybody on one CPU. We stay there, so that there is somebody to be sampled. */
static int attach_event(struct run *r, uint32_t type, uint64_t config)
{
	struct perf_event_attr attr = {.size = sizeof(attr),
				       .type = type,
				       .config = config,
				       .sample_freq = 99,
				       .freq = 1,
				       .exclude_idle = type == PERF_TYPE_SOFTWARE};
	int cpu = sched_getcpu(), fd, err;
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(cpu, &here);
	r->pinned = !sched_getaffinity(0, sizeof(r->cpus), &r->cpus) &&
		    !sched_setaffinity(0, sizeof(here), &here);
	fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = keep(r, bpf_program__attach_perf_event(r->program, fd));
	if (err)
		close(fd);
	return err;
}

static int attach_cycles(struct run *r)
{
	return attach_event(r, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES);
}

static int attach_cpu_clock(struct run *r)
{
	return attach_event(r, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK);
}

/* The function that uprobes are put on. */
static __attribute__((noinline, noclone)) void probed(void)
{
	__asm__ volatile("" ::: "memory");
}

/* Where a function of ours stands in our file. */
static int file_offset(uintptr_t address, uint64_t *offset)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), err;
	struct map_line line;
	struct lines lines;
	const char *text;
	size_t len;

	if (fd < 0)
		return -errno;
	err = lines__open(&lines, fd, MAPS_BYTES_MAX);
	if (!err) {
		err = -ENOENT;
		while (err && (text = lines__next(&lines, &len)))
			if (maps__parse_line(text, &line) && line.start <= address && address < line.end) {
				*offset = address - line.start + line.offset;
				err = 0;
			}
		lines__close(&lines);
	}
	close(fd);
	return err;
}

static int attach_uprobe(struct run *r)
{
	uint64_t offset;
	int err = file_offset((uintptr_t)probed, &offset);

	return err ? err
		   : keep(r, bpf_program__attach_uprobe(r->program, false, 0, "/proc/self/exe", offset));
}

static int attach_uprobe_multi(struct run *r)
{
	uint64_t offset;
	int err = file_offset((uintptr_t)probed, &offset);

	if (err)
		return err;
	r->link_fd =
		uprobe_multi__attach(bpf_program__fd(r->program), "/proc/self/exe", offset, getpid(), false);
	return r->link_fd < 0 ? r->link_fd : 0;
}

/* --- making it run */

static int poke_sleep(struct run *r)
{
	struct timespec t = {.tv_nsec = 500000};

	(void)r;
	nanosleep(&t, NULL);
	return 0;
}

static int poke_burn(struct run *r)
{
	uint64_t end = units__now_ns() + 4000000;

	(void)r;
	while (units__now_ns() < end)
		;
	return 0;
}

static int poke_call(struct run *r)
{
	(void)r;
	probed();
	return 0;
}

static int poke_read(struct run *r)
{
	int fd = bpf_iter_create(bpf_link__fd(r->link)), err;
	char nothing[64];
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = read(fd, nothing, sizeof(nothing));
	while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
	err = n < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* --- what it found */

static int on_record(void *context, void *record, size_t size)
{
	struct run *r = context;

	if (size == sizeof(r->word) && !memcmp(record, &r->word, sizeof(r->word)))
		r->trial.value = TRY_MAGIC;
	return 0;
}

static int found_record(struct run *r, struct buf *why)
{
	struct ring_buffer *ring =
		ring_buffer__new(bpf_object__find_map_fd_by_name(r->object, "ring"), on_record, r, NULL);
	int err = ring ? 0 : -errno;

	r->trial.value = 0;
	if (!err && (ring_buffer__consume(ring) != 1 || r->trial.value != TRY_MAGIC))
		err = -ENODATA;
	ring_buffer__free(ring);
	if (err)
		buf__printf(why, "read: %s", strerror(-err));
	return err;
}

static int found_cgroup(struct run *r, struct buf *why)
{
	if (r->trial.value)
		return 0;
	buf__puts(why, "the kernel knows no cgroup v2 of this process");
	return -ENODATA;
}

/* --- the trial */

static const struct loader_image *image(void)
{
	const struct loader_image *i = loader__images;

	while (i->name && strcmp(i->name, "try"))
		i++;
	return i;
}

/* Only this program and its map: one that a kernel does not know must not make the others fail. */
static void choose(struct run *r, const struct recipe *how)
{
	struct bpf_program *p;
	struct bpf_map *m;

	bpf_object__for_each_program(p, r->object) bpf_program__set_autoload(p, p == r->program);
	bpf_object__for_each_map(m, r->object) if (!bpf_map__is_internal(m))
		bpf_map__set_autocreate(m, how->map && !strcmp(bpf_map__name(m), how->map));
	if (how->attach_type)
		bpf_program__set_expected_attach_type(r->program, how->attach_type);
}

static int set_trial(struct run *r)
{
	struct bpf_map *map = bpf_object__find_map_by_name(r->object, ".bss");
	struct stat namespace;
	size_t size = 0;
	void *bytes = map ? (void *)bpf_map__initial_value(map, &size) : NULL;

	if (!bytes || size != sizeof(r->trial))
		return -EINVAL;
	if (stat("/proc/self/ns/pid", &namespace))
		return -errno;
	r->word = TRY_MAGIC;
	r->trial.namespace_device = namespace.st_dev;
	r->trial.namespace_inode = namespace.st_ino;
	r->trial.pid = getpid();
	r->trial.address = (uintptr_t)&r->word;
	memcpy(bytes, &r->trial, size);
	return 0;
}

static int load(struct run *r, const struct recipe *how)
{
	const struct loader_image *i = image();
	int err;

	r->object = bpf_object__open_mem(i->bytes, (const char *)i->end - (const char *)i->bytes, NULL);
	if (!r->object)
		return -errno;
	r->program = bpf_object__find_program_by_name(r->object, how->program);
	if (!r->program)
		return -ENOENT;
	choose(r, how);
	err = set_trial(r);
	return err ? err : bpf_object__load(r->object);
}

static int make_it_run(struct run *r, const struct recipe *how)
{
	int map = bpf_object__find_map_fd_by_name(r->object, ".bss"), err = 0;
	uint32_t key = 0;

	for (int i = 0; !err && !r->trial.fired && i < POKES; i++) {
		err = how->poke(r);
		if (!err && bpf_map_lookup_elem(map, &key, &r->trial))
			err = -errno;
	}
	return err;
}

static void clean_up(struct run *r)
{
	bpf_link__destroy(r->link);
	if (r->link_fd >= 0)
		close(r->link_fd);
	if (r->pinned)
		sched_setaffinity(0, sizeof(r->cpus), &r->cpus);
	bpf_object__close(r->object);
}

static int try_recipe(const struct recipe *how, struct buf *why)
{
	libbpf_print_fn_t print = libbpf_set_print(print_nothing);
	struct run r = {.link_fd = -1};
	const char *step = "load";
	int err = load(&r, how);

	if (!err) {
		step = "attach";
		err = how->attach(&r);
	}
	if (!err) {
		step = "run";
		err = make_it_run(&r, how);
	}
	if (err)
		buf__printf(why, "%s: %s", step,
			    how->absence && err == -how->absence ? how->absent : strerror(-err));
	else if (!r.trial.fired)
		buf__puts(why, "it was attached, but does not run");
	if (!err && !r.trial.fired)
		err = -ENODATA;
	else if (!err && how->verdict)
		err = how->verdict(&r, why);
	clean_up(&r);
	libbpf_set_print(print);
	return err;
}

#define TRIAL(name, ...)                                        \
	int try__##name(struct buf *why)                        \
	{                                                       \
		static const struct recipe how = {__VA_ARGS__}; \
                                                                \
		return try_recipe(&how, why);                   \
	}

TRIAL(tp_btf, "try_tp_btf", NULL, 0, attach_by_section, poke_sleep)
TRIAL(raw_tp, "try_raw_tp", NULL, 0, attach_by_section, poke_sleep)
TRIAL(task_storage, "try_task_storage", "storage", 0, attach_by_section, poke_sleep, NULL, EINVAL,
      "this kernel has no task storage")
TRIAL(ringbuf, "try_ring", "ring", 0, attach_by_section, poke_sleep, found_record)
TRIAL(stacks, "try_stacks", NULL, 0, attach_by_section, poke_sleep)
TRIAL(bpf_loop, "try_bpf_loop", NULL, 0, attach_by_section, poke_sleep, NULL, EINVAL,
      "no bpf_loop(), or lockdown=confidentiality")
TRIAL(for_each_map_elem, "try_for_each", "steps", 0, attach_by_section, poke_sleep, NULL, EINVAL,
      "no bpf_for_each_map_elem(), or lockdown=confidentiality")
TRIAL(cgroup_id, "try_cgroup", NULL, 0, attach_by_section, poke_sleep, found_cgroup)
TRIAL(iter_task, "try_iter", NULL, 0, attach_iter, poke_read)
TRIAL(iter_task_sleepable, "try_iter_sleepable", NULL, 0, attach_iter, poke_read, NULL, EINVAL,
      "this kernel cannot read the memory of other tasks there")
TRIAL(perf_cycles, "try_perf_event", NULL, 0, attach_cycles, poke_burn, NULL, ENOENT,
      "no PMU, or the hypervisor hides it")
TRIAL(perf_cpu_clock, "try_perf_event", NULL, 0, attach_cpu_clock, poke_burn)
TRIAL(kprobe, "try_kprobe", NULL, 0, attach_by_section, poke_sleep, NULL, ENOENT,
      "no kprobes (CONFIG_KPROBES)")
TRIAL(fentry, "try_fentry", NULL, 0, attach_by_section, poke_sleep)
TRIAL(uprobe, "try_uprobe", NULL, 0, attach_uprobe, poke_call)
TRIAL(uprobe_multi, "try_uprobe", NULL, UPROBE_MULTI, attach_uprobe_multi, poke_call, NULL, EINVAL,
      "this kernel has no such links")
