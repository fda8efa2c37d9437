/* SPDX-License-Identifier: Apache-2.0 */
#include "stack/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "object/lines.h"
#include "object/safefile.h"

#define MAPPINGS_MAX	 65536	     /* the kernel's default limit for all mappings of a process is 65530 */
#define COMMAND_LINE_MAX (64u << 10) /* class paths are long */
#define TASKS_MAX	 1024	     /* looked at to find one that still has its memory */

/* Reads a small file of /proc whole; NUL-terminated. */
static int read_small(int dir, const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = safefile__read_at(fd, text, size - 1, 0);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return n < 0 ? (int)n : 0;
}

/* By how much our time namespace moves the boot clock that /proc shows. */
static int64_t boot_offset_ns(void)
{
	char text[256];
	const char *line;
	long long seconds, ns;

	if (read_small(AT_FDCWD, "/proc/self/timens_offsets", text, sizeof(text)))
		return 0;
	line = strstr(text, "boottime");
	if (!line || sscanf(line, "boottime %lld %lld", &seconds, &ns) != 2)
		return 0;
	return seconds * 1000000000 + ns;
}

/* Fields of /proc/PID/stat, counted as in proc(5). The second may hold anything: the count starts there. */
static bool stat_field(const char *text, int number, uint64_t *value)
{
	const char *p = strrchr(text, ')');

	for (int i = 2; p && i < number; i++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, " %" SCNu64, value) == 1;
}

static uint64_t tick_ns(void)
{
	return 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
}

static bool is_same_start(const struct process *p, const char *stat)
{
	uint64_t ticks;

	return stat_field(stat, 22, &ticks) &&
	       ticks == (p->key.start_boot_ns + (uint64_t)boot_offset_ns()) / tick_ns();
}

/* exec places the stack anew. 0: not allowed to see it, or the leader has ended and its threads live on. */
static bool is_same_program(const struct process *p, const char *stat)
{
	uint64_t stack;

	return stat_field(stat, 28, &stack) && (!stack || !p->stack_start || stack == p->stack_start);
}

static bool has_memory(int dir)
{
	char name[1];

	return readlinkat(dir, "exe", name, sizeof(name)) > 0 || errno != ENOENT;
}

/* The leader may have ended before its threads: its directory shows no memory then, but theirs do. */
static int open_living_thread(int dir)
{
	int tasks = openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, found = -ESRCH;
	DIR *list = tasks < 0 ? NULL : fdopendir(tasks);
	const struct dirent *entry;

	for (int i = 0; list && found < 0 && i < TASKS_MAX && (entry = readdir(list)); i++) {
		if (*entry->d_name == '.')
			continue;
		fd = openat(tasks, entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && has_memory(fd))
			found = fd;
		else if (fd >= 0)
			close(fd);
	}
	if (list)
		closedir(list);
	else if (tasks >= 0)
		close(tasks);
	return found;
}

int process__open(const struct process *p)
{
	char path[32], stat[1024];
	int dir, thread;

	if (!p->key.tgid)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d", (int)p->key.tgid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -ESRCH;
	if (read_small(dir, "stat", stat, sizeof(stat)) || !is_same_start(p, stat) ||
	    !is_same_program(p, stat)) {
		close(dir);
		return -ESRCH;
	}
	if (has_memory(dir))
		return dir;
	thread = open_living_thread(dir);
	close(dir);
	return thread;
}

int process__open_pid(struct process *p, pid_t pid)
{
	char path[32], stat[1024];
	uint64_t ticks;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_small(AT_FDCWD, path, stat, sizeof(stat)) || !stat_field(stat, 22, &ticks))
		return -ESRCH;
	*p = (struct process){.key = {.start_boot_ns = ticks * tick_ns() - (uint64_t)boot_offset_ns(),
				      .tgid = (uint64_t)pid}};
	stat_field(stat, 28, &p->stack_start);
	return process__open(p);
}

struct mapping_list {
	struct mapping *at;
	size_t count, capacity;
	uint64_t counted_bytes; /* is_counted() */
};

static int add(struct mapping_list *list, const struct map_line *line, struct strings *strings)
{
	size_t capacity = list->capacity ? 2 * list->capacity : 16;
	struct mapping *m;

	if (list->count == MAPPINGS_MAX)
		return 0;
	if (list->count == list->capacity) {
		m = reallocarray(list->at, capacity, sizeof(*m));
		if (!m)
			return -ENOMEM;
		list->at = m;
		list->capacity = capacity;
	}
	m = &list->at[list->count];
	*m = (struct mapping){
		.start = line->start,
		.end = line->end,
		.offset = line->offset,
		.inode = line->inode,
		.major = line->major,
		.minor = line->minor,
		.kind = maps__kind(line),
		.path = strings__add(strings, line->path, strlen(line->path)),
	};
	list->count++;
	return m->path ? 0 : -ENOMEM;
}

