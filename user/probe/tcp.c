// SPDX-License-Identifier: Apache-2.0
/* The tcp probe: connections, by whom and with whom, from the kernel's own numbers. */
#include "probe/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/msg.h"
#include "base/units.h"
#include "probe/iterator.h"

#define CELLS_PER_PARTY 16
#define CELLS_MIN	16384

static const struct hook hooks[] = {
	{"inet_sock_set_state", "tp_btf, raw_tp", "everything"},
	{"tcp_destroy_sock", "tp_btf, raw_tp", "ends that came in the middle of another change"},
	{"tcp_send_reset", "tp_btf, raw_tp", "resets that were sent"},
	{"iter/bpf_sk_storage_map", "iter/bpf_map_elem", "numbers of connections that live on"},
	{"iter/task_file", "plain", "connections from before the start"},
	{"inet_csk_accept", "fexit", "how long connections wait for accept()"},
	{"sched_process_exec", "tp_btf, raw_tp", "COMMAND"},
	{"task_newtask", "tp_btf, raw_tp", "children (--follow, COMMAND)"},
	{NULL},
};

/* Tracing functions is refused by some kernels: the last attempt does without. */
static bool wants_accept(const struct tracer *t, int attempt)
{
	(void)t;
	return !attempt;
}

static const struct tracer_program programs[] = {
	{"on_state", tracer__always},
	{"on_destroy", tracer__always},
	{"on_reset", tracer__always},
	{"on_accept", wants_accept},
	{"on_socket", tracer__always},
	{"on_file", tracer__always},
	{NULL},
};

static int prepare(struct tracer *tracer, struct unit *u, int attempt)
{
	const struct tcp_options *o = &((struct tcp *)tracer)->options;
	const struct tcp_config config = {
		.salt = u->loader->salt, .slow_ns = o->slow_ns, .by = (uint32_t)o->by};
	unsigned cells = o->parties * CELLS_PER_PARTY;
	int err = unit__set(u, "tcp_config", &config, sizeof(config));

	(void)attempt;
	if (!err)
		err = unit__resize(u, "parties", o->parties);
	if (!err && cells > CELLS_MIN) {
		err = unit__resize(u, "cells_a", cells);
		if (!err)
			err = unit__resize(u, "cells_b", cells);
	}
	return err;
}

/* --- events */

static int on_event(struct tracer *tracer, const struct event_record *e)
{
	static const char *const types[] = {[TCP_EVENT_FAILED] = "connection failed",
					    [TCP_EVENT_BROKEN] = "connection broke",
					    [TCP_EVENT_SLOW] = "slow connection"};
	const struct tcp *t = (const struct tcp *)tracer;
	struct event_field fields[4];
	struct buf peer = {0};
	uint32_t remote[4];
	size_t count = 0;
	int err;

	if (e->kind < TCP_EVENT_FAILED || e->kind > TCP_EVENT_SLOW)
		return 0;
	memcpy(remote, &e->value[TCP_VALUE_REMOTE], sizeof(remote));
	tcp__peer(&peer, remote, (uint16_t)e->value[TCP_VALUE_PORT], (enum tcp_role)e->value[TCP_VALUE_ROLE]);
	fields[count++] = (struct event_field){.name = "peer", .text = buf__text(&peer)};
	if (e->kind != TCP_EVENT_SLOW)
		fields[count++] = (struct event_field){
			.name = "error",
			.text = tcp__trouble((enum tcp_trouble)e->value[TCP_VALUE_TROUBLE],
					     (int)e->value[TCP_VALUE_ERRNO])};
	if (e->value[TCP_VALUE_RETRANSMITS])
		fields[count++] = (struct event_field){.name = "retransmits",
						       .number = e->value[TCP_VALUE_RETRANSMITS]};
	if (e->value[TCP_VALUE_NETNS] != t->netns)
		fields[count++] = (struct event_field){.name = "netns", .number = e->value[TCP_VALUE_NETNS]};
	err = tracer__send(tracer, e, &metric_tcp_event, types[e->kind], fields, count);
	buf__free(&peer);
	return err;
}

/* --- passes */

static void tcp__free(struct tracer *tracer)
{
	struct tcp *t = (struct tcp *)tracer;

	bpf_link__destroy(t->sockets);
	bpf_link__destroy(t->files);
	table__free(&t->parties);
	free(t->sums);
}

static const struct tracer_type type = {
	.image = "tcp",
	.what = "the programs on TCP connections",
	.part = PART_TCP,
	.attempts = 2,
	.programs = programs,
	.prepare = prepare,
	.event = on_event,
	.free = tcp__free,
};

static int link_iterator(struct tcp *t, const char *program, int map_fd, struct bpf_link **link)
{
	struct bpf_program *p = bpf_object__find_program_by_name(t->tracer.unit.object, program);
	union bpf_iter_link_info info = {.map.map_fd = (uint32_t)map_fd};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

	*link = bpf_program__attach_iter(p, map_fd >= 0 ? &opts : NULL);
	if (*link)
		return 0;
	msg__error("cannot attach the iterator %s: %s (see `sonde check`)", program, strerror(errno));
	return -errno;
}

