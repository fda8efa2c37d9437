// SPDX-License-Identifier: Apache-2.0
/* Cells of connections in, points out: a row for each party, and how its peers answer. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/units.h"
#include "probe/cgroup.h"
#include "probe/tcp.h"

#define IDLE_IN_KERNEL 2  /* drains after which a party's place is given away ... */
#define IDLE_KNOWN     64 /* ... and after which it is forgotten here */

/* --- words */

void tcp__peer(struct buf *out, const uint32_t *remote, uint16_t port, enum tcp_role role)
{
	bool v4 = !remote[0] && !remote[1] && remote[2] == htonl(0xffff);
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &remote[3] : remote, text, sizeof(text));
	if (role == TCP_ACCEPTED)
		buf__printf(out, "%s on :%u", text, port);
	else
		buf__printf(out, v4 ? "%s:%u" : "[%s]:%u", text, port);
}

const char *tcp__trouble(enum tcp_trouble trouble, int error)
{
	const char *name = strerrorname_np(error);

	if (trouble == TCP_RESET_SENT)
		return "reset sent";
	if (trouble == TCP_FAILED_UNANSWERED)
		return "unanswered";
	if (trouble == TCP_BROKEN && error == ECONNRESET)
		return "reset by peer";
	switch (error) {
	case 0:
		return "given up";
	case ECONNREFUSED:
		return "refused";
	case ETIMEDOUT:
		return trouble == TCP_BROKEN ? "broken: timed out" : "timed out";
	case EHOSTUNREACH:
		return trouble == TCP_BROKEN ? "broken: host unreachable" : "host unreachable";
	case ENETUNREACH:
		return trouble == TCP_BROKEN ? "broken: network unreachable" : "network unreachable";
	case EADDRNOTAVAIL:
		return "no local port";
	case ECONNABORTED:
		return "aborted here";
	}
	return name ? name : "unknown";
}

static const char *side(enum tcp_role role)
{
	static const char *const words[] = {
		[TCP_OPENED] = "connect", [TCP_ACCEPTED] = "accept", [TCP_LISTENER] = "listen"};

	return role <= TCP_LISTENER && words[role] ? words[role] : "";
}

/* --- parties */

/* Those in the kernel, whose places are few: the ones that rest are removed there. What a program has just
 * looked up it counts for, so they stay known here for longer. */
static int read_parties(struct tcp *t)
{
	int fd = unit__map_fd(&t->tracer.unit, "parties");
	struct tcp_party party;
	uint64_t number, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &next);
	struct tcp_known *known;

	while (more) {
		number = next;
		more = !bpf_map_get_next_key(fd, &number, &next);
		if (bpf_map_lookup_elem(fd, &number, &party))
			continue;
		known = table__add(&t->parties, &number, NULL);
		if (!known)
			return -ENOMEM;
		known->party = party;
		if (known->idle >= IDLE_IN_KERNEL)
			bpf_map_delete_elem(fd, &number);
	}
	return 0;
}

static bool is_forgotten(void *context, const void *key, void *value)
{
	struct tcp_known *known = value;

	(void)context;
	(void)key;
	return known->idle > IDLE_KNOWN && known->health.state == HEALTH_CLOSED;
}

/* --- sums */

static void add_slot(struct hist *h, const struct cell_row *row)
{
	h->slot[row->key.slot % HIST_SLOTS] += row->count;
	h->count += row->count;
	h->sum += row->ns;
}

static uint64_t in_ns(const struct tcp *t, uint64_t ticks)
{
	return (uint64_t)((double)ticks * t->tick_ns);
}

static void add_trouble(struct health_counts *h, const struct cell_row *row)
{
	int error = row->key.slot;

	if (row->key.state == TCP_FAILED_UNANSWERED || error == ETIMEDOUT)
		h->timed_out += row->count;
	else if (row->key.state == TCP_FAILED_CONNECT && error == ECONNREFUSED)
		h->refused += row->count;
	else if (error == EHOSTUNREACH || error == ENETUNREACH)
		h->unreachable += row->count;
	else if (row->key.state == TCP_BROKEN && error == ECONNRESET)
		h->reset += row->count;
}

