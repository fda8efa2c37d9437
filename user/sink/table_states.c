// SPDX-License-Identifier: Apache-2.0
/* Time by state: a row for each thread, a column for each state that occurs, and a bar in proportion. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/text.h"
#include "base/units.h"
#include "sink/table.h"
#include "sink/table_grid.h"
#include "sonde/abi.h"

#define STATES_MAX	32 /* further words share the last column */
#define BAR		20
#define ROWS_DEFAULT	10
#define THREADS_OF_MANY 4 /* rows of one process, if there are several and nobody asked for more */
#define LABEL_FLOOR	10
#define REST		"rest"

struct state {
	const char *word; /* interned, printable */
	const char *raw;  /* interned, as it came */
	char letter;	  /* in bars */
	uint64_t total;
	size_t column; /* of the table; set before drawing */
	bool shared;   /* the column is the one for whatever had no room */
};

struct column {
	const char *word;
	char letter;
	enum ink ink;
};

struct thread_key {
	uint64_t start_ns;
	uint32_t tgid, tid;
};

struct thread {
	struct who who;
	uint64_t busy;	       /* without idle time; set before drawing */
	uint64_t process_busy; /* the same of its process */
	uint64_t ns[STATES_MAX];
};

struct table_view {
	struct strings strings;
	struct table threads;
	struct state states[STATES_MAX];
	size_t count;
	struct column columns[STATES_MAX + 1]; /* left to right */
	size_t column_count;
	int decimals;
};

static void states__free(struct table_view *v)
{
	if (!v)
		return;
	table__free(&v->threads);
	strings__free(&v->strings);
	free(v);
}

static struct table_view *states__open(const struct metric *metric)
{
	struct table_view *v = calloc(1, sizeof(*v));

	(void)metric;
	if (!v)
		return NULL;
	strings__init(&v->strings);
	table__init(&v->threads, sizeof(struct thread_key), sizeof(struct thread));
	return v;
}

/* A state's word and letter, printable; what a probe leaves out is its word's first letter. */
static int describe(struct table_view *v, struct state *s, const char *word, const char *letter)
{
	struct buf safe = {0};
	char c = letter && *letter ? *letter : *word;

	page__safe(&safe, word);
	s->raw = strings__add(&v->strings, word, strlen(word));
	s->word = safe.failed ? NULL : strings__add(&v->strings, buf__text(&safe), safe.len);
	s->letter = c > ' ' && c < 0x7f ? c : '?';
	buf__free(&safe);
	return s->raw && s->word ? 0 : -ENOMEM;
}

/* Index of the state, or -errno. */
static int find_state(struct table_view *v, const char *word, const char *letter)
{
	size_t i;
	int err;

	for (i = 0; i < v->count; i++) {
		if (!strcmp(v->states[i].raw, word))
			return (int)i;
	}
	if (v->count == STATES_MAX)
		return STATES_MAX - 1;
	err = v->count == STATES_MAX - 1 ? describe(v, &v->states[i], REST, "+")
					 : describe(v, &v->states[i], word, letter);
	if (err)
		return err;
	v->count++;
	return (int)i;
}

static int states__point(struct table_view *v, const struct point *point)
{
	struct thread_key key = {point->who.start_ns, point->who.tgid, point->who.tid};
	struct thread *thread;
	int state;

	if (point->metric->kind != POINT_COUNTER || !point->label[0])
		return -EINVAL;
	state = find_state(v, point->label[0], point->label[1]);
	if (state < 0)
		return state;
	thread = table__add(&v->threads, &key, NULL);
	if (!thread)
		return -ENOMEM;
	if (!thread->who.comm[0])
		thread->who = point->who;
	thread->ns[state] += point->counter;
	v->states[state].total += point->counter;
	return 0;
}

static bool is_idle(const struct state *s)
{
	return !strcmp(s->raw, "idle");
}

/* On CPU first, then as DESIGN decides them; idle and unknown close the row. A state's colour follows, so
 * that it is the same in every run. */
static unsigned place(const struct state *s)
{
	static const char *const words[] = {"user", "sys", /* parts of the first of these */
#define X(name, word, letter) word,
					    STATES(X)
#undef X
	};
	const unsigned last = sizeof(words) / sizeof(words[0]);

	if (is_idle(s))
		return last + 1;
	if (!strcmp(s->raw, words[2 + STATE_UNKNOWN]))
		return last + 2;
	for (unsigned i = 0; i < last; i++) {
		if (!strcmp(s->raw, words[i]))
			return i;
	}
	return last;
}

