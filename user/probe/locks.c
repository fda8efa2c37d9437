// SPDX-License-Identifier: Apache-2.0
/* The locks probe: waits in futex(), and waits of the kernel for its own locks. Life cycle and sweep. */
#include "probe/locks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/msg.h"
#include "base/units.h"
#include "probe/features.h"
#include "probe/iterator.h"

static const struct metric *const metrics[] = {
	&metric_lock_wait,
	&metric_lock_holders,
	&metric_lock_else,
	&metric_lock_kernel,
	&metric_lock_stacks,
	&metric_lock_slow,
	NULL,
};

static const struct hook hooks[] = {
	{"sched_switch", "tp_btf, raw_tp", "waits in futex()"},
	{"sched_wakeup", "tp_btf, raw_tp", "waits in futex()"},
	{"sched_waking", "tp_btf, raw_tp", "who released the lock"},
	{"contention_begin", "tp_btf, raw_tp", "the kernel's own locks (since 5.19)"},
	{"contention_end", "tp_btf, raw_tp", "the kernel's own locks (since 5.19)"},
	{"iter/task", "sleepable, plain",
	 "waits that are open at the start or the end; plain: their user stacks"},
	{"sched_process_exec", "tp_btf, raw_tp", "targets by name after exec"},
	{"task_newtask", "tp_btf, raw_tp", "children (--follow, COMMAND)"},
	{"cgroup_attach_task", "tp_btf, raw_tp", "threads moved into the cgroup"},
	{NULL},
};

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

static bool wants_user(const struct tracer *t, int attempt)
{
	(void)attempt;
	return ((const struct locks *)t)->has_user;
}

static bool wants_kernel(const struct tracer *t, int attempt)
{
	const struct locks *l = (const struct locks *)t;

	(void)attempt;
	return l->options.kernel && l->has_contention;
}

static bool wants_sleepable(const struct tracer *t, int attempt)
{
	return wants_user(t, attempt) && attempts[attempt].sleepable;
}

static bool wants_plain(const struct tracer *t, int attempt)
{
	return wants_user(t, attempt) && !attempts[attempt].sleepable;
}

static const struct tracer_program programs[] = {
	{"on_switch", wants_user},
	{"on_waking", wants_user},
	{"on_wakeup", wants_user},
	{"on_contention_begin", wants_kernel},
	{"on_contention_end", wants_kernel},
	{"sweep", wants_plain},
	{"sweep_sleepable", wants_sleepable},
	{NULL},
};

/* Raw tracepoints notice only when they are attached that an argument is missing. */
static bool attempt_fits(const struct attempt *with)
{
	struct features f;

	return !with->kfuncs && !features__ask(&f) && (!with->sleepable || f.copy_user_task) &&
	       (!with->switch_state || f.switch_state);
}

static struct locks_config config_of(const struct locks *l, const struct attempt *with)
{
	return (struct locks_config){
		.futex = SYS_futex,
#ifdef SYS_futex_waitv
		.futex_waitv = SYS_futex_waitv,
#else
		.futex_waitv = 449, /* one number on all architectures, since 5.16 */
#endif
		.futex_wait = 455, /* since 6.7 */
		.user = l->has_user,
		.kernel = wants_kernel(&l->tracer, 0),
		.switch_state = with->switch_state,
		.rcu_lock = with->kfuncs,
		.user_reads = with->user_reads,
		.min_ns = l->options.min_ns,
		.slow_ns = l->options.slow_ns,
	};
}

static int prepare(struct tracer *t, struct unit *u, int attempt)
{
	const struct locks *l = (const struct locks *)t;
	const struct attempt *with = &attempts[attempt];
	struct locks_config config = config_of(l, with);
	uint64_t irq_text[2];
	int err;

	if (u->image->raw && !attempt_fits(with))
		return -EOPNOTSUPP;
	if (features__irq_text(irq_text))
		unit__set(u, "stack_irq_text", irq_text, sizeof(irq_text));
	err = unit__set(u, "config", &config, sizeof(config));
	if (!with->user_reads)
		unit__without_tables(u);
	if (!err && !u->image->raw)
		err = unit__set(u, "casts", &with->kfuncs, sizeof(with->kfuncs));
	/* one for the sweep, and one of each CPU for waits of the kernel */
	return err ? err : unit__resize(u, "claimed_places", 1 + (unsigned)u->loader->cpus);
}

