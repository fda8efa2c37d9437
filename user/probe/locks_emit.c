// SPDX-License-Identifier: Apache-2.0
/* Waits of an interval as points: by lock or by who waits, by stack, and the long ones by themselves. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "probe/cgroup.h"
#include "probe/locks.h"

#define TITLE_LOCKS  "waits for locks"
#define TITLE_IDLE   "other waits in futex(): for work, or it cannot be told for what"
#define TITLE_KERNEL "the kernel's waits for its own locks"
#define COLUMNS	     "count:waits *total p50 p99"

const struct metric metric_lock_wait = {
	.name = "sonde_lock_wait_time",
	.unit = "ns",
	.help = "Waits in futex() for a lock, from the switch away to the wakeup",
	.title = TITLE_LOCKS,
	.kind = POINT_HIST,
	.shape = SHAPE_ROWS,
	.labels = {"lock", "kind", "cgroup_path"},
	.table = TITLE_LOCKS,
	.columns = COLUMNS,
};

const struct metric metric_lock_open = {
	.name = "sonde_lock_waits_open",
	.unit = "{wait}",
	.help = "Waits in futex() that are open at the interval's end",
	.title = TITLE_LOCKS,
	.kind = POINT_COUNTER,
	.shape = SHAPE_ROWS,
	.labels = {"lock", "kind", "cgroup_path"},
	.table = TITLE_LOCKS,
	.columns = "value:open",
};

const struct metric metric_lock_holders = {
	.name = "sonde_lock_holder_waits",
	.unit = "{wait}",
	.help = "Who held the lock when a wait for it began",
	.title = TITLE_LOCKS,
	.kind = POINT_COUNTER,
	.shape = SHAPE_ROWS,
	.labels = {"lock", "kind", "cgroup_path", "holder"},
	.table = TITLE_LOCKS,
	.columns = "value:held_by",
	.spread = true,
};

const struct metric metric_lock_else = {
	.name = "sonde_futex_other_time",
	.unit = "ns",
	.help = "Other waits in futex(): for work (condition variables, semaphores, barriers, the end of "
		"threads), or for what cannot be told",
	.title = TITLE_IDLE,
	.kind = POINT_HIST,
	.shape = SHAPE_ROWS,
	.labels = {"lock", "kind", "cgroup_path"},
	.table = TITLE_IDLE,
	.columns = COLUMNS,
};

const struct metric metric_lock_kernel = {
	.name = "sonde_kernel_lock_wait_time",
	.unit = "ns",
	.help = "The kernel's waits for its own locks, from contention_begin to contention_end",
	.title = TITLE_KERNEL,
	.kind = POINT_HIST,
	.shape = SHAPE_ROWS,
	.labels = {"caller", "kind", "cgroup_path"},
	.table = TITLE_KERNEL,
	.columns = COLUMNS,
};

const struct metric metric_lock_stacks = {
	.name = "sonde_lock_stack_time",
	.unit = "ns",
	.help = "Waits for locks by stack, with the stack of who released it",
	.kind = POINT_STACK,
	.shape = SHAPE_STACKS,
	.labels = {"reason", "kind"},
};

const struct metric metric_lock_slow = {
	.name = "sonde_lock_slow_waits",
	.unit = "{wait}",
	.help = "Long waits for locks, each as it ends",
	.kind = POINT_EVENT,
	.shape = SHAPE_VALUE,
};

/* A row of cells, and what is made of it. */
struct wait_row {
	struct cell_row cell;
	enum lock_kind kind; /* of a futex */
	uint64_t group;	     /* whose row of the table it belongs to */
};

struct emission {
	struct locks *l;
	struct point_stream *out;
	struct drain *d;
	const struct stacks *stacks;
	const struct cell_row *cells; /* as they came */
	size_t cell_count;
	struct wait_row *rows;
	size_t count;
	struct {
		uint64_t waits, open, ns;
	} lock, other, kernel;
};

static bool is_kernel(const struct wait_row *row)
{
	return row->cell.key.kind == CELL_KERNEL;
}

static bool is_holder(const struct wait_row *row)
{
	return row->cell.key.kind == CELL_HOLDER;
}