/* States that occur, in order; equal places keep the order in which they came. Returns how many. */
static size_t order_states(struct table_view *v, struct state **order)
{
	size_t n = 0, at;

	for (size_t i = 0; i < v->count; i++) {
		if (!v->states[i].total)
			continue;
		for (at = n++; at > 0 && place(order[at - 1]) > place(&v->states[i]); at--)
			order[at] = order[at - 1];
		order[at] = &v->states[i];
	}
	return n;
}

static size_t column_width(const struct table_view *v, const char *word, uint64_t total)
{
	size_t number = (size_t)snprintf(NULL, 0, "%.*f", v->decimals, (double)total / 1e9);
	size_t title = text__width(word);

	return 2 + (number > title ? number : title);
}

/* Narrow pages: the smallest states share a column. */
static void share_columns(const struct table_view *v, struct state *const *order, size_t n, size_t room)
{
	struct state *least;
	uint64_t rest = 0;
	size_t width, own = n;

	for (;;) {
		width = rest ? column_width(v, REST, rest) : 0;
		least = NULL;
		for (size_t i = 0; i < n; i++) {
			if (order[i]->shared)
				continue;
			width += column_width(v, order[i]->word, order[i]->total);
			if (!least || order[i]->total < least->total)
				least = order[i];
		}
		if (width <= room || own <= 1)
			break;
		least->shared = true;
		rest += least->total;
		own--;
	}
	for (size_t i = 0; i < n && rest; i++)
		order[i]->shared |= !strcmp(order[i]->raw, REST);
}

static void lay_columns(struct table_view *v, size_t room)
{
	struct state *order[STATES_MAX];
	size_t n = order_states(v, order), rest = STATES_MAX;
	uint64_t most = 0;

	for (size_t i = 0; i < n; i++)
		most = order[i]->total > most ? order[i]->total : most;
	v->decimals = most >= 1000000000000 ? 1 : most >= 10000000000 ? 2 : 3;
	share_columns(v, order, n, room);
	for (size_t i = 0; i < n; i++) {
		struct column *c = &v->columns[v->column_count];

		if (order[i]->shared)
			continue;
		order[i]->column = v->column_count++;
		*c = (struct column){order[i]->word, order[i]->letter,
				     INK_PALETTE + place(order[i]) % INK_PALETTE_SIZE};
		if (is_idle(order[i]))
			c->ink = INK_DIM;
	}
	for (size_t i = 0; i < n; i++) {
		if (!order[i]->shared)
			continue;
		if (rest == STATES_MAX) {
			rest = v->column_count++;
			v->columns[rest] = (struct column){REST, '+', INK_PLAIN};
		}
		order[i]->column = rest;
	}
}

/* Twenty letters in proportion, by largest remainders, so that they always are twenty. */
static void write_bar(const struct table_view *v, struct buf *out, const uint64_t *cells)
{
	unsigned letters[STATES_MAX + 1] = {0}, left = BAR;
	double rest[STATES_MAX + 1] = {0}, all = 0;
	size_t best;

	for (size_t i = 0; i < v->column_count; i++)
		all += (double)cells[i];
	if (all <= 0)
		return;
	for (size_t i = 0; i < v->column_count; i++) {
		letters[i] = (unsigned)(BAR * (double)cells[i] / all);
		rest[i] = BAR * (double)cells[i] / all - letters[i];
		left -= letters[i] < left ? letters[i] : left;
	}
	for (; left; left--) {
		best = 0;
		for (size_t i = 1; i < v->column_count; i++)
			best = rest[i] > rest[best] ? i : best;
		letters[best]++;
		rest[best] = -1;
	}
	for (size_t i = 0; i < v->column_count; i++) {
		for (; letters[i]; letters[i]--)
			buf__putc(out, v->columns[i].letter);
	}
}

static void paint_bar(struct page *p, const char *text, void *context)
{
	const struct table_view *v = context;
	char run[BAR + 1];
	size_t n, i;

	for (; *text; text += n) {
		n = strspn(text, (const char[]){*text, '\0'});
		n = n < BAR ? n : BAR;
		memcpy(run, text, n);
		run[n] = '\0';
		for (i = 0; i + 1 < v->column_count && v->columns[i].letter != *text; i++)
			;
		page__ink(p, v->columns[i].ink, run);
	}
}

