// SPDX-License-Identifier: Apache-2.0
/* Run-queue latency: one histogram, or one per key; and who ran instead during the long waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/units.h"
#include "probe/cgroup.h"
#include "probe/sched.h"

const struct metric metric_runq_latency = {
	.name = "sonde_runq_latency",
	.unit = "ns",
	.help = "Time from being runnable (woken, or preempted) to running",
	.kind = POINT_HIST,
	.shape = SHAPE_HISTOGRAM,
	.labels = {"cgroup_path"},
};

const struct metric metric_runq_ran = {
	.name = "sonde_runq_ran_instead",
	.unit = "ns",
	.help = "Time that others ran on the same CPU during long waits",
	.title = "long waits, who ran instead",
	.kind = POINT_COUNTER,
	.shape = SHAPE_RANKING,
};

/* The longest wait on a CPU in the interval that ended; none if the CPU has had no wait since it began. */
static uint64_t max_of(const struct runq_hist *h, uint64_t from_ns, uint64_t to_ns)
{
	if (h->max_cut == to_ns)
		return h->max_before;
	return h->max_cut == from_ns ? h->max : 0;
}

/* All CPUs' cumulative histograms, summed. */
int sched__read_runq(struct sched *s)
{
	struct runq_hist *sum = &s->runq_now;
	int cpus = s->unit.loader->cpus;
	struct runq_hist *per_cpu = calloc(cpus, sizeof(*per_cpu));
	uint32_t key = 0;
	int err = 0;

	memset(sum, 0, sizeof(*sum));
	if (!per_cpu)
		return -ENOMEM;
	if (bpf_map_lookup_elem(unit__map_fd(&s->unit, "runq_hists"), &key, per_cpu))
		err = -errno;
	for (int cpu = 0; !err && cpu < cpus; cpu++) {
		uint64_t max = max_of(&per_cpu[cpu], s->emitted_cut_ns, s->cut_ns);

		sum->sum += per_cpu[cpu].sum;
		sum->max = max > sum->max ? max : sum->max;
		for (int i = 0; i < HIST_SLOTS; i++)
			sum->slot[i] += per_cpu[cpu].slot[i];
	}
	free(per_cpu);
	return err;
}

static void headline(const struct hist *h, struct drain *d)
{
	if (d->headline.len)
		return;
	units__count(&d->headline, h->count);
	buf__puts(&d->headline, h->count == 1 ? " wait" : " waits");
}

static int emit_all(struct sched *s, struct point_stream *out, struct drain *d)
{
	struct point p = {.metric = &metric_runq_latency};
	struct hist h = {0};

	for (int i = 0; i < HIST_SLOTS; i++) {
		h.slot[i] = s->runq_now.slot[i] - s->runq_last.slot[i];
		h.count += h.slot[i];
	}
	h.sum = s->runq_now.sum - s->runq_last.sum;
	h.max = s->runq_now.max;
	s->runq_last = s->runq_now;
	headline(&h, d);
	p.hist = &h;
	return s->options.runq_key == BY_NONE ? out->emit(out, &p) : 0;
}

static int by_key(const void *a, const void *b)
{
	const struct cell_key *x = &((const struct cell_row *)a)->key,
			      *y = &((const struct cell_row *)b)->key;
	int order = cell_key__compare(x, y);

	return order ? order : x->tgid < y->tgid ? -1 : x->tgid > y->tgid;
}

/* The process's name, if one of its threads was seen. */
static void find_comm(const struct sched *s, struct who *who)
{
	const void *key;
	size_t i = 0;
	void *value;

	while (table__next(&s->threads, &i, &key, &value)) {
		const struct thread_seen *t = value;

		if (t->who.start_ns == who->start_ns) {
			who->tgid = t->who.tgid; /* in sonde's PID namespace */
			memcpy(who->comm, t->leader_comm, sizeof(who->comm));
			return;
		}
	}
}

static void who__from_key(const struct sched *s, const struct cell_key *key, struct who *who)
{
	*who = (struct who){0};
	if (key->kind == CELL_RAN || s->options.runq_key == BY_COMM) {
		who->tgid = key->tgid;
		memcpy(who->comm, &key->a, 8);
		memcpy(who->comm + 8, &key->b, 8);
	} else if (s->options.runq_key == BY_CGROUP) {
		who->cgroup = key->a;
	} else {
		who->tgid = key->tgid;
		who->start_ns = key->a;
		find_comm(s, who);
	}
}

static int emit_key(struct sched *s, const struct cell_row *rows, size_t count, struct point_stream *out)
{
	struct hist h = {0};
	struct point p = {.metric = &metric_runq_latency};
	char *path = NULL;
	int err;

	who__from_key(s, &rows[0].key, &p.who);
	if (p.who.cgroup)
		p.label[0] = path = cgroup__path(p.who.cgroup);
	for (size_t i = 0; i < count; i++) {
		h.sum += rows[i].ns;
		h.count += rows[i].count;
		h.slot[rows[i].key.slot % HIST_SLOTS] += rows[i].count;
	}
	if (rows[0].key.kind == CELL_RAN) {
		p.metric = &s->ran;
		p.counter = h.sum;
	} else {
		p.hist = &h;
	}
	err = out->emit(out, &p);
	free(path);
	return err;
}

int sched__emit_runq(struct sched *s, struct cell_row *rows, size_t count, struct point_stream *out,
		     struct drain *d)
{
	int err = emit_all(s, out, d);

	qsort(rows, count, sizeof(*rows), by_key);
	for (size_t i = 0, end; !err && i < count; i = end) {
		for (end = i + 1; end < count && !by_key(&rows[i], &rows[end]); end++)
			;
		if (rows[i].key.kind == CELL_RUNQ || rows[i].key.kind == CELL_RAN)
			err = emit_key(s, rows + i, end - i, out);
	}
	return err;
}
