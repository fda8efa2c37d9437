// SPDX-License-Identifier: Apache-2.0
/* The machine: CPUs, load, memory, paging, disks, network interfaces, pressure. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "probe/resources.h"

/* --- reading */

static int read_devices(struct node_reading *r, struct buf *b)
{
	int err = resources__read(b, "/proc/diskstats");

	if (!err)
		err = proc__diskstats(buf__text(b), &r->disks, &r->disk_count);
	if (err == -ENOMEM)
		return err;
	err = resources__read(b, "/proc/net/dev");
	if (!err)
		err = proc__net_dev(buf__text(b), &r->interfaces, &r->interface_count);
	return err == -ENOMEM ? err : 0;
}

/* /proc/stat must be there; of the rest a kernel or a container may lack anything. */
int node__read(struct node_reading *r)
{
	struct buf b = {0};
	int err;

	memset(r, 0, sizeof(*r));
	err = resources__read(&b, "/proc/stat");
	if (!err)
		err = proc__stat(buf__text(&b), &r->stat);
	if (!err && !resources__read(&b, "/proc/meminfo"))
		proc__meminfo(buf__text(&b), &r->memory);
	if (!err && !resources__read(&b, "/proc/vmstat"))
		proc__vmstat(buf__text(&b), &r->paging);
	if (!err && !resources__read(&b, "/proc/loadavg"))
		r->has_load = !proc__loadavg(buf__text(&b), r->load);
	if (!err)
		err = read_devices(r, &b);
	for (int i = 0; !err && i < PRESSURE_COUNT; i++)
		r->has_pressure[i] = !pressure__of_node(i, &r->pressure[i]);
	buf__free(&b);
	if (err)
		node__free(r);
	return err;
}

void node__free(struct node_reading *r)
{
	free(r->stat.cpus);
	free(r->disks);
	free(r->interfaces);
	memset(r, 0, sizeof(*r));
}

/* --- CPUs and load */

static uint64_t cpu_delta(const struct cpu_times *before, const struct cpu_times *now,
			  uint64_t ticks[CPU_MODES])
{
	uint64_t all = 0;

	for (int i = 0; i < CPU_MODES; i++) {
		ticks[i] = proc__delta(before->ticks[i], now->ticks[i]);
		all += ticks[i];
	}
	return all;
}

static void emit_cpu(struct emitter *e, const char *number, const struct cpu_times *before,
		     const struct cpu_times *now)
{
	uint64_t ticks[CPU_MODES], all = cpu_delta(before, now, ticks);

	for (int i = 0; i < CPU_MODES; i++) {
		const char *const labels[4] = {number, proc__cpu_modes[i]};

		emit__gauge(e, &resource_cpu_share, labels, all ? (double)ticks[i] / (double)all : 0);
		if (number)
			emit__counter(e, &resource_cpu_time, labels, resources__ticks_to_ns(ticks[i]));
	}
}

/* A CPU that was not there before has no difference yet. */
static void emit_cpus(struct emitter *e, const struct proc_stat *before, const struct proc_stat *now)
{
	char number[16];

	emit_cpu(e, NULL, &before->all, &now->all);
	for (size_t i = 0, n = 0; i < now->count; i++) {
		while (n < before->count && before->cpus[n].number < now->cpus[i].number)
			n++;
		if (n == before->count || before->cpus[n].number != now->cpus[i].number)
			continue;
		snprintf(number, sizeof(number), "%u", now->cpus[i].number);
		emit_cpu(e, number, &before->cpus[n], &now->cpus[i]);
	}
}

static void emit_load(struct emitter *e, const struct node_reading *before, const struct node_reading *now)
{
	const struct metric *const load[] = {&resource_load_1, &resource_load_5, &resource_load_15};

	for (int i = 0; i < 3 && now->has_load; i++)
		emit__gauge(e, load[i], NULL, now->load[i]);
	emit__gauge(e, &resource_running, NULL, (double)now->stat.running);
	emit__gauge(e, &resource_blocked, NULL, (double)now->stat.blocked);
	emit__counter(e, &resource_switches, NULL,
		      proc__delta(before->stat.context_switches, now->stat.context_switches));
	emit__counter(e, &resource_forks, NULL, proc__delta(before->stat.forks, now->stat.forks));
}

/* --- memory */

