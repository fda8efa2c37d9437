// SPDX-License-Identifier: Apache-2.0
/* The cpu probe: one sampling perf event per online CPU, stacks counted in the kernel. */
#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "base/msg.h"
#include "base/units.h"
#include "probe/probe.h"

static const struct metric metric_cpu_samples = {
	.name = "sonde_cpu_samples",
	.unit = "{sample}",
	.help = "Samples of running threads, by stack",
	.kind = POINT_STACK,
	.shape = SHAPE_FUNCTIONS,
};

static const struct metric *const metrics[] = {&metric_cpu_samples, NULL};

static const struct hook hooks[] = {
	{"perf_event", "cycles, cpu-clock",
	 "everything; cpu-clock instead of cycles: code with interrupts off is seen late"},
	{"sched_process_exec", "tp_btf, raw_tp", "COMMAND"},
	{"task_newtask", "tp_btf, raw_tp", "children (--follow, COMMAND)"},
	{NULL},
};

/* The clocks that can drive the sampler, best first. */
static const struct clock {
	uint32_t type;
	uint64_t config;
	const char *name;
} clocks[] = {
	{PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, "cycles"},
	{PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, "cpu-clock"},
};

struct cpu {
	struct probe probe;
	struct cpu_options options;
	struct unit unit;
	const struct clock *clock;
	int cpus;
	struct bpf_link **links; /* by CPU; NULL: offline */
	bool *online;
};

static int event_open(const struct clock *clock, uint64_t hz, int cpu)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = clock->type,
		.config = clock->config,
		.sample_freq = hz,
		.freq = 1,
		.exclude_idle = clock->type == PERF_TYPE_SOFTWARE, /* the PMU of arm64 refuses it */
	};

	return syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static int cpu__prepare(void *context, struct unit *u, int attempt)
{
	bool marked = u->loader->target->filter.conditions & TARGET_MARKED;
	int err = unit__autoload(u, "on_tick", true);

	(void)context;
	if (attempt) /* lockdown=confidentiality: user memory cannot be read */
		unit__without_tables(u);
	if (!err)
		err = unit__autoload(u, "on_exec", marked);
	if (!err)
		err = unit__autoload(u, "on_leader_exit", marked);
	return err ? err : unit__autoload(u, "on_newtask", marked && u->loader->target->filter.follow);
}

static void cpu__detach(struct probe *probe)
{
	struct cpu *c = (struct cpu *)probe;

	for (int i = 0; c->links && i < c->cpus; i++) {
		bpf_link__destroy(c->links[i]);
		c->links[i] = NULL;
	}
	unit__detach(&c->unit);
}

static void cpu__close(struct probe *probe)
{
	struct cpu *c = (struct cpu *)probe;

	if (!c)
		return;
	cpu__detach(probe);
	unit__close(&c->unit);
	free(c->links);
	free(c->online);
	free(c);
}

static struct probe *cpu__open(struct probe_context *context, const void *options)
{
	struct cpu *c = calloc(1, sizeof(*c));
	int err = -ENOMEM;

	if (!c)
		return NULL;
	c->probe.type = &probe_cpu;
	c->probe.context = context;
	c->options = *(const struct cpu_options *)options;
	c->cpus = context->loader->cpus;
	c->links = calloc(c->cpus, sizeof(*c->links));
	c->online = calloc(c->cpus, sizeof(*c->online));
	if (c->links && c->online)
		err = unit__load(&c->unit, context->loader, "cpu", 2, cpu__prepare, c);
	if (err) {
		loader__explain("load the sampling program", err, c->unit.why_not);
		cpu__close(&c->probe);
		errno = -err;
		return NULL;
	}
	return &c->probe;
}

/* Reads "0-3,5" of /sys/devices/system/cpu/online. */
static int read_online(bool *online, int cpus)
{
	FILE *f = fopen("/sys/devices/system/cpu/online", "re");
	int from, to;
	char sep;

	if (!f)
		return -errno;
	memset(online, 0, cpus * sizeof(*online));
	while (fscanf(f, "%d", &from) == 1) {
		to = from;
		sep = fgetc(f);
		if (sep == '-' && fscanf(f, "%d", &to) == 1)
			sep = fgetc(f);
		for (int cpu = from; cpu <= to && cpu < cpus; cpu++)
			online[cpu] = true;
		if (sep != ',')
			break;
	}
	fclose(f);
	return 0;
}

