// SPDX-License-Identifier: Apache-2.0
/* Processes: those that were named, with --follow their descendants, or all with a name or a user. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/resources.h"
#include "sonde/glob.h"

static int read_stat(struct buf *b, uint32_t pid, struct process_stat *s)
{
	char path[32];
	int err;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	err = resources__read(b, path);
	return err ? err : proc__process_stat(buf__text(b), s);
}

/* Since 6.2 the directory's size is their number; before they are counted. */
static uint64_t count_files(uint32_t pid)
{
	char path[32];
	struct stat st;
	struct dirent *entry;
	uint64_t count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	if (!stat(path, &st) && st.st_size > 0)
		return (uint64_t)st.st_size;
	dir = opendir(path);
	if (!dir)
		return UINT64_MAX;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static int add(struct processes_reading *r, const struct process_stat *s)
{
	struct process_reading *more = reallocarray(r->at, r->count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	r->at = more;
	more += r->count++;
	*more = (struct process_reading){.stat = *s, .files = count_files(s->pid)};
	return 0;
}

static void read_io(struct buf *b, struct process_reading *p)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%u/io", p->stat.pid);
	p->has_io = !resources__read(b, path) && !proc__process_io(buf__text(b), &p->io);
}

/* --- who is meant */

static bool has_user(uint32_t pid, uint32_t uid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	return !stat(path, &st) && st.st_uid == uid;
}

static bool is_listed(const struct target *t, uint32_t pid)
{
	for (size_t i = 0; i < t->count; i++)
		if ((uint32_t)t->pids[i] == pid)
			return true;
	return false;
}

static bool matches(const struct target *t, const struct process_stat *s)
{
	const struct target_filter *f = &t->filter;

	if (t->never == (pid_t)s->pid)
		return false;
	if (f->conditions & TARGET_COMM && !glob__matches(&f->comm, s->comm))
		return false;
	return !(f->conditions & TARGET_UID) || has_user(s->pid, f->uid);
}

/* Marks descendants until there are no more: parents may come after their children. */
static void follow(const struct process_stat *all, bool *wanted, size_t count)
{
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < count; i++)
			for (size_t n = 0; !wanted[i] && n < count; n++)
				if (wanted[n] && all[n].pid == all[i].parent)
					again = wanted[i] = true;
	}
}

static int read_all(struct buf *b, struct process_stat **all, size_t *count)
{
	DIR *dir = opendir("/proc");
	struct process_stat s, *more;
	struct dirent *entry;
	int err = dir ? 0 : -errno;

	while (!err && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    read_stat(b, (uint32_t)strtoul(entry->d_name, NULL, 10), &s))
			continue;
		if (!(*count & (*count - 1))) {
			more = reallocarray(*all, *count ? *count * 2 : 1, sizeof(s));
			if (!more) {
				err = -ENOMEM;
				break;
			}
			*all = more;
		}
		(*all)[(*count)++] = s;
	}
	if (dir)
		closedir(dir);
	return err;
}

/* By a pass over all processes. */
static int look_for(struct processes_reading *r, const struct target *t, struct buf *b)
{
	bool marked = t->filter.conditions & TARGET_MARKED, *wanted = NULL;
	struct process_stat *all = NULL;
	size_t count = 0;
	int err = read_all(b, &all, &count);

	if (!err) {
		wanted = calloc(count + 1, sizeof(*wanted));
		err = wanted ? 0 : -ENOMEM;
	}
	for (size_t i = 0; !err && i < count; i++)
		wanted[i] = !marked || is_listed(t, all[i].pid);
	if (!err && marked && t->filter.follow)
		follow(all, wanted, count);
	for (size_t i = 0; !err && i < count; i++)
		if (wanted[i] && matches(t, &all[i]))
			err = add(r, &all[i]);
	free(wanted);
	free(all);
	return err;
}

/* A handful of known ones. */
static int look_at(struct processes_reading *r, const struct target *t, struct buf *b)
{
	struct process_stat s;
	int err = 0;

	for (size_t i = 0; !err && i < t->count; i++)
		if (!read_stat(b, (uint32_t)t->pids[i], &s) && matches(t, &s))
			err = add(r, &s);
	return err;
}

