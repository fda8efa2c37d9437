// SPDX-License-Identifier: Apache-2.0
/* The sched probe: run queue, off-CPU and wall are three views of it. Life cycle, sweep and drain. */
#include "probe/sched.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/msg.h"
#include "base/units.h"
#include "probe/features.h"
#include "probe/iterator.h"
#include "probe/waits.h"

static const struct metric *const metrics[] = {
	&metric_thread_time, &metric_offcpu_time, &metric_runq_latency, &metric_runq_ran, NULL,
};

static const struct hook hooks[] = {
	{"sched_switch", "tp_btf, raw_tp", "everything"},
	{"sched_wakeup", "tp_btf, raw_tp", "everything"},
	{"sched_waking", "tp_btf, raw_tp", "wakers (--waker)"},
	{"task_newtask", "tp_btf, raw_tp", "threads started meanwhile"},
	{"sched_process_exec", "tp_btf, raw_tp", "targets by name after exec"},
	{"task_rename", "tp_btf, raw_tp", "targets by name after a rename"},
	{"cgroup_attach_task", "tp_btf, raw_tp", "threads moved into the cgroup"},
	{"iter/task", "sleepable, plain",
	 "threads that never switch; plain: user stacks of waits open at the start"},
	{"iter/task", "sleepable", "stacks of long waits that sampling passed over (--sample)"},
	{NULL},
};

/* Which program loads when; `always` of them make the probe, the others a part of it. */
struct sched_program {
	const char *name;
	bool (*wanted)(const struct sched *);
};

static bool always(const struct sched *s)
{
	(void)s;
	return true;
}

static bool wants_waker(const struct sched *s)
{
	return s->options.offcpu && s->options.waker;
}

/* An exec changes who a process is: its name, perhaps its user; and COMMAND is the target from its exec on.
 */
static bool exec_matters(const struct sched *s)
{
	const struct target_filter *f = &s->probe.context->loader->target->filter;

	return f->conditions & (TARGET_COMM | TARGET_UID) || (f->conditions & TARGET_MARKED && f->follow);
}

static bool by_comm(const struct sched *s)
{
	return s->probe.context->loader->target->filter.conditions & TARGET_COMM;
}

static bool by_cgroup(const struct sched *s)
{
	return s->probe.context->loader->target->filter.conditions & TARGET_CGROUP;
}

static const struct sched_program programs[] = {
	{"on_newtask", always},		 {"on_exec", exec_matters}, {"on_rename", by_comm},
	{"on_cgroup_attach", by_cgroup}, {"on_wakeup", always},	    {"on_waking", wants_waker},
	{"on_switch", always},
};
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* What each attempt to load still uses; the first one that the kernel takes is kept. */
static const struct attempt {
	bool kfuncs;	   /* bpf_rdonly_cast, bpf_rcu_read_lock: from 6.2 on */
	bool sleepable;	   /* the sweep can read user stacks of blocked threads: from 5.18 on */
	bool switch_state; /* sched_switch hands over prev_state: from 5.18 on */
	bool user_reads;   /* libbpf turns bpf_probe_read_user into what lockdown=confidentiality refuses */
} attempts[] = {
	{true, true, true, true},    {false, true, true, true}, {false, false, true, true},
	{false, false, false, true}, {true, true, true, false},
};
#define ATTEMPTS (int)(sizeof(attempts) / sizeof(attempts[0]))

#define CELLS_MANY 16384
#define CELLS_FEW  4096 /* who ran instead, and nothing else */

/* Room for twice the threads that exist: the fourth field of /proc/loadavg is "running/all". */
static unsigned threads_at_most(void)
{
	FILE *f = fopen("/proc/loadavg", "re");
	unsigned all = 0;

	if (f && fscanf(f, "%*s %*s %*s %*u/%u", &all) != 1)
		all = 0;
	if (f)
		fclose(f);
	return all < 2048 ? 4096 : 2 * all;
}

static int sched__size_maps(struct sched *s, struct unit *u)
{
	unsigned cells = s->options.offcpu || s->options.runq_key ? CELLS_MANY : CELLS_FEW;
	int err = unit__resize(u, "cells_a", cells);

	if (!err)
		err = unit__resize(u, "cells_b", cells);
	if (!err && u->image->raw) /* task storage needs no bound */
		err = unit__resize(u, "threads", threads_at_most());
	return err;
}

/* Raw tracepoints notice only when they are attached that an argument is missing, and 5.10 warns of what it
 * cannot load: there, its type information is believed. */
static bool attempt_fits(const struct attempt *with)
{
	struct features f;

	return !with->kfuncs && !features__ask(&f) && (!with->sleepable || f.copy_user_task) &&
	       (!with->switch_state || f.switch_state);
}

