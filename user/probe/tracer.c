// SPDX-License-Identifier: Apache-2.0
#include "probe/tracer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/msg.h"
#include "base/units.h"
#include "probe/cgroup.h"

bool tracer__always(const struct tracer *t, int attempt)
{
	(void)t;
	(void)attempt;
	return true;
}

/* --- who is watched: bpf/watched.bpf.h, bpf/follow.bpf.h */

static const struct target_filter *filter_of(const struct tracer *t)
{
	return &t->probe.context->loader->target->filter;
}

/* An exec changes a name and perhaps a user; COMMAND is the target from its exec on. */
static bool wants_exec(const struct tracer *t, int attempt)
{
	const struct target_filter *f = filter_of(t);

	(void)attempt;
	return t->by == BY_PID || t->by == BY_COMM || f->conditions & (TARGET_COMM | TARGET_UID) ||
	       (f->conditions & TARGET_MARKED && f->follow);
}

static bool wants_leader_exit(const struct tracer *t, int attempt)
{
	(void)attempt;
	return filter_of(t)->conditions & TARGET_MARKED;
}

static bool wants_newtask(const struct tracer *t, int attempt)
{
	const struct target_filter *f = filter_of(t);

	(void)attempt;
	return f->conditions & TARGET_MARKED && f->follow;
}

static bool wants_rename(const struct tracer *t, int attempt)
{
	(void)attempt;
	return t->by == BY_PID || t->by == BY_COMM || filter_of(t)->conditions & TARGET_COMM;
}

static bool wants_cgroup(const struct tracer *t, int attempt)
{
	(void)attempt;
	return t->by == BY_CGROUP || filter_of(t)->conditions & TARGET_CGROUP;
}

static const struct tracer_program followers[] = {
	{"on_exec", wants_exec},
	{"on_newtask", wants_newtask},
	{"on_leader_exit", wants_leader_exit},
	{"on_rename", wants_rename},
	{"on_cgroup_attach", wants_cgroup},
	{NULL},
};

/* --- life cycle */

/* An object that has no such program does without. */
static void choose(const struct tracer *t, struct unit *u, const struct tracer_program *rows, int attempt)
{
	for (; rows && rows->program; rows++)
		unit__autoload(u, rows->program, rows->wanted(t, attempt));
}

static int prepare(void *context, struct unit *u, int attempt)
{
	struct tracer *t = context;
	uint32_t by = t->by;

	choose(t, u, followers, attempt);
	choose(t, u, t->type->programs, attempt);
	unit__set(u, "key_by", &by, sizeof(by));
	return t->type->prepare ? t->type->prepare(t, u, attempt) : 0;
}

static int load(struct tracer *t)
{
	const struct tracer_type *type = t->type;
	int err = unit__load(&t->unit, t->probe.context->loader, type->image,
			     type->attempts ? type->attempts : 1, prepare, t);
	char what[96];

	snprintf(what, sizeof(what), "load %s", type->what);
	return err ? loader__explain(what, err, t->unit.why_not) : 0;
}

int tracer__reload(struct tracer *t)
{
	unit__close(&t->unit);
	return load(t);
}

struct tracer *tracer__open(size_t size, const struct tracer_type *type, const struct probe_type *probe_type,
			    struct probe_context *context, enum key_by by,
			    void (*set)(struct tracer *, const void *options), const void *options)
{
	struct tracer *t = calloc(1, size);
	int err;

	if (!t)
		return NULL;
	t->probe = (struct probe){.type = probe_type, .context = context};
	t->type = type;
	t->by = by;
	if (set)
		set(t, options);
	err = load(t);
	if (!err)
		return t;
	tracer__close(&t->probe);
	errno = -err;
	return NULL;
}

int tracer__attach(struct probe *probe)
{
	struct tracer *t = (struct tracer *)probe;
	const char *program = NULL;
	int err = unit__attach_all(&t->unit, &program);

	if (err)
		msg__error("cannot attach %s of %s: %s (see `sonde check`)", program, t->type->what,
			   strerror(-err));
	return err;
}

/* Verdicts from before all targets were marked do not hold. */
int tracer__begin(struct probe *probe, uint64_t start_ns)
{
	struct control *c = ((struct tracer *)probe)->unit.control;

	__atomic_add_fetch(&c->generation, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&c->cut, start_ns, __ATOMIC_RELEASE);
	return 0;
}

void tracer__cut(struct probe *probe, uint64_t at_ns, bool last)
{
	if (last)
		__atomic_store_n(&((struct tracer *)probe)->unit.control->stop_ns, at_ns, __ATOMIC_RELEASE);
}

