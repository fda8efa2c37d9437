/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the tcp probe: its state, and the two files it is made of. */
#ifndef SONDE_PROBE_TCP_H
#define SONDE_PROBE_TCP_H

#include "base/table.h"
#include "model/health.h"
#include "probe/tracer.h"
#include "sonde/tcp.h"

struct bpf_link;

struct tcp {
	struct tracer tracer;
	struct tcp_options options;
	uint32_t netns; /* sonde's own: its sockets' is not shown */
	struct bpf_link *sockets, *files;
	double tick_ns;	      /* a jiffy; 0: not known yet */
	struct table parties; /* number -> struct tcp_known */
	struct tcp_sums *sums;
};

struct tcp_known {
	struct tcp_party party;
	struct health health;
	unsigned idle; /* drains in a row without a cell */
};

/* What the cells of one party come to. */
struct tcp_sums {
	struct hist connect, accept, life, rtt;
	uint64_t connections, live, sent, received, segments_out, segments_in;
	uint64_t retransmits, retransmitted_bytes, rwnd_ns, sndbuf_ns;
	uint64_t queue, queue_limit, drops;
	struct health_counts health;
};

/* A metric that is a field of the sums. */
struct tcp_column {
	struct metric metric;
	size_t at;	/* in struct tcp_sums: a struct hist or uint64_t */
	bool always;	/* also if it is zero */
	unsigned roles; /* bits by enum tcp_role */
};

extern const struct tcp_column tcp__columns[];	  /* ends with a NULL name */
extern const struct metric *const tcp__metrics[]; /* NULL-terminated */
extern const struct metric metric_tcp_failures, metric_tcp_refused, metric_tcp_timed_out, metric_tcp_reset,
	metric_tcp_event;

/* Everything that was counted, as points. 0 or -errno. */
int tcp__emit(struct tcp *t, struct point_stream *out, struct drain *d);
/* "10.0.0.1:443", "[2001:db8::1]:443"; "10.0.0.7 on :8080" of what was accepted. */
void tcp__peer(struct buf *out, const uint32_t *remote, uint16_t port, enum tcp_role role);
/* "refused", "timed out" ...: a constant or the errno's name. */
const char *tcp__trouble(enum tcp_trouble trouble, int error);

#endif
