// SPDX-License-Identifier: Apache-2.0
#include "session/session_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/text.h"
#include "base/units.h"
#include "stack/tables.h"

#define STACK_MEMORY_BYTES (64u << 20)
#define KNOWN_STACKS	   16384
#define FORESEE_NS	   100000000ULL /* tables that are foreseen are waited for no longer */

/* --- records and points */

static int on_record(void *context, void *record, size_t size)
{
	struct session *s = context;
	uint32_t type = size >= sizeof(type) ? *(uint32_t *)record : 0;

	s->drained_bytes += size;
	if (type == RECORD_STACK) {
		if (stacks__add(s->stacks, record, size))
			s->refused++;
		return 0;
	}
	if (type == RECORD_SNAPSHOT) {
		if (stacks__add_snapshot(s->stacks, record, size))
			s->refused++;
		return 0;
	}
	if (type == RECORD_SWEEP) {
		s->sweep_wanted = true;
		return 0;
	}
	for (int i = 0; s->probes[i]; i++)
		if (s->probes[i]->type->record && !s->probes[i]->type->record(s->probes[i], record, size))
			return 0;
	s->refused++;
	return 0;
}

static int to_output(struct point_stream *stream, const struct point *point)
{
	struct session *s = (struct session *)((char *)stream - offsetof(struct session, to_output));

	return output__point(&s->output, point);
}

static int from_probe(struct point_stream *stream, const struct point *point)
{
	struct session *s = (struct session *)((char *)stream - offsetof(struct session, from_probe));
	struct stage *stage = s->plan->stage;

	return stage ? stage->point(stage, point, &s->to_output) : output__point(&s->output, point);
}

/* At once: whoever waits for an event sees it come. */
static int on_event(struct point_stream *stream, const struct point *point)
{
	struct session *s = (struct session *)((char *)stream - offsetof(struct session, events));
	const struct interval interval = {
		.number = s->number + !s->closing,
		.start_ns = s->interval_start_ns,
		.wall_start = s->wall_start,
		.subject = buf__text(&s->subject),
	};

	session__clear_progress(s);
	return output__event(&s->output, &interval, point);
}

/* --- opening and attaching */

/* It is sonde, too: not measured, whenever it was started. The first one is before there are marks. */
static void exclude_helper(void *context, int pid)
{
	struct session *s = context;

	if (pid && s->target.never && s->loader.marks_fd >= 0 && loader__mark(&s->loader, pid, MARK_NEVER))
		msg__note("cannot exclude sonde's helper from what it measures");
}

/* COMMAND's process is our own image until its exec. */
static void foresee(struct session *s)
{
	if (!s->plan->needs_stacks)
		return;
	stacks__foresee(s->stacks, getpid());
	for (size_t i = 0; i < s->target.count && !s->child.pid; i++)
		stacks__foresee(s->stacks, s->target.pids[i]);
}

