// SPDX-License-Identifier: Apache-2.0
/* Stacks as functions: share of samples in a function itself and below it, and the hottest path. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/text.h"
#include "base/units.h"
#include "model/flame.h"
#include "sink/table.h"
#include "sink/table_grid.h"

#define ROWS_DEFAULT 10
#define HOT	     20 /* the hottest path ends where less than 1/20 of everything goes on */

struct function_key {
	const char *name, *object; /* interned */
};

struct function {
	uint64_t self, total;
	uint64_t stack; /* the last one that was counted into `total` */
};

struct function_row {
	struct function_key key;
	uint64_t self, total;
};

struct table_view {
	struct strings strings;
	struct table functions;
	struct flame flame;
	uint64_t total, samples, stacks;
	const struct frame **path; /* of the stack at hand, root first */
	size_t path_capacity;
	struct buf scratch;
	bool is_exact; /* everything was counted: shares have no error */
};

static void functions__free(struct table_view *v)
{
	if (!v)
		return;
	flame__free(&v->flame);
	table__free(&v->functions);
	strings__free(&v->strings);
	buf__free(&v->scratch);
	free(v->path);
	free(v);
}

static struct table_view *functions__open(const struct metric *metric)
{
	struct table_view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->is_exact = !strcmp(metric->unit, "{call}");
	strings__init(&v->strings);
	table__init(&v->functions, sizeof(struct function_key), sizeof(struct function));
	flame__init(&v->flame);
	return v;
}

/* Addresses without a name are one function of their file here: a hundred of them would be a hundred rows of
 * one sample. Folded stacks and pictures keep them apart. */
static const char *function_name(const struct frame *frame, struct buf *scratch)
{
	size_t len = strlen(frame->object);

	return len && !strncmp(frame->name, frame->object, len) && !strncmp(frame->name + len, "+0x", 3)
		       ? "[no symbol]"
		       : frame__label(frame, scratch);
}

/* A function that recurses has its stack's weight once. */
static int count(struct table_view *v, const struct frame *frame, uint64_t value, bool is_leaf)
{
	const char *name = function_name(frame, &v->scratch);
	struct function_key key = {
		.name = strings__add(&v->strings, name, strlen(name)),
		.object = strings__add(&v->strings, frame->object, strlen(frame->object)),
	};
	struct function *f = key.name && key.object ? table__add(&v->functions, &key, NULL) : NULL;

	if (!f)
		return -ENOMEM;
	if (is_leaf)
		f->self += value;
	if (f->stack != v->stacks)
		f->total += value;
	f->stack = v->stacks;
	return 0;
}

/* The code frames of the stack, root first; of a stack without code its marks, so that its weight has a name.
 */
static size_t lay_path(struct table_view *v, const struct sample *s)
{
	size_t n = 0;

	for (int with_marks = 0; with_marks < 2 && !n; with_marks++) {
		for (size_t i = s->count; i-- > 0;) {
			if (with_marks || s->frames[i].kind != FRAME_MARK)
				v->path[n++] = &s->frames[i];
		}
	}
	return n;
}

static int functions__point(struct table_view *v, const struct point *point)
{
	static const struct frame nothing = {.name = "[no stack]", .object = "", .kind = FRAME_MARK};
	const struct sample *s = &point->sample;
	const struct frame **path;
	size_t n;
	int err;

	if (point->metric->kind != POINT_STACK)
		return -EINVAL;
	if (s->count >= v->path_capacity) {
		path = reallocarray(v->path, s->count + 1, sizeof(struct frame *));
		if (!path)
			return -ENOMEM;
		v->path = path;
		v->path_capacity = s->count + 1;
	}
	n = lay_path(v, s);
	if (!n)
		v->path[n++] = &nothing;
	v->stacks++;
	v->total += s->value;
	v->samples += v->is_exact ? 0 : s->occurrences;
	err = flame__add(&v->flame, v->path, n, s->value, false);
	for (size_t i = n; !err && i-- > 0;)
		err = count(v, v->path[i], s->value, i + 1 == n);
	return err;
}

static int compare(const void *a, const void *b)
{
	const struct function_row *x = a, *y = b;

	if (x->self != y->self)
		return x->self < y->self ? 1 : -1;
	if (x->total != y->total)
		return x->total < y->total ? 1 : -1;
	return strcmp(x->key.name, y->key.name) ? strcmp(x->key.name, y->key.name)
						: strcmp(x->key.object, y->key.object);
}

static struct function_row *sorted(const struct table_view *v)
{
	struct function_row *rows = calloc(v->functions.count + 1, sizeof(*rows));
	const void *key;
	void *value;
	size_t n = 0;

	for (size_t i = 0; rows && table__next(&v->functions, &i, &key, &value); n++) {
		const struct function *f = value;

		rows[n] = (struct function_row){.key = *(const struct function_key *)key, f->self, f->total};
	}
	if (rows)
		qsort(rows, n, sizeof(*rows), compare);
	return rows;
}

/* Half of Wilson's 95 % interval of a share, in points of a percent: honest for few samples and for shares
 * near 0. */
static double half_width(double share, double samples)
{
	const double z = 1.959964;

	return 100 * z / (1 + z * z / samples) *
	       sqrt(share * (1 - share) / samples + z * z / (4 * samples * samples));
}

static void percent(struct grid *g, uint64_t part, uint64_t whole)
{
	buf__printf(grid__cell(g, INK_PLAIN), "%.1f%%", 100.0 * (double)part / (double)whole);
}

