/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the tcp programs and user space know of each other. */
#ifndef SONDE_TCP_H
#define SONDE_TCP_H

#include "sonde/abi.h"

/* Of which end a socket is. */
enum tcp_role {
	TCP_NONE,
	TCP_OPENED,   /* by connect() */
	TCP_ACCEPTED, /* by a listener */
	TCP_LISTENER,
	TCP_UNBORN, /* made for a connection whose handshake is not complete */
};

/* What a row is about: `--by`. */
enum tcp_by {
	TCP_BY_PEER, /* and process */
	TCP_BY_PROCESS,
	TCP_BY_CGROUP,
	TCP_BY_NONE,
};

/* Who a row is about; cells refer to it by its number. What `--by` leaves out is 0. */
struct tcp_party {
	__u32 remote[4]; /* network order, IPv4 mapped into IPv6; of a listener its own address */
	__u64 owner[2];	 /* process: start_boot_ns and number; or cgroup */
	__u32 netns;	 /* its inode */
	__u16 port;	 /* opened: the peer's; else the own one */
	__u8 role;	 /* enum tcp_role */
	__u8 reserved;
	char comm[COMM_LEN]; /* of the process; no part of what tells parties apart */
};

#define TCP_OTHERS 0 /* number of all parties that found no place */

/* Kinds of cells. a: the party's number. */
enum tcp_cell {
	TCP_CELL_CONNECT = 1, /* slot, ns: from connect() to the handshake's end */
	TCP_CELL_NEW,	      /* accepted, or opened at an unknown time */
	TCP_CELL_ACCEPT,      /* slot, ns: from the handshake's end to accept() */
	TCP_CELL_LIFE,	      /* slot, ns: from the handshake's end to the last state */
	TCP_CELL_ENDED,	      /* count: connections whose life began before sonde */
	TCP_CELL_RTT,	      /* slot, ns: smoothed round trip, once a connection and interval */
	TCP_CELL_LIVE,	      /* count: connections that are there at the interval's end */
	TCP_CELL_FAILED,      /* state: enum tcp_trouble, slot: errno */
	TCP_CELL_BYTES,	      /* count: sent, ns: received */
	TCP_CELL_SEGMENTS,    /* likewise */
	TCP_CELL_RETRANSMITS, /* count: segments, ns: bytes */
	TCP_CELL_STALLS,      /* count: ticks limited by the receive window, ns: by the send buffer */
	TCP_CELL_QUEUE,	      /* count: connections in a listener's queue, ns: its limit, both now */
	TCP_CELL_DROPS,	      /* count: of a listener */
};

/* How a connection went wrong. */
enum tcp_trouble {
	TCP_FAILED_CONNECT = 1, /* slot: errno; 0: its process gave up */
	TCP_FAILED_UNANSWERED,	/* its process gave up, after the SYN had been sent more than once */
	TCP_BROKEN,		/* slot: errno: after the handshake */
	TCP_RESET_SENT,
};

/* Cumulative numbers of a socket. */
enum tcp_total {
	TCP_SENT_BYTES, /* each once, however often it was sent */
	TCP_RECEIVED_BYTES,
	TCP_RETRANSMITTED_BYTES,
	TCP_FIRST_NARROW, /* the rest has 32 bits */
	TCP_SENT_SEGMENTS = TCP_FIRST_NARROW,
	TCP_RECEIVED_SEGMENTS,
	TCP_RETRANSMITS,
	TCP_RWND_TICKS,
	TCP_SNDBUF_TICKS,
	TCP_LISTEN_DROPS,
	TCP_TOTALS
};

/* Kinds of events, and their values. */
enum tcp_event {
	TCP_EVENT_FAILED = 1, /* no handshake */
	TCP_EVENT_BROKEN,     /* the peer stopped to answer */
	TCP_EVENT_SLOW,	      /* a handshake that took long */
};

enum tcp_event_value {
	TCP_VALUE_REMOTE, /* two of them */
	TCP_VALUE_PORT = 2,
	TCP_VALUE_NETNS,
	TCP_VALUE_ROLE,
	TCP_VALUE_ERRNO,
	TCP_VALUE_RETRANSMITS,
	TCP_VALUE_TROUBLE, /* enum tcp_trouble */
};

struct tcp_config {
	__u64 salt;
	__u64 slow_ns; /* slower handshakes are told one by one; 0: none */
	__u32 by;      /* enum tcp_by */
	__u32 reserved;
};

/* What a pass over all open files is for. */
enum tcp_pass {
	TCP_PASS_LISTENERS = 1, /* before the next: which ports are listened on */
	TCP_PASS_SEED,		/* connections that were there before sonde */
	TCP_PASS_OWNERS,	/* who holds what a listener's process has not accepted itself */
};

/* One, shared: written by either side while the other one rests. */
struct tcp_exchange {
	__u64 pass;
	__u64 jiffies, now_ns; /* read together */
	__u64 unconfirmed;     /* connections whose process is known by their listener only */
};

#endif
