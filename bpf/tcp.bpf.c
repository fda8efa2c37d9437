// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP connections: from changes of a socket's state, and from what the kernel counts in each socket anyway,
 * read when it ends and when user space asks. No program runs per packet.
 *
 * A change that a process causes may be interrupted by one that a packet causes, so counters are atomic. Then
 * the kernel does not run the same program a second time; a socket's last moment is another program, and
 * makes up for an end that was passed over.
 */
#define PREEMPTIBLE
#include "tcp_connection.bpf.h"
#include "event.bpf.h"
#include "follow.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum result {
	COUNTED,
	NOT_WANTED,
	NO_ROOM,
	NO_STATE,
};

inline_always int account(struct loss *l, int result)
{
	loss__count(l, TCP, HITS);
	if (result == COUNTED)
		loss__count(l, TCP, AGGREGATED);
	else if (result == NOT_WANTED)
		loss__count(l, TCP, FILTERED);
	else if (result == NO_ROOM)
		loss__count(l, TCP, MAP_FULL);
	else
		loss__count(l, TCP, NO_MEMORY);
	return 0;
}

inline_always int room(int full)
{
	return full ? NO_ROOM : COUNTED;
}

/* --- events */

#define TALE(kind, trouble, error) ((u64)(kind) << 48 | (u64)(trouble) << 32 | (u32)(error))

/* After its numbers were counted. */
static __noinline void tell(struct connection *c, u64 tale, u64 now, struct loss *l)
{
	u64 since = tale >> 48 == TCP_EVENT_BROKEN ? c->established_ns : c->begun_ns;
	struct event_record *e = event__begin(PART_TCP, tale >> 48, now, l);

	if (!e)
		return;
	e->tgid = e->tid = c->owner.tgid;
	e->start_boot_ns = c->owner.start_boot_ns;
	e->cgroup = c->owner.cgroup;
	copy(e->comm, c->owner.comm, COMM_LEN);
	e->duration_ns = since ? now - since : 0;
	copy(&e->value[TCP_VALUE_REMOTE], c->remote, sizeof(c->remote));
	e->value[TCP_VALUE_PORT] = c->role == TCP_OPENED ? c->remote_port : c->local_port;
	e->value[TCP_VALUE_NETNS] = c->netns;
	e->value[TCP_VALUE_ROLE] = c->role;
	e->value[TCP_VALUE_ERRNO] = (u32)tale;
	e->value[TCP_VALUE_RETRANSMITS] = c->counted[TCP_RETRANSMITS];
	e->value[TCP_VALUE_TROUBLE] = tale >> 32 & 0xffff;
	event__send(e, l);
}

/* --- beginnings */

inline_always int on_connect(struct sock *sk, u64 now)
{
	struct connection *c = connection__make(sk);

	if (!c)
		return NO_STATE;
	connection__reset(c, TCP_OPENED);
	c->begun_ns = now;
	c->confirmed = 1;
	owner__set(&c->owner, task__current());
	connection__address(c, sk, false);
	return c->owner.wanted ? COUNTED : NOT_WANTED;
}

inline_always int on_listen(struct sock *sk, u64 now)
{
	struct listener_key key = {.netns = sock__netns(sk), .port = READ(sk, __sk_common.skc_num)};
	struct connection *c = connection__make(sk);

	if (!c)
		return NO_STATE;
	connection__reset(c, TCP_LISTENER);
	c->begun_ns = now;
	c->counted[TCP_LISTEN_DROPS] = (u32)READ(sk, sk_drops.counter);
	owner__set(&c->owner, task__current());
	connection__address(c, sk, true);
	bpf_map_update_elem(&listeners, &key, &c->owner, BPF_ANY);
	return c->owner.wanted ? COUNTED : NOT_WANTED;
}

/* A handshake is complete, at the side that was called. Who will accept it is not known yet. */
inline_always int on_passive(struct sock *sk, u64 now)
{
	struct connection *c = connection__make(sk);
	struct listener_key key;
	struct owner *o;

	if (!c)
		return NO_STATE;
	key.netns = sock__netns(sk);
	key.port = READ(sk, __sk_common.skc_num);
	if (c->role != TCP_UNBORN) {
		o = bpf_map_lookup_elem(&listeners, &key);
		if (o)
			c->owner = *o;
	}
	connection__reset(c, TCP_ACCEPTED);
	c->established_ns = now;
	c->unseen = 1;
	connection__address(c, sk, false);
	return c->owner.wanted ? COUNTED : NOT_WANTED;
}