int processes__read(struct processes_reading *r, const struct target *target)
{
	const struct target_filter *f = &target->filter;
	struct buf b = {0};
	int err;

	memset(r, 0, sizeof(*r));
	if (f->conditions & TARGET_MARKED && !f->follow)
		err = look_at(r, target, &b);
	else
		err = look_for(r, target, &b);
	for (size_t i = 0; !err && i < r->count; i++)
		read_io(&b, &r->at[i]);
	buf__free(&b);
	if (err)
		processes__free(r);
	return err;
}

void processes__free(struct processes_reading *r)
{
	free(r->at);
	memset(r, 0, sizeof(*r));
}

/* --- points */

static const struct process_reading *find_before(const struct processes_reading *r, size_t hint,
						 const struct process_stat *s)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct process_reading *p = &r->at[(hint + i) % r->count];

		if (p->stat.pid == s->pid && p->stat.start_ticks == s->start_ticks)
			return p;
	}
	return NULL;
}

static void emit_cpu(struct emitter *e, const struct process_stat *b, const struct process_stat *n)
{
	double cpus = (double)sysconf(_SC_NPROCESSORS_ONLN), elapsed_ns = e->seconds * 1e9;
	uint64_t user = resources__ticks_to_ns(proc__delta(b->user_ticks, n->user_ticks));
	uint64_t system = resources__ticks_to_ns(proc__delta(b->system_ticks, n->system_ticks));

	if (elapsed_ns <= 0 || cpus < 1)
		return;
	emit__gauge(e, &resource_process_cpus, NULL, (double)(user + system) / elapsed_ns);
	emit__counter(e, &resource_process_cpu_time, LABELS("user"), user);
	emit__counter(e, &resource_process_cpu_time, LABELS("system"), system);
	emit__gauge(e, &resource_process_share, LABELS("user"), (double)user / elapsed_ns / cpus);
	emit__gauge(e, &resource_process_share, LABELS("system"), (double)system / elapsed_ns / cpus);
}

static void emit_one(struct emitter *e, const struct process_reading *b, const struct process_reading *n)
{
	const struct process_stat *s = &n->stat;

	e->who = (struct who){.tgid = s->pid, .start_ns = resources__ticks_to_ns(s->start_ticks)};
	memcpy(e->who.comm, s->comm, sizeof(e->who.comm));
	emit_cpu(e, &b->stat, s);
	emit__gauge(e, &resource_process_rss, NULL,
		    (double)s->resident_pages * (double)sysconf(_SC_PAGESIZE));
	emit__gauge(e, &resource_process_virtual, NULL, (double)s->virtual_bytes);
	emit__gauge(e, &resource_process_threads, NULL, (double)s->threads);
	if (n->files != UINT64_MAX)
		emit__gauge(e, &resource_process_files, NULL, (double)n->files);
	if (n->has_io && b->has_io) {
		emit__counter(e, &resource_process_io, LABELS("read"),
			      proc__delta(b->io.read_bytes, n->io.read_bytes));
		emit__counter(e, &resource_process_io, LABELS("write"),
			      proc__delta(b->io.written_bytes, n->io.written_bytes));
	}
	emit__counter(e, &resource_process_faults, LABELS("major"),
		      proc__delta(b->stat.major_faults, s->major_faults));
	emit__counter(e, &resource_process_faults, LABELS("minor"),
		      proc__delta(b->stat.minor_faults, s->minor_faults));
	e->who = (struct who){0};
}

/* One that began meanwhile began with nothing. */
void processes__emit(struct emitter *e, const struct processes_reading *before,
		     const struct processes_reading *now)
{
	const struct process_reading nothing = {.has_io = true};

	for (size_t i = 0; i < now->count; i++) {
		const struct process_reading *b = find_before(before, i, &now->at[i].stat);

		emit_one(e, b ? b : &nothing, &now->at[i]);
	}
}
