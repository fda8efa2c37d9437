// SPDX-License-Identifier: Apache-2.0
/* Stacks, one a row: time, waits, quantiles, reason, the stack leaf first, and who woke it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/text.h"
#include "base/units.h"
#include "sink/table.h"
#include "sink/table_grid.h"
#include "sonde/abi.h"

#define ROWS_DEFAULT 10
#define WAKER_WIDTH  28

/* The same stack of several threads of a process, for the same reason, woken by the same code, is one row. */
struct stack_key {
	uint64_t start_ns, frames, waker;
	const char *reason; /* interned; NULL: none */
	uint64_t tgid;
};

struct stack_row {
	struct who who;
	const char *reason, *text, *waker; /* interned and printable; NULL: none */
	uint64_t value, occurrences, open;
	uint64_t hist_max;
	uint32_t cells; /* first of the row's histogram cells + 1 */
};

/* A histogram is 4 KiB and mostly empty; its occupied slots are kept in lists until a row is drawn. */
struct hist_cell {
	uint32_t next, slot;
	uint64_t count;
};

struct table_view {
	const struct metric *metric;
	struct strings strings;
	struct table rows;
	struct hist_cell *cells;
	size_t cell_count, cell_capacity;
	struct buf scratch;
};

static void stacks__free(struct table_view *v)
{
	if (!v)
		return;
	table__free(&v->rows);
	strings__free(&v->strings);
	free(v->cells);
	buf__free(&v->scratch);
	free(v);
}

static struct table_view *stacks__open(const struct metric *metric)
{
	struct table_view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->metric = metric;
	strings__init(&v->strings);
	table__init(&v->rows, sizeof(struct stack_key), sizeof(struct stack_row));
	return v;
}

static uint64_t hash_frames(const struct frame *frames, size_t count)
{
	uint64_t hash = count;

	for (size_t i = 0; i < count; i++) {
		hash = hash__bytes(frames[i].name, strlen(frames[i].name), hash + frames[i].kind);
		hash = hash__bytes(frames[i].object, strlen(frames[i].object), hash);
		if (frames[i].file)
			hash = hash__bytes(frames[i].file, strlen(frames[i].file), hash + frames[i].line);
	}
	return hash;
}

/* How the kernel leaves the CPU, and how it wakes: the same in every stack. */
static bool is_scheduler(const char *name)
{
	static const char *const words[] = {"__schedule",
					    "schedule",
					    "io_schedule",
					    "preempt_schedule",
					    "try_to_wake_up",
					    "wake_up",
					    "__wake_up",
					    "default_wake_function",
					    "autoremove_wake_function",
					    "woken_wake_function",
					    "ttwu_",
					    "pollwake",
					    "ep_poll_callback",
					    "ep_autoremove_wake_function"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strncmp(name, words[i], strlen(words[i])))
			return true;
	}
	return false;
}

/* How a C library wakes: what called it tells people more. */
static bool is_wakeup(const struct frame *frame)
{
	static const char *const words[] = {"__lll_lock_wake",	       "pthread_mutex_unlock",
					    "__pthread_mutex_unlock",  "pthread_rwlock_unlock",
					    "__pthread_rwlock_unlock", "pthread_cond_signal",
					    "pthread_cond_broadcast",  "sem_post"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strncmp(frame->name, words[i], strlen(words[i])))
			return true;
	return false;
}

static bool has_user_frames(const struct frame *frames, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (frames[i].kind != FRAME_KERNEL && frames[i].kind != FRAME_MARK)
			return true;
	}
	return false;
}

/*
 * The frames that tell people where it waits, leaf first: the user's if there are any, else the kernel's
 * without the scheduler. At most `max`. Returns how many were written.
 */
static size_t write_frames(struct buf *out, const struct frame *frames, size_t count, size_t max)
{
	bool user = has_user_frames(frames, count), leaf = true;
	struct buf label = {0};
	size_t n = 0;

	while (count > 1 && (frames[count - 1].kind == FRAME_MARK || page__is_start(frames[count - 1].name)))
		count--;
	for (size_t i = 0; i < count && n < max; i++) {
		const struct frame *f = &frames[i];

		if (f->kind == FRAME_MARK || (user && f->kind == FRAME_KERNEL))
			continue;
		if (!user && leaf && is_scheduler(f->name))
			continue;
		leaf = false;
		if (n++)
			buf__puts(out, " < ");
		page__safe(out, frame__label(f, &label));
	}
	for (size_t i = 0; i < count && !n && max; i++, n++)
		page__safe(out, frames[i].name); /* only marks, or only the scheduler */
	buf__free(&label);
	return n;
}