/*
 * Whether the kernel counts it in mm->exec_vm: executable, not writable (is_exec_mapping(), mm/internal.h or
 * mm/vma.h; a stack is writable). The vsyscall page belongs to no process.
 */
static bool is_counted(const struct map_line *line)
{
	return line->executable && !line->writable && maps__kind(line) != MAPPED_VSYSCALL;
}

static int read_maps(struct mapping_list *list, int fd, struct strings *strings)
{
	struct map_line line;
	struct lines r;
	const char *text;
	uint64_t end = 0;
	size_t len;
	int err = lines__open(&r, fd, MAPS_BYTES_MAX);

	if (err)
		return err;
	while (!err && (text = lines__next(&r, &len))) {
		/* Read in pieces while it changes, the list may show a place twice: the first view stays. */
		if (!maps__parse_line(text, &line) || line.start < end)
			continue;
		end = line.end;
		if (line.executable)
			err = add(list, &line, strings);
		if (is_counted(&line))
			list->counted_bytes += line.end - line.start;
	}
	if (!err)
		err = r.err;
	lines__close(&r);
	return err;
}

static void shrink(struct mapping_list *list)
{
	struct mapping *m = list->count ? reallocarray(list->at, list->count, sizeof(*m)) : NULL;

	if (m)
		list->at = m;
}

/* Said on its command line: what is truncated all the same is no matter of an option. */
static bool keeps_frame_pointers(int dir)
{
	static const char option[] = "+PreserveFramePointer";
	int fd = openat(dir, "cmdline", O_RDONLY | O_CLOEXEC);
	char *line = fd < 0 ? NULL : malloc(COMMAND_LINE_MAX);
	ssize_t n = line ? safefile__read_at(fd, line, COMMAND_LINE_MAX, 0) : 0;
	bool found = n > 0 && memmem(line, (size_t)n, option, sizeof(option) - 1);

	free(line);
	if (fd >= 0)
		close(fd);
	return found;
}

static bool maps_jvm(const struct process *p)
{
	const char *base;
	size_t len;

	for (size_t i = 0; i < p->count; i++) {
		base = maps__base_name(p->mappings[i].path, &len);
		if (len == 9 && !memcmp(base, "libjvm.so", 9))
			return true;
	}
	return false;
}

static bool is_other_file(const struct mapping *a, const struct mapping *b)
{
	return (a->kind == MAPPED_FILE || b->kind == MAPPED_FILE) &&
	       (a->kind != b->kind || a->inode != b->inode || a->major != b->major || a->minor != b->minor ||
		a->start - a->offset != b->start - b->offset);
}

static bool is_still_there(const struct mapping *old, const struct mapping_list *list)
{
	for (size_t i = 0; i < list->count && list->at[i].start <= old->start; i++)
		if (list->at[i].start == old->start)
			return list->at[i].end == old->end && !is_other_file(old, &list->at[i]);
	return false;
}

/* The place may be empty for some readings before another file comes there, so the past is remembered. */
static void remember_gone(struct process *p, const struct mapping_list *list)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->mappings[i].kind != MAPPED_FILE || is_still_there(&p->mappings[i], list))
			continue;
		if (!p->past)
			p->past = calloc(PAST_MAX, sizeof(*p->past));
		if (p->past)
			p->past[p->generation % PAST_MAX] = p->mappings[i];
		p->generation++;
	}
}

static bool is_replaced(const struct process *p, const struct mapping_list *list)
{
	size_t count = !p->past ? 0 : p->generation < PAST_MAX ? p->generation : PAST_MAX;

	for (size_t i = 0; i < list->count; i++)
		for (size_t j = 0; j < count; j++)
			if (p->past[j].start < list->at[i].end && list->at[i].start < p->past[j].end &&
			    is_other_file(&p->past[j], &list->at[i]))
				return true;
	return false;
}