/* The raw variant has no atomic operations, by which a visit and a wakeup agree. */
static bool visits_fit(const struct sched *s, const struct unit *u, const struct attempt *with)
{
	return sched__samples(s) && with->sleepable && !u->image->raw;
}

static int sched__prepare(void *context, struct unit *u, int attempt)
{
	struct sched *s = context;
	const struct attempt *with = &attempts[attempt];
	const struct sched_options *o = &s->options;
	struct sched_config config = {
		.runq = o->runq,
		.offcpu = o->offcpu,
		.wall = o->wall,
		.waker = o->waker,
		.classify = o->offcpu || o->wall,
		.switch_state = with->switch_state,
		.rcu_lock = with->kfuncs,
		.user_reads = with->user_reads,
		.runq_key = o->runq_key,
		.visits = visits_fit(s, u, with),
		.weight_cap = o->sample ? o->weight_cap : 0,
		.min_ns = o->min_ns,
		.long_wait_ns = o->long_wait_ns,
	};
	uint64_t irq_text[2];
	bool sums = o->wall || o->offcpu;
	int err;

	if (u->image->raw && !attempt_fits(with))
		return -EOPNOTSUPP;
	if (o->waker && features__irq_text(irq_text))
		unit__set(u, "stack_irq_text", irq_text, sizeof(irq_text));
	waits__fill(config.wait_class);
	err = unit__set(u, "config", &config, sizeof(config));
	if (!err)
		err = unit__set(u, "thread_sums", &sums, sizeof(sums));
	if (!with->user_reads)
		unit__without_tables(u);
	if (!err && !u->image->raw)
		err = unit__set(u, "casts", &with->kfuncs, sizeof(with->kfuncs));
	if (!err)
		err = sched__size_maps(s, u);
	for (size_t i = 0; !err && i < PROGRAMS; i++)
		err = unit__autoload(u, programs[i].name, programs[i].wanted(s));
	if (!err)
		err = unit__autoload(u, with->sleepable ? "sweep_sleepable" : "sweep", true);
	if (!err && config.visits)
		err = unit__autoload(u, "visit", true);
	return err;
}

static void sched__name_limit(struct sched *s)
{
	struct buf limit = {0};

	units__duration(&limit, s->options.long_wait_ns);
	snprintf(s->ran_title, sizeof(s->ran_title), "waits over %s, who ran instead", buf__text(&limit));
	buf__free(&limit);
	s->ran = metric_runq_ran;
	s->ran.title = s->ran_title;
}

static struct probe *sched__open(struct probe_context *context, const void *options)
{
	struct sched *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return NULL;
	s->probe.type = &probe_sched;
	s->probe.context = context;
	s->options = *(const struct sched_options *)options;
	sched__name_limit(s);
	table__init(&s->threads, sizeof(struct thread_key), sizeof(struct thread_seen));
	err = unit__load(&s->unit, context->loader, "sched", ATTEMPTS, sched__prepare, s);
	if (err) {
		loader__explain("load the scheduler programs", err, s->unit.why_not);
		free(s);
		errno = -err;
		return NULL;
	}
	s->control = s->unit.control;
	sched__open_sample(s);
	return &s->probe;
}

static int sched__open_sweep(struct sched *s)
{
	struct bpf_program *p = bpf_object__find_program_by_name(s->unit.object, "sweep_sleepable");
	struct bpf_link *link;

	if (!p || bpf_program__fd(p) < 0)
		p = bpf_object__find_program_by_name(s->unit.object, "sweep");
	link = bpf_program__attach_iter(p, NULL);
	if (!link)
		return -errno;
	s->sweep_link = link;
	return 0;
}

/* Nothing is watched before the first sweep, so the hooks do next to nothing until then. */
static int sched__attach(struct probe *probe)
{
	struct sched *s = (struct sched *)probe;
	int err = sched__open_sweep(s);

	if (!err)
		err = sched__attach_visit(s);
	if (err)
		msg__error("cannot attach the task iterator: %s (see `sonde check`)", strerror(-err));
	for (size_t i = 0; !err && i < PROGRAMS; i++) {
		if (!programs[i].wanted(s))
			continue;
		err = unit__attach(&s->unit, programs[i].name);
		if (err)
			msg__error("cannot attach %s: %s (see `sonde check`)", programs[i].name,
				   strerror(-err));
	}
	return err;
}

struct sweep {
	struct sched *sched;
	unsigned busy; /* threads whose accounts changed all the time while they were read */
};