static void free_locks(struct tracer *t)
{
	struct locks *l = (struct locks *)t;

	bpf_link__destroy(l->sweep_link);
	lock_names__free(&l->names);
}

static const struct tracer_type type = {
	.image = "locks",
	.what = "the programs on waits for locks",
	.part = PART_LOCKS,
	.attempts = sizeof(attempts) / sizeof(attempts[0]),
	.programs = programs,
	.prepare = prepare,
	.event = locks__event,
	.free = free_locks,
};

static void set(struct tracer *t, const void *options)
{
	static const char *const names[] = {"contention_begin"};
	struct locks *l = (struct locks *)t;
	int arguments = -1;

	l->options = *(const struct locks_options *)options;
	l->has_user = l->options.user;
	l->has_contention = !features__tracepoints(names, &arguments, 1) && arguments >= 2;
	lock_names__init(&l->names);
	if (l->options.kernel && !l->has_contention && l->options.user)
		msg__note("this kernel does not tell of waits for its own locks (it would since 5.19)");
}

static struct probe *locks__open(struct probe_context *context, const void *options)
{
	struct tracer *t =
		tracer__open(sizeof(struct locks), &type, &probe_locks, context, BY_NONE, set, options);
	struct locks *l = (struct locks *)t;

	if (l && !l->has_user && !l->has_contention) {
		msg__error("this kernel does not tell of waits for its own locks: that came with 5.19");
		tracer__close(&t->probe);
		errno = EOPNOTSUPP;
		return NULL;
	}
	return t ? &t->probe : NULL;
}

/* --- the sweep */

static int attach_sweep(struct locks *l)
{
	struct bpf_object *o = l->tracer.unit.object;
	struct bpf_program *p = bpf_object__find_program_by_name(o, "sweep_sleepable");

	if (!p || bpf_program__fd(p) < 0)
		p = bpf_object__find_program_by_name(o, "sweep");
	l->sweep_link = bpf_program__attach_iter(p, NULL);
	return l->sweep_link ? 0 : -errno;
}

static int locks__attach(struct probe *probe)
{
	struct locks *l = (struct locks *)probe;
	int err = l->has_user ? attach_sweep(l) : 0;

	if (err) {
		msg__error("cannot attach the task iterator: %s (see `sonde check`)", strerror(-err));
		return err;
	}
	return tracer__attach(probe);
}

/* A growing array of rows. */
struct rows {
	struct cell_row *at;
	size_t count;
};

static int add_open(void *context, const void *record)
{
	const struct lock_open *o = record;
	struct rows *rows = context;
	struct cell_row *at;

	if (!rows)
		return 0;
	at = reallocarray(rows->at, rows->count + 2, sizeof(*at));
	if (!at)
		return -ENOMEM;
	rows->at = at;
	at[rows->count++] = (struct cell_row){
		.key = {.kind = CELL_LOCK, .a = o->stack, .tgid = o->number, .state = (uint8_t)o->call},
		.ns = o->ns,
		.open = 1,
	};
	if (o->owner)
		at[rows->count++] = (struct cell_row){
			.key = {.kind = CELL_HOLDER,
				.a = o->owner,
				.tgid = o->number,
				.state = (uint8_t)o->call},
			.count = 1,
		};
	return 0;
}

/* One pass over all threads; waits that are open at the cut become rows (NULL: nobody asks). */
static int sweep(struct locks *l, struct rows *rows)
{
	return l->sweep_link ? iterator__run(l->sweep_link, sizeof(struct lock_open), add_open, rows) : 0;
}