static int session__open_probes(struct session *s)
{
	const struct options *o = s->plan->options;
	struct stacks_options stacks = {
		.kernel_only = o->kernel_only,
		.user_only = o->user_only,
		.per_thread = s->plan->stacks_per_thread,
		.lines = o->lines,
		.helper = {.debuginfod_urls = o->debuginfod, .started = exclude_helper, .context = s},
		.memory_limit_bytes = STACK_MEMORY_BYTES,
		.debug_directory = "/usr/lib/debug",
		.compare_directory = o->compare_walks,
	};
	struct loader_options loader = {
		.kernel_only = o->kernel_only,
		.user_only = o->user_only,
		.per_thread_stacks = s->plan->stacks_per_thread,
		.stacks = s->plan->needs_stacks ? KNOWN_STACKS : 0,
		.force_raw = o->force_raw,
		.compare = o->compare_walks != NULL,
		.unwind = o->unwind	  ? UNWIND_BY_FRAME_POINTERS
			  : o->force_each ? UNWIND_BY_TABLES_EACH
					  : UNWIND_BY_TABLES,
		.verbose = getenv("SONDE_LIBBPF_LOG") != NULL,
	};
	const struct tables_options tables = {
		.memory_bytes = o->unwind_bytes,
		.cache_directory = "/var/cache/sonde",
	};
	struct helper_status helper;
	int err;

	s->stacks = stacks__new(&stacks);
	if (!s->stacks)
		return EXIT_RUN_FAILED;
	helper__status(stacks__helper(s->stacks), &helper);
	if (helper.in_process)
		msg__note("files are read without a process of its own for it (seccomp): not confined");
	err = loader__open(&s->loader, &s->target, &loader, on_record, s);
	if (err)
		return EXIT_IMPOSSIBLE;
	if (loader__table_memory(&s->loader) &&
	    stacks__use_tables(s->stacks, loader__table_memory(&s->loader), &tables))
		return EXIT_RUN_FAILED;
	foresee(s);
	s->context = (struct probe_context){
		.loader = &s->loader, .stacks = s->stacks, .self = s->target.never, .events = &s->events};
	for (int i = 0; i < PROBES_MAX && s->plan->probes[i].type; i++) {
		s->probes[i] = s->plan->probes[i].type->open(&s->context, s->plan->probes[i].options);
		if (!s->probes[i])
			return errno == EBADRQC ? EXIT_USAGE : EXIT_IMPOSSIBLE;
	}
	stacks__await_tables(s->stacks, units__now_ns() + FORESEE_NS);
	return 0;
}

/* A target that vanished since it was named is no target. */
static int session__mark(struct session *s, size_t from)
{
	uint32_t mark = s->child.pid ? MARK_EXEC : MARK_WANTED;

	for (size_t i = from; i < s->target.count; i++) {
		int err = loader__mark(&s->loader, s->target.pids[i], mark);

		if (err == -ESRCH && from) /* a descendant that has ended meanwhile */
			continue;
		if (err == -ESRCH) {
			msg__error("process %d ended before it could be attached to", s->target.pids[i]);
			return EXIT_NO_TARGET;
		}
		if (err) {
			msg__error("cannot mark process %d as the target: %s", s->target.pids[i],
				   strerror(-err));
			return EXIT_RUN_FAILED;
		}
	}
	return 0;
}

void session__look_at_helper(struct session *s)
{
	struct helper_status status;

	helper__status(stacks__helper(s->stacks), &status);
	if (status.gave_up && !s->helper_gave_up)
		msg__note("the process that reads files has died %u times and is not started again: names "
			  "will be missing",
			  status.deaths);
	s->helper_gave_up = status.gave_up;
}

/* Roots are marked first, then hooks attached, then descendants looked for: none is born unseen in between.
 */
static int session__attach(struct session *s)
{
	size_t roots = s->target.count;
	int code = 0;

	if (s->target.never && loader__mark(&s->loader, s->target.never, MARK_NEVER))
		msg__note("cannot exclude sonde itself from what it measures");
	exclude_helper(s, helper__pid(stacks__helper(s->stacks)));
	code = session__mark(s, 0);
	for (int i = 0; !code && s->probes[i]; i++)
		if (s->probes[i]->type->attach(s->probes[i]))
			code = EXIT_IMPOSSIBLE;
	if (!code && s->plan->options->follow && roots) {
		if (target__add_descendants(&s->target))
			return EXIT_RUN_FAILED;
		code = session__mark(s, roots);
	}
	return code;
}

static int session__start_child(struct session *s)
{
	char **argv = s->plan->rest->command;
	int err = child__start(&s->child, argv);

	if (err) {
		msg__error("cannot start a process: %s", strerror(-err));
		return EXIT_RUN_FAILED;
	}
	text__puts(&s->subject, strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0], TEXT_TERMINAL);
	buf__printf(&s->subject, "[%d]", s->child.pid);
	return 0;
}

static int session__release_child(struct session *s)
{
	struct buf shown = {0};
	int err = child__release(&s->child);

	if (!err)
		return 0;
	text__puts(&shown, s->plan->rest->command[0], TEXT_TERMINAL);
	msg__error("cannot start %s: %s", buf__text(&shown), strerror(-err));
	buf__free(&shown);
	return EXIT_NO_TARGET;
}

