// SPDX-License-Identifier: Apache-2.0
/* Accounts of threads: cumulative records in, states per interval out. */
#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "probe/sched.h"
#include "probe/waits.h"

const struct metric metric_thread_time = {
	.name = "sonde_thread_time",
	.unit = "ns",
	.help = "Time of a thread by state; the states sum to the elapsed time. user and sys split exact CPU "
		"time by the "
		"kernel's tick counts: an estimate.",
	.kind = POINT_COUNTER,
	.shape = SHAPE_STATES,
	.labels = {"state", "letter"},
};

/* A thread that has ended has no numbers in PID namespaces any more: those of its last sweep stand. */
static void seen__describe(struct thread_seen *t, const struct thread_record *r)
{
	uint32_t tgid = r->tgid ? r->tgid : t->who.tgid, tid = r->tid ? r->tid : t->who.tid;

	t->who = (struct who){.cgroup = r->cgroup, .start_ns = r->start_boot_ns, .tgid = tgid, .tid = tid};
	memcpy(t->who.comm, r->comm, sizeof(t->who.comm));
	memcpy(t->leader_comm, r->leader_comm, sizeof(t->leader_comm));
	t->watched_ns = r->watched_ns;
}

/*
 * `last` is what was told, and that is never taken back. A hook may read the clock before a cut and write
 * after the sweep (a virtual CPU that did not run in between): the sweep has then given the old state what
 * was the new one's. The new state waits until the old one has caught up, so the sum is right in every
 * interval.
 */
static void seen__advance(struct thread_seen *t, const struct account *to, uint64_t *delta)
{
	uint64_t gained[STATE_COUNT], ahead = 0;

	for (int i = 0; i < STATE_COUNT; i++) {
		gained[i] = to->ns[i] > t->last[i] ? to->ns[i] - t->last[i] : 0;
		ahead += to->ns[i] < t->last[i] ? t->last[i] - to->ns[i] : 0;
	}
	for (int i = 0; i < STATE_COUNT; i++) {
		uint64_t waits = gained[i] < ahead ? gained[i] : ahead;

		ahead -= waits;
		delta[i] += gained[i] - waits;
		t->last[i] += gained[i] - waits;
	}
}

/* As of the cut: what was open then is the interval's, also of a thread that has ended since. */
static void seen__at_cut(struct thread_seen *t, const struct account *at_cut)
{
	seen__advance(t, at_cut, t->delta);
	t->open = at_cut->open;
	t->open_stack = at_cut->stack;
	t->open_weight = at_cut->weight;
}

/* An exit: whether its end lies before the announced cut or behind it decides which interval gets what. */
static void seen__end(struct sched *s, struct thread_seen *t, const struct thread_record *r)
{
	struct account last = r->now;
	unsigned state = r->now.open & OPEN_STATE;
	uint64_t since = r->now.open >> OPEN_SHIFT;
	bool crossed = r->cut == s->cut_ns && s->cut_ns != s->emitted_cut_ns;

	if (state < STATE_COUNT && r->end_ns > since) /* let go by the sweep, still alive */
		last.ns[state] += r->end_ns - since;
	t->open = 0;
	if (crossed)
		seen__at_cut(t, &r->at_cut);
	seen__advance(t, &last, crossed ? t->late : t->delta);
	t->end_ns = r->end_ns;
}

int sched__account(struct sched *s, const struct thread_record *r)
{
	struct thread_key key = {.start_ns = r->start_ns, .tid = r->key};
	struct thread_seen *t;
	bool is_new;

	if (r->tgid == (uint32_t)s->probe.context->self)
		return 0;
	t = table__add(&s->threads, &key, &is_new);
	if (!t)
		return -ENOMEM;
	seen__describe(t, r);
	if (is_new) {
		t->utime_ns = r->utime_before_ns;
		t->stime_ns = r->stime_before_ns;
	}
	if (r->type == RECORD_EXIT)
		seen__end(s, t, r);
	else if (r->cut == s->cut_ns)
		seen__at_cut(t, &r->at_cut);
	t->utime_delta_ns += r->utime_ns - t->utime_ns;
	t->stime_delta_ns += r->stime_ns - t->stime_ns;
	t->utime_ns = r->utime_ns;
	t->stime_ns = r->stime_ns;
	return 0;
}

