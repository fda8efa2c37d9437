// SPDX-License-Identifier: Apache-2.0
#include "sink/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/outfile.h"
#include "base/text.h"
#include "base/units.h"
#include "sink/table_grid.h"

struct section { /* one metric of the interval */
	const struct metric *metric;
	const struct table_shape *shape;
	struct table_view *view;
};

struct table_sink {
	struct sink sink;
	struct outfile *file; /* NULL: the stream is the caller's */
	FILE *stream;
	struct page page;
	bool verbose, written;
	struct section *sections;
	size_t count;
};

static const struct table_shape *const shapes[] = {
	[SHAPE_VALUE] = &table_values,	[SHAPE_FUNCTIONS] = &table_functions,
	[SHAPE_STACKS] = &table_stacks, [SHAPE_HISTOGRAM] = &table_histograms,
	[SHAPE_STATES] = &table_states, [SHAPE_RANKING] = &table_rankings,
	[SHAPE_ROWS] = &table_rows,
};

static void forget_sections(struct table_sink *t)
{
	for (size_t i = 0; i < t->count; i++)
		t->sections[i].shape->free(t->sections[i].view);
	free(t->sections);
	t->sections = NULL;
	t->count = 0;
}

static struct table_sink *make(FILE *stream, const struct sink_options *o)
{
	struct table_sink *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->sink.type = &sink_table;
	t->stream = stream;
	t->verbose = o->verbose;
	t->page.colour = o->colour;
	t->page.columns = o->columns > 0 ? (size_t)o->columns : 0;
	if (t->page.columns && t->page.columns < 40)
		t->page.columns = 40; /* narrower, nothing is readable */
	t->page.rows = o->rows > 0 ? (size_t)o->rows : 0;
	return t;
}

struct sink *table_sink__to(FILE *out, const struct sink_options *options)
{
	struct table_sink *t = make(out, options);

	return t ? &t->sink : NULL;
}

static struct sink *table__open(const struct sink_options *options)
{
	struct outfile *file = outfile__open(options->path ? options->path : "-");
	struct table_sink *t = file ? make(outfile__stream(file), options) : NULL;
	int err = errno;

	if (t) {
		t->file = file;
		return &t->sink;
	}
	outfile__close(file);
	errno = err;
	return NULL;
}

static int table__begin(struct sink *sink, const struct interval *interval)
{
	struct table_sink *t = (struct table_sink *)sink;

	(void)interval;
	forget_sections(t);
	buf__clear(&t->page.out);
	return 0;
}

/* Metrics of rows stand in one table if they say so. */
static bool is_together(const struct metric *a, const struct metric *b)
{
	if (a->shape != SHAPE_ROWS || b->shape != SHAPE_ROWS || !a->table || !b->table)
		return a == b;
	return !strcmp(a->table, b->table);
}

static struct section *find_section(struct table_sink *t, const struct metric *metric)
{
	struct section *s;

	for (size_t i = t->count; i-- > 0;) {
		if (is_together(t->sections[i].metric, metric))
			return &t->sections[i];
	}
	s = reallocarray(t->sections, t->count + 1, sizeof(*s));
	if (!s)
		return NULL;
	t->sections = s;
	s += t->count;
	*s = (struct section){.metric = metric, .shape = shapes[metric->shape]};
	s->view = s->shape->open(metric);
	if (!s->view)
		return NULL;
	t->count++;
	return s;
}

static int table__point(struct sink *sink, const struct point *point)
{
	struct table_sink *t = (struct table_sink *)sink;
	struct section *s;

	if ((size_t)point->metric->shape >= sizeof(shapes) / sizeof(shapes[0]))
		return -EINVAL;
	s = find_section(t, point->metric);
	return s ? s->shape->point(s->view, point) : -ENOMEM;
}

/* "14:03:27.123 slow call: ...", at once. */
static int table__live_event(struct sink *sink, const struct interval *current, const struct point *point)
{
	struct table_sink *t = (struct table_sink *)sink;
	struct timespec wall, monotonic;
	struct buf line = {0};
	uint64_t ago, at;
	char clock[16];
	struct tm tm;
	int err;

	(void)current;
	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	ago = monotonic.tv_sec * 1000000000ULL + monotonic.tv_nsec - point->event->time_ns;
	at = wall.tv_sec * 1000000000ULL + wall.tv_nsec - ago;
	wall.tv_sec = at / 1000000000;
	if (localtime_r(&wall.tv_sec, &tm) && strftime(clock, sizeof(clock), "%H:%M:%S", &tm))
		buf__printf(&line, "%s.%03llu ", clock, (unsigned long long)(at / 1000000 % 1000));
	table__event(&line, point);
	err = buf__write(&line, t->stream);
	buf__free(&line);
	errno = 0;
	if (!err && fflush(t->stream))
		err = errno ? -errno : -EIO;
	t->written = true;
	return err;
}

