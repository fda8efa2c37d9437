// SPDX-License-Identifier: Apache-2.0
/* Histograms: quantiles and bars for one distribution, a table of quantiles for many. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "sink/table.h"
#include "sink/table_grid.h"

#define ROWS_DEFAULT   10
#define BAR_WIDEST     40
#define EMPTY_ROWS_MAX 4 /* as many empty rows and more are one */
#define DOUBLINGS      (1 + (HIST_SLOTS - HIST_INDEX_SHIFT + 7) / 8)

static const struct {
	const char *name;
	double q;
} quantiles[] = {{"p50", 0.5}, {"p75", 0.75}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"p99.9", 0.999}};

#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

struct hist_row { /* whose histogram: numbers only, a histogram itself has 4 KiB */
	struct who who;
	char *label; /* owned, printable; NULL: none */
	uint64_t count, quantile[QUANTILES], max;
};

struct table_view {
	const struct metric *metric;
	struct hist all; /* of points about nobody in particular */
	struct hist_row *rows;
	size_t count, capacity;
};

static void histograms__free(struct table_view *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->count; i++)
		free(v->rows[i].label);
	free(v->rows);
	free(v);
}

static struct table_view *histograms__open(const struct metric *metric)
{
	struct table_view *v = calloc(1, sizeof(*v));

	if (v)
		v->metric = metric;
	return v;
}

static int add_row(struct table_view *v, const struct point *point)
{
	size_t capacity = v->capacity ? v->capacity * 2 : 16;
	struct buf label = {0};
	struct hist_row *row;

	if (v->count == v->capacity) {
		row = reallocarray(v->rows, capacity, sizeof(*row));
		if (!row)
			return -ENOMEM;
		v->rows = row;
		v->capacity = capacity;
	}
	row = &v->rows[v->count];
	*row = (struct hist_row){
		.who = point->who, .count = point->hist->count, .max = hist__max_ns(point->hist)};
	for (size_t i = 0; i < QUANTILES; i++)
		row->quantile[i] = hist__quantile_ns(point->hist, quantiles[i].q);
	for (size_t i = 0; i < 4; i++) {
		if (!point->label[i])
			continue;
		buf__puts(&label, label.len ? " " : "");
		page__safe(&label, point->label[i]);
	}
	if (label.failed) {
		buf__free(&label);
		return -ENOMEM;
	}
	row->label = label.data;
	v->count++;
	return 0;
}

static int histograms__point(struct table_view *v, const struct point *point)
{
	const struct who *who = &point->who;

	if (point->metric->kind != POINT_HIST)
		return -EINVAL;
	if (who->tgid || who->tid || who->cgroup || who->comm[0] || point->label[0])
		return add_row(v, point);
	hist__merge(&v->all, point->hist);
	return 0;
}

/* Row 0 of the bars: zero and the first unit; row n: (2^(n-1), 2^n] units, eight slots. */
static uint32_t first_slot(unsigned doubling)
{
	return doubling ? HIST_INDEX_SHIFT + 8 * (doubling - 1) : 0;
}

static uint32_t last_slot(unsigned doubling)
{
	uint32_t last = HIST_INDEX_SHIFT + 8 * doubling - 1;

	return last < HIST_SLOTS ? last : HIST_SLOTS - 1;
}

static uint64_t doubling_count(const struct hist *h, unsigned doubling)
{
	uint64_t count = 0;

	for (uint32_t slot = first_slot(doubling); slot <= last_slot(doubling); slot++)
		count += h->slot[slot];
	return count;
}

static void write_bounds(const struct table_view *v, struct buf *out, unsigned doubling)
{
	bool is_time = !strcmp(v->metric->unit, "ns"), open_ended = last_slot(doubling) == HIST_SLOTS - 1;
	uint64_t lower = doubling ? 1ULL << (doubling - 1) : 0, upper = open_ended ? 0 : 1ULL << doubling;

	if (is_time) {
		lower = doubling ? hist__lower_ns(first_slot(doubling)) : 0;
		upper = hist__upper_ns(last_slot(doubling));
	}
	if (!open_ended && !upper) {
		buf__putc(out, '0');
		return;
	}
	page__amount(out, v->metric->unit, lower);
	if (open_ended) {
		buf__puts(out, " and more");
		return;
	}
	buf__putc(out, '-');
	page__amount(out, v->metric->unit, upper);
}

/* Rows from here on that are empty, up to the last one that is not. */
static unsigned empty_rows(const struct hist *h, unsigned from, unsigned last)
{
	unsigned n = 0;

	while (from + n < last && !doubling_count(h, from + n))
		n++;
	return n;
}

static void fill_bar(const struct table_view *v, struct grid *g, unsigned doubling, uint64_t most,
		     size_t widest)
{
	uint64_t count = doubling_count(&v->all, doubling);
	double letters = (double)widest * (double)count / (double)most;
	struct buf *out;

	write_bounds(v, grid__cell(g, INK_PLAIN), doubling);
	units__count(grid__cell(g, INK_PLAIN), count);
	out = grid__cell(g, INK_PALETTE + 3);
	for (size_t n = (size_t)(letters + 0.5); n; n--)
		buf__putc(out, '#');
	if (count && letters < 0.5)
		buf__putc(out, '.');
}