static int locks__begin(struct probe *probe, uint64_t start_ns)
{
	struct locks *l = (struct locks *)probe;
	struct control *c = l->tracer.unit.control;

	c->sweep_ns = c->previous_cut = l->told_ns = start_ns;
	tracer__begin(probe, start_ns);
	return sweep(l, NULL);
}

static void locks__cut(struct probe *probe, uint64_t at_ns, bool last)
{
	struct control *c = ((struct locks *)probe)->tracer.unit.control;

	tracer__cut(probe, at_ns, last);
	__atomic_store_n(&c->cut, at_ns, __ATOMIC_RELEASE);
}

static int locks__record(struct probe *probe, const void *record, size_t size)
{
	struct locks *l = (struct locks *)probe;
	const struct lock_record *r = record;

	if (size < sizeof(*r) || r->type != RECORD_LOCK)
		return tracer__record(probe, record, size);
	lock_names__add(&l->names, &r->lock);
	return 0;
}

/* --- the end of an interval */

/* Waits of the kernel that are still going on: those that gave the CPU away. */
static int add_sleepers(struct locks *l, struct rows *rows, const struct drain *d)
{
	struct {
		uint64_t lock, since, stack, place;
		uint32_t type, reserved;
	} wait; /* struct kernel_wait of bpf/locks.bpf.c */
	int fd = unit__map_fd(&l->tracer.unit, "sleepers");
	uint32_t key = 0, *previous = NULL;
	struct cell_row *at;

	while (wants_kernel(&l->tracer, 0) && !bpf_map_get_next_key(fd, previous, &key)) {
		previous = &key;
		if (bpf_map_lookup_elem(fd, &key, &wait) || wait.since >= d->to_ns ||
		    d->to_ns - wait.since < l->options.min_ns)
			continue;
		at = reallocarray(rows->at, rows->count + 1, sizeof(*at));
		if (!at)
			return -ENOMEM;
		rows->at = at;
		at[rows->count++] = (struct cell_row){
			.key = {.kind = CELL_KERNEL,
				.a = wait.stack,
				.b = wait.place,
				.state = (uint8_t)wait.type},
			.ns = d->to_ns - (wait.since > l->told_ns ? wait.since : l->told_ns),
			.open = 1,
		};
	}
	return 0;
}

/* Locks whose record did not come. */
static void add_locks(struct locks *l, const struct rows *rows)
{
	int fd = unit__map_fd(&l->tracer.unit, "locks");
	struct lock_entry entry;

	for (size_t i = 0; i < rows->count; i++) {
		uint32_t number = rows->at[i].key.tgid;

		if (rows->at[i].key.kind != CELL_KERNEL && number && !lock_names__find(&l->names, number) &&
		    !bpf_map_lookup_elem(fd, &number, &entry))
			lock_names__add(&l->names, &entry);
	}
}

static int locks__drain(struct probe *probe, struct point_stream *out, struct drain *d)
{
	struct locks *l = (struct locks *)probe;
	struct control *c = l->tracer.unit.control;
	struct rows rows = {0};
	int err = tracer__take(&l->tracer, &rows.at, &rows.count, d);

	c->sweep_ns = d->to_ns; /* who is found only now became the target meanwhile */
	if (!err)
		err = sweep(l, &rows);
	if (!err)
		err = add_sleepers(l, &rows, d);
	c->previous_cut = l->told_ns = d->to_ns;
	if (!err)
		err = stacks__resolve(probe->context->stacks);
	if (!err) {
		add_locks(l, &rows);
		lock_names__resolve(&l->names, stacks__helper(probe->context->stacks));
		err = locks__emit(l, rows.at, rows.count, out, d);
	}
	free(rows.at);
	return err;
}

const struct probe_type probe_locks = {
	.name = "locks",
	.summary = "waits for locks: of threads in futex(), and of the kernel for its own",
	.metrics = metrics,
	.hooks = hooks,
	.open = locks__open,
	.attach = locks__attach,
	.begin = locks__begin,
	.cut = locks__cut,
	.detach = tracer__detach,
	.record = locks__record,
	.drain = locks__drain,
	.unit = tracer__unit,
	.close = tracer__close,
};
