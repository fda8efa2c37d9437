// SPDX-License-Identifier: Apache-2.0
#include "session/target.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/text.h"
#include "base/units.h"
#include "probe/cgroup.h"
#include "probe/loader.h"

static int target__add(struct target *t, pid_t pid)
{
	pid_t *grown = realloc(t->pids, (t->count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	t->pids = grown;
	t->pids[t->count++] = pid;
	return 0;
}

static bool target__has(const struct target *t, pid_t pid)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->pids[i] == pid)
			return true;
	return false;
}

/* Field of /proc/PID/status, e.g. "Tgid:". 0 or -errno. */
static int status_field(pid_t pid, const char *field, long *value)
{
	struct buf text = {0};
	char path[64];
	const char *p;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	err = buf__read_file(&text, path, 1 << 16);
	if (!err) {
		p = strstr(buf__text(&text), field);
		if (!p || sscanf(p + strlen(field), "%ld", value) != 1)
			err = -ESRCH;
	}
	buf__free(&text);
	return err;
}

static void subject__process(struct buf *subject, pid_t pid)
{
	struct buf comm = {0};
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (!buf__read_file(&comm, path, 64) && comm.len && comm.data[comm.len - 1] == '\n')
		comm.len--;
	buf__printf(subject, "%s", subject->len ? ", " : "");
	text__add(subject, buf__text(&comm), comm.len, TEXT_TERMINAL);
	buf__printf(subject, "[%d]", pid);
	buf__free(&comm);
}

static int no_such(const char *what, long long id)
{
	msg__error("no %s %lld (in this PID namespace); it may have ended", what, id);
	return EXIT_NO_TARGET;
}

static int target__add_pids(struct target *t, const struct cli_numbers *pids, struct buf *subject)
{
	long tgid;

	for (size_t i = 0; i < pids->count; i++) {
		pid_t pid = pids->items[i];

		if (status_field(pid, "\nTgid:", &tgid))
			return no_such("process", pid);
		if (tgid != pid) {
			msg__error("%d is a thread of process %ld: `-t %d` or `-p %ld`?", pid, tgid, pid,
				   tgid);
			return EXIT_USAGE;
		}
		if (!target__has(t, pid) && target__add(t, pid))
			return EXIT_RUN_FAILED;
		if (i < 4)
			subject__process(subject, pid);
	}
	if (pids->count > 4)
		buf__printf(subject, " and %zu more", pids->count - 4);
	t->filter.conditions |= TARGET_MARKED;
	return 0;
}

static int target__add_tids(struct target *t, const struct cli_numbers *tids, struct buf *subject)
{
	long tgid;

	for (size_t i = 0; i < tids->count; i++) {
		pid_t tid = tids->items[i];

		if (status_field(tid, "\nTgid:", &tgid))
			return no_such("thread", tid);
		if (!target__has(t, tid) && target__add(t, tid))
			return EXIT_RUN_FAILED;
		if (i < 4)
			subject__process(subject, tid);
	}
	t->filter.conditions |= TARGET_MARKED | TARGET_THREADS;
	return 0;
}

/* Entries of /etc/passwd, not of name services: a static binary has no others. */
static int target__user(struct target *t, const char *name, struct buf *subject)
{
	FILE *f = fopen("/etc/passwd", "re");
	long long uid;
	const struct passwd *row = NULL;
	bool found = !units__parse_int(name, 0, 0xfffffffe, &uid);

	while (!found && f && (row = fgetpwent(f)))
		if (!strcmp(row->pw_name, name)) {
			uid = row->pw_uid;
			found = true;
		}
	if (f)
		fclose(f);
	if (!found) {
		msg__error("no user %s in /etc/passwd; a number works too", name);
		return EXIT_NO_TARGET;
	}
	t->filter.uid = uid;
	t->filter.conditions |= TARGET_UID;
	buf__printf(subject, "%suser ", subject->len ? ", " : "");
	text__puts(subject, name, TEXT_TERMINAL);
	return 0;
}

static int target__comm(struct target *t, const char *glob, struct buf *subject)
{
	int err = glob__compile(&t->filter.comm, glob);

	if (err) {
		msg__error("--comm %s: %s", glob,
			   err == -E2BIG ? "more than 31 characters (names have 15)" : "`[` without `]`");
		return EXIT_USAGE;
	}
	t->filter.conditions |= TARGET_COMM;
	buf__printf(subject, "%scomm ", subject->len ? ", " : "");
	text__puts(subject, glob, TEXT_TERMINAL);
	return 0;
}

