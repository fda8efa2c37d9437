/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the session: its state, shared by session.c (order of things), loop.c (waiting) and describe.c
 * (--dry-run). */
#ifndef SONDE_SESSION_SESSION_PRIVATE_H
#define SONDE_SESSION_SESSION_PRIVATE_H

#include <signal.h>
#include <time.h>

#include "session/account.h"
#include "session/child.h"
#include "session/output.h"
#include "session/session.h"
#include "session/target.h"

enum stop_reason {
	STOP_NOT,
	STOP_DURATION,
	STOP_TARGET,
	STOP_COMMAND,
	STOP_INTERRUPT,
	STOP_TERMINATE,
	STOP_READER
};

struct loop {
	int epoll_fd, signal_fd, drain_fd, interval_fd, end_fd, tick_fd, visit_fd;
	sigset_t signals; /* read by signal_fd */
	int *pidfds;
	size_t pidfd_count, alive;
	uint64_t drain_every_ns;
};

struct session {
	const struct session_plan *plan;
	struct target target;
	struct child child;
	struct loader loader;
	struct stacks *stacks;
	struct probe_context context;
	struct probe *probes[PROBES_MAX + 1];
	struct output output;
	struct account_book book;
	struct loop loop;
	struct buf subject;
	struct point_stream to_output, from_probe, events;
	uint64_t start_ns, interval_start_ns;
	struct timespec wall_start; /* of the interval */
	unsigned number;
	uint64_t drained_bytes, refused, stacks_refused, files_failed;
	bool sweep_wanted, progress_shown, helper_gave_up, closing; /* closing: the interval `number` ends */
	enum stop_reason stop;
};

int loop__open(struct session *s); /* signals are blocked from here on, and read. 0 or an exit code */
int loop__run(struct session *s);  /* until there is a reason to stop. 0 or an exit code */
void loop__close(struct session *s);

int session__end_interval(struct session *s, bool last);
void session__sweep(struct session *s, uint64_t now_ns);
uint64_t session__visit(struct session *s);	 /* in how many ns again; 0: never */
void session__look_at_helper(struct session *s); /* whether there is one still */
void session__show_progress(struct session *s);
void session__clear_progress(struct session *s);
int session__describe(struct session *s); /* --dry-run: exit code */

#endif