/* Cells and bar of a row, after its label. */
static void fill_cells(const struct table_view *v, struct grid *g, const uint64_t *ns)
{
	uint64_t cells[STATES_MAX + 1] = {0};

	for (size_t i = 0; i < v->count; i++)
		cells[v->states[i].column] += ns[i];
	for (size_t i = 0; i < v->column_count; i++) {
		if (cells[i])
			buf__printf(grid__cell(g, INK_PLAIN), "%.*f", v->decimals, (double)cells[i] / 1e9);
		else
			grid__cell_text(g, INK_DIM, "-");
	}
	write_bar(v, grid__cell(g, INK_PLAIN), cells);
}

static void add_up(uint64_t *sum, const struct thread *const *threads, size_t count)
{
	memset(sum, 0, STATES_MAX * sizeof(*sum));
	for (size_t i = 0; i < count; i++) {
		for (size_t state = 0; state < STATES_MAX; state++)
			sum[state] += threads[i]->ns[state];
	}
}

static void fill_sum(const struct table_view *v, struct grid *g, const struct thread *const *threads,
		     size_t count)
{
	uint64_t sum[STATES_MAX];

	add_up(sum, threads, count);
	fill_cells(v, g, sum);
}

static void fill_thread(const struct table_view *v, struct grid *g, const struct thread *t,
			const char *indent)
{
	struct buf *out = grid__cell(g, INK_PLAIN);

	buf__printf(out, "%s%u ", indent, t->who.tid ? t->who.tid : t->who.tgid);
	text__add(out, t->who.comm, strnlen(t->who.comm, sizeof(t->who.comm)), TEXT_TERMINAL);
	fill_cells(v, g, t->ns);
}

static void more(struct grid *g, const char *indent, size_t count, const char *what)
{
	buf__printf(grid__cell(g, INK_DIM), "%s… ", indent);
	units__count(&g->text, count);
	buf__printf(&g->text, " more %s%s", what, count == 1 ? "" : strcmp(what, "process") ? "s" : "es");
}

/* Threads of one process, the busiest first, then their sum. */
static void fill_threads(const struct table_view *v, struct grid *g, const struct thread *const *threads,
			 size_t count, size_t rows, const char *indent)
{
	size_t shown =
		count <= rows + 1 ? count : rows; /* a row for one more thread can as well be that thread */

	for (size_t i = 0; i < shown; i++)
		fill_thread(v, g, threads[i], indent);
	if (shown < count) {
		more(g, indent, count - shown, "thread");
		fill_sum(v, g, threads + shown, count - shown);
	}
	if (count > 1) {
		buf__printf(grid__cell(g, INK_TITLE), "%sall", indent);
		fill_sum(v, g, threads, count);
	}
}

static int compare_processes(const void *a, const void *b)
{
	const struct thread *x = *(const struct thread *const *)a, *y = *(const struct thread *const *)b;

	return x->who.tgid < y->who.tgid ? -1 : x->who.tgid > y->who.tgid;
}

/* The busiest process first, in it the busiest thread; ties go to the smaller number. */
static int compare_busy(const void *a, const void *b)
{
	const struct thread *x = *(const struct thread *const *)a, *y = *(const struct thread *const *)b;

	if (x->process_busy != y->process_busy)
		return x->process_busy < y->process_busy ? 1 : -1;
	if (x->who.tgid != y->who.tgid)
		return x->who.tgid < y->who.tgid ? -1 : 1;
	if (x->busy != y->busy)
		return x->busy < y->busy ? 1 : -1;
	return x->who.tid < y->who.tid ? -1 : x->who.tid > y->who.tid;
}

/* Threads of the process that begins here. */
static size_t process_size(struct thread *const *threads, size_t count)
{
	size_t n = 1;

	while (n < count && threads[n]->who.tgid == threads[0]->who.tgid)
		n++;
	return n;
}

/* All threads in drawing order (caller frees), and how many processes they are of. NULL: no memory. */
static struct thread **sort_threads(const struct table_view *v, size_t *processes)
{
	struct thread **threads = calloc(v->threads.count + 1, sizeof(*threads));
	size_t n = 0, size;
	uint64_t busy;
	void *value;