static void fill(const struct table_view *v, struct grid *g, const struct function_row *rows, size_t n,
		 size_t shown)
{
	uint64_t rest = 0;

	for (size_t i = 0; i < shown; i++) {
		percent(g, rows[i].self, v->total);
		percent(g, rows[i].total, v->total);
		if (v->samples)
			buf__printf(grid__cell(g, INK_DIM), "%.1f",
				    half_width((double)rows[i].self / (double)v->total, (double)v->samples));
		else
			grid__cell(g, INK_PLAIN);
		page__safe(grid__cell(g, INK_PLAIN), rows[i].key.name);
		page__safe(grid__cell(g, INK_DIM), rows[i].key.object);
	}
	for (size_t i = shown; i < n; i++)
		rest += rows[i].self;
	if (!rest)
		return;
	percent(g, rest, v->total);
	grid__cell(g, INK_PLAIN);
	grid__cell(g, INK_PLAIN);
	buf__puts(grid__cell(g, INK_DIM), "… ");
	units__count(&g->text, n - shown);
	buf__puts(&g->text, n - shown == 1 ? " more function" : " more functions");
}

static void draw_rows(const struct table_view *v, struct page *p)
{
	struct function_row *rows = sorted(v);
	size_t wanted = p->rows ? p->rows : ROWS_DEFAULT, n = v->functions.count;
	struct grid g = {0};
	struct grid_column *c;

	grid__column(&g, "self");
	grid__column(&g, "total");
	grid__column(&g, v->samples ? "±95%" : "")->drop = 2;
	c = grid__column(&g, "function");
	c->left = true;
	c->floor = 12;
	c->limit = p->columns ? 0 : 48;
	c = grid__column(&g, "object");
	c->left = true;
	c->drop = 1;
	c->limit = 24;
	while (rows && !p->rows && n && !rows[n - 1].self)
		n--; /* mere callers are shown only to those who ask for more rows */
	if (rows)
		fill(v, &g, rows, n, wanted < n ? wanted : n);
	else
		p->out.failed = true;
	grid__draw(&g, p);
	grid__free(&g);
	free(rows);
}

static const struct flame_node *heaviest_child(const struct flame_node *node)
{
	const struct flame_node *best = node->child, *child;

	for (child = best ? best->next : NULL; child; child = child->next) {
		if (child->total > best->total ||
		    (child->total == best->total && strcmp(child->name, best->name) < 0))
			best = child;
	}
	return best;
}

/* The printable names of the hottest path, root first, each behind a NUL; a function that calls itself is one
 * entry. */
static size_t hottest_path(const struct flame *f, struct buf *names)
{
	const struct flame_node *node = &f->root, *child;
	const char *last = NULL;
	unsigned repeats = 0;
	size_t n = 0;

	while ((child = heaviest_child(node)) && child->total >= f->root.total / HOT) {
		if (node != &f->root && node->self > child->total)
			break;
		node = child;
		if (!n && node->child && page__is_start(node->name))
			continue;
		if (last && !strcmp(last, node->name)) {
			repeats++;
			continue;
		}
		if (repeats)
			buf__printf(names, " ×%u", repeats + 1);
		if (n++)
			buf__putc(names, '\0');
		page__safe(names, node->name);
		last = node->name;
		repeats = 0;
	}
	if (repeats)
		buf__printf(names, " ×%u", repeats + 1);
	return n;
}

/* All names if they fit, else the first, an ellipsis and as many of the last as fit. */
static void join(struct buf *line, const char *const *name, size_t n, size_t room)
{
	size_t width = text__width(name[n - 1]), from = n - 1, head;

	while (from > 0) {
		head = from == 1 ? 0 : text__width(name[0]) + 7; /* " > … > " */
		if (width + 3 + text__width(name[from - 1]) + head > room)
			break;
		width += 3 + text__width(name[--from]);
	}
	if (from > 1)
		buf__printf(line, "%s > … > ", name[0]);
	else if (from == 1)
		buf__puts(line, "… > ");
	for (size_t i = from; i < n; i++)
		buf__printf(line, "%s%s", i > from ? " > " : "", name[i]);
}

static void draw_path(const struct table_view *v, struct page *p)
{
	static const char title[] = "hottest path: ";
	struct buf names = {0}, line = {0}, clipped = {0};
	size_t n = hottest_path(&v->flame, &names), room = page__room(p, strlen(title));
	const char **name = calloc(n + 1, sizeof(*name)), *at = buf__text(&names);

	p->out.failed |= names.failed || !name;
	if (n && !p->out.failed) {
		for (size_t i = 0; i < n; i++, at += strlen(at) + 1)
			name[i] = at;
		join(&line, name, n, room);
		text__clip(&clipped, buf__text(&line), room);
		page__ink(p, INK_DIM, title);
		page__ink(p, INK_PLAIN, buf__text(&clipped));
		buf__putc(&p->out, '\n');
	}
	p->out.failed |= line.failed || clipped.failed;
	free(name);
	buf__free(&names);
	buf__free(&line);
	buf__free(&clipped);
}

static void functions__draw(struct table_view *v, struct page *p)
{
	if (!v->total)
		return;
	draw_rows(v, p);
	draw_path(v, p);
}

const struct table_shape table_functions = {functions__open, functions__point, functions__draw,
					    functions__free};