static int cpu__attach_one(struct cpu *c, int cpu)
{
	struct bpf_program *p = bpf_object__find_program_by_name(c->unit.object, "on_tick");
	int fd = event_open(c->clock, c->options.frequency_hz, cpu), err;

	if (fd < 0)
		return -errno;
	c->links[cpu] = bpf_program__attach_perf_event(p, fd);
	if (c->links[cpu])
		return 0;
	err = -errno;
	close(fd);
	return err;
}

static int cpu__choose_clock(struct cpu *c, int cpu)
{
	int err = -ENOENT;

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		c->clock = &clocks[i];
		err = cpu__attach_one(c, cpu);
		if (!err)
			break;
	}
	return err;
}

static void explain(int err, uint64_t hz)
{
	if (err == -EACCES || err == -EPERM)
		msg__error("perf_event_open is not permitted: needs CAP_PERFMON, or CAP_SYS_ADMIN where "
			   "kernel.perf_event_paranoid is 3 or more");
	else if (err == -EINVAL)
		msg__error("perf_event_open refuses %llu Hz: kernel.perf_event_max_sample_rate limits it",
			   (unsigned long long)hz);
	else
		msg__error("perf_event_open: %s (see `sonde check`)", strerror(-err));
}

/* Opens events on CPUs that are online and have none; drops those of CPUs that went away: they are dead for
 * ever. */
static int cpu__follow_hotplug(struct cpu *c)
{
	int err = read_online(c->online, c->cpus);

	for (int cpu = 0; !err && cpu < c->cpus; cpu++) {
		if (!c->online[cpu] && c->links[cpu]) {
			bpf_link__destroy(c->links[cpu]);
			c->links[cpu] = NULL;
		} else if (c->online[cpu] && !c->links[cpu]) {
			err = c->clock ? cpu__attach_one(c, cpu) : cpu__choose_clock(c, cpu);
			if (err == -ENODEV) /* went offline meanwhile */
				err = 0;
		}
	}
	return err;
}

static int cpu__attach(struct probe *probe)
{
	struct cpu *c = (struct cpu *)probe;
	bool marked = c->unit.loader->target->filter.conditions & TARGET_MARKED;
	int err = cpu__follow_hotplug(c);

	if (err) {
		explain(err, c->options.frequency_hz);
		return err;
	}
	if (marked)
		err = unit__attach(&c->unit, "on_exec");
	if (!err && marked)
		err = unit__attach(&c->unit, "on_leader_exit");
	if (!err && marked && c->unit.loader->target->filter.follow)
		err = unit__attach(&c->unit, "on_newtask");
	if (err)
		msg__error("cannot attach to processes' exec and fork: %s (see `sonde check`)",
			   strerror(-err));
	return err;
}

static void cpu__tick(struct probe *probe)
{
	cpu__follow_hotplug((struct cpu *)probe);
}

static int cpu__begin(struct probe *probe, uint64_t start_ns)
{
	struct cpu *c = (struct cpu *)probe;

	__atomic_store_n(&c->unit.control->cut, start_ns, __ATOMIC_RELEASE);
	return 0;
}

static void cpu__cut(struct probe *probe, uint64_t at_ns, bool last)
{
	struct cpu *c = (struct cpu *)probe;

	if (last)
		__atomic_store_n(&c->unit.control->stop_ns, at_ns, __ATOMIC_RELEASE);
}

static int cpu__drain(struct probe *probe, struct point_stream *out, struct drain *d)
{
	struct cpu *c = (struct cpu *)probe;
	struct point p = {.metric = &metric_cpu_samples,
			  .sample.period_ns = 1000000000 / c->options.frequency_hz};
	uint64_t samples;
	int err = probe__emit_counts(probe, &c->unit, &p, out, d, &samples);

	if (!d->headline.len && d->to_ns > d->from_ns) {
		buf__printf(&d->headline, "%.2f CPUs, ",
			    samples / ((d->to_ns - d->from_ns) / 1e9 * c->options.frequency_hz));
		units__count(&d->headline, samples);
		buf__printf(&d->headline, " samples at %llu Hz (%s)",
			    (unsigned long long)c->options.frequency_hz, c->clock->name);
	}
	return err;
}

static const struct unit *cpu__unit(const struct probe *probe)
{
	return &((const struct cpu *)probe)->unit;
}

const struct probe_type probe_cpu = {
	.name = "cpu",
	.summary = "on-CPU stacks, user and kernel, by sampling each CPU",
	.metrics = metrics,
	.hooks = hooks,
	.open = cpu__open,
	.attach = cpu__attach,
	.begin = cpu__begin,
	.cut = cpu__cut,
	.detach = cpu__detach,
	.drain = cpu__drain,
	.tick = cpu__tick,
	.unit = cpu__unit,
	.close = cpu__close,
};