inline_always int on_active(struct connection *c, u64 now, struct loss *l)
{
	u64 took = now - c->begun_ns;
	int full;

	if (!c->owner.wanted)
		return NOT_WANTED;
	c->established_ns = now;
	full = count_time(party__of(c), TCP_CELL_CONNECT, took);
	if (tcp_config.slow_ns && took >= tcp_config.slow_ns)
		tell(c, TALE(TCP_EVENT_SLOW, 0, 0), now, l);
	return room(full);
}

/* --- ends */

static __noinline int on_failed(struct connection *c, u64 party, struct sock *sk, u64 now, struct loss *l)
{
	u32 trouble = TCP_FAILED_CONNECT, error = READ(sk, sk_err);

	if (!error && !READ(sk, sk_shutdown)) /* nor was it closed: connect() has found no port */
		error = EADDRNOTAVAIL;
	if (!error && c->counted[TCP_RETRANSMITS])
		trouble = TCP_FAILED_UNANSWERED;
	tell(c, TALE(TCP_EVENT_FAILED, trouble, error), now, l);
	return count_cell(party, WHAT(TCP_CELL_FAILED, trouble, error & 0xfff), 1, 0);
}

static __noinline int on_over(struct connection *c, u64 party, struct sock *sk, u64 now, struct loss *l)
{
	int error = READ(sk, sk_err), full;

	if (c->established_ns)
		full = count_time(party, TCP_CELL_LIFE, now - c->established_ns);
	else
		full = count_cell(party, WHAT(TCP_CELL_ENDED, 0, 0), 1, 0);
	if (!error)
		return full;
	if (error == EPIPE) /* of a reset, too, after the peer's FIN */
		error = ECONNRESET;
	if (error != ECONNRESET)
		tell(c, TALE(TCP_EVENT_BROKEN, TCP_BROKEN, error), now, l);
	return full | count_cell(party, WHAT(TCP_CELL_FAILED, TCP_BROKEN, error & 0xfff), 1, 0);
}

static __noinline int on_end(struct connection *c, struct sock *sk, bool connecting, u64 now, struct loss *l)
{
	struct listener_key key = {.netns = c->netns, .port = c->local_port};
	u64 party;
	int full;

	if (c->role == TCP_LISTENER)
		bpf_map_delete_elem(&listeners, &key);
	if (exchange_if(&c->over, 0, 1) || !c->owner.wanted)
		return NOT_WANTED;
	party = party__of(c);
	full = connection__count(c, party, sk);
	if (c->role == TCP_LISTENER)
		return room(full);
	if (connecting)
		full |= on_failed(c, party, sk, now, l);
	else
		full |= on_over(c, party, sk, now, l);
	return room(full);
}

/* The process that closes what was accepted has it. */
inline_always int on_closing(struct connection *c)
{
	if (c->role == TCP_ACCEPTED && !c->confirmed) {
		owner__set(&c->owner, task__current());
		c->confirmed = 1;
	}
	return c->owner.wanted ? COUNTED : NOT_WANTED;
}

static __noinline int change(struct sock *sk, int old, int new, u64 now, struct loss *l)
{
	struct connection *c = connection__get(sk);

	if (old == TCP_SYN_RECV && new == TCP_ESTABLISHED && (!c || c->role != TCP_OPENED))
		return on_passive(sk, now);
	if (!c || c->role == TCP_NONE)
		return NOT_WANTED;
	if (old == TCP_LISTEN && new == TCP_SYN_RECV) {
		c->role = TCP_UNBORN;
		return NOT_WANTED;
	}
	if (c->role == TCP_UNBORN)
		return NOT_WANTED;
	if (new == TCP_ESTABLISHED && c->role == TCP_OPENED && c->begun_ns)
		return on_active(c, now, l);
	if (new == TCP_FIN_WAIT1 || new == TCP_LAST_ACK)
		return on_closing(c);
	if (new == TCP_CLOSE)
		return on_end(c, sk, c->role == TCP_OPENED && (old == TCP_SYN_SENT || old == TCP_SYN_RECV),
			      now, l);
	return c->owner.wanted ? COUNTED : NOT_WANTED;
}