/* --- intervals */

static void sleep_until(uint64_t ns)
{
	struct timespec at = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

#define CUT_AHEAD_NS 1000000

/* All programs must know of the cut before it comes: one that was announced too late is put off. */
static uint64_t session__cut(struct session *s, bool last)
{
	uint64_t ahead = CUT_AHEAD_NS, at;

	do {
		at = units__now_ns() + ahead;
		for (int i = 0; s->probes[i]; i++)
			if (s->probes[i]->type->cut)
				s->probes[i]->type->cut(s->probes[i], at, last);
		ahead *= 2;
	} while (units__now_ns() >= at);
	sleep_until(at);
	return at;
}

void session__sweep(struct session *s, uint64_t now_ns)
{
	for (int i = 0; s->probes[i]; i++)
		if (s->probes[i]->type->sweep && s->probes[i]->type->sweep(s->probes[i], now_ns))
			msg__note("a pass over all threads failed: %s", strerror(errno));
	s->sweep_wanted = false;
}

static int session__drain(struct session *s, struct drain *d)
{
	struct stage *stage = s->plan->stage;
	int err = 0;

	for (int i = 0; !err && s->probes[i]; i++)
		err = s->probes[i]->type->drain(s->probes[i], &s->from_probe, d);
	if (!err && stage && stage->end)
		err = stage->end(stage, &s->to_output);
	return err;
}

/* The last words of a run whose result is a stream for programs: everybody else has a head line. */
static void say_summary(const struct session *s, const struct interval *i)
{
	struct buf cost = {0};

	if (!i->last || s->plan->options->quiet || s->output.preview ||
	    !strcmp(s->output.type->name, "table"))
		return;
	sink__cost(&cost, i->own_cost);
	msg__note("%s, %.1f s in %u interval%s, %llu lost, own cost %s", i->subject,
		  (i->end_ns - s->start_ns) / 1e9, i->number, i->number == 1 ? "" : "s",
		  (unsigned long long)i->lost, buf__text(&cost));
	buf__free(&cost);
}

/* Without a capability the names are missing in every interval; else a file fails once, as when its process
 * ends. No number: a file counts anew whenever its process's mappings are read again. */
static void note_files(struct session *s, struct buf *note, uint64_t failed)
{
	bool more = failed > s->files_failed;

	s->files_failed = failed;
	if (failed && !loader__has_capability(CAP_SYS_PTRACE))
		buf__puts(note, "some files could not be read: CAP_SYS_PTRACE (and CAP_DAC_READ_SEARCH) "
				"would allow it\n");
	else if (failed && !loader__has_capability(CAP_DAC_READ_SEARCH))
		buf__puts(note, "some files could not be read: CAP_DAC_READ_SEARCH would allow it\n");
	else if (more)
		buf__puts(note, "some files could not be read\n");
}

/* One line for each JVM that could show all its frames, and does not. */
static void note_jvms(struct session *s, struct buf *note)
{
	struct stacks_jvm jvm;

	while (stacks__next_jvm(s->stacks, &jvm)) {
		text__puts(note, jvm.comm, TEXT_TERMINAL);
		buf__printf(note,
			    "[%u]: its frames need -XX:+PreserveFramePointer (and `jcmd %u Compiler.perfmap` "
			    "for names)\n",
			    jvm.tgid, jvm.tgid);
	}
}

/* The words that only the session knows: stacks that came but were refused. */
static void add_notes(struct session *s, struct drain *d)
{
	struct stacks_counts c;

	stacks__counts(s->stacks, &c);
	if (c.refused > s->stacks_refused)
		buf__printf(&d->note, "%llu stacks were not kept: the limit of %u MB is reached\n",
			    (unsigned long long)(c.refused - s->stacks_refused), STACK_MEMORY_BYTES >> 20);
	s->stacks_refused = c.refused;
	if (c.kernel_hidden)
		buf__puts(&d->note, "kernel frames have no names: /proc/kallsyms hides addresses "
				    "(kernel.kptr_restrict, CAP_SYSLOG)\n");
	note_files(s, &d->note, c.files_failed);
	if (s->plan->options->compare_walks)
		buf__printf(&d->note, "%llu walks compared, %llu differ\n",
			    (unsigned long long)c.walks_compared, (unsigned long long)c.walks_different);
	note_jvms(s, &d->note);
	if (d->lost_threads)
		buf__printf(&d->note, "the time of %llu threads could not be read at the interval's end\n",
			    (unsigned long long)d->lost_threads);
	if (d->lost_stacks)
		buf__printf(&d->note, "the frames of %llu events were lost: they stand under [stack lost]\n",
			    (unsigned long long)d->lost_stacks);
}

#define SETTLE_TRIES 50

/* A pidfd tells of an end before the thread's last switch, and another thread may end at this very moment:
 * for a tenth of a second the run goes on, so that their accounts are whole. */
static void session__settle(struct session *s)
{
	unsigned owing = 1;

	for (int tries = 0; owing && tries < SETTLE_TRIES; tries++) {
		owing = 0;
		for (int i = 0; s->probes[i]; i++)
			if (s->probes[i]->type->settle)
				owing += s->probes[i]->type->settle(s->probes[i]);
		if (owing)
			sleep_until(units__now_ns() + 2000000);
	}
}

uint64_t session__visit(struct session *s)
{
	uint64_t next = 0;

	for (int i = 0; s->probes[i]; i++) {
		const struct probe_type *type = s->probes[i]->type;
		uint64_t ns = type->visit ? type->visit(s->probes[i]) : 0;

		if (ns && (!next || ns < next))
			next = ns;
	}
	return next;
}

static void forget_stack(void *session, uint64_t hash)
{
	loader__forget_stack(&((struct session *)session)->loader, hash);
}

int session__end_interval(struct session *s, bool last)
{
	struct drain d = {.from_ns = s->interval_start_ns, .last = last};
	struct interval interval = {.number = ++s->number, .last = last, .wall_start = s->wall_start};
	int err;

	s->closing = true;
	if (last)
		session__settle(s);
	session__visit(s); /* who waits across the cut */
	d.to_ns = session__cut(s, last);
	for (int i = 0; last && s->probes[i]; i++)
		s->probes[i]->type->detach(s->probes[i]);
	clock_gettime(CLOCK_REALTIME, &s->wall_start);
	session__sweep(s, d.to_ns);
	loader__drain(&s->loader);
	stacks__work(s->stacks, 0);
	interval.start_ns = d.from_ns;
	interval.end_ns = d.to_ns;
	interval.subject = buf__text(&s->subject);
	err = output__begin(&s->output, &interval);
	if (!err)
		err = session__drain(
			s, &d); /* waits for programs that still run, so that the account can be closed */
	account__close(&s->book, s->probes, d.to_ns - d.from_ns, last);
	add_notes(s, &d);
	interval.headline = buf__text(&d.headline);
	interval.note = buf__text(&d.note);
	interval.loss = s->book.rows;
	interval.loss_count = s->book.row_count;
	interval.lost = s->book.lost + d.lost_stacks + d.lost_threads;
	interval.accounted = s->book.accounted;
	interval.own_cost = s->book.own_cost;
	interval.coverage = d.coverage;
	session__clear_progress(s);
	if (!err)
		err = output__end(&s->output, &interval);
	if (err == -EPIPE) {
		s->output.reader_gone = true;
		err = 0;
	}
	if (err && !s->output.complained)
		msg__error("cannot collect the result: %s", strerror(-err));
	if (!err)
		say_summary(s, &interval);
	buf__free(&d.headline);
	buf__free(&d.note);
	table__free(&d.coverage.stopped);
	if (!last)
		stacks__forget(s->stacks, forget_stack, s);
	s->interval_start_ns = d.to_ns;
	s->closing = false;
	return err;
}

/* --- the run */

static int session__begin(struct session *s)
{
	uint64_t now = units__now_ns();
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &s->wall_start);
	s->start_ns = s->interval_start_ns = now;
	account__begin(&s->book, stacks__helper(s->stacks), now);
	output__announce(&s->output);
	for (int i = 0; !err && s->probes[i]; i++)
		err = s->probes[i]->type->begin(s->probes[i], now);
	if (err) {
		msg__error("cannot begin: %s", strerror(-err));
		return EXIT_RUN_FAILED;
	}
	return s->child.pid ? session__release_child(s) : 0;
}

