/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is kept of each TCP socket, and how its cumulative numbers become cells.
 *
 * The kernel keeps the numbers in the socket; `counted` says how much of them stands in cells already. A
 * connection is counted when it ends and whenever user space reads all of them, on two CPUs at once perhaps:
 * whoever moves `counted` forward counts the difference.
 */
#ifndef SONDE_TCP_CONNECTION_BPF_H
#define SONDE_TCP_CONNECTION_BPF_H

#include "cells.bpf.h"
#include "target.bpf.h"
#include "net.h"
#include <bpf/bpf_endian.h>
#include "sonde/tcp.h"

const volatile struct tcp_config tcp_config;

struct owner {
	u64 start_boot_ns, cgroup;
	u32 tgid;
	u32 wanted;
	char comm[COMM_LEN];
};

struct connection {
	u64 begun_ns;	    /* connect() or listen(); 0: before sonde */
	u64 established_ns; /* 0: not yet, or before sonde */
	u64 counted[TCP_TOTALS];
	u64 unseen; /* 1: it has not been counted itself yet */
	u64 over;   /* 1: its end was counted */
	struct owner owner;
	u32 remote[4];
	u32 netns;
	u16 remote_port, local_port;
	u32 role;      /* enum tcp_role */
	u32 confirmed; /* the owner is who has the socket, not who listened */
};

#ifdef RAW_TP
/* By the socket's address, until it is freed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct connection);
} connections SEC(".maps");

inline_always struct connection *connection__get(struct sock *sk)
{
	u64 key = (u64)sk;

	return bpf_map_lookup_elem(&connections, &key);
}

const volatile struct connection nothing; /* too large for the stack */

inline_always struct connection *connection__make(struct sock *sk)
{
	u64 key = (u64)sk;

	bpf_map_update_elem(&connections, &key, (void *)&nothing, BPF_NOEXIST);
	return connection__get(sk);
}

inline_always struct tcp_sock *tcp__of(struct sock *sk)
{
	return (struct tcp_sock *)sk;
}
#else
/* With the socket; what a listener makes begins with a copy of the listener's. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct connection);
} connections SEC(".maps");

inline_always struct connection *connection__get(struct sock *sk)
{
	return bpf_sk_storage_get(&connections, sk, NULL, 0);
}

inline_always struct connection *connection__make(struct sock *sk)
{
	return bpf_sk_storage_get(&connections, sk, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

inline_always struct tcp_sock *tcp__of(struct sock *sk)
{
	return bpf_skc_to_tcp_sock(sk);
}
#endif

/* Whom the number in a cell stands for. Filled here, emptied by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct tcp_party);
} parties SEC(".maps");

/* Ports that are listened on, and by whom: what a listener made is told from what was opened. */
struct listener_key {
	u32 netns, port;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct listener_key);
	__type(value, struct owner);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct tcp_exchange);
} exchange SEC(".maps");

/* --- parties */

inline_always u64 mix(u64 hash, u64 value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	return hash ^ (hash >> 29);
}

inline_always u64 party__number(const struct tcp_party *p)
{
	u64 h = tcp_config.salt;

	h = mix(h, (u64)p->remote[0] << 32 | p->remote[1]);
	h = mix(h, (u64)p->remote[2] << 32 | p->remote[3]);
	h = mix(h, p->owner[0]);
	h = mix(h, p->owner[1]);
	h = mix(h, (u64)p->netns << 32 | (u32)p->port << 8 | p->role);
	return h ? h : 1;
}

inline_always void party__fill(struct tcp_party *p, const struct connection *c)
{
	zero(p, sizeof(*p));
	p->role = c->role;
	if (tcp_config.by == TCP_BY_PEER) {
		copy(p->remote, c->remote, sizeof(p->remote));
		p->netns = c->netns;
		p->port = c->role == TCP_OPENED ? c->remote_port : c->local_port;
	}
	if (tcp_config.by == TCP_BY_CGROUP) {
		p->owner[0] = c->owner.cgroup;
	} else if (tcp_config.by != TCP_BY_NONE) {
		p->owner[0] = c->owner.start_boot_ns;
		p->owner[1] = c->owner.tgid;
		copy(p->comm, c->owner.comm, COMM_LEN);
	}
}