HOOK("inet_sock_set_state")
int BPF_PROG(on_state, struct sock *sk, int old, int new)
{
	u64 now = bpf_ktime_get_ns();
	struct loss *l = loss__here();
	int result;

	if (!l || READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	count__add(&l->runs, 1);
	if (!*(volatile u64 *)&control.cut)
		return 0;
	if (new != TCP_SYN_SENT &&new != TCP_LISTEN)
		result = change(sk, old, new, now, l);
	else if (!control__running(now))
		return 0;
	else if (new == TCP_SYN_SENT)
		result = on_connect(sk, now);
	else
		result = on_listen(sk, now);
	return account(l, result);
}

/* After its last state, if that was seen. */
HOOK("tcp_destroy_sock")
int BPF_PROG(on_destroy, struct sock *sk)
{
	struct loss *l = loss__here();
	struct connection *c;
#ifdef RAW_TP
	u64 key = (u64)sk;
#endif

	if (!l)
		return 0;
	count__add(&l->runs, 1);
	c = connection__get(sk);
	if (!c)
		return 0;
	if (!c->over && c->role && c->role != TCP_UNBORN)
		account(l, on_end(c, sk, c->role == TCP_OPENED && c->begun_ns && !c->established_ns,
				  bpf_ktime_get_ns(), l));
#ifdef RAW_TP
	bpf_map_delete_elem(&connections, &key);
#endif
	return 0;
}

/* Without a socket, or for one that waits for the last packets only, nobody is told of. */
HOOK("tcp_send_reset")
int BPF_PROG(on_reset, struct sock *sk)
{
	struct loss *l = loss__here();
	struct connection *c;
	int result = NOT_WANTED;
	u8 state;

	if (!l)
		return 0;
	count__add(&l->runs, 1);
	if (!sk || !*(volatile u64 *)&control.cut)
		return 0;
	state = READ(sk, __sk_common.skc_state);
	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV)
		return 0;
	c = connection__get(sk);
	if (c && c->role && c->role != TCP_UNBORN && c->owner.wanted)
		result = room(count_cell(party__of(c), WHAT(TCP_CELL_FAILED, TCP_RESET_SENT, 0), 1, 0));
	return account(l, result);
}

#ifndef RAW_TP
/* Who accepts, and how long the connection has waited for that. */
SEC("?fexit/inet_csk_accept")
int on_accept(u64 *ctx)
{
	struct loss *l = loss__here();
	struct connection *c;
	struct sock *sk;
	u64 now = bpf_ktime_get_ns();

	/* The result comes behind the arguments. Two loads: the verifier lets nobody compute where to load.
	 */
	if (bpf_core_type_exists(struct proto_accept_arg)) {
		sk = (struct sock *)ctx[2];
		opaque(sk);
	} else {
		sk = (struct sock *)ctx[4];
		opaque(sk);
	}
	if (!l || !sk || !*(volatile u64 *)&control.cut)
		return 0;
	count__add(&l->runs, 1);
	c = connection__get(sk);
	if (!c || c->role != TCP_ACCEPTED || c->confirmed)
		return 0;
	owner__set(&c->owner, task__current());
	c->confirmed = 1;
	if (!c->owner.wanted)
		return account(l, NOT_WANTED);
	return account(l, room(count_time(party__of(c), TCP_CELL_ACCEPT, now - c->established_ns)));
}
#endif

/* --- passes of user space */

inline_always struct tcp_exchange *exchange__here(void)
{
	u32 slot = 0;

	return bpf_map_lookup_elem(&exchange, &slot);
}