static void add_row(struct tcp *t, struct tcp_sums *s, const struct cell_row *row)
{
	switch ((enum tcp_cell)row->key.kind) {
	case TCP_CELL_CONNECT:
		add_slot(&s->connect, row);
		s->connections += row->count;
		s->health.succeeded += row->count;
		break;
	case TCP_CELL_NEW:
		s->connections += row->count;
		break;
	case TCP_CELL_ACCEPT:
		add_slot(&s->accept, row);
		break;
	case TCP_CELL_LIFE:
		add_slot(&s->life, row);
		break;
	case TCP_CELL_RTT:
		add_slot(&s->rtt, row);
		break;
	case TCP_CELL_LIVE:
		s->live += row->count;
		break;
	case TCP_CELL_BYTES:
		s->sent += row->count;
		s->received += row->ns;
		break;
	case TCP_CELL_SEGMENTS:
		s->segments_out += row->count;
		s->segments_in += row->ns;
		break;
	case TCP_CELL_RETRANSMITS:
		s->retransmits += row->count;
		s->retransmitted_bytes += row->ns;
		break;
	case TCP_CELL_STALLS:
		s->rwnd_ns += in_ns(t, row->count);
		s->sndbuf_ns += in_ns(t, row->ns);
		break;
	case TCP_CELL_QUEUE:
		s->queue += row->count;
		s->queue_limit += row->ns;
		break;
	case TCP_CELL_DROPS:
		s->drops += row->count;
		break;
	case TCP_CELL_FAILED:
		add_trouble(&s->health, row);
		break;
	case TCP_CELL_ENDED:
		break;
	}
}

/* --- points */

struct emitting {
	struct tcp *t;
	struct point_stream *out;
	struct point p; /* who and labels of the party at hand */
	struct buf peer, netns;
	char *cgroup_path;
	struct {
		uint64_t opened, accepted, failed, sent, received;
	} total;
};

static int describe(struct emitting *e, const struct tcp_party *party)
{
	const struct tcp *t = e->t;

	e->p = (struct point){0};
	e->peer.len = e->netns.len = 0;
	free(e->cgroup_path);
	e->cgroup_path = NULL;
	if (t->options.by == TCP_BY_CGROUP) {
		e->p.who.cgroup = party->owner[0];
		e->cgroup_path = cgroup__path(party->owner[0]);
		buf__puts(&e->peer, e->cgroup_path ? e->cgroup_path : "(gone)");
	} else {
		e->p.who.start_ns = party->owner[0];
		e->p.who.tgid = (uint32_t)party->owner[1];
		memcpy(e->p.who.comm, party->comm, sizeof(party->comm));
	}
	if (t->options.by == TCP_BY_PEER && party->role)
		tcp__peer(&e->peer, party->remote, party->port, party->role);
	else if (!party->role)
		buf__puts(&e->peer, "__other__");
	if (party->netns && party->netns != t->netns)
		buf__printf(&e->netns, "%u", party->netns);
	e->p.label[0] = side(party->role);
	e->p.label[1] = buf__text(&e->peer);
	e->p.label[2] = buf__text(&e->netns);
	return e->peer.failed || e->netns.failed ? -ENOMEM : 0;
}

static int emit_column(struct emitting *e, const struct tcp_column *column)
{
	const void *value = (const char *)e->t->sums + column->at;
	const struct hist *h = value;
	const uint64_t *n = value;

	e->p.metric = &column->metric;
	if (column->metric.kind == POINT_HIST) {
		if (!h->count)
			return 0;
		e->p.hist = h;
	} else if (!*n && !column->always) {
		return 0;
	} else if (column->metric.kind == POINT_COUNTER) {
		e->p.counter = *n;
	} else {
		e->p.gauge = (double)*n;
	}
	return e->out->emit(e->out, &e->p);
}

static int emit_failures(struct emitting *e, const struct cell_row *rows, size_t count)
{
	int err = 0;

	e->p.metric = &metric_tcp_failures;
	for (size_t i = 0; !err && i < count; i++) {
		if (rows[i].key.kind != TCP_CELL_FAILED)
			continue;
		e->p.label[3] = tcp__trouble(rows[i].key.state, rows[i].key.slot);
		e->p.counter = rows[i].count;
		err = e->out->emit(e->out, &e->p);
		if (rows[i].key.state != TCP_RESET_SENT)
			e->total.failed += rows[i].count;
	}
	e->p.label[3] = NULL;
	return err;
}

static int emit_party(struct emitting *e, const struct tcp_known *known, const struct cell_row *rows,
		      size_t count)
{
	struct tcp_sums *s = e->t->sums;
	int err = describe(e, &known->party);

	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < count; i++)
		add_row(e->t, s, &rows[i]);
	for (const struct tcp_column *c = tcp__columns; !err && c->metric.name; c++)
		if (c->roles & 1u << known->party.role)
			err = emit_column(e, c);
	if (!err)
		err = emit_failures(e, rows, count);
	if (known->party.role == TCP_ACCEPTED)
		e->total.accepted += s->connections;
	else
		e->total.opened += s->connections;
	e->total.sent += s->sent;
	e->total.received += s->received;
	return err;
}