/* Nobody is known to hold what it is for. */
static bool is_else(const struct wait_row *row)
{
	return row->cell.key.kind == CELL_LOCK && row->kind >= LOCK_FIRST_ELSE;
}

static const char *kind_word(const struct wait_row *row)
{
	return is_kernel(row) ? kernel_lock__word(row->cell.key.state) : lock_kind__word(row->kind);
}

/* --- which rows belong together */

#define ORDER(x, y, field)            \
	if ((x)->field != (y)->field) \
	return (x)->field < (y)->field ? -1 : 1

/* The order of the tables. */
static int table_of(const struct wait_row *row)
{
	return is_holder(row) ? 3 : is_kernel(row) ? 1 : is_else(row) ? 2 : 0;
}

static int by_group(const void *a, const void *b)
{
	const struct wait_row *x = a, *y = b;

	if (table_of(x) != table_of(y))
		return table_of(x) - table_of(y);
	ORDER(x, y, group);
	ORDER(x, y, kind);
	if (!is_holder(x))
		ORDER(x, y, cell.key.state);
	ORDER(x, y, cell.key.a);
	ORDER(x, y, cell.key.b);
	return 0;
}

static bool same_group(const struct wait_row *x, const struct wait_row *y)
{
	return x->cell.key.kind == y->cell.key.kind && x->group == y->group && x->kind == y->kind &&
	       (!is_kernel(x) || x->cell.key.state == y->cell.key.state);
}

static int by_stack(const void *a, const void *b)
{
	const struct wait_row *x = a, *y = b;

	ORDER(x, y, cell.key.kind);
	ORDER(x, y, cell.key.a);
	ORDER(x, y, cell.key.b);
	ORDER(x, y, kind);
	ORDER(x, y, cell.key.state);
	return 0;
}

static uint64_t group_of(const struct emission *e, const struct wait_row *row, const struct stack_view *view)
{
	const struct who *who = &view->who;

	switch (e->l->options.by) {
	case LOCKS_BY_PID:
		return hash__bytes(&who->start_ns, sizeof(who->start_ns), who->tgid);
	case LOCKS_BY_COMM:
		return hash__bytes(who->comm, sizeof(who->comm), 1);
	case LOCKS_BY_CGROUP:
		return who->cgroup;
	default:
		break;
	}
	if (!is_kernel(row))
		return row->cell.key.tgid;
	return hash__bytes(kernel_lock__caller(view), strlen(kernel_lock__caller(view)), row->cell.key.b);
}

static bool is_self(const struct emission *e, const struct stack_view *view)
{
	return view->who.tgid && view->who.tgid == (uint32_t)e->l->tracer.probe.context->self;
}

/* Whether a thread was seen to hold this lock, in this interval. Cells are sorted: holders stand together. */
static bool is_held(struct emission *e, const struct cell_key *lock)
{
	const struct lock_name *name = lock_names__find(&e->l->names, lock->tgid);

	for (size_t i = 0; name && lock->state == LOCK_CALL_CONTENDED && i < e->cell_count; i++)
		if (e->cells[i].key.kind == CELL_HOLDER && e->cells[i].key.tgid == lock->tgid &&
		    lock_names__thread(&e->l->names, &name->entry, (uint32_t)e->cells[i].key.a))
			return true;
	return false;
}

/* Kinds and groups, with one row for each stack, whoever unwound it. Holders know no stack: they get the kind
 * that their lock has. */
static int prepare(struct emission *e, const struct cell_row *rows, size_t count)
{
	struct stack_view view;

	e->rows = calloc(count + 1, sizeof(*e->rows));
	e->cells = rows;
	e->cell_count = count;
	if (!e->rows)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct wait_row *row = &e->rows[e->count];

		*row = (struct wait_row){.cell = rows[i], .kind = LOCK_MUTEX, .group = rows[i].key.tgid};
		e->count++;
		if (is_holder(row))
			continue;
		row->cell.key.a = stacks__same(e->stacks, rows[i].key.a);
		if (!is_kernel(row))
			row->cell.key.b = stacks__same(e->stacks, rows[i].key.b);
		probe__view(e->stacks, row->cell.key.a, &view);
		if (is_self(e, &view)) {
			e->count--;
			continue;
		}
		if (!is_kernel(row))
			row->kind = lock_kind__of(row->cell.key.state, &view,
						  !view.incomplete || is_held(e, &rows[i].key));
		row->group = group_of(e, row, &view);
	}
	return 0;
}