static const char *intern(struct table_view *v)
{
	return v->scratch.failed ? NULL : strings__add(&v->strings, buf__text(&v->scratch), v->scratch.len);
}

static const char *intern_stack(struct table_view *v, const struct sample *s)
{
	buf__clear(&v->scratch);
	if (!write_frames(&v->scratch, s->frames, s->count, SIZE_MAX))
		buf__puts(&v->scratch, "[no stack]");
	return intern(v);
}

/* "api/814 cache_evict"; an interrupt has no name and shows its mark: "softirq". */
static const char *intern_waker(struct table_view *v, const struct sample *s)
{
	struct buf *out = &v->scratch;
	const char *mark = NULL;
	size_t len, skip = 0;

	buf__clear(out);
	if (s->waker_comm && *s->waker_comm) {
		page__safe(out, s->waker_comm);
		if (s->waker_count)
			buf__putc(out, ' ');
		for (size_t i = 0; i + 1 < s->waker_count; i++)
			if (is_wakeup(&s->waker_frames[i]) && s->waker_frames[i + 1].kind != FRAME_MARK)
				skip = i + 1;
		write_frames(out, s->waker_frames + skip, s->waker_count - skip, 1);
		return intern(v);
	}
	for (size_t i = 0; i < s->waker_count && !mark; i++)
		mark = s->waker_frames[i].kind == FRAME_MARK ? s->waker_frames[i].name : NULL;
	if (!mark)
		mark = "interrupt";
	len = strlen(mark);
	if (len > 2 && mark[0] == '[' && mark[len - 1] == ']')
		text__add(out, mark + 1, len - 2, TEXT_TERMINAL);
	else
		page__safe(out, mark);
	return intern(v);
}

static int add_cells(struct table_view *v, struct stack_row *row, const struct hist *h)
{
	size_t capacity = v->cell_capacity ? v->cell_capacity * 2 : 256;
	struct hist_cell *cells;

	for (uint32_t slot = 0; slot < HIST_SLOTS; slot++) {
		if (!h->slot[slot])
			continue;
		if (v->cell_count == v->cell_capacity) {
			cells = v->cell_count < UINT32_MAX / 2
					? reallocarray(v->cells, capacity, sizeof(*cells))
					: NULL;
			if (!cells)
				return -ENOMEM;
			v->cells = cells;
			v->cell_capacity = capacity;
			capacity *= 2;
		}
		v->cells[v->cell_count++] = (struct hist_cell){row->cells, slot, h->slot[slot]};
		row->cells = (uint32_t)v->cell_count;
	}
	if (hist__max_ns(h) > row->hist_max)
		row->hist_max = hist__max_ns(h);
	return 0;
}

static int describe(struct table_view *v, struct stack_row *row, const struct point *point,
		    const char *reason)
{
	const struct sample *s = &point->sample;

	row->who = point->who;
	row->who.tid = 0; /* the thread that came first speaks for all of its process */
	row->text = intern_stack(v, s);
	if (reason) {
		buf__clear(&v->scratch);
		page__safe(&v->scratch, reason);
		row->reason = intern(v);
	}
	if (s->waker_frames || (s->waker_comm && *s->waker_comm))
		row->waker = intern_waker(v, s);
	return row->text ? 0 : -ENOMEM;
}

static int stacks__point(struct table_view *v, const struct point *point)
{
	const struct sample *s = &point->sample;
	const char *reason = point->label[0];
	struct stack_key key = {.start_ns = point->who.start_ns, .tgid = point->who.tgid};
	struct stack_row *row;
	bool is_new;
	int err = 0;

	if (point->metric->kind != POINT_STACK)
		return -EINVAL;
	key.frames = hash_frames(s->frames, s->count);
	if (s->waker_frames || s->waker_comm)
		key.waker = hash_frames(s->waker_frames, s->waker_count) ^
			    (s->waker_comm ? hash__bytes(s->waker_comm, strlen(s->waker_comm), 1) : 1);
	if (reason) {
		key.reason = strings__add(&v->strings, reason, strlen(reason));
		if (!key.reason)
			return -ENOMEM;
	}
	row = table__add(&v->rows, &key, &is_new);
	if (!row)
		return -ENOMEM;
	if (is_new)
		err = describe(v, row, point, reason);
	row->value += s->value;
	row->occurrences += s->occurrences;
	row->open += s->open;
	return err || !s->hist ? err : add_cells(v, row, s->hist);
}