static int emit_health(struct emitting *e, struct tcp_known *known)
{
	static const char *const states[] = {
		[HEALTH_CLOSED] = "closed", [HEALTH_HALF_OPEN] = "half-open", [HEALTH_OPEN] = "open"};
	const struct health_counts w = health__window(&known->health);
	const struct {
		const struct metric *metric;
		uint64_t part;
	} shares[] = {{&metric_tcp_refused, w.refused},
		      {&metric_tcp_timed_out, w.timed_out + w.unreachable},
		      {&metric_tcp_reset, w.reset}};
	int err;

	if (known->health.state == HEALTH_CLOSED && !health__failed(&w))
		return 0;
	err = describe(e, &known->party);
	e->p.label[0] = e->p.label[1];
	e->p.label[1] = e->p.label[2];
	e->p.label[2] = states[known->health.state];
	for (size_t i = 0; !err && i < sizeof(shares) / sizeof(shares[0]); i++) {
		e->p.metric = shares[i].metric;
		e->p.gauge = health__percent(&w, shares[i].part);
		err = e->out->emit(e->out, &e->p);
	}
	return err;
}

/* --- an interval */

static int compare(const void *a, const void *b)
{
	const struct cell_key *x = &((const struct cell_row *)a)->key;
	const struct cell_key *y = &((const struct cell_row *)b)->key;

	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->state != y->state)
		return x->state < y->state ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/* Listeners come behind: tables stand in the order in which they begin. */
static int emit_parties(struct emitting *e, const struct cell_row *rows, size_t count, uint64_t now_ns,
			bool listeners)
{
	struct tcp_known others = {0}, *known;
	size_t end;
	int err = 0;

	for (size_t i = 0; !err && i < count; i = end) {
		for (end = i + 1; end < count && rows[end].key.a == rows[i].key.a; end++)
			;
		known = table__find(&e->t->parties, &rows[i].key.a);
		if ((known && known->party.role == TCP_LISTENER) != listeners)
			continue;
		if (known)
			known->idle = 0;
		err = emit_party(e, known ? known : &others, rows + i, end - i);
		if (known && known->party.role == TCP_OPENED && e->t->options.by == TCP_BY_PEER)
			health__add(&known->health, &health__rules, now_ns, &e->t->sums->health);
	}
	return err;
}

static int emit_peers(struct emitting *e, uint64_t now_ns)
{
	static const struct health_counts none;
	const void *key;
	void *value;
	size_t i = 0;
	int err = 0;

	while (!err && table__next(&e->t->parties, &i, &key, &value)) {
		struct tcp_known *known = value;

		if (known->idle++ && known->health.last_ns)
			health__add(&known->health, &health__rules, now_ns, &none);
		err = emit_health(e, known);
	}
	table__drop(&e->t->parties, is_forgotten, NULL);
	return err;
}

static void headline(const struct emitting *e, struct buf *out)
{
	if (out->len)
		return;
	units__count(out, e->total.opened);
	buf__puts(out, " connections opened, ");
	units__count(out, e->total.accepted);
	buf__puts(out, " accepted, ");
	units__count(out, e->total.failed);
	buf__puts(out, " failed or broken, ");
	units__bytes(out, e->total.sent);
	buf__puts(out, " sent, ");
	units__bytes(out, e->total.received);
	buf__puts(out, " received");
}

int tcp__emit(struct tcp *t, struct point_stream *out, struct drain *d)
{
	struct emitting e = {.t = t, .out = out};
	struct cell_row *rows = NULL;
	size_t count = 0;
	int err = tracer__take(&t->tracer, &rows, &count, d);

	if (!err)
		err = read_parties(t);
	if (count)
		qsort(rows, count, sizeof(*rows), compare);
	if (!err)
		err = emit_parties(&e, rows, count, d->to_ns, false);
	if (!err)
		err = emit_parties(&e, rows, count, d->to_ns, true);
	if (!err)
		err = emit_peers(&e, d->to_ns);
	headline(&e, &d->headline);
	free(rows);
	free(e.cgroup_path);
	buf__free(&e.peer);
	buf__free(&e.netns);
	return err;
}