/* Of the party that the connection is counted for: noted, if it is not. */
static __noinline u64 party__of(const struct connection *c)
{
	struct tcp_party party;
	u64 number;

	party__fill(&party, c);
	number = party__number(&party);
	if (!bpf_map_lookup_elem(&parties, &number) &&
	    bpf_map_update_elem(&parties, &number, &party, BPF_ANY))
		return TCP_OTHERS;
	return number;
}

/* --- counting */

#define WHAT(kind, state, slot) ((u32)(kind) << 24 | (u32)(state) << 16 | (u32)(slot))

/* 1: there was no room. Global, as what follows: verified once, and its callers' paths become one again. */
__noinline int count_cell(u64 party, u32 what, u64 count, u64 ns)
{
	struct cell_key key = {.a = party, .slot = what & 0xffff, .kind = what >> 24};

	if (!count && !ns)
		return 0;
	key.state = what >> 16 & 0xff;
	return !cell__add(&key, count, ns);
}

inline_always int count_time(u64 party, u32 kind, u64 ns)
{
	return count_cell(party, WHAT(kind, 0, slot__of_ns(ns)), 1, ns);
}

#ifdef NO_UNWIND_TABLES
/* Before 5bf07d0f6d5a (5.12) there is no such instruction: where a connection ends at the very moment of
 * being read, it may be counted twice. */
inline_always u64 exchange_if(u64 *at, u64 old, u64 new)
{
	u64 found = *(volatile u64 *)at;

	if (found == old)
		*(volatile u64 *)at = new;
	return found;
}
#define VERIFIED_ONCE static __noinline /* nor functions that are and take pointers (e5069b9c23b3, 5.12) */
#else
#define VERIFIED_ONCE		  __noinline
#define exchange_if(at, old, new) __sync_val_compare_and_swap(at, old, new)
#endif

inline_always u64 gain(u64 from, u64 to, bool narrow)
{
	if (narrow)
		return (s32)(to - from) > 0 ? (u32)(to - from) : 0;
	return (s64)(to - from) > 0 ? to - from : 0;
}

/* What has come since it was counted last, which is counted with this. Nobody but one reader of all comes in
 * between, so twice is enough. */
VERIFIED_ONCE u64 advance(u64 *counted, u64 now, u32 narrow)
{
	u64 old, found, more;

	if (!counted)
		return 0;
	old = *(volatile u64 *)counted;
	more = gain(old, now, narrow);
	if (!more)
		return 0;
	found = exchange_if(counted, old, now);
	if (found == old)
		return more;
	more = gain(found, now, narrow);
	return more && exchange_if(counted, found, now) == found ? more : 0;
}

/* One that was limited all the time until now is limited still. */
inline_always u64 stalled(struct tcp_sock *tp, u32 type, u32 ticks, u32 now)
{
	return READ_BIT(tp, chrono_type) == type ? ticks + (now - READ(tp, chrono_start)) : ticks;
}

/* The peer's FIN takes a place in the sequence of bytes. */
inline_always void totals__read(u64 *now, struct sock *sk, struct tcp_sock *tp)
{
	u64 retransmitted = READ(tp, bytes_retrans);
	u32 ticks = bpf_jiffies64();

	now[TCP_SENT_BYTES] = READ(tp, bytes_sent) - retransmitted;
	now[TCP_RETRANSMITTED_BYTES] = retransmitted;
	now[TCP_RECEIVED_BYTES] =
		READ(tp, bytes_received) - (READ(sk, __sk_common.skc_flags) >> SOCK_DONE & 1);
	now[TCP_SENT_SEGMENTS] = READ(tp, segs_out);
	now[TCP_RECEIVED_SEGMENTS] = READ(tp, segs_in);
	now[TCP_RETRANSMITS] = READ(tp, total_retrans);
	now[TCP_RWND_TICKS] = stalled(tp, TCP_CHRONO_RWND, READ(tp, chrono_stat[TCP_CHRONO_RWND - 1]), ticks);
	now[TCP_SNDBUF_TICKS] =
		stalled(tp, TCP_CHRONO_SNDBUF, READ(tp, chrono_stat[TCP_CHRONO_SNDBUF - 1]), ticks);
	now[TCP_LISTEN_DROPS] = (u32)READ(sk, sk_drops.counter);
}