static void draw_bars(const struct table_view *v, struct page *p)
{
	unsigned first = DOUBLINGS, last = 0;
	struct grid g = {0};
	uint64_t most = 0, count;
	size_t widest;

	for (unsigned i = 0; i < DOUBLINGS; i++) {
		count = doubling_count(&v->all, i);
		if (count && first == DOUBLINGS)
			first = i;
		if (count)
			last = i;
		most = count > most ? count : most;
	}
	grid__column(&g, "");
	grid__column(&g, "");
	grid__column(&g, "")->left = true;
	widest = page__room(p, 32);
	widest = widest > BAR_WIDEST ? BAR_WIDEST : widest < 8 ? 8 : widest;
	for (unsigned i = first; i <= last; i++) {
		fill_bar(v, &g, i, most, widest);
		if (empty_rows(&v->all, i + 1, last) < EMPTY_ROWS_MAX)
			continue;
		i += empty_rows(&v->all, i + 1, last);
		grid__cell_text(&g, INK_DIM, "…");
		grid__end_row(&g);
	}
	grid__draw(&g, p);
	grid__free(&g);
}

static void draw_one(const struct table_view *v, struct page *p)
{
	bool is_time = !strcmp(v->metric->unit, "ns");
	struct buf line = {0};

	for (size_t i = 0; i < QUANTILES; i++) {
		buf__printf(&line, "%s ", quantiles[i].name);
		page__amount(&line, v->metric->unit,
			     is_time ? hist__quantile_ns(&v->all, quantiles[i].q)
				     : hist__quantile_unit(&v->all, quantiles[i].q));
		buf__puts(&line, "  ");
	}
	if (!is_time) {
		buf__puts(&line, "mean ");
		page__amount(&line, v->metric->unit, v->all.sum / v->all.count);
		buf__puts(&line, "  ");
	}
	buf__puts(&line, "max ");
	page__amount(&line, v->metric->unit, is_time ? hist__max_ns(&v->all) : hist__max_unit(&v->all));
	page__wrap(p, INK_PLAIN, buf__text(&line), "  ");
	p->out.failed |= line.failed;
	buf__free(&line);
	draw_bars(v, p);
}

static int compare(const void *a, const void *b)
{
	const struct hist_row *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	if (x->who.tgid != y->who.tgid)
		return x->who.tgid < y->who.tgid ? -1 : 1;
	if (x->who.tid != y->who.tid)
		return x->who.tid < y->who.tid ? -1 : 1;
	return strncmp(x->who.comm, y->who.comm, sizeof(x->who.comm));
}

static void fill_row(const struct table_view *v, struct grid *g, const struct hist_row *row)
{
	static const size_t shown[] = {0, 2, 4, 5};
	struct buf *out = grid__cell(g, INK_PLAIN);
	size_t from = out->len;

	if (!row->label || row->who.tgid || row->who.tid || row->who.comm[0])
		page__who(out, &row->who); /* a label says more than the bare id of a cgroup */
	if (row->label) {
		buf__puts(out, out->len > from ? " " : "");
		buf__puts(out, row->label);
	}
	units__count(grid__cell(g, INK_PLAIN), row->count);
	if (strcmp(v->metric->unit, "ns")) {
		grid__end_row(g);
		return;
	}
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		units__duration(grid__cell(g, INK_PLAIN), row->quantile[shown[i]]);
	units__duration(grid__cell(g, INK_PLAIN), row->max);
}

static void draw_many(const struct table_view *v, struct page *p)
{
	bool is_time = !strcmp(v->metric->unit, "ns");
	size_t shown = p->rows ? p->rows : ROWS_DEFAULT;
	uint64_t rest = 0;
	struct grid g = {0};
	struct grid_column *c = grid__column(&g, "who");

	c->left = true;
	c->floor = 12;
	c->limit = p->columns ? 0 : 40;
	grid__column(&g, "count");
	for (size_t i = 0; i < 5; i++)
		grid__column(&g,
			     is_time ? (const char *const[]){"p50", "p90", "p99", "p99.9", "max"}[i] : "");
	for (size_t i = 0; i < 5; i++)
		g.column[2 + i].drop = (const unsigned char[]){0, 4, 0, 3, 2}[i];
	if (shown > v->count)
		shown = v->count;
	for (size_t i = 0; i < shown; i++)
		fill_row(v, &g, &v->rows[i]);
	for (size_t i = shown; i < v->count; i++)
		rest += v->rows[i].count;
	if (shown < v->count) {
		buf__puts(grid__cell(&g, INK_DIM), "… ");
		units__count(&g.text, v->count - shown);
		buf__puts(&g.text, " more");
		units__count(grid__cell(&g, INK_DIM), rest);
	}
	grid__draw(&g, p);
	grid__free(&g);
}

static void histograms__draw(struct table_view *v, struct page *p)
{
	if (v->count) {
		qsort(v->rows, v->count, sizeof(*v->rows), compare);
		draw_many(v, p);
	}
	if (v->all.count)
		draw_one(v, p);
}

const struct table_shape table_histograms = {histograms__open, histograms__point, histograms__draw,
					     histograms__free};
