/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets of TCP. */
#ifndef VMLINUX_NET_H
#define VMLINUX_NET_H

#include "base.h"
#include "fs.h"
#include "sched.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
};

struct net {
	struct ns_common ns;
};

struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct {
		struct net *net;
	} skc_net;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr; /* CONFIG_IPV6 */
	unsigned long skc_flags;
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol;
	int sk_err;
	u8 sk_shutdown;
	u32 sk_ack_backlog, sk_max_ack_backlog;
	struct {
		int counter;
	} sk_drops;
};

struct socket {
	struct sock *sk;
};

struct tcp_sock {
	u64 bytes_sent, bytes_retrans, bytes_received;
	u32 segs_in, segs_out;
	u32 total_retrans;
	u32 srtt_us; /* times 8 */
	u32 chrono_start, chrono_stat[3];
	u8 chrono_type; /* since 6.18 a whole byte; two bits of one before */
};

/* The argument of inet_csk_accept() that took the place of two others: since 92ef0fd55ac8 (6.10). */
struct proto_accept_arg {
	int err;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct file *file;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct sock *sk;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *key;
};

#pragma clang attribute pop

#define AF_INET	    2
#define AF_INET6    10
#define IPPROTO_TCP 6

/* include/net/tcp_states.h, part of the user interface (ss) */
#define TCP_ESTABLISHED	 1
#define TCP_SYN_SENT	 2
#define TCP_SYN_RECV	 3
#define TCP_FIN_WAIT1	 4
#define TCP_TIME_WAIT	 6
#define TCP_CLOSE	 7
#define TCP_LAST_ACK	 9
#define TCP_LISTEN	 10
#define TCP_NEW_SYN_RECV 12

#define SOCK_DONE	  1 /* bit of skc_flags: the peer's FIN has come */
#define TCP_CHRONO_RWND	  2
#define TCP_CHRONO_SNDBUF 3

#define EPIPE	      32
#define EADDRNOTAVAIL 99
#define ECONNRESET    104

#endif