/* --- the tables */

static void fill_hist(const struct wait_row *rows, size_t count, struct hist *h, uint64_t *open)
{
	memset(h, 0, sizeof(*h));
	*open = 0;
	for (size_t i = 0; i < count; i++) {
		*open += rows[i].cell.open;
		h->sum += rows[i].cell.ns;
		if (rows[i].cell.open)
			continue;
		h->slot[rows[i].cell.key.slot % HIST_SLOTS] += rows[i].cell.count;
		h->count += rows[i].cell.count;
	}
}

/* Of whom, and what: who and labels of a group's rows. `*path` is the caller's. */
static void describe(const struct emission *e, const struct wait_row *row, struct point *p, char **path,
		     char text[64])
{
	const struct lock_name *name = lock_names__find(&e->l->names, row->cell.key.tgid);
	struct stack_view view;

	*path = NULL;
	probe__view(e->stacks, row->cell.key.a, &view);
	p->label[1] = kind_word(row);
	switch (e->l->options.by) {
	case LOCKS_BY_PID:
		break;
	case LOCKS_BY_COMM:
		memcpy(p->who.comm, view.who.comm, sizeof(p->who.comm));
		return;
	case LOCKS_BY_CGROUP:
		p->who.cgroup = view.who.cgroup;
		*path = cgroup__path(view.who.cgroup);
		p->label[2] = *path;
		return;
	default:
		if (is_kernel(row))
			snprintf(text, 64, "%.40s%s", kernel_lock__caller(&view),
				 row->cell.key.b == KERNEL_PLACE_MMAP ? " (mmap_lock)" : "");
		p->label[0] = is_kernel(row) ? text : name ? name->text : "[more locks]";
		if (is_kernel(row))
			return; /* everybody's */
	}
	p->who = (struct who){.start_ns = view.who.start_ns, .tgid = view.who.tgid};
	strncpy(p->who.comm, view.leader_comm ? view.leader_comm : "", sizeof(p->who.comm) - 1);
}