static uint64_t cached_of(const struct proc_meminfo *m)
{
	return m->cached + m->reclaimable;
}

static uint64_t used_of(const struct proc_meminfo *m)
{
	return proc__delta(m->free + m->buffers + cached_of(m), m->total);
}

static void emit_memory(struct emitter *e, const struct node_reading *before, const struct node_reading *now)
{
	const struct proc_meminfo *m = &now->memory;
	const struct proc_vmstat *v = &now->paging, *w = &before->paging;
	uint64_t major = proc__delta(w->major_faults, v->major_faults);

	if (!m->total)
		return;
	emit__gauge(e, &resource_memory_limit, NULL, (double)m->total);
	emit__gauge(e, &resource_memory_usage, LABELS("used"), (double)used_of(m));
	emit__gauge(e, &resource_memory_usage, LABELS("buffers"), (double)m->buffers);
	emit__gauge(e, &resource_memory_usage, LABELS("cached"), (double)cached_of(m));
	emit__gauge(e, &resource_memory_usage, LABELS("free"), (double)m->free);
	emit__gauge(e, &resource_memory_available, NULL, (double)m->available);
	emit__gauge(e, &resource_memory_shared, NULL, (double)m->shared);
	emit__gauge(e, &resource_memory_slab, LABELS("reclaimable"), (double)m->reclaimable);
	emit__gauge(e, &resource_memory_slab, LABELS("unreclaimable"), (double)m->unreclaimable);
	emit__gauge(e, &resource_memory_dirty, NULL, (double)m->dirty);
	emit__gauge(e, &resource_swap_usage, LABELS("used"),
		    (double)proc__delta(m->swap_free, m->swap_total));
	emit__gauge(e, &resource_swap_usage, LABELS("free"), (double)m->swap_free);
	emit__counter(e, &resource_paging_faults, LABELS("major"), major);
	emit__counter(e, &resource_paging_faults, LABELS("minor"),
		      proc__delta(major, proc__delta(w->faults, v->faults)));
	emit__counter(e, &resource_paging_operations, LABELS("out"),
		      proc__delta(w->swapped_out, v->swapped_out));
	emit__counter(e, &resource_paging_operations, LABELS("in"),
		      proc__delta(w->swapped_in, v->swapped_in));
}

/* --- disks */

/* Partitions are in the numbers of their disks. Where sysfs is not mounted nothing tells them apart. */
static bool is_disk(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/%s", name);
	for (char *c = path + 11; *c; c++)
		if (*c == '/') /* of "cciss/c0d0" */
			*c = '!';
	return !access(path, F_OK) || access("/sys/block", F_OK);
}

/* Devices keep their order, but for those that come and go. */
static const struct disk_counts *disk_before(const struct node_reading *r, size_t hint, const char *name)
{
	for (size_t i = 0; i < r->disk_count; i++) {
		const struct disk_counts *d = &r->disks[(hint + i) % r->disk_count];

		if (!strcmp(d->name, name))
			return d;
	}
	return NULL;
}

static void emit_direction(struct emitter *e, const char *device, const char *direction, uint64_t bytes,
			   uint64_t operations, uint64_t merged, uint64_t ns)
{
	const char *const labels[4] = {device, direction};

	emit__counter(e, &resource_disk_io, labels, bytes);
	emit__counter(e, &resource_disk_operations, labels, operations);
	emit__counter(e, &resource_disk_merged, labels, merged);
	emit__counter(e, &resource_disk_operation_time, labels, ns);
	if (operations)
		emit__gauge(e, &resource_disk_mean, labels, (double)ns / (double)operations);
}

static void emit_disk(struct emitter *e, const struct disk_counts *b, const struct disk_counts *n)
{
	uint64_t busy_ns = proc__delta32(b->io_ms, n->io_ms) * 1000000;
	double share = e->seconds > 0 ? (double)busy_ns / 1e9 / e->seconds : 0;

	emit_direction(e, n->name, "read", proc__delta(b->read_bytes, n->read_bytes),
		       proc__delta(b->reads, n->reads), proc__delta(b->reads_merged, n->reads_merged),
		       proc__delta32(b->read_ms, n->read_ms) * 1000000);
	emit_direction(e, n->name, "write", proc__delta(b->written_bytes, n->written_bytes),
		       proc__delta(b->writes, n->writes), proc__delta(b->writes_merged, n->writes_merged),
		       proc__delta32(b->write_ms, n->write_ms) * 1000000);
	emit__counter(e, &resource_disk_io_time, LABELS(n->name), busy_ns);
	emit__gauge(e, &resource_disk_busy, LABELS(n->name), share > 1 ? 1 : share);
}