static void say_command_status(const struct session *s)
{
	const struct child *c = &s->child;

	if (!c->pid || !c->ended || s->plan->options->quiet)
		return;
	if (WIFSIGNALED(c->status))
		msg__note("the command was ended by signal %d (%s)", WTERMSIG(c->status),
			  strsignal(WTERMSIG(c->status)));
	else
		msg__note("the command exited with status %d", WEXITSTATUS(c->status));
}

static int exit_code_of(const struct session *s)
{
	bool cut_short = s->plan->options->duration_ns && !s->output.reader_gone;

	if (s->plan->options->pass_status && s->child.ended)
		return child__exit_code(&s->child);
	if (s->stop == STOP_INTERRUPT && cut_short)
		return EXIT_INTERRUPTED;
	if (s->stop == STOP_TERMINATE && cut_short)
		return EXIT_TERMINATED;
	return EXIT_DONE;
}

static int session__measure(struct session *s)
{
	int code = session__begin(s), err;

	if (!code)
		code = loop__run(s);
	if (code)
		return code;
	err = s->output.reader_gone ? 0 : session__end_interval(s, true);
	return err ? EXIT_RUN_FAILED : 0;
}

static void session__close(struct session *s)
{
	for (int i = 0; s->probes[i]; i++)
		s->probes[i]->type->close(s->probes[i]);
	account__free(&s->book);
	stacks__free(s->stacks);
	loader__close(&s->loader);
	target__free(&s->target);
	loop__close(s);
	buf__free(&s->subject);
}