int process__read(struct process *p, int dir, struct strings *strings)
{
	struct mapping_list list = {0};
	char stat[1024];
	struct stat exe;
	int fd = openat(dir, "maps", O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -ESRCH;
	err = read_maps(&list, fd, strings);
	close(fd);
	/* Asked again, because an exec may have come between. */
	if (!err && (!list.count || read_small(dir, "stat", stat, sizeof(stat)) || !is_same_program(p, stat)))
		err = -ESRCH;
	if (err) {
		free(list.at);
		return err;
	}
	shrink(&list);
	remember_gone(p, &list);
	p->replaces = p->replaces || is_replaced(p, &list);
	free(p->mappings);
	p->mappings = list.at;
	p->count = list.count;
	p->exec_pages = list.counted_bytes / (uint64_t)sysconf(_SC_PAGESIZE);
	p->read_at_ns = units__now_ns();
	p->stale = false;
	p->is_jvm = maps_jvm(p) && !keeps_frame_pointers(dir);
	if (!fstatat(dir, "exe", &exe, 0)) {
		p->exe_device = exe.st_dev;
		p->exe_inode = exe.st_ino;
	}
	return 0;
}

struct mapping *process__find(const struct process *p, uint64_t address)
{
	size_t low = 0, high = p->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (p->mappings[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->count && p->mappings[low].start <= address ? &p->mappings[low] : NULL;
}

/* "\012" in maps is a newline in the path: the only character that the kernel escapes there. */
static void unescape(char *path)
{
	char *at = path;

	while ((at = strstr(at, "\\012"))) {
		*at++ = '\n';
		memmove(at, at + 3, strlen(at + 3) + 1);
	}
}

/* By name, inside its root. A file that was replaced is marked as deleted and not looked for. */
static int locate_by_path(const struct mapping *m, int dir, struct stat *st)
{
	char path[PATH_MAX];
	int root, fd;

	if (*m->path != '/' || strlen(m->path) >= sizeof(path))
		return -ENOENT;
	memcpy(path, m->path, strlen(m->path) + 1);
	unescape(path);
	root = openat(dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	fd = safefile__locate_in_root(root, path, true, st);
	close(root);
	/* On overlayfs and btrfs maps and stat show different devices: nothing can be compared there. */
	if (fd >= 0 && st->st_dev == makedev(m->major, m->minor) && st->st_ino != m->inode) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

/* Whether it is the file that was mapped there when the mappings were read, by the name that they show. */
static bool is_the_one(const struct mapping *m, int fd)
{
	char name[64], path[PATH_MAX], shown[PATH_MAX];
	ssize_t length;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	length = readlink(name, path, sizeof(path) - 1);
	if (length < 0 || strlen(m->path) >= sizeof(shown))
		return true;
	path[length] = 0;
	memcpy(shown, m->path, strlen(m->path) + 1);
	unescape(shown);
	return !strcmp(path, shown);
}

int process__locate(const struct mapping *m, int dir, struct stat *st)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, m->start, m->end);
	fd = safefile__locate(dir, name, st);
	if (fd >= 0 && !is_the_one(m, fd)) {
		close(fd);
		fd = -ENOENT;
	}
	if (fd == -EPERM || fd == -EACCES || fd == -ENOENT)
		fd = locate_by_path(m, dir, st);
	return fd;
}

void process__free_mappings(struct process *p)
{
	p->generation += p->count != 0; /* nobody will know what was gone when they are read again */
	free(p->mappings);
	p->mappings = NULL;
	p->count = 0;
	p->read_at_ns = 0;
}

void process__free(struct process *p)
{
	free(p->mappings);
	free(p->past);
	free(p);
}

static bool has_own_root(int dir)
{
	struct stat theirs, ours;

	return !fstatat(dir, "root", &theirs, 0) && !stat("/", &ours) && theirs.st_dev == ours.st_dev &&
	       theirs.st_ino == ours.st_ino;
}

int perf_map_owner__read(struct perf_map_owner *o, const struct process *p, int dir)
{
	char text[16384]; /* a line of supplementary groups stands in between */
	const char *uids, *pids;
	int err = read_small(dir, "status", text, sizeof(text)), pid;
	unsigned uid, euid;

	if (err)
		return err;
	uids = strstr(text, "\nUid:");
	/* The group's number in each namespace, ours first: the innermost is its own. */
	pids = strstr(text, "\nNStgid:");
	if (!uids || sscanf(uids, "\nUid: %u %u", &uid, &euid) != 2)
		return -EINVAL;
	pid = (int)p->key.tgid;
	if (pids)
		for (const char *at = pids + 8; *at == '\t' || *at == ' '; at += strcspn(at, "\t \n"))
			pid = (int)strtol(++at, NULL, 10);
	*o = (struct perf_map_owner){
		.pid = pid,
		.uid = uid,
		.euid = euid,
		.own_root = has_own_root(dir),
		.start_boot_ns = p->key.start_boot_ns,
	};
	return pid > 0 ? 0 : -EINVAL;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A map that was last written before the process began is the one of an earlier process with its PID. */
static bool is_older(const struct perf_map_owner *o, const struct stat *st)
{
	int64_t age_ns = clock_ns(CLOCK_BOOTTIME) - ((int64_t)o->start_boot_ns + boot_offset_ns());
	int64_t start_ns = clock_ns(CLOCK_REALTIME) - age_ns;
	/* The clock of file times stands still between two timer ticks. */
	int64_t written_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec + 20000000;

	return written_ns < start_ns;
}

int perf_map_owner__open(const struct perf_map_owner *o, int dir)
{
	char path[40];
	struct stat st;
	int root, fd;

	if (dir < 0 && !o->own_root)
		return -ESRCH;
	root = dir < 0 ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)
		       : openat(dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	snprintf(path, sizeof(path), "tmp/perf-%d.map", o->pid);
	fd = safefile__open_in_root(root, path, false, &st);
	close(root);
	if (fd < 0)
		return fd;
	if (st.st_uid != o->uid && st.st_uid != o->euid && st.st_uid != 0) {
		close(fd);
		return -EPERM;
	}
	if (is_older(o, &st)) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}