static void emit_disks(struct emitter *e, const struct node_reading *before, const struct node_reading *now)
{
	const struct disk_counts *b;

	for (size_t i = 0; i < now->disk_count; i++) {
		const struct disk_counts *n = &now->disks[i];

		if (!n->reads && !n->writes) /* it has never been used */
			continue;
		b = disk_before(before, i, n->name);
		if (b && is_disk(n->name))
			emit_disk(e, b, n);
	}
}

/* --- network */

static const struct net_counts *interface_before(const struct node_reading *r, size_t hint, const char *name)
{
	for (size_t i = 0; i < r->interface_count; i++) {
		const struct net_counts *n = &r->interfaces[(hint + i) % r->interface_count];

		if (!strcmp(n->name, name))
			return n;
	}
	return NULL;
}

static void emit_interface(struct emitter *e, const struct net_counts *b, const struct net_counts *n)
{
	static const char *const directions[] = {"receive", "transmit"};

	for (int i = 0; i < NET_DIRECTIONS; i++) {
		const char *const labels[4] = {n->name, directions[i]};

		emit__counter(e, &resource_net_io, labels, proc__delta(b->bytes[i], n->bytes[i]));
		emit__counter(e, &resource_net_packets, labels, proc__delta(b->packets[i], n->packets[i]));
		emit__counter(e, &resource_net_dropped, labels, proc__delta(b->dropped[i], n->dropped[i]));
		emit__counter(e, &resource_net_errors, labels, proc__delta(b->errors[i], n->errors[i]));
	}
}

static void emit_network(struct emitter *e, const struct node_reading *before, const struct node_reading *now)
{
	for (size_t i = 0; i < now->interface_count; i++) {
		const struct net_counts *n = &now->interfaces[i], *b = interface_before(before, i, n->name);

		if (b && (n->packets[NET_RECEIVE] || n->packets[NET_TRANSMIT]))
			emit_interface(e, b, n);
	}
}

/* --- pressure */

static void emit_stall(struct emitter *e, const char *path, const char *stall, uint64_t before, uint64_t now)
{
	const char *const labels[4] = {path, stall};
	uint64_t ns = proc__delta(before, now);
	double share = e->seconds > 0 ? (double)ns / 1e9 / e->seconds : 0;

	emit__gauge(e, &resource_pressure_share, labels, share > 1 ? 1 : share);
	emit__counter(e, &resource_pressure_time, labels, ns);
}

void pressure__emit(struct emitter *e, const char *path, enum pressure_of of, const struct pressure *before,
		    const struct pressure *now)
{
	char full[16];

	emit_stall(e, path, pressure__words[of], before->some.total, now->some.total);
	snprintf(full, sizeof(full), "%s_full", pressure__words[of]);
	if (now->has_full && before->has_full)
		emit_stall(e, path, full, before->full.total, now->full.total);
}

void node__emit(struct emitter *e, const struct node_reading *before, const struct node_reading *now)
{
	emit_cpus(e, &before->stat, &now->stat);
	emit_load(e, before, now);
	emit_memory(e, before, now);
	emit_disks(e, before, now);
	emit_network(e, before, now);
	for (int i = 0; i < PRESSURE_COUNT; i++)
		if (before->has_pressure[i] && now->has_pressure[i])
			pressure__emit(e, "/", i, &before->pressure[i], &now->pressure[i]);
}

void node__headline(struct buf *out, const struct node_reading *before, const struct node_reading *now)
{
	uint64_t ticks[CPU_MODES], all = cpu_delta(&before->stat.all, &now->stat.all, ticks), idle;

	idle = ticks[CPU_IDLE] + ticks[CPU_IOWAIT];
	buf__printf(out, "CPUs %.0f %% busy, ", all ? 100.0 * (double)(all - idle) / (double)all : 0.0);
	units__bytes(out, used_of(&now->memory));
	buf__puts(out, " of ");
	units__bytes(out, now->memory.total);
	buf__puts(out, " used");
	if (now->has_load)
		buf__printf(out, ", load %.2f", now->load[0]);
}