static int session__prepare(struct session *s)
{
	const struct session_plan *plan = s->plan;
	int code = loop__open(s);

	if (!code)
		code = output__open(&s->output, plan->options, plan->pipe_format, plan->needs_stacks);
	if (!code && plan->rest->command)
		code = session__start_child(s);
	if (!code)
		code = target__resolve(&s->target, plan->options, s->child.pid, &s->subject);
	if (!code)
		code = session__open_probes(s);
	if (!code && plan->options->dry_run)
		return session__describe(s);
	return code ? code : session__attach(s);
}

/* With `2>&-` the next file that is opened would be stderr, and words would go into it. To these nothing can
 * be written, as to a closed one, and COMMAND does not get them. */
static void occupy_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int session__run(const struct session_plan *plan)
{
	struct session *s = calloc(1, sizeof(*s));
	int code;

	if (!s)
		return EXIT_RUN_FAILED;
	occupy_standard_streams();
	s->plan = plan;
	s->child.release_fd = s->child.error_fd = s->child.pidfd = -1;
	s->book.statistics_fd = -1;
	s->loader.ring_fd = s->loader.known_stacks_fd = s->loader.marks_fd = s->loader.raw_marks_fd = -1;
	s->to_output.emit = to_output;
	s->from_probe.emit = from_probe;
	s->events.emit = on_event;
	code = session__prepare(s);
	if (!code && !plan->options->dry_run)
		code = session__measure(s);
	if (output__close(&s->output, !code && !plan->options->dry_run) && !code)
		code = EXIT_RUN_FAILED;
	session__close(s);
	if (!code && s->child.pid &&
	    !plan->options->dry_run) { /* -d is over: the command goes on, nobody looks any more */
		child__reap(&s->child, true);
		say_command_status(s);
	}
	child__close(&s->child);
	if (!code && !plan->options->dry_run)
		code = exit_code_of(s);
	free(s);
	return code;
}
