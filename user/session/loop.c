// SPDX-License-Identifier: Apache-2.0
/* One epoll loop: timers that drain, end intervals and end the run; signals; pidfds; the ring buffer's urgent
 * records. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/msg.h"
#include "base/units.h"
#include "session/session_private.h"

#define DRAIN_MIN_NS 1000000ULL
#define DRAIN_MAX_NS 200000000ULL
#define DRAIN_NS     20000000ULL
#define TICK_NS	     1000000000ULL
#define VISIT_NS     100000000ULL

enum source {
	FROM_SIGNAL,
	FROM_DRAIN,
	FROM_RING,
	FROM_INTERVAL,
	FROM_END,
	FROM_TICK,
	FROM_VISIT,
	FROM_CHILD,
	FROM_TARGET
};

/* The ring is hardly ever empty: what counts is that somebody has called for attention since. */
static int watch(struct loop *l, int fd, enum source source, uint32_t index)
{
	struct epoll_event e = {.events = EPOLLIN | (source == FROM_RING ? EPOLLET : 0),
				.data.u64 = (uint64_t)index << 32 | source};

	return fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static int timer(uint64_t first_ns, uint64_t every_ns)
{
	struct itimerspec t = {
		.it_value = {first_ns / 1000000000, first_ns % 1000000000},
		.it_interval = {every_ns / 1000000000, every_ns % 1000000000},
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		timerfd_settime(fd, 0, &t, NULL);
	return fd;
}

static void set_timer(int fd, uint64_t ns)
{
	struct itimerspec t = {.it_value = {ns / 1000000000, ns % 1000000000}};

	t.it_interval = t.it_value;
	timerfd_settime(fd, 0, &t, NULL);
}

int loop__open(struct session *s)
{
	struct loop *l = &s->loop;
	sigset_t set;

	*l = (struct loop){.epoll_fd = -1,
			   .drain_fd = -1,
			   .interval_fd = -1,
			   .end_fd = -1,
			   .tick_fd = -1,
			   .visit_fd = -1};
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	l->signals = set;
	l->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->signal_fd >= 0 && l->epoll_fd >= 0 && !watch(l, l->signal_fd, FROM_SIGNAL, 0))
		return 0;
	msg__error("cannot wait for events: %s", strerror(errno));
	return EXIT_RUN_FAILED;
}

/* With -p and -t: the run ends when all of them have ended. */
static int watch_targets(struct session *s)
{
	struct loop *l = &s->loop;

	if (s->child.pid)
		return watch(l, s->child.pidfd, FROM_CHILD, 0);
	l->pidfds = calloc(s->target.count + 1, sizeof(*l->pidfds));
	if (!l->pidfds)
		return -ENOMEM;
	for (size_t i = 0; i < s->target.count; i++) {
		int fd = loader__pidfd(s->target.pids[i], s->target.filter.conditions & TARGET_THREADS);

		l->pidfds[i] = fd;
		l->pidfd_count++;
		if (fd >= 0 && !watch(l, fd, FROM_TARGET, i))
			l->alive++;
	}
	return 0;
}

static int arm(struct session *s)
{
	const struct options *o = s->plan->options;
	struct loop *l = &s->loop;
	int err;

	l->drain_every_ns = DRAIN_NS;
	l->drain_fd = timer(DRAIN_NS, DRAIN_NS);
	l->tick_fd = timer(TICK_NS, TICK_NS);
	l->visit_fd = timer(VISIT_NS, 0);
	err = watch(l, l->drain_fd, FROM_DRAIN, 0);
	if (!err)
		err = watch(l, l->tick_fd, FROM_TICK, 0);
	if (!err)
		err = watch(l, l->visit_fd, FROM_VISIT, 0);
	if (!err)
		err = watch(l, s->loader.ring_fd, FROM_RING, 0);
	if (!err && o->interval_ns) {
		l->interval_fd = timer(o->interval_ns, o->interval_ns);
		err = watch(l, l->interval_fd, FROM_INTERVAL, 0);
	}
	if (!err && o->duration_ns) {
		l->end_fd = timer(o->duration_ns, 0);
		err = watch(l, l->end_fd, FROM_END, 0);
	}
	return err ? err : watch_targets(s);
}

#define TABLES_NS 3000000ULL /* at a time: the ring fills meanwhile */

/* Halves when a quarter of the ring came at once or snapshots wait for their tables, shrinks faster when it
 * may have been full, grows while hardly anything comes. */
static void drain(struct session *s, bool timed)
{
	struct loop *l = &s->loop;
	uint64_t every = l->drain_every_ns;

	s->drained_bytes = 0;
	loader__drain(&s->loader);
	if (stacks__work(s->stacks, units__now_ns() + TABLES_NS))
		every /= 2;
	account__tick(&s->book, units__now_ns());
	if (s->drained_bytes > s->loader.ring_bytes / 4)
		every /= s->drained_bytes > s->loader.ring_bytes / 2 ? 8 : 2;
	else if (timed && s->drained_bytes < s->loader.ring_bytes / 20)
		every += every / 4;
	every = every < DRAIN_MIN_NS ? DRAIN_MIN_NS : every > DRAIN_MAX_NS ? DRAIN_MAX_NS : every;
	if (every != l->drain_every_ns) {
		l->drain_every_ns = every;
		set_timer(l->drain_fd, every);
	}
	if (s->sweep_wanted)
		session__sweep(s, units__now_ns());
}

static void consume_timer(int fd)
{
	uint64_t expirations;

	if (read(fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
		msg__note("timer: %s", strerror(errno));
}

static void on_signal(struct session *s)
{
	struct signalfd_siginfo info;

	while (read(s->loop.signal_fd, &info, sizeof(info)) == sizeof(info))
		s->stop = info.ssi_signo == SIGINT ? STOP_INTERRUPT : STOP_TERMINATE;
}

static void on_target_end(struct session *s, uint32_t index)
{
	struct loop *l = &s->loop;

	if (l->pidfds[index] < 0)
		return;
	close(l->pidfds[index]);
	l->pidfds[index] = -1;
	if (!--l->alive && !(s->target.filter.conditions & ~(TARGET_MARKED | TARGET_THREADS)))
		s->stop = STOP_TARGET;
}

static void on_tick(struct session *s)
{
	for (int i = 0; s->probes[i]; i++)
		if (s->probes[i]->type->tick)
			s->probes[i]->type->tick(s->probes[i]);
	session__look_at_helper(s);
	stacks__tick(s->stacks);
	session__show_progress(s);
}

static void on_visit(struct session *s)
{
	uint64_t next = session__visit(s);

	if (next)
		set_timer(s->loop.visit_fd, next);
}

/* An interval that would leave only a sliver before the run's end is the last one. */
static int on_interval(struct session *s)
{
	const struct options *o = s->plan->options;
	uint64_t end = s->start_ns + o->duration_ns;

	if (o->duration_ns && units__now_ns() + o->interval_ns / 10 >= end) {
		s->stop = STOP_DURATION;
		return 0;
	}
	return session__end_interval(s, false);
}

static int dispatch(struct session *s, const struct epoll_event *e)
{
	struct loop *l = &s->loop;
	uint32_t index = e->data.u64 >> 32;

	switch ((enum source)(uint32_t)e->data.u64) {
	case FROM_SIGNAL:
		on_signal(s);
		break;
	case FROM_DRAIN:
		consume_timer(l->drain_fd);
		drain(s, true);
		break;
	case FROM_RING:
		drain(s, false);
		break;
	case FROM_INTERVAL:
		consume_timer(l->interval_fd);
		return on_interval(s);
	case FROM_END:
		s->stop = STOP_DURATION;
		break;
	case FROM_TICK:
		consume_timer(l->tick_fd);
		on_tick(s);
		break;
	case FROM_VISIT:
		consume_timer(l->visit_fd);
		on_visit(s);
		break;
	case FROM_CHILD:
		s->stop = STOP_COMMAND; /* it is reaped later: a task that is gone cannot be asked for its
					   account */
		break;
	case FROM_TARGET:
		on_target_end(s, index);
		break;
	}
	return 0;
}

int loop__run(struct session *s)
{
	struct epoll_event events[16];
	int n, err = arm(s);

	if (err) {
		msg__error("cannot wait for events: %s", strerror(-err));
		return EXIT_RUN_FAILED;
	}
	while (!s->stop && !err) {
		n = epoll_wait(s->loop.epoll_fd, events, 16, -1);
		for (int i = 0; i < n && !err; i++)
			err = dispatch(s, &events[i]);
		if (s->output.reader_gone)
			s->stop = STOP_READER;
	}
	return err ? EXIT_RUN_FAILED : 0;
}

void loop__close(struct session *s)
{
	struct loop *l = &s->loop;

	for (size_t i = 0; i < l->pidfd_count; i++)
		fd__close(&l->pidfds[i]);
	free(l->pidfds);
	fd__close(&l->signal_fd);
	fd__close(&l->drain_fd);
	fd__close(&l->interval_fd);
	fd__close(&l->end_fd);
	fd__close(&l->tick_fd);
	fd__close(&l->visit_fd);
	fd__close(&l->epoll_fd);
	sigprocmask(SIG_UNBLOCK, &l->signals, NULL); /* who waits for COMMAND's end must not be deaf */
}