static int target__cgroups(struct target *t, const struct options *o, struct buf *subject)
{
	char *path = NULL;
	uint64_t id = 0;
	int code;

	if (!!o->cgroup + !!o->container + !!o->pod > 1) {
		msg__error("--cgroup, --container and --pod exclude each other");
		return EXIT_USAGE;
	}
	if (o->cgroup)
		code = cgroup__resolve(o->cgroup, &id, &path);
	else if (o->container)
		code = cgroup__of_container(o->container, &id, &path);
	else
		code = cgroup__of_pod(o->pod, &id, &path);
	if (!code) {
		t->filter.conditions |= TARGET_CGROUP;
		t->filter.cgroup = id;
		buf__printf(subject, "%scgroup ", subject->len ? ", " : "");
		text__puts(subject, path, TEXT_TERMINAL);
	}
	free(path);
	return code;
}

static int target__check(const struct options *o, pid_t child)
{
	bool named =
		o->pids.count || o->tids.count || o->cgroup || o->comm || o->user || o->container || o->pod;

	if (o->all && (named || child)) {
		msg__error("-a is the whole machine: leave it or the other target out");
		return EXIT_USAGE;
	}
	if (child && (o->pids.count || o->tids.count)) {
		msg__error("-p and -t name what runs already, `--` what is to be started: one of them");
		return EXIT_USAGE;
	}
	if (o->pids.count && o->tids.count) {
		msg__error("-p and -t exclude each other");
		return EXIT_USAGE;
	}
	if (o->follow && !child && !o->pids.count && !o->tids.count) {
		msg__error("--follow wants -p, -t or `-- COMMAND`: whose descendants?");
		return EXIT_USAGE;
	}
	if (o->pass_status && !child) {
		msg__error("--pass-status wants `-- COMMAND`: whose status?");
		return EXIT_USAGE;
	}
	if (o->user_only && o->kernel_only) {
		msg__error("-U and -K exclude each other: without them both kinds of frames are shown");
		return EXIT_USAGE;
	}
	return 0;
}

int target__resolve(struct target *t, const struct options *o, pid_t child, struct buf *subject)
{
	int code = target__check(o, child);

	memset(t, 0, sizeof(*t));
	t->never = getpid();
	if (!code && child) {
		t->filter.conditions |= TARGET_MARKED;
		t->filter.follow = true;
		code = target__add(t, child) ? EXIT_RUN_FAILED : 0;
	}
	if (!code && o->pids.count)
		code = target__add_pids(t, &o->pids, subject);
	if (!code && o->tids.count)
		code = target__add_tids(t, &o->tids, subject);
	if (!code && o->comm)
		code = target__comm(t, o->comm, subject);
	if (!code && o->user)
		code = target__user(t, o->user, subject);
	if (!code && (o->cgroup || o->container || o->pod))
		code = target__cgroups(t, o, subject);
	if (o->follow)
		t->filter.follow = true;
	if (target__has(t, t->never))
		t->never = 0;
	if (!code && !subject->len && !child)
		buf__printf(subject, "%s, %ld CPUs",
			    loader__pid_namespace() ? "this PID namespace" : "machine",
			    sysconf(_SC_NPROCESSORS_ONLN));
	return code;
}

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == 0;
}

int target__add_descendants(struct target *t)
{
	struct dirent *entry;
	bool found;
	DIR *proc;
	long parent;

	do {
		proc = opendir("/proc");
		found = false;
		while (proc && (entry = readdir(proc))) {
			pid_t pid = is_number(entry->d_name) ? strtol(entry->d_name, NULL, 10) : 0;

			if (!pid || target__has(t, pid) || status_field(pid, "\nPPid:", &parent) ||
			    !target__has(t, parent))
				continue;
			if (target__add(t, pid)) {
				closedir(proc);
				return -ENOMEM;
			}
			found = true;
		}
		if (proc)
			closedir(proc);
	} while (found);
	return 0;
}

void target__free(struct target *t)
{
	free(t->pids);
	*t = (struct target){0};
}
