// SPDX-License-Identifier: Apache-2.0
/* A row for who and labels, columns from the metrics that share the table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "sink/table.h"
#include "sink/table_grid.h"

#define ROWS_DEFAULT 20
#define COLUMNS	     (GRID_COLUMNS - 5)
#define KEPT_COLUMNS 3 /* on a narrow page the others go, the last one first */
#define SPREAD_SHOWN 4

struct cell {
	bool set;
	double number; /* rows are sorted by it */
	char *text;    /* owned, printable */
};

struct part { /* of a spread cell: "ENOENT 13" */
	size_t column;
	char *name;
	uint64_t count;
};

struct row {
	char *who, *label[4]; /* owned, printable */
	struct cell cell[COLUMNS];
	struct part *parts; /* of all spread columns */
	size_t part_count;
};

struct column {
	char *title; /* owned */
	const struct metric *metric;
	const char *word; /* in metric->columns */
	bool spread;
};

struct table_view {
	const struct metric *metric; /* the first one: whose labels and title it has */
	struct column column[COLUMNS];
	size_t columns, order; /* order: the column that rows are sorted by; COLUMNS: as they came */
	struct table index;    /* hash of who and labels -> row number + 1 */
	struct row *rows;
	size_t count, capacity;
};

static void free_row(struct row *row)
{
	free(row->who);
	for (size_t i = 0; i < 4; i++)
		free(row->label[i]);
	for (size_t i = 0; i < COLUMNS; i++)
		free(row->cell[i].text);
	for (size_t i = 0; i < row->part_count; i++)
		free(row->parts[i].name);
	free(row->parts);
}

static void rows__free(struct table_view *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->count; i++)
		free_row(&v->rows[i]);
	for (size_t i = 0; i < v->columns; i++)
		free(v->column[i].title);
	free(v->rows);
	table__free(&v->index);
	free(v);
}

static struct table_view *rows__open(const struct metric *metric)
{
	struct table_view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->metric = metric;
	v->order = COLUMNS;
	table__init(&v->index, sizeof(uint64_t), sizeof(size_t));
	return v;
}

/* --- columns */

static bool has_word(const struct column *c, const char *word)
{
	return !strncmp(c->word, word, strlen(word)) && strchr(": ", c->word[strlen(word)]);
}

/* "WORD:title" or "WORD", up to a space. */
static int add_column(struct table_view *v, const struct metric *metric, const char *word)
{
	size_t len = strcspn(word, " "), name = strcspn(word, ": ");
	const char *title = name < len ? word + name + 1 : word;
	struct column *c = &v->column[v->columns];

	if (v->columns == COLUMNS)
		return -ENOSPC;
	*c = (struct column){.metric = metric, .word = word, .spread = metric->spread};
	c->title = strndup(title, len - (size_t)(title - word));
	for (char *at = c->title; at && *at; at++)
		*at = *at == '_' ? ' ' : *at;
	v->columns++;
	return c->title ? 0 : -ENOMEM;
}

/* Of the metric's columns the first; those of one metric stand together. -errno: it cannot have any. */
static int first_column(struct table_view *v, const struct metric *metric)
{
	const char *word = metric->columns ? metric->columns : "value";
	int from = (int)v->columns, err = 0;

	for (size_t i = 0; i < v->columns; i++)
		if (v->column[i].metric == metric)
			return (int)i;
	while (!err && *word) {
		bool ordered = *word == '*';

		word += ordered;
		if (ordered)
			v->order = v->columns;
		err = add_column(v, metric, word);
		word += strcspn(word, " ");
		word += strspn(word, " ");
	}
	return err ? err : from;
}

/* --- rows */

static size_t label_count(const struct metric *metric)
{
	size_t n = 0;

	while (n < 4 && metric->labels[n])
		n++;
	return n - ((metric->spread || metric->pivot) && n);
}

static bool is_row(const struct row *row, const struct row *other)
{
	for (size_t i = 0; i < 4; i++)
		if (strcmp(row->label[i] ? row->label[i] : "", other->label[i] ? other->label[i] : ""))
			return false;
	return !strcmp(row->who, other->who);
}

static char *printable(const char *text)
{
	struct buf out = {0};

	buf__puts(&out, ""); /* an empty text is a text, too */
	page__safe(&out, text);
	if (out.failed) {
		buf__free(&out);
		return NULL;
	}
	return out.data ? out.data : strdup("");
}

static int describe(struct row *row, const struct point *point)
{
	struct who who = point->who;
	struct buf out = {0};

	if (point->label[0])
		who.cgroup = 0; /* a label says more than the bare id */
	page__who(&out, &who);
	row->who = out.data ? out.data : strdup("");
	for (size_t i = 0; i < label_count(point->metric); i++) {
		row->label[i] = printable(point->label[i] ? point->label[i] : "");
		if (!row->label[i])
			return -ENOMEM;
	}
	return row->who && !out.failed ? 0 : -ENOMEM;
}