/* Rows of holders stand behind all others, by lock and thread. The first one of this lock. */
static size_t first_holder(const struct emission *e, uint64_t lock)
{
	size_t low = 0, high = e->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (!is_holder(&e->rows[middle]) || e->rows[middle].group < lock)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The name of the thread with its number: "worker[812]". What is no thread of the process was no holder. */
static int emit_holders(struct emission *e, const struct wait_row *lock, struct point *p)
{
	const struct lock_name *name = lock_names__find(&e->l->names, lock->cell.key.tgid);
	const uint64_t number = lock->cell.key.tgid;
	char text[COMM_LEN + 16];
	int err = 0;

	p->metric = &metric_lock_holders;
	for (size_t i = first_holder(e, number), end; !err && name && i < e->count; i = end) {
		const uint32_t tid = (uint32_t)e->rows[i].cell.key.a;
		const char *comm = lock_names__thread(&e->l->names, &name->entry, tid);

		if (e->rows[i].group != number)
			break;
		p->counter = 0;
		for (end = i; end < e->count && e->rows[end].group == number &&
			      e->rows[end].cell.key.a == e->rows[i].cell.key.a;
		     end++)
			p->counter += e->rows[end].cell.count;
		if (!comm)
			continue;
		snprintf(text, sizeof(text), "%s[%u]", comm, tid);
		p->label[3] = text;
		err = e->out->emit(e->out, p);
	}
	return err;
}

static void add_up(struct emission *e, const struct wait_row *row, const struct hist *h, uint64_t open)
{
	if (is_kernel(row)) {
		e->kernel.waits += h->count;
		e->kernel.open += open;
		e->kernel.ns += h->sum;
	} else if (is_else(row)) {
		e->other.waits += h->count;
		e->other.open += open;
		e->other.ns += h->sum;
	} else {
		e->lock.waits += h->count;
		e->lock.open += open;
		e->lock.ns += h->sum;
	}
}

static int emit_group(struct emission *e, const struct wait_row *rows, size_t count)
{
	struct point p = {0};
	bool by_lock = e->l->options.by == LOCKS_BY_DEFAULT || e->l->options.by == LOCKS_BY_LOCK;
	char *path, text[64];
	struct hist h;
	uint64_t open;
	int err = 0;

	fill_hist(rows, count, &h, &open);
	add_up(e, rows, &h, open);
	if (e->l->options.by == LOCKS_BY_STACK)
		return 0;
	describe(e, rows, &p, &path, text);
	p.metric = is_kernel(rows) ? &metric_lock_kernel
		   : is_else(rows) ? &metric_lock_else
				   : &metric_lock_wait;
	p.hist = &h;
	err = e->out->emit(e->out, &p);
	if (!err && open && p.metric == &metric_lock_wait) {
		p.metric = &metric_lock_open;
		p.counter = open;
		err = e->out->emit(e->out, &p);
	}
	if (!err && by_lock && !is_kernel(rows) && !is_else(rows))
		err = emit_holders(e, rows, &p);
	free(path);
	return err;
}

static int emit_groups(struct emission *e)
{
	size_t end;
	int err = 0;

	qsort(e->rows, e->count, sizeof(*e->rows), by_group);
	for (size_t i = 0; !err && i < e->count; i = end) {
		for (end = i + 1; end < e->count && same_group(&e->rows[i], &e->rows[end]); end++)
			;
		if (!is_holder(&e->rows[i]))
			err = emit_group(e, &e->rows[i], end - i);
	}
	return err;
}

/* --- stacks */

static int emit_stack(struct emission *e, const struct wait_row *rows, size_t count)
{
	struct point p = {.metric = &metric_lock_stacks, .label = {kind_word(rows), kind_word(rows)}};
	struct stack_view view, waker;
	bool found = probe__view(e->stacks, rows->cell.key.a, &view);
	struct hist h;

	fill_hist(rows, count, &h, &p.sample.open);
	if (!is_kernel(rows) && rows->kind >= LOCK_FIRST_IDLE)
		p.label[0] = "idle";
	p.sample.value = h.sum;
	p.sample.occurrences = h.count;
	p.sample.hist = h.count ? &h : NULL;
	probe__fill_sample(&p.sample, &p.who, &view, e->d, h.count + p.sample.open);
	e->d->lost_stacks += found ? 0 : h.count + p.sample.open;
	if (!is_kernel(rows) && rows->cell.key.b) {
		probe__view(e->stacks, rows->cell.key.b, &waker);
		probe__fill_waker(&p.sample, &waker);
	}
	return e->out->emit(e->out, &p);
}

/* The longest time first: a picture and folded lines keep the order. */
static int emit_stacks(struct emission *e)
{
	size_t end;
	int err = 0;

	if (e->l->options.by != LOCKS_BY_DEFAULT && e->l->options.by != LOCKS_BY_STACK)
		return 0;
	qsort(e->rows, e->count, sizeof(*e->rows), by_stack);
	for (size_t i = 0; !err && i < e->count; i = end) {
		for (end = i + 1; end < e->count && !by_stack(&e->rows[i], &e->rows[end]); end++)
			;
		/* the table by lock names the kernel's callers already */
		if (!is_holder(&e->rows[i]) &&
		    (!is_kernel(&e->rows[i]) || !e->l->has_user || e->l->options.by == LOCKS_BY_STACK))
			err = emit_stack(e, &e->rows[i], end - i);
	}
	return err;
}

static void say(struct buf *line, const char *what, uint64_t waits, uint64_t open, uint64_t ns)
{
	buf__puts(line, line->len ? "; " : "");
	units__count(line, waits + open);
	buf__printf(line, " wait%s %s, ", waits + open == 1 ? "" : "s", what);
	units__duration(line, ns);
	if (open) {
		buf__puts(line, " (");
		units__count(line, open);
		buf__puts(line, " still open)");
	}
}

static void headline(const struct emission *e)
{
	struct buf *line = &e->d->headline;

	if (line->len)
		return;
	if (e->l->has_user)
		say(line, "for locks", e->lock.waits, e->lock.open, e->lock.ns);
	if (e->l->options.kernel && e->l->has_contention)
		say(line, "for the kernel's", e->kernel.waits, e->kernel.open, e->kernel.ns);
	if (e->other.waits + e->other.open)
		say(line, "for other things", e->other.waits, e->other.open, e->other.ns);
}

int locks__emit(struct locks *l, struct cell_row *rows, size_t count, struct point_stream *out,
		struct drain *d)
{
	struct emission e = {.l = l, .out = out, .d = d, .stacks = l->tracer.probe.context->stacks};
	int err = prepare(&e, rows, count);

	if (!err)
		err = emit_groups(&e);
	if (!err)
		err = emit_stacks(&e);
	headline(&e);
	free(e.rows);
	return err;
}

/* --- events */

/* How a C library lets a lock go, whoever does it. */
static bool is_release(const char *name)
{
	static const char *const parts[] = {"unlock",	     "lock_wake", "futex",
					    "pthread_cond_", "sem_post",  "syscall"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strstr(name, parts[i]))
			return true;
	return false;
}

/* "worker cache_put": who released it, and where. An interrupt has no name. */
static void put_waker(struct buf *out, const struct stacks *stacks, uint64_t hash)
{
	struct sample sample = {0};
	struct stack_view view;

	probe__view(stacks, hash, &view);
	probe__fill_waker(&sample, &view);
	buf__puts(out, *sample.waker_comm ? sample.waker_comm : "interrupt");
	for (size_t i = view.kernel_count; i < sample.waker_count; i++) {
		if (view.frames[i].kind == FRAME_MARK || is_release(view.frames[i].name))
			continue;
		buf__printf(out, " %s", view.frames[i].name);
		break;
	}
}

int locks__event(struct tracer *t, const struct event_record *e)
{
	struct locks *l = (struct locks *)t;
	struct probe_context *context = t->probe.context;
	struct event_field fields[4];
	const struct lock_name *name;
	struct buf holder = {0}, waker = {0};
	struct stack_view view;
	enum lock_kind kind;
	const char *comm;
	size_t n = 0;
	int err;

	stacks__resolve(context->stacks);
	lock_names__resolve(&l->names, stacks__helper(context->stacks));
	probe__view(context->stacks, e->stack, &view);
	name = lock_names__find(&l->names, (uint32_t)e->value[LOCK_VALUE_NUMBER]);
	if (e->kind == CELL_KERNEL) {
		fields[n++] = (struct event_field){
			"kind", kernel_lock__word((enum kernel_lock)e->value[LOCK_VALUE_CALL])};
		fields[n++] = (struct event_field){"caller", kernel_lock__caller(&view)};
		return tracer__send(t, e, &metric_lock_slow, "slow kernel lock", fields, n);
	}
	comm = name ? lock_names__thread(&l->names, &name->entry, (uint32_t)e->value[LOCK_VALUE_OWNER])
		    : NULL;
	kind = lock_kind__of((enum lock_call)e->value[LOCK_VALUE_CALL], &view, comm != NULL);
	fields[n++] = (struct event_field){"lock", name ? name->text : "[more locks]"};
	fields[n++] = (struct event_field){"kind", lock_kind__word(kind)};
	if (comm) {
		buf__printf(&holder, "%s[%u]", comm, (unsigned)e->value[LOCK_VALUE_OWNER]);
		fields[n++] = (struct event_field){"holder", buf__text(&holder)};
	}
	if (e->value[LOCK_VALUE_WAKER]) {
		put_waker(&waker, context->stacks, e->value[LOCK_VALUE_WAKER]);
		fields[n++] = (struct event_field){"released_by", buf__text(&waker)};
	}
	err = tracer__send(t, e, &metric_lock_slow, "slow lock", fields, n);
	buf__free(&holder);
	buf__free(&waker);
	return err;
}