/* "postgres[4127] 10.0 s, 1.89 CPUs, 0 lost, 94 % complete, own cost 0.2 %" */
static void draw_head(struct page *p, const struct interval *i)
{
	struct buf line = {0};
	char clock[16] = "";
	struct tm tm;

	if ((i->number > 1 || !i->last) && localtime_r(&i->wall_start.tv_sec, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S ", &tm);
	buf__puts(&line, clock);
	page__safe(&line, i->subject);
	if (i->subject && *i->subject)
		buf__puts(&line, strchr(i->subject, ',') ? ", " : " ");
	page__seconds(&line, i->end_ns - i->start_ns);
	if (i->headline && *i->headline) {
		buf__puts(&line, ", ");
		page__safe(&line, i->headline);
	}
	buf__puts(&line, ", ");
	units__count(&line, i->lost);
	buf__puts(&line, " lost");
	if (i->coverage.stacks) {
		buf__puts(&line, ", ");
		page__share(&line, i->coverage.complete, i->coverage.stacks);
		buf__puts(&line, " complete");
	}
	buf__puts(&line, ", own cost ");
	sink__cost(&line, i->own_cost);
	page__wrap(p, i->lost ? INK_BAD : INK_TITLE, buf__text(&line), ", ");
	p->out.failed |= line.failed;
	buf__free(&line);
}

/* Rankings are remarks on what stands above them: they come last. */
static void draw_sections(struct table_sink *t, bool rankings)
{
	for (size_t i = 0; i < t->count; i++) {
		if ((t->sections[i].metric->shape == SHAPE_RANKING) == rankings)
			t->sections[i].shape->draw(t->sections[i].view, &t->page);
	}
}

static void draw_notes(struct page *p, const char *note)
{
	struct buf line = {0};
	size_t len;

	for (; note && *note; note += len + (note[len] == '\n')) {
		len = strcspn(note, "\n");
		buf__clear(&line);
		text__add(&line, note, len, TEXT_TERMINAL);
		page__wrap(p, INK_PLAIN, buf__text(&line), " ");
		p->out.failed |= line.failed;
	}
	buf__free(&line);
}

/* "; by reason: no mapping 12, no frame pointers 3" if there is more than one */
static void put_reasons(struct buf *line, const struct coverage *c)
{
	for (size_t i = 0; c->reason_count > 1 && i < c->reason_count; i++) {
		buf__puts(line, i ? ", " : "; by reason: ");
		page__safe(line, c->reasons[i].reason);
		buf__putc(line, ' ');
		units__count(line, c->reasons[i].stacks);
	}
}

/* "incomplete 6 %: libfoo.so: no frame pointers" */
static void draw_coverage(struct page *p, const struct coverage *c)
{
	struct buf line = {0};
	bool object = c->worst_object && *c->worst_object;

	if (!c->stacks || c->complete >= c->stacks)
		return;
	buf__puts(&line, "incomplete ");
	page__share(&line, c->stacks - c->complete, c->stacks);
	if (object) {
		buf__puts(&line, ": ");
		page__safe(&line, c->worst_object);
	}
	if (c->worst_reason && *c->worst_reason) {
		buf__puts(&line, ": ");
		page__safe(&line, c->worst_reason);
	}
	put_reasons(&line, c);
	page__wrap(p, INK_WARN, buf__text(&line), c->reason_count > 1 ? " " : ": ");
	p->out.failed |= line.failed;
	buf__free(&line);
}

/* Where every event went, and whether the sums agree. */
static void draw_loss(struct page *p, const struct interval *i)
{
	struct grid g = {0};

	grid__column(&g, "part")->left = true;
	grid__column(&g, "events")->left = true;
	grid__column(&g, "count");
	grid__column(&g, "")->left = true;
	for (size_t n = 0; n < i->loss_count; n++) {
		const struct loss_row *row = &i->loss[n];
		bool same = n && !strcmp(row->part, i->loss[n - 1].part);
		enum ink ink = row->is_drop && row->count ? INK_BAD : INK_PLAIN;

		page__safe(grid__cell(&g, INK_PLAIN), same ? "" : row->part);
		page__safe(grid__cell(&g, ink), row->reason);
		units__count(grid__cell(&g, ink), row->count);
		grid__cell_text(&g, ink, row->is_drop && row->count ? "lost" : "");
	}
	if (i->loss_count)
		grid__draw(&g, p);
	grid__free(&g);
	if (i->accounted)
		page__wrap(p, INK_PLAIN, "every event is accounted for", " ");
	else
		page__wrap(p, INK_BAD, "the counts do not add up: some events are not accounted for", " ");
}

static int table__end(struct sink *sink, const struct interval *interval)
{
	struct table_sink *t = (struct table_sink *)sink;
	int err;

	if (t->written)
		buf__putc(&t->page.out, '\n');
	draw_head(&t->page, interval);
	draw_sections(t, false);
	draw_sections(t, true);
	draw_notes(&t->page, interval->note);
	draw_coverage(&t->page, &interval->coverage);
	if (t->verbose)
		draw_loss(&t->page, interval);
	forget_sections(t);
	err = buf__write(&t->page.out, t->stream);
	errno = 0;
	if (!err && fflush(t->stream))
		err = errno ? -errno : -EIO;
	t->written = true;
	return err;
}

static int table__close(struct sink *sink, bool keep)
{
	struct table_sink *t = (struct table_sink *)sink;
	int err = 0;

	if (!t)
		return 0;
	forget_sections(t);
	buf__free(&t->page.out);
	if (t->file && keep)
		err = outfile__commit(t->file);
	outfile__close(t->file);
	free(t);
	return err;
}

const struct sink_type sink_table = {
	.name = "table",
	.summary = "tables for people",
	.extensions = "txt",
	.open = table__open,
	.begin = table__begin,
	.point = table__point,
	.event = table__live_event,
	.end = table__end,
	.close = table__close,
};