	*processes = 0;
	if (!threads)
		return NULL;
	for (size_t i = 0; table__next(&v->threads, &i, NULL, &value); n++) {
		threads[n] = value;
		threads[n]->busy = 0;
		for (size_t state = 0; state < v->count; state++)
			threads[n]->busy += is_idle(&v->states[state]) ? 0 : threads[n]->ns[state];
	}
	qsort(threads, n, sizeof(*threads), compare_processes);
	for (size_t i = 0; i < n; i += size, (*processes)++) {
		size = process_size(threads + i, n - i);
		busy = 0;
		for (size_t t = i; t < i + size; t++)
			busy += threads[t]->busy;
		for (size_t t = i; t < i + size; t++)
			threads[t]->process_busy = busy;
	}
	qsort(threads, n, sizeof(*threads), compare_busy);
	return threads;
}

/* "api[812] 14 threads" over its threads; a process with one thread is one row. */
static void fill_process(const struct table_view *v, struct grid *g, const struct thread *const *threads,
			 size_t count, size_t rows)
{
	struct who who = threads[0]->who;
	struct buf *out;

	for (size_t i = 0; i < count; i++) {
		if (threads[i]->who.tid == who.tgid)
			who = threads[i]->who;
	}
	who.tid = 0;
	out = grid__cell(g, INK_TITLE);
	page__who(out, &who);
	if (count == 1) {
		fill_cells(v, g, threads[0]->ns);
		return;
	}
	grid__end_row(g);
	fill_threads(v, g, threads, count, rows, "  ");
}

static void fill_processes(const struct table_view *v, struct grid *g, const struct thread *const *threads,
			   size_t count, size_t processes, size_t rows)
{
	size_t wanted = rows ? rows : ROWS_DEFAULT, at = 0, size;
	size_t shown = processes <= wanted + 1 ? processes : wanted;

	for (size_t i = 0; i < shown; i++, at += size) {
		size = process_size((struct thread *const *)threads + at, count - at);
		fill_process(v, g, threads + at, size, rows ? rows : THREADS_OF_MANY);
	}
	if (shown < processes) {
		more(g, "", processes - shown, "process");
		fill_sum(v, g, threads + at, count - at);
	}
	buf__puts(grid__cell(g, INK_TITLE), "all ");
	units__count(&g->text, processes);
	buf__puts(&g->text, " processes");
	fill_sum(v, g, threads, count);
}

/* Letters that are not their word's first one: "bar: s sys, . idle". */
static void draw_legend(const struct table_view *v, struct page *p)
{
	struct buf line = {0};

	for (size_t i = 0; i < v->column_count; i++) {
		const struct column *c = &v->columns[i];

		if (c->letter != *c->word)
			buf__printf(&line, "%s%c %s", line.len ? ", " : "bar: ", c->letter, c->word);
	}
	if (line.len)
		page__wrap(p, INK_DIM, buf__text(&line), ", ");
	p->out.failed |= line.failed;
	buf__free(&line);
}

static struct grid_column *add_columns(struct table_view *v, struct grid *g, const char *first)
{
	struct grid_column *c = grid__column(g, first);

	c->left = true;
	c->floor = LABEL_FLOOR;
	c->limit = 30;
	for (size_t i = 0; i < v->column_count; i++) {
		c = grid__column(g, v->columns[i].word);
		c->title_ink = v->columns[i].ink;
	}
	c = grid__column(g, "");
	c->left = true;
	c->drop = 1;
	c->paint = paint_bar;
	c->context = v;
	return c;
}

static void states__draw(struct table_view *v, struct page *p)
{
	struct grid_column *bar;
	struct grid g = {0};
	size_t processes;
	struct thread **threads = sort_threads(v, &processes);
	const struct thread *const *rows = (const struct thread *const *)threads;

	if (!threads) {
		p->out.failed = true;
		return;
	}
	lay_columns(v, page__room(p, LABEL_FLOOR));
	if (v->column_count) {
		bar = add_columns(v, &g, processes > 1 ? "process" : "tid");
		if (processes > 1)
			fill_processes(v, &g, rows, v->threads.count, processes, p->rows);
		else
			fill_threads(v, &g, rows, v->threads.count, p->rows ? p->rows : ROWS_DEFAULT, "");
		grid__draw(&g, p);
		if (bar->width)
			draw_legend(v, p);
	}
	grid__free(&g);
	free(threads);
}

const struct table_shape table_states = {states__open, states__point, states__draw, states__free};