static bool is_idle(const struct stack_row *row)
{
	return row->reason && !strcmp(row->reason, "idle");
}

/* Time on a CPU or in the run queue, which is in the same picture as waits, is not counted in waits. */
static bool is_wait(const struct stack_row *row)
{
	static const char *const words[] = {
#define X(name, word, letter) word,
		STATES(X)
#undef X
	};

	for (int i = 0; row->reason && i < STATE_FIRST_BLOCKED; i++) {
		if (!strcmp(row->reason, words[i]))
			return false;
	}
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct stack_row *x = *(const struct stack_row *const *)a,
			       *y = *(const struct stack_row *const *)b;

	if (is_idle(x) != is_idle(y))
		return is_idle(x) - is_idle(y);
	if (x->value != y->value)
		return x->value < y->value ? 1 : -1;
	if (x->occurrences != y->occurrences)
		return x->occurrences < y->occurrences ? 1 : -1;
	if (x->who.tgid != y->who.tgid)
		return x->who.tgid < y->who.tgid ? -1 : 1;
	return strcmp(x->text, y->text);
}

/* What the rows that are not idle hold decides which columns there are. */
struct columns {
	size_t busy, idle;
	bool who, quantiles, open, reason, waker;
};

static struct columns look(const struct table_view *v, struct stack_row *const *rows, size_t count)
{
	struct columns c = {0};

	for (size_t i = 0; i < count; i++) {
		c.who |= rows[i]->who.tgid != rows[0]->who.tgid;
		if (is_idle(rows[i])) {
			c.idle++;
			continue;
		}
		c.busy++;
		c.quantiles |= rows[i]->cells != 0 && !strcmp(v->metric->unit, "ns");
		c.open |= rows[i]->open != 0;
		c.reason |= rows[i]->reason != NULL;
		c.waker |= rows[i]->waker != NULL;
	}
	return c;
}

static void add_columns(const struct table_view *v, struct grid *g, const struct columns *has, bool truncate)
{
	struct grid_column *c;

	grid__column(g, strcmp(v->metric->unit, "ns") ? "value" : "time");
	grid__column(g, v->metric->columns ? v->metric->columns : "waits")->drop = 2;
	if (has->open)
		grid__column(g, "open")->drop = 2;
	if (has->quantiles) {
		grid__column(g, "p50")->drop = 4;
		grid__column(g, "p99")->drop = 3;
	}
	if (has->reason) {
		c = grid__column(g, v->metric->labels[0]);
		c->left = true;
		c->floor = 7;
		c->limit = 16;
	}
	if (has->who) {
		c = grid__column(g, "who");
		c->left = true;
		c->floor = 10;
		c->limit = 24;
	}
	c = grid__column(g, "stack (leaf < caller)");
	c->left = true;
	c->floor = 24;
	c->limit = truncate ? 0 : 60;
	c->boundary = " < ";
	if (has->waker) {
		c = grid__column(g, "woken by");
		c->left = true;
		c->drop = 1;
		c->floor = 10;
		c->limit = WAKER_WIDTH;
	}
}

static void quantiles(const struct table_view *v, struct grid *g, const struct stack_row *row)
{
	struct hist h = {.max = row->hist_max};

	for (uint32_t at = row->cells; at; at = v->cells[at - 1].next) {
		h.slot[v->cells[at - 1].slot] += v->cells[at - 1].count;
		h.count += v->cells[at - 1].count;
	}
	for (int i = 0; i < 2; i++) {
		struct buf *out = grid__cell(g, INK_PLAIN);

		if (h.count)
			units__duration(out, hist__quantile_ns(&h, i ? 0.99 : 0.5));
		else
			buf__putc(out, '-');
	}
}