inline_always int count_totals(struct connection *c, u64 party, struct sock *sk, struct tcp_sock *tp)
{
	u64 now[TCP_TOTALS];
	int full = 0;

	totals__read(now, sk, tp);
#pragma unroll
	for (int i = 0; i < TCP_TOTALS; i++)
		now[i] = advance(&c->counted[i], now[i], i >= TCP_FIRST_NARROW);
	full |= count_cell(party, WHAT(TCP_CELL_BYTES, 0, 0), now[TCP_SENT_BYTES], now[TCP_RECEIVED_BYTES]);
	full |= count_cell(party, WHAT(TCP_CELL_SEGMENTS, 0, 0), now[TCP_SENT_SEGMENTS],
			   now[TCP_RECEIVED_SEGMENTS]);
	full |= count_cell(party, WHAT(TCP_CELL_RETRANSMITS, 0, 0), now[TCP_RETRANSMITS],
			   now[TCP_RETRANSMITTED_BYTES]);
	full |= count_cell(party, WHAT(TCP_CELL_STALLS, 0, 0), now[TCP_RWND_TICKS], now[TCP_SNDBUF_TICKS]);
	return full | count_cell(party, WHAT(TCP_CELL_DROPS, 0, 0), now[TCP_LISTEN_DROPS], 0);
}

/* All that has come since the last time. */
static __noinline int connection__count(struct connection *c, u64 party, struct sock *sk)
{
	struct tcp_sock *tp = tcp__of(sk);
	int full = 0;
	u64 rtt_us;

	if (!tp)
		return 0;
	full |= count_totals(c, party, sk, tp);
	if (c->role == TCP_LISTENER)
		return full;
	if (exchange_if(&c->unseen, 1, 0) == 1)
		full |= count_cell(party, WHAT(TCP_CELL_NEW, 0, 0), 1, 0);
	rtt_us = READ(tp, srtt_us) >> 3;
	if (rtt_us)
		full |= count_time(party, TCP_CELL_RTT, rtt_us * 1000);
	return full;
}

/* --- whose */

static __noinline void owner__set(struct owner *o, struct task_struct *task)
{
	o->start_boot_ns = READ(task__cast(task), group_leader, start_boottime);
	o->tgid = pids__of(task).tgid;
	o->cgroup = task__cgroup(task);
	task__comm(o->comm, READ(task, group_leader));
	o->wanted = target__wants(task);
}

inline_always void address__copy(u32 *to, struct sock *sk, bool own)
{
	u32 v4 = own ? READ(sk, __sk_common.skc_rcv_saddr) : READ(sk, __sk_common.skc_daddr);

	to[0] = to[1] = 0;
	to[2] = bpf_htonl(0xffff);
	to[3] = v4;
	if (READ(sk, __sk_common.skc_family) != AF_INET6 ||
	    !bpf_core_field_exists(((struct sock_common *)0)->skc_v6_daddr))
		return;
#define WORD(i)                                                                 \
	to[i] = own ? READ(sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[i]) \
		    : READ(sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32[i])
	WORD(0);
	WORD(1);
	WORD(2);
	WORD(3);
#undef WORD
}

inline_always u32 sock__netns(struct sock *sk)
{
	return READ(sk, __sk_common.skc_net.net, ns.inum);
}

/* From the socket, whose addresses are known by now. */
static __noinline void connection__address(struct connection *c, struct sock *sk, bool own)
{
	c->netns = sock__netns(sk);
	c->local_port = READ(sk, __sk_common.skc_num);
	c->remote_port = bpf_ntohs(READ(sk, __sk_common.skc_dport));
	address__copy(c->remote, sk, own);
}

/* As if it had never been seen: sockets are used again, and those of a listener begin as its copies. */
inline_always void connection__reset(struct connection *c, u32 role)
{
	for (int i = 0; i < TCP_TOTALS; i++)
		c->counted[i] = 0;
	c->begun_ns = c->established_ns = 0;
	c->unseen = c->over = 0;
	c->confirmed = 0;
	c->role = role;
}

#endif