/* Names that are reused have different starts. */
static uint64_t hash_of(const struct row *row, const struct who *who)
{
	uint64_t hash = hash__bytes(row->who, strlen(row->who), who->start_ns);

	for (size_t i = 0; i < 4; i++)
		hash = hash__bytes(row->label[i] ? row->label[i] : "",
				   row->label[i] ? strlen(row->label[i]) : 0, hash);
	return hash;
}

static struct row *add_row(struct table_view *v, const struct row *fresh)
{
	size_t capacity = v->capacity ? v->capacity * 2 : 32;
	struct row *rows = v->rows;

	if (v->count == v->capacity) {
		rows = reallocarray(v->rows, capacity, sizeof(*rows));
		if (!rows)
			return NULL;
		v->rows = rows;
		v->capacity = capacity;
	}
	rows[v->count] = *fresh;
	return &rows[v->count++];
}

static struct row *find_row(struct table_view *v, const struct point *point)
{
	struct row fresh = {0}, *row = NULL;
	uint64_t hash;
	size_t *number;
	int err = describe(&fresh, point);

	for (hash = err ? 0 : hash_of(&fresh, &point->who); !err; hash++) {
		number = table__add(&v->index, &hash, NULL);
		if (!number)
			break;
		if (*number && !is_row(&v->rows[*number - 1], &fresh))
			continue;
		if (*number) {
			free_row(&fresh);
			return &v->rows[*number - 1];
		}
		row = add_row(v, &fresh);
		*number = row ? v->count : 0;
		if (row)
			return row;
		break;
	}
	free_row(&fresh);
	return NULL;
}

/* --- cells */

static uint64_t hist_number(const struct column *c, const struct hist *h)
{
	static const struct {
		const char *word;
		double q;
	} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}};
	bool is_time = !strcmp(c->metric->unit, "ns");

	if (has_word(c, "count"))
		return h->count;
	if (has_word(c, "total"))
		return h->sum;
	if (has_word(c, "mean"))
		return h->count ? h->sum / h->count : 0;
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		if (has_word(c, quantiles[i].word))
			return is_time ? hist__quantile_ns(h, quantiles[i].q)
				       : hist__quantile_unit(h, quantiles[i].q);
	return is_time ? hist__max_ns(h) : hist__max_unit(h);
}

static void put_number(struct buf *out, const struct column *c, const struct point *point, double *number)
{
	const char *unit = c->metric->unit;
	uint64_t n;

	switch (c->metric->kind) {
	case POINT_HIST:
		n = hist_number(c, point->hist);
		*number = (double)n;
		page__amount(out, has_word(c, "count") || unit[0] == '{' ? "1" : unit, n);
		break;
	case POINT_COUNTER: /* the title says of what */
		*number = (double)point->counter;
		page__amount(out, unit[0] == '{' ? "1" : unit, point->counter);
		break;
	default:
		*number = point->gauge;
		if (c->metric->percent)
			page__gauge(out, "%", 100 * point->gauge);
		else
			page__gauge(out, unit[0] == '{' ? "1" : unit, point->gauge);
		break;
	}
}

static int set_cell(struct row *row, const struct column *c, size_t at, const struct point *point)
{
	struct cell *cell = &row->cell[at];
	struct buf out = {0};

	put_number(&out, c, point, &cell->number);
	free(cell->text);
	cell->text = out.data;
	cell->set = true;
	return out.failed ? -ENOMEM : 0;
}

static int add_part(struct row *row, size_t at, const struct point *point)
{
	size_t last = label_count(point->metric);
	struct part *parts = reallocarray(row->parts, row->part_count + 1, sizeof(*parts));

	if (!parts)
		return -ENOMEM;
	row->parts = parts;
	parts += row->part_count;
	*parts = (struct part){.column = at, .name = printable(point->label[last]), .count = point->counter};
	if (!parts->name)
		return -ENOMEM;
	row->part_count++;
	row->cell[at].set = true;
	row->cell[at].number += (double)point->counter;
	return 0;
}

/* Whether the column is that of the last label's value. */
static bool is_value(const struct point *point, const struct column *c)
{
	const char *value = point->label[label_count(point->metric)];

	return value && has_word(c, value);
}

static int rows__point(struct table_view *v, const struct point *point)
{
	const struct metric *metric = point->metric;
	int at = first_column(v, metric), err = 0;
	struct row *row;

	if (metric->kind != POINT_HIST && metric->kind != POINT_COUNTER && metric->kind != POINT_GAUGE)
		return -EINVAL;
	if (at < 0)
		return at;
	row = find_row(v, point);
	if (!row)
		return -ENOMEM;
	if (metric->spread)
		return add_part(row, (size_t)at, point);
	for (size_t i = (size_t)at; !err && i < v->columns && v->column[i].metric == metric; i++)
		if (!metric->pivot || is_value(point, &v->column[i]))
			err = set_cell(row, &v->column[i], i, point);
	return err;
}

/* --- drawing */

