// SPDX-License-Identifier: Apache-2.0
/* Who had how much, in one line: "waits over 1 ms, who ran instead: xz[9001] 77 %, kworker/1:2 9 %". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "sink/table.h"

#define SHOWN 5

struct rank_key {
	uint64_t tgid, start_ns;
	char comm[16];
};

struct rank {
	struct who who;
	uint64_t value;
};

struct table_view {
	const struct metric *metric;
	struct table ranks;
	uint64_t total;
};

static void rankings__free(struct table_view *v)
{
	if (!v)
		return;
	table__free(&v->ranks);
	free(v);
}

static struct table_view *rankings__open(const struct metric *metric)
{
	struct table_view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->metric = metric;
	table__init(&v->ranks, sizeof(struct rank_key), sizeof(struct rank));
	return v;
}

/* Threads of the same name in a process are one: their process is what people look for. */
static int rankings__point(struct table_view *v, const struct point *point)
{
	struct rank_key key = {.tgid = point->who.tgid, .start_ns = point->who.start_ns};
	struct rank *rank;

	if (point->metric->kind != POINT_COUNTER)
		return -EINVAL;
	memcpy(key.comm, point->who.comm, strnlen(point->who.comm, sizeof(key.comm)));
	rank = table__add(&v->ranks, &key, NULL);
	if (!rank)
		return -ENOMEM;
	rank->who = point->who;
	rank->who.tid = 0;
	rank->value += point->counter;
	v->total += point->counter;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? 1 : -1;
	if (x->who.tgid != y->who.tgid)
		return x->who.tgid < y->who.tgid ? -1 : 1;
	return strncmp(x->who.comm, y->who.comm, sizeof(x->who.comm));
}

static void write_line(const struct table_view *v, struct buf *line, const struct rank *ranks, size_t count)
{
	uint64_t rest = v->total;

	buf__printf(line, "%s: ", v->metric->title ? v->metric->title : v->metric->name);
	for (size_t i = 0; i < count && i < SHOWN && ranks[i].value; i++) {
		size_t from = line->len + (i ? 2 : 0);

		buf__puts(line, i ? ", " : "");
		page__who(line, &ranks[i].who);
		buf__puts(line, line->len == from ? "unknown " : " ");
		page__share(line, ranks[i].value, v->total);
		rest -= ranks[i].value;
	}
	if (rest) {
		buf__puts(line, ", others ");
		page__share(line, rest, v->total);
	}
}

static void rankings__draw(struct table_view *v, struct page *p)
{
	struct rank *ranks = calloc(v->ranks.count + 1, sizeof(*ranks));
	struct buf line = {0};
	size_t n = 0;
	void *value;

	if (!ranks) {
		p->out.failed = true;
		return;
	}
	for (size_t i = 0; table__next(&v->ranks, &i, NULL, &value);)
		ranks[n++] = *(const struct rank *)value;
	qsort(ranks, n, sizeof(*ranks), compare);
	if (v->total) {
		write_line(v, &line, ranks, n);
		page__wrap(p, INK_PLAIN, buf__text(&line), ", ");
	}
	p->out.failed |= line.failed;
	buf__free(&line);
	free(ranks);
}

const struct table_shape table_rankings = {rankings__open, rankings__point, rankings__draw, rankings__free};
