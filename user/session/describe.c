// SPDX-License-Identifier: Apache-2.0
/* Words about a run: the progress line, and --dry-run. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/units.h"
#include "session/session_private.h"

#define PROGRESS_AFTER_NS 2000000000ULL

void session__show_progress(struct session *s)
{
	uint64_t duration = s->plan->options->duration_ns, end = duration ? s->start_ns + duration : 0;
	uint64_t now = units__now_ns(), events, lost;
	struct buf line = {0};

	if (s->plan->options->quiet || !isatty(STDERR_FILENO) || now - s->start_ns < PROGRESS_AFTER_NS)
		return;
	account__peek(&s->book, s->probes, &events, &lost);
	buf__printf(&line, "\r\033[K%.0f s, ", (now - s->start_ns) / 1e9);
	units__count(&line, events);
	buf__puts(&line, " events, ");
	units__count(&line, lost);
	buf__puts(&line, " lost, own cost ");
	sink__cost(&line, account__cost(&s->book, s->probes, now - s->interval_start_ns));
	if (end > now)
		buf__printf(&line, ", %.0f s to go", (end - now) / 1e9);
	else if (end)
		buf__puts(&line, ", ending");
	else
		buf__puts(&line, ", Ctrl-C ends");
	buf__write(&line, stderr);
	fflush(stderr);
	buf__free(&line);
	s->progress_shown = true;
}

void session__clear_progress(struct session *s)
{
	if (s->progress_shown)
		fputs("\r\033[K", stderr);
	s->progress_shown = false;
}

/* Tables come as samples ask for them, shard by shard. */
static void describe_tables(const struct session *s, struct buf *out)
{
	const struct options *o = s->plan->options;
	uint64_t limit = o->unwind_bytes ? o->unwind_bytes : TABLES_MEMORY_BYTES;

	if (!loader__table_memory(&s->loader))
		return;
	limit = unwind_maps__bytes(limit) - unwind_maps__bytes(0);
	buf__printf(out, "unwind tables: up to %.1fMiB more, as samples ask for them (--unwind-memory)\n",
		    ceil(limit * 10.0 / (1 << 20)) / 10);
}

int session__describe(struct session *s)
{
	struct buf out = {0};
	bool samples = false, uprobes = false;
	uint64_t bytes = 0;
	int err;

	buf__printf(&out, "target: %s\n", buf__text(&s->subject));
	for (int i = 0; s->probes[i]; i++) {
		const struct probe_type *type = s->probes[i]->type;
		const struct unit *u = type->unit(s->probes[i]);

		buf__printf(&out, "probe %s: %s\n", type->name, type->summary);
		if (u && u->why_not[0])
			buf__printf(&out, "  not as wished: %s\n", u->why_not);
		if (u)
			unit__describe(u, &out);
		samples |= type == &probe_cpu;
		uprobes |= type == &probe_uprobe;
		if (type == &probe_cpu)
			buf__puts(&out, "  event    one perf event per online CPU\n");
		bytes += u ? unit__map_bytes(u) : 0;
	}
	/* a promise is rounded up */
	buf__printf(&out, "maps: at most %.1fMiB of kernel memory\n", ceil(bytes * 10.0 / (1 << 20)) / 10);
	describe_tables(s, &out);
	buf__puts(&out, "privileges: CAP_BPF and CAP_PERFMON");
	if (samples)
		buf__puts(&out, ";\n  CAP_SYS_ADMIN where kernel.perf_event_paranoid >= 3");
	if (uprobes)
		buf__puts(&out, " (before 6.6: CAP_SYS_ADMIN)");
	buf__puts(&out,
		  ";\n  CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH for the names in other users' processes\n");
	err = buf__write(&out, stdout);
	buf__free(&out);
	return err ? EXIT_RUN_FAILED : 0;
}