static int emit_state(struct point_stream *out, const struct thread_seen *t, const char *word, char letter,
		      uint64_t ns)
{
	char letters[2] = {letter, 0};
	struct point p = {
		.metric = &metric_thread_time, .who = t->who, .label = {word, letters}, .counter = ns};

	return ns ? out->emit(out, &p) : 0;
}

/* Exact CPU time, divided as the kernel's ticks say; without a tick all of it is called user. */
static int emit_running(struct point_stream *out, const struct thread_seen *t)
{
	uint64_t cpu = t->delta[STATE_RUNNING], user = t->utime_delta_ns, sys = t->stime_delta_ns;
	uint64_t user_ns = user + sys ? (uint64_t)((double)cpu * user / (user + sys)) : cpu;
	int err;

	if (user_ns > cpu)
		user_ns = cpu;
	err = emit_state(out, t, "user", 'u', user_ns);
	return err ? err : emit_state(out, t, "sys", 's', cpu - user_ns);
}

static int emit_thread(struct point_stream *out, const struct thread_seen *t)
{
	int err = emit_running(out, t);

	for (unsigned state = STATE_RUNNABLE; !err && state < STATE_COUNT; state++)
		err = emit_state(out, t, state__word(state), state__letter(state), t->delta[state]);
	return err;
}

struct totals {
	uint64_t threads, elapsed_ns, accounted_ns, unknown_ns;
};

static void totals__add(struct totals *sum, const struct thread_seen *t, const struct drain *d)
{
	uint64_t from = t->watched_ns > d->from_ns ? t->watched_ns : d->from_ns;
	uint64_t to = t->end_ns && t->end_ns < d->to_ns ? t->end_ns : d->to_ns;

	sum->threads++;
	sum->elapsed_ns += to > from ? to - from : 0;
	for (int i = 0; i < STATE_COUNT; i++)
		sum->accounted_ns += t->delta[i];
	sum->unknown_ns += t->delta[STATE_UNKNOWN];
}

static void headline(const struct totals *sum, struct drain *d)
{
	if (d->headline.len)
		return;
	buf__printf(&d->headline, "%llu thread%s, %.3f s elapsed; accounted %.3f s, unknown %.3f s",
		    (unsigned long long)sum->threads, sum->threads == 1 ? "" : "s", sum->elapsed_ns / 1e9,
		    sum->accounted_ns / 1e9, sum->unknown_ns / 1e9);
}

int sched__emit_states(struct sched *s, struct point_stream *out, struct drain *d)
{
	struct totals sum = {0};
	const void *key;
	size_t i = 0;
	void *value;
	int err = 0;

	while (!err && table__next(&s->threads, &i, &key, &value)) {
		const struct thread_seen *t = value;

		if (t->watched_ns >= d->to_ns)
			continue;
		totals__add(&sum, t, d);
		err = emit_thread(out, t);
	}
	headline(&sum, d);
	return err;
}

/* What was late is the next interval's; threads that ended are forgotten once their last part was told. */
void sched__end_interval(struct sched *s)
{
	struct thread_key gone[256];
	const void *key;
	size_t i, count;
	void *value;

	s->emitted_cut_ns = s->cut_ns;
	i = 0;
	while (table__next(&s->threads, &i, &key, &value)) {
		struct thread_seen *t = value;

		memcpy(t->delta, t->late, sizeof(t->delta));
		memset(t->late, 0, sizeof(t->late));
		t->utime_delta_ns = t->stime_delta_ns = 0;
		t->open = 0;
	}
	do {
		for (i = count = 0; count < 256 && table__next(&s->threads, &i, &key, &value);)
			if (((struct thread_seen *)value)->end_ns &&
			    ((struct thread_seen *)value)->end_ns <= s->cut_ns)
				gone[count++] = *(const struct thread_key *)key;
		for (size_t j = 0; j < count; j++)
			table__remove(&s->threads, &gone[j]);
	} while (count == 256);
}