static void fill_row(const struct table_view *v, struct grid *g, const struct stack_row *row,
		     const struct columns *has)
{
	page__amount(grid__cell(g, INK_PLAIN), v->metric->unit, row->value);
	if (is_wait(row))
		units__short_count(grid__cell(g, INK_PLAIN), row->occurrences);
	else
		grid__cell_text(g, INK_DIM, "-");
	if (has->open && row->open)
		units__short_count(grid__cell(g, INK_WARN), row->open);
	else if (has->open)
		grid__cell_text(g, INK_DIM, "-");
	if (has->quantiles)
		quantiles(v, g, row);
	if (has->reason)
		grid__cell_text(g, INK_PLAIN, row->reason ? row->reason : "");
	if (has->who)
		page__who(grid__cell(g, INK_PLAIN), &row->who);
	grid__cell_text(g, INK_PLAIN, row->text);
	if (has->waker)
		grid__cell_text(g, INK_DIM, row->waker ? row->waker : "");
	grid__end_row(g);
}

static void fill_rest(const struct table_view *v, struct grid *g, struct stack_row *const *rows, size_t shown,
		      const struct columns *has)
{
	uint64_t value = 0, occurrences = 0;

	for (size_t i = shown; i < has->busy; i++) {
		value += rows[i]->value;
		occurrences += rows[i]->occurrences;
	}
	page__amount(grid__cell(g, INK_PLAIN), v->metric->unit, value);
	units__short_count(grid__cell(g, INK_PLAIN), occurrences);
	for (int blank = has->open + 2 * has->quantiles + has->reason + has->who; blank > 0; blank--)
		grid__cell(g, INK_PLAIN);
	buf__puts(grid__cell(g, INK_DIM), "… ");
	units__count(&g->text, has->busy - shown);
	buf__puts(&g->text, has->busy - shown == 1 ? " more stack" : " more stacks");
	grid__end_row(g);
}

/* "idle 70.0 s: epoll_wait < loop, 3 more stacks" */
static void draw_idle(const struct table_view *v, struct page *p, struct stack_row *const *idle, size_t count)
{
	struct buf line = {0}, tail = {0}, text = {0};
	uint64_t value = 0;

	for (size_t i = 0; i < count; i++)
		value += idle[i]->value;
	buf__puts(&line, "idle ");
	if (strcmp(v->metric->unit, "ns"))
		page__amount(&line, v->metric->unit, value);
	else
		page__seconds(&line, value);
	buf__puts(&line, ": ");
	if (count > 1) {
		buf__puts(&tail, ", ");
		units__count(&tail, count - 1);
		buf__puts(&tail, count == 2 ? " more stack" : " more stacks");
	}
	grid__clip(&text, idle[0]->text, " < ",
		   page__room(p, text__width(buf__text(&line)) + text__width(buf__text(&tail))));
	buf__puts(&line, buf__text(&text));
	buf__puts(&line, buf__text(&tail));
	page__ink(p, INK_DIM, buf__text(&line));
	buf__putc(&p->out, '\n');
	p->out.failed |= line.failed || tail.failed || text.failed;
	buf__free(&line);
	buf__free(&tail);
	buf__free(&text);
}

static void draw_busy(const struct table_view *v, struct page *p, struct stack_row *const *rows,
		      const struct columns *has)
{
	size_t shown = p->rows ? p->rows : ROWS_DEFAULT;
	struct grid g = {0};

	if (shown > has->busy)
		shown = has->busy;
	add_columns(v, &g, has, p->columns != 0);
	for (size_t i = 0; i < shown; i++)
		fill_row(v, &g, rows[i], has);
	if (shown < has->busy)
		fill_rest(v, &g, rows, shown, has);
	grid__draw(&g, p);
	grid__free(&g);
}

static void stacks__draw(struct table_view *v, struct page *p)
{
	struct stack_row **rows = calloc(v->rows.count + 1, sizeof(*rows));
	struct columns has;
	size_t n = 0;
	void *value;

	if (!rows) {
		p->out.failed = true;
		return;
	}
	for (size_t i = 0; table__next(&v->rows, &i, NULL, &value);)
		rows[n++] = value;
	qsort(rows, n, sizeof(*rows), compare);
	has = look(v, rows, n);
	if (has.busy)
		draw_busy(v, p, rows, &has);
	if (has.idle)
		draw_idle(v, p, rows + has.busy, has.idle);
	free(rows);
}

const struct table_shape table_stacks = {stacks__open, stacks__point, stacks__draw, stacks__free};