void tracer__detach(struct probe *probe)
{
	unit__detach(&((struct tracer *)probe)->unit);
}

const struct unit *tracer__unit(const struct probe *probe)
{
	return &((const struct tracer *)probe)->unit;
}

void tracer__close(struct probe *probe)
{
	struct tracer *t = (struct tracer *)probe;

	if (!t)
		return;
	if (t->type->free)
		t->type->free(t);
	unit__close(&t->unit);
	free(t);
}

/* --- events */

int tracer__record(struct probe *probe, const void *record, size_t size)
{
	struct tracer *t = (struct tracer *)probe;
	const struct event_record *e = record;

	if (size < sizeof(*e) || e->type != RECORD_EVENT || e->part != t->type->part || !t->type->event)
		return 1;
	t->type->event(t, e); /* the sink has complained */
	return 0;
}

int tracer__send(struct tracer *t, const struct event_record *e, const struct metric *metric,
		 const char *event_type, const struct event_field *fields, size_t count)
{
	const struct probe_context *context = t->probe.context;
	struct event event = {.type = event_type,
			      .time_ns = e->time_ns,
			      .duration_ns = e->duration_ns,
			      .fields = fields,
			      .count = count};
	struct point p = {.metric = metric, .event = &event};
	struct stack_view view;

	p.who = (struct who){
		.cgroup = e->cgroup, .start_ns = e->start_boot_ns, .tgid = e->tgid, .tid = e->tid};
	memcpy(p.who.comm, e->comm, sizeof(p.who.comm));
	if (e->stack && !stacks__resolve(context->stacks)) {
		probe__view(context->stacks, e->stack, &view);
		event.frames = view.frames;
		event.frame_count = view.count;
	}
	return context->events ? context->events->emit(context->events, &p) : 0;
}

static void note_suppressed(struct tracer *t, struct drain *d)
{
	struct loss sum = {0};
	uint64_t now, more;

	unit__losses(&t->unit, &sum);
	now = sum.count[PART_EVENT][OUTCOME_SUPPRESSED];
	more = now - t->suppressed;
	t->suppressed = now;
	if (!more)
		return;
	units__count(&d->note, more);
	buf__puts(&d->note, " more events were counted, but not shown one by one: there were too many\n");
}

/* --- cells */

#define ORDER(x, y, field)            \
	if ((x)->field != (y)->field) \
	return (x)->field < (y)->field ? -1 : 1

static int compare_but_slot(const struct cell_key *x, const struct cell_key *y)
{
	ORDER(x, y, kind);
	ORDER(x, y, a);
	ORDER(x, y, b);
	ORDER(x, y, tgid);
	ORDER(x, y, state);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct cell_key *x = &((const struct cell_row *)a)->key;
	const struct cell_key *y = &((const struct cell_row *)b)->key;
	int order = compare_but_slot(x, y);

	return order ? order : x->slot < y->slot ? -1 : x->slot > y->slot;
}

int tracer__take(struct tracer *t, struct cell_row **rows, size_t *count, struct drain *d)
{
	int err = unit__take_cells(&t->unit, rows, count);

	if (*count)
		qsort(*rows, *count, sizeof(**rows), compare);
	note_suppressed(t, d);
	return err;
}

size_t cells__end(const struct cell_row *rows, size_t count, size_t from)
{
	size_t end = from + 1;

	while (end < count && !compare_but_slot(&rows[from].key, &rows[end].key))
		end++;
	return end;
}

void cells__hist(const struct cell_row *rows, size_t count, struct hist *h)
{
	memset(h, 0, sizeof(*h));
	for (size_t i = 0; i < count; i++) {
		h->slot[rows[i].key.slot % HIST_SLOTS] += rows[i].count;
		h->count += rows[i].count;
		h->sum += rows[i].ns;
	}
}

static void name_process(const struct tracer *t, struct who *who)
{
	const struct {
		uint64_t start_boot_ns, tgid;
	} key = {who->start_ns, who->tgid};

	bpf_map_lookup_elem(unit__map_fd(&t->unit, "process_names"), &key, who->comm);
}

void tracer__who(const struct tracer *t, uint64_t a, uint64_t b, struct who *who, char **cgroup_path)
{
	*who = (struct who){0};
	*cgroup_path = NULL;
	switch (t->by) {
	case BY_NONE:
		break;
	case BY_PID:
		who->start_ns = a;
		who->tgid = (uint32_t)b;
		name_process(t, who);
		break;
	case BY_COMM:
		memcpy(who->comm, &a, 8);
		memcpy(who->comm + 8, &b, 8);
		break;
	case BY_CGROUP:
		who->cgroup = a;
		*cgroup_path = cgroup__path(a);
		break;
	}
}