static int account_record(void *context, const void *record)
{
	const struct thread_record *r = record;
	struct sweep *sweep = context;

	sweep->sched->swept += r->type != RECORD_EXIT;
	if (r->type != RECORD_BUSY)
		return sched__account(sweep->sched, r);
	sweep->busy++;
	return 0;
}

#define SWEEPS_MAX 20

/* Accounts are cumulative, so a pass may be repeated for the sake of a thread that could not be read. */
static int sched__sweep(struct probe *probe, uint64_t now_ns)
{
	struct sched *s = (struct sched *)probe;
	struct sweep sweep = {.sched = s, .busy = 1};
	int err = 0;

	s->control->sweep_ns = now_ns;
	for (int i = 0; i < SWEEPS_MAX && sweep.busy && !err; i++) {
		s->swept = sweep.busy = 0;
		err = iterator__run(s->sweep_link, sizeof(struct thread_record), account_record, &sweep);
	}
	s->unread = sweep.busy;
	return err;
}

/* Threads that began to be watched, have not ended as far as was reported, and were not met by the last
 * sweep: they are on their way out, unhashed already, with their last switch before them. */
static unsigned sched__in_limbo(const struct sched *s)
{
	struct loss l = {0};
	int64_t limbo;

	unit__losses(&s->unit, &l);
	limbo = (int64_t)(l.count[PART_THREAD][OUTCOME_AGGREGATED] - l.count[PART_EXIT][OUTCOME_HITS]) -
		(int64_t)s->swept;
	return limbo > 0 ? limbo : 0;
}

static unsigned sched__settle(struct probe *probe)
{
	struct sched *s = (struct sched *)probe;

	sched__sweep(probe, units__now_ns());
	return sched__in_limbo(s);
}

static int sched__begin(struct probe *probe, uint64_t start_ns)
{
	struct sched *s = (struct sched *)probe;

	s->control->previous_cut = start_ns;
	s->control->cut = start_ns;
	s->cut_ns = s->emitted_cut_ns = start_ns;
	return sched__sweep(probe, start_ns);
}

static void sched__cut(struct probe *probe, uint64_t at_ns, bool last)
{
	struct sched *s = (struct sched *)probe;

	if (last)
		__atomic_store_n(&s->control->stop_ns, at_ns, __ATOMIC_RELEASE);
	s->control->previous_cut = s->emitted_cut_ns; /* not one that was put off */
	__atomic_store_n(&s->control->cut, at_ns, __ATOMIC_RELEASE);
	s->cut_ns = at_ns;
}

static int sched__record(struct probe *probe, const void *record, size_t size)
{
	const struct thread_record *r = record;

	if (size < sizeof(*r) || r->type != RECORD_EXIT)
		return 1;
	return sched__account((struct sched *)probe, r);
}

static int sched__drain(struct probe *probe, struct point_stream *out, struct drain *d)
{
	struct sched *s = (struct sched *)probe;
	struct cell_row *rows;
	size_t count;
	int err;

	err = s->options.runq ? sched__read_runq(s)
			      : 0; /* at one time with the cells, which count the same waits */
	rows = NULL;
	if (!err)
		err = unit__take_cells(&s->unit, &rows, &count);
	if (!err)
		err = stacks__resolve(probe->context->stacks);
	if (!err && s->options.wall)
		err = sched__emit_states(s, out, d);
	if (!err && s->options.runq)
		err = sched__emit_runq(s, rows, count, out, d);
	if (!err && s->options.offcpu)
		err = sched__emit_blocks(s, rows, count, out, d);
	d->lost_threads += s->unread + (d->last ? sched__in_limbo(s) : 0);
	sched__end_interval(s);
	free(rows);
	return err;
}

static void sched__detach(struct probe *probe)
{
	unit__detach(&((struct sched *)probe)->unit);
}

static const struct unit *sched__unit(const struct probe *probe)
{
	return &((const struct sched *)probe)->unit;
}

static void sched__close(struct probe *probe)
{
	struct sched *s = (struct sched *)probe;

	if (!s)
		return;
	bpf_link__destroy(s->sweep_link);
	bpf_link__destroy(s->visit_link);
	unit__close(&s->unit);
	table__free(&s->threads);
	free(s);
}

const struct probe_type probe_sched = {
	.name = "sched",
	.summary =
		"run-queue latency, blocked time by stack, and every nanosecond of every thread in one state",
	.metrics = metrics,
	.hooks = hooks,
	.open = sched__open,
	.attach = sched__attach,
	.begin = sched__begin,
	.cut = sched__cut,
	.detach = sched__detach,
	.sweep = sched__sweep,
	.settle = sched__settle,
	.visit = sched__visit,
	.record = sched__record,
	.drain = sched__drain,
	.unit = sched__unit,
	.close = sched__close,
};