static int compare_rows(const void *a, const void *b, void *view)
{
	const struct table_view *v = view;
	const struct row *x = a, *y = b;
	double left = x->cell[v->order].number, right = y->cell[v->order].number;

	if (left != right)
		return left < right ? 1 : -1;
	for (size_t i = 0; i < 4; i++)
		if (x->label[i] && y->label[i] && strcmp(x->label[i], y->label[i]))
			return strcmp(x->label[i], y->label[i]);
	return strcmp(x->who, y->who);
}

static int compare_parts(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->name, y->name);
}

static void put_parts(struct buf *out, struct row *row, size_t column)
{
	uint64_t rest = 0;
	size_t shown = 0;

	if (row->part_count)
		qsort(row->parts, row->part_count, sizeof(*row->parts), compare_parts);
	for (size_t i = 0; i < row->part_count; i++) {
		if (row->parts[i].column != column)
			continue;
		if (shown == SPREAD_SHOWN) {
			rest += row->parts[i].count;
			continue;
		}
		buf__printf(out, "%s%s ", shown++ ? ", " : "", row->parts[i].name);
		page__amount(out, "1", row->parts[i].count);
	}
	if (rest) {
		buf__puts(out, ", others ");
		page__amount(out, "1", rest);
	}
}

static bool any_who(const struct table_view *v)
{
	for (size_t i = 0; i < v->count; i++)
		if (*v->rows[i].who)
			return true;
	return false;
}

static bool any_label(const struct table_view *v, size_t label)
{
	for (size_t i = 0; i < v->count; i++)
		if (v->rows[i].label[label] && *v->rows[i].label[label])
			return true;
	return false;
}

/* Labels tell rows apart: other columns shrink or go before they do. */
static void text_column(struct grid *g, const char *title, unsigned floor, bool in_terminal)
{
	struct grid_column *c = grid__column(g, title);

	c->left = true;
	c->floor = floor;
	c->limit = in_terminal ? 0 : 60;
}

/* "cgroup_path" is a cgroup; of "a.b.c" the last part says it, unless that is a mere name or number. */
static const char *title_of(const char *label, char *title, size_t size)
{
	const char *last = strrchr(label, '.'), *from;
	size_t len;

	if (!last)
		return !strcmp(label, "cgroup_path") ? "cgroup" : label;
	if (strcmp(last, ".name") != 0 && !strstr(last, "number"))
		return last + 1;
	for (from = last; from > label && from[-1] != '.';)
		from--;
	len = (size_t)(last - from) < size ? (size_t)(last - from) : size - 1;
	memcpy(title, from, len);
	title[len] = 0;
	return title;
}

static void fill(struct table_view *v, struct grid *g, size_t shown, bool with_who, const bool *with_label)
{
	for (size_t n = 0; n < shown; n++) {
		struct row *row = &v->rows[n];

		if (with_who)
			grid__cell_text(g, INK_PLAIN, row->who);
		for (size_t i = 0; i < 4; i++)
			if (with_label[i])
				grid__cell_text(g, INK_PLAIN, row->label[i] ? row->label[i] : "");
		for (size_t i = 0; i < v->columns; i++) {
			struct buf *out = grid__cell(g, INK_PLAIN);

			if (v->column[i].spread)
				put_parts(out, row, i);
			else
				buf__puts(out, row->cell[i].text ? row->cell[i].text : "");
		}
	}
	if (shown < v->count) {
		buf__puts(grid__cell(g, INK_DIM), "… ");
		page__amount(&g->text, "1", v->count - shown);
		buf__puts(&g->text, " more");
		grid__end_row(g);
	}
}

static void rows__draw(struct table_view *v, struct page *p)
{
	size_t shown = p->rows ? p->rows : ROWS_DEFAULT;
	bool with_who = any_who(v), with_label[4];
	char titles[4][32];
	struct grid g = {0};

	if (!v->count)
		return;
	if (v->order < v->columns)
		qsort_r(v->rows, v->count, sizeof(*v->rows), compare_rows, v);
	if (with_who)
		text_column(&g, "process", 10, p->columns);
	for (size_t i = 0; i < 4; i++) {
		with_label[i] = i < label_count(v->metric) && any_label(v, i);
		if (with_label[i])
			text_column(&g, title_of(v->metric->labels[i], titles[i], sizeof(titles[i])), 22,
				    p->columns);
	}
	for (size_t i = 0; i < v->columns; i++) {
		struct grid_column *c = grid__column(&g, v->column[i].title);

		c->left = v->column[i].spread;
		c->floor = v->column[i].spread ? 8 : 0;
		c->boundary = v->column[i].spread ? ", " : NULL;
		c->drop = i >= KEPT_COLUMNS ? (unsigned char)(i + 1) : 0;
	}
	if (v->metric->title)
		page__wrap(p, INK_TITLE, v->metric->title, " ");
	if (!with_who && !with_label[0] && !with_label[1] && !with_label[2] && !with_label[3])
		shown = v->count; /* one row: nothing tells rows apart */
	fill(v, &g, shown < v->count ? shown : v->count, with_who, with_label);
	grid__draw(&g, p);
	grid__free(&g);
}

const struct table_shape table_rows = {rows__open, rows__point, rows__draw, rows__free};