inline_always int visit(struct sock *sk, struct connection *c, struct tcp_exchange *x)
{
	u64 party;
	int full;

	if (!c->role || c->role == TCP_UNBORN || c->over)
		return NOT_WANTED;
	if (c->role == TCP_ACCEPTED && !c->confirmed)
		x->unconfirmed++;
	if (!c->owner.wanted)
		return NOT_WANTED;
	party = party__of(c);
	full = connection__count(c, party, sk);
	if (c->role == TCP_LISTENER)
		full |= count_cell(party, WHAT(TCP_CELL_QUEUE, 0, 0), READ(sk, sk_ack_backlog),
				   READ(sk, sk_max_ack_backlog));
	else if (c->role == TCP_ACCEPTED || c->established_ns || !c->begun_ns)
		full |= count_cell(party, WHAT(TCP_CELL_LIVE, 0, 0), 1, 0);
	return room(full);
}

inline_always int visit_socket(struct sock *sk)
{
	struct tcp_exchange *x = exchange__here();
	struct loss *l = loss__here();
	struct connection *c;

	if (!x || !l)
		return 0;
	x->jiffies = bpf_jiffies64();
	x->now_ns = bpf_ktime_get_ns();
	c = connection__get(sk);
	if (c)
		account(l, visit(sk, c, x));
	return 0;
}

#ifdef RAW_TP
SEC("?iter/bpf_map_elem")
int on_socket(struct bpf_iter__bpf_map_elem *ctx)
{
	u64 *key = ctx->key;

	return key ? visit_socket((struct sock *)*key) : 0;
}
#else
SEC("?iter/bpf_sk_storage_map")
int on_socket(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;

	return sk ? visit_socket(sk) : 0;
}
#endif

inline_always void seed_listener(struct sock *sk, struct task_struct *task)
{
	struct listener_key key = {.netns = sock__netns(sk), .port = READ(sk, __sk_common.skc_num)};
	struct owner owner = {};

	owner__set(&owner, task);
	bpf_map_update_elem(&listeners, &key, &owner, BPF_NOEXIST);
}

/* It was there before: what it has counted until now is not sonde's. */
inline_always void seed(struct sock *sk, struct task_struct *task, u8 state)
{
	struct listener_key key = {.netns = sock__netns(sk), .port = READ(sk, __sk_common.skc_num)};
	struct connection *c = connection__get(sk);
	struct tcp_sock *tp = tcp__of(sk);
	bool fresh = !c;

	if (fresh)
		c = connection__make(sk);
	if (!c || !tp)
		return;
	if (!fresh && (c->owner.wanted || c->begun_ns || c->established_ns))
		return;
	if (fresh) {
		totals__read(c->counted, sk, tp);
		connection__address(c, sk, state == TCP_LISTEN);
		c->confirmed = 1;
		if (state == TCP_LISTEN)
			c->role = TCP_LISTENER;
		else
			c->role = bpf_map_lookup_elem(&listeners, &key) ? TCP_ACCEPTED : TCP_OPENED;
	}
	owner__set(&c->owner, task);
}

inline_always void confirm(struct sock *sk, struct task_struct *task)
{
	struct connection *c = connection__get(sk);

	if (!c || c->role != TCP_ACCEPTED || c->confirmed)
		return;
	owner__set(&c->owner, task);
	c->confirmed = 1;
}

inline_always struct sock *file__sock(struct file *file)
{
#ifdef RAW_TP
	struct socket *socket;

	if ((READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = READ(file, private_data);
#else
	struct socket *socket = bpf_sock_from_file(file);

	if (!socket)
		return NULL;
#endif
	return READ(socket, sk);
}

SEC("?iter/task_file")
int on_file(struct bpf_iter__task_file *ctx)
{
	struct tcp_exchange *x = exchange__here();
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct sock *sk;
	u16 family;
	u8 state;

	if (!x || !task || !file)
		return 0;
	sk = file__sock(file);
	if (!sk)
		return 0;
	family = READ(sk, __sk_common.skc_family);
	if ((family != AF_INET && family != AF_INET6) || READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	state = READ(sk, __sk_common.skc_state);
	if (state == TCP_CLOSE)
		return 0;
	if (x->pass == TCP_PASS_OWNERS)
		confirm(sk, task);
	else if (x->pass == TCP_PASS_SEED)
		seed(sk, task, state);
	else if (state == TCP_LISTEN)
		seed_listener(sk, task);
	return 0;
}