static int read_exchange(const struct tcp *t, struct tcp_exchange *x)
{
	uint32_t slot = 0;

	return bpf_map_lookup_elem(unit__map_fd(&t->tracer.unit, "exchange"), &slot, x) ? -errno : 0;
}

static int pass_over_files(struct tcp *t, enum tcp_pass pass)
{
	const struct tcp_exchange x = {.pass = pass};
	uint32_t slot = 0;

	if (bpf_map_update_elem(unit__map_fd(&t->tracer.unit, "exchange"), &slot, &x, BPF_ANY))
		return -errno;
	return iterator__run(t->files, 0, NULL, NULL);
}

/* The kernel counts stalls in jiffies, which began at -300 s when the machine started; how many there are in
 * a second is its secret. */
static void learn_tick(struct tcp *t, const struct tcp_exchange *x)
{
	static const unsigned rates[] = {100, 250, 300, 1000, 24, 32, 48, 64, 128, 256, 512, 1024, 200};
	double seconds = (double)x->now_ns / 1e9, best = 0;

	for (size_t i = 0; x->now_ns && i < sizeof(rates) / sizeof(rates[0]); i++) {
		double since = (double)(x->jiffies - (uint32_t)(-300 * (int)rates[i]));
		double off = since / rates[i] / seconds - 1;

		off = off < 0 ? -off : off;
		if (!t->tick_ns || off < best) {
			best = off;
			t->tick_ns = 1e9 / rates[i];
		}
	}
}

/* What lives on is counted as of now. Who has what was accepted is asked before, if anything is in doubt. */
static int pass_over_sockets(struct tcp *t)
{
	struct tcp_exchange x = {0};
	int err = read_exchange(t, &x);

	if (!err && x.unconfirmed)
		err = pass_over_files(t, TCP_PASS_OWNERS);
	if (!err)
		err = iterator__run(t->sockets, 0, NULL, NULL);
	if (!err)
		err = read_exchange(t, &x);
	if (!err && !t->tick_ns)
		learn_tick(t, &x);
	return err;
}

/* --- life cycle */

static void set(struct tracer *tracer, const void *options)
{
	((struct tcp *)tracer)->options = *(const struct tcp_options *)options;
}

static struct probe *tcp__open(struct probe_context *context, const void *options)
{
	struct tcp *t =
		(struct tcp *)tracer__open(sizeof(*t), &type, &probe_tcp, context, BY_PID, set, options);
	struct stat st;
	int err;

	if (!t)
		return NULL;
	table__init(&t->parties, sizeof(uint64_t), sizeof(struct tcp_known));
	t->netns = stat("/proc/self/ns/net", &st) ? 0 : (uint32_t)st.st_ino;
	t->sums = calloc(1, sizeof(*t->sums));
	if (t->sums)
		return &t->tracer.probe;
	err = errno;
	tracer__close(&t->tracer.probe);
	errno = err;
	return NULL;
}

static int tcp__attach(struct probe *probe)
{
	struct tcp *t = (struct tcp *)probe;
	int err = tracer__attach(probe);

	if (!err)
		err = link_iterator(t, "on_socket", unit__map_fd(&t->tracer.unit, "connections"),
				    &t->sockets);
	return err ? err : link_iterator(t, "on_file", -1, &t->files);
}

/* What is there already; what comes meanwhile is seen by the hooks. */
static int tcp__begin(struct probe *probe, uint64_t start_ns)
{
	struct tcp *t = (struct tcp *)probe;
	int err = tracer__begin(probe, start_ns);

	if (!err)
		err = pass_over_files(t, TCP_PASS_LISTENERS);
	if (!err)
		err = pass_over_files(t, TCP_PASS_SEED);
	if (err)
		msg__error("cannot read which connections there are: %s", strerror(-err));
	return err;
}

/* While connections that end are still counted. */
static void tcp__detach(struct probe *probe)
{
	int err = pass_over_sockets((struct tcp *)probe);

	if (err)
		msg__error("cannot read the connections that there are still: %s", strerror(-err));
	tracer__detach(probe);
}

static int tcp__drain(struct probe *probe, struct point_stream *out, struct drain *d)
{
	struct tcp *t = (struct tcp *)probe;
	int err = d->last ? 0 : pass_over_sockets(t);

	return err ? err : tcp__emit(t, out, d);
}

const struct probe_type probe_tcp = {
	.name = "tcp",
	.summary = "TCP connections: who with whom, how much, how well",
	.metrics = tcp__metrics,
	.hooks = hooks,
	.open = tcp__open,
	.attach = tcp__attach,
	.begin = tcp__begin,
	.cut = tracer__cut,
	.detach = tcp__detach,
	.drain = tcp__drain,
	.record = tracer__record,
	.unit = tracer__unit,
	.close = tracer__close,
};
