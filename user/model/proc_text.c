// SPDX-License-Identifier: Apache-2.0
#include "model/proc_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512

const char *const proc__cpu_modes[] = {"user",	 "nice",      "system", "idle",
				       "iowait", "interrupt", "steal",	NULL};

/* --- words, numbers and lines */

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

static const char *next_line(const char *at)
{
	at += strcspn(at, "\n");
	return *at ? at + 1 : at;
}

/* Goes behind the number. False: there is none. Too large a one is the largest. */
static bool take(const char **at, uint64_t *value)
{
	const char *p = skip_blanks(*at);
	uint64_t sum = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(*p - '0'), &sum)) {
			p += strspn(p, "0123456789");
			sum = UINT64_MAX;
			break;
		}
	*at = p;
	*value = sum;
	return true;
}

static size_t take_all(const char *at, uint64_t *values, size_t room)
{
	size_t n = 0;

	while (n < room && take(&at, &values[n]))
		n++;
	return n;
}

static uint64_t times(uint64_t value, uint64_t by)
{
	return __builtin_mul_overflow(value, by, &value) ? UINT64_MAX : value;
}

/* A word of the line, at most so long; false: it is longer, or there is none. */
static bool take_word(const char **at, char *to, size_t size, const char *ends)
{
	const char *p = skip_blanks(*at);
	size_t len = strcspn(p, ends);

	if (!len || len >= size)
		return false;
	memcpy(to, p, len);
	to[len] = 0;
	*at = p + len;
	return true;
}

/* One more element at the array's end, zeroed. NULL: no memory. */
static void *grow(void **array, size_t *count, size_t size)
{
	size_t capacity = *count && !(*count & (*count - 1)) ? *count * 2 : *count ? 0 : 1;
	char *more = *array;

	if (capacity) {
		more = reallocarray(*array, capacity, size);
		if (!more)
			return NULL;
		*array = more;
	}
	more += *count * size;
	memset(more, 0, size);
	(*count)++;
	return more;
}

/* --- "key value" lines */

struct key {
	const char *name;
	size_t at;
	uint64_t unit;
};

static int take_keys(const char *text, const struct key *keys, void *out)
{
	bool any = false;

	for (; *text; text = next_line(text))
		for (const struct key *k = keys; k->name; k++) {
			size_t len = strlen(k->name);
			const char *at = text + len;
			uint64_t value;

			if (strncmp(text, k->name, len) || !strchr(" :\t", *at) || !*at)
				continue;
			at += *at == ':';
			if (!take(&at, &value))
				continue;
			*(uint64_t *)((char *)out + k->at) = times(value, k->unit);
			any = true;
		}
	return any ? 0 : -EINVAL;
}

#define KEY(type, name, member, unit)                     \
	{                                                 \
		name, offsetof(struct type, member), unit \
	}

int proc__meminfo(const char *text, struct proc_meminfo *m)
{
	static const struct key keys[] = {
		KEY(proc_meminfo, "MemTotal", total, 1024),
		KEY(proc_meminfo, "MemFree", free, 1024),
		KEY(proc_meminfo, "MemAvailable", available, 1024),
		KEY(proc_meminfo, "Buffers", buffers, 1024),
		KEY(proc_meminfo, "Cached", cached, 1024),
		KEY(proc_meminfo, "Shmem", shared, 1024),
		KEY(proc_meminfo, "Slab", slab, 1024),
		KEY(proc_meminfo, "SReclaimable", reclaimable, 1024),
		KEY(proc_meminfo, "SUnreclaim", unreclaimable, 1024),
		KEY(proc_meminfo, "Dirty", dirty, 1024),
		KEY(proc_meminfo, "SwapTotal", swap_total, 1024),
		KEY(proc_meminfo, "SwapFree", swap_free, 1024),
		{NULL},
	};

	memset(m, 0, sizeof(*m));
	return take_keys(text, keys, m);
}

int proc__vmstat(const char *text, struct proc_vmstat *v)
{
	static const struct key keys[] = {
		KEY(proc_vmstat, "pgfault", faults, 1),
		KEY(proc_vmstat, "pgmajfault", major_faults, 1),
		KEY(proc_vmstat, "pswpin", swapped_in, 1),
		KEY(proc_vmstat, "pswpout", swapped_out, 1),
		{NULL},
	};

	memset(v, 0, sizeof(*v));
	return take_keys(text, keys, v);
}

int proc__process_io(const char *text, struct process_io *io)
{
	static const struct key keys[] = {
		KEY(process_io, "read_bytes", read_bytes, 1),
		KEY(process_io, "write_bytes", written_bytes, 1),
		KEY(process_io, "rchar", asked_read_bytes, 1),
		KEY(process_io, "wchar", asked_write_bytes, 1),
		{NULL},
	};

	memset(io, 0, sizeof(*io));
	return take_keys(text, keys, io);
}

/* --- the CPUs */

/* user nice system idle iowait irq softirq steal, and guests, who are in user and nice. */
static bool take_times(const char *at, struct cpu_times *t)
{
	uint64_t v[8] = {0};

	if (take_all(at, v, 8) < 4)
		return false;
	t->ticks[CPU_USER] = v[0];
	t->ticks[CPU_NICE] = v[1];
	t->ticks[CPU_SYSTEM] = v[2];
	t->ticks[CPU_IDLE] = v[3];
	t->ticks[CPU_IOWAIT] = v[4];
	if (__builtin_add_overflow(v[5], v[6], &t->ticks[CPU_INTERRUPT]))
		t->ticks[CPU_INTERRUPT] = UINT64_MAX;
	t->ticks[CPU_STEAL] = v[7];
	return true;
}

static int take_cpu(const char *at, struct proc_stat *stat)
{
	struct cpu_times t = {0}, *one;
	uint64_t number;

	if (*at == ' ') {
		take_times(at, &stat->all);
		return 0;
	}
	if (!take(&at, &number) || number > UINT32_MAX || !take_times(at, &t))
		return 0;
	one = grow((void **)&stat->cpus, &stat->count, sizeof(t));
	if (!one)
		return -ENOMEM;
	t.number = (uint32_t)number;
	*one = t;
	return 0;
}

int proc__stat(const char *text, struct proc_stat *stat)
{
	static const struct key keys[] = {
		KEY(proc_stat, "ctxt", context_switches, 1),
		KEY(proc_stat, "processes", forks, 1),
		KEY(proc_stat, "procs_running", running, 1),
		KEY(proc_stat, "procs_blocked", blocked, 1),
		{NULL},
	};
	int err = 0;

	memset(stat, 0, sizeof(*stat));
	for (const char *line = text; !err && *line; line = next_line(line))
		if (!strncmp(line, "cpu", 3))
			err = take_cpu(line + 3, stat);
	if (!err && !stat->count)
		err = -EINVAL;
	if (!err)
		take_keys(text, keys, stat);
	if (!err)
		return 0;
	free(stat->cpus);
	stat->cpus = NULL;
	stat->count = 0;
	return err;
}

int proc__loadavg(const char *text, double load[3])
{
	uint64_t whole, hundredths;

	for (int i = 0; i < 3; i++) {
		if (!take(&text, &whole) || *text++ != '.' || !take(&text, &hundredths))
			return -EINVAL;
		load[i] = (double)whole + (double)hundredths / 100;
	}
	return 0;
}

/* --- devices */

int proc__diskstats(const char *text, struct disk_counts **disks, size_t *count)
{
	struct disk_counts *d;
	uint64_t v[17];

	*disks = NULL;
	*count = 0;
	for (; *text; text = next_line(text)) {
		const char *at = text;
		char name[sizeof(d->name)];

		memset(v, 0, sizeof(v));
		if (take_all(at, v, 2) < 2 || !take(&at, v) || !take(&at, v) ||
		    !take_word(&at, name, sizeof(name), " \n") || take_all(at, v, 17) < 11)
			continue;
		d = grow((void **)disks, count, sizeof(*d));
		if (!d)
			return -ENOMEM;
		memcpy(d->name, name, sizeof(name));
		d->reads = v[0], d->reads_merged = v[1], d->read_bytes = times(v[2], SECTOR),
		d->read_ms = v[3];
		d->writes = v[4], d->writes_merged = v[5], d->written_bytes = times(v[6], SECTOR);
		d->write_ms = v[7], d->io_ms = v[9];
		d->discards = v[11], d->discarded_bytes = times(v[13], SECTOR), d->flushes = v[15];
	}
	return 0;
}

int proc__net_dev(const char *text, struct net_counts **interfaces, size_t *count)
{
	struct net_counts *n;
	uint64_t v[12];

	*interfaces = NULL;
	*count = 0;
	for (; *text; text = next_line(text)) {
		const char *at = text;
		char name[sizeof(n->name)];

		if (!take_word(&at, name, sizeof(name), ":\n") || *at++ != ':' || take_all(at, v, 12) < 12)
			continue;
		n = grow((void **)interfaces, count, sizeof(*n));
		if (!n)
			return -ENOMEM;
		memcpy(n->name, name, sizeof(name));
		for (int i = 0; i < NET_DIRECTIONS; i++) {
			n->bytes[i] = v[8 * i];
			n->packets[i] = v[8 * i + 1];
			n->errors[i] = v[8 * i + 2];
			n->dropped[i] = v[8 * i + 3];
		}
	}
	return 0;
}

/* --- mounts */

/* A field, with \040 and such undone; NULL: no memory. */
static char *take_text(const char **at)
{
	const char *p = skip_blanks(*at);
	size_t len = strcspn(p, " \n"), n = 0;
	char *out = malloc(len + 1);

	*at = p + len;
	for (size_t i = 0; out && i < len; i++) {
		bool octal = p[i] == '\\' && i + 3 < len && p[i + 1] >= '0' && p[i + 1] <= '3' &&
			     p[i + 2] >= '0' && p[i + 2] <= '7' && p[i + 3] >= '0' && p[i + 3] <= '7';

		out[n++] = octal ? (char)((p[i + 1] - '0') * 64 + (p[i + 2] - '0') * 8 + (p[i + 3] - '0'))
				 : p[i];
		i += octal ? 3 : 0;
	}
	if (out)
		out[n] = 0;
	return out;
}

static bool has_option(const char *options, const char *end, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = options; p < end; p += strcspn(p, ",") + 1)
		if ((size_t)(end - p) >= len && !strncmp(p, word, len) && (p + len == end || p[len] == ','))
			return true;
	return false;
}

/* "id parent major:minor root point options [tag...] - type source options" */
static int take_mount(const char *line, struct mount *m)
{
	const char *end = line + strcspn(line, "\n"), *dash = memmem(line, (size_t)(end - line), " - ", 3);
	uint64_t v[2], major, minor;

	if (!dash || !take(&line, &v[0]) || !take(&line, &v[1]) || !take(&line, &major) || *line++ != ':' ||
	    !take(&line, &minor))
		return 0;
	m->major = (uint32_t)major;
	m->minor = (uint32_t)minor;
	m->root = take_text(&line);
	m->point = take_text(&line);
	line = skip_blanks(line);
	m->read_only = has_option(line, line + strcspn(line, " \n"), "ro");
	dash += 3;
	m->type = take_text(&dash);
	m->source = take_text(&dash);
	if (!m->root || !m->point || !m->type || !m->source)
		return -ENOMEM;
	return *m->point && *m->type;
}

static void free_mount(struct mount *m)
{
	free(m->root);
	free(m->point);
	free(m->type);
	free(m->source);
}

int proc__mounts(const char *text, struct mount **mounts, size_t *count)
{
	int taken = 0;

	*mounts = NULL;
	*count = 0;
	for (; *text && taken >= 0; text = next_line(text)) {
		struct mount fresh = {0}, *m = NULL;

		taken = take_mount(text, &fresh);
		if (taken > 0)
			m = grow((void **)mounts, count, sizeof(*m));
		if (m)
			*m = fresh;
		else
			free_mount(&fresh);
		if (taken > 0 && !m)
			taken = -ENOMEM;
	}
	if (taken >= 0)
		return 0;
	proc__free_mounts(*mounts, *count);
	*mounts = NULL;
	*count = 0;
	return taken;
}

void proc__free_mounts(struct mount *mounts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free_mount(&mounts[i]);
	free(mounts);
}

/* --- a process */

/* The name may hold anything, a `)` too: the last one ends it. */
int proc__process_stat(const char *text, struct process_stat *s)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')'), *at = text;
	uint64_t pid, parent, v[21];
	size_t len;

	memset(s, 0, sizeof(*s));
	if (!open || !close || close < open || !take(&at, &pid) || close[1] != ' ' || !close[2])
		return -EINVAL;
	len = (size_t)(close - open - 1);
	memcpy(s->comm, open + 1, len < sizeof(s->comm) ? len : sizeof(s->comm));
	s->pid = (uint32_t)pid;
	s->state = close[2];
	at = close + 3;
	if (!take(&at, &parent))
		return -EINVAL;
	s->parent = (uint32_t)parent;
	for (int i = 0; i < 20; i++) { /* from the 5th field on; some may be negative */
		at = skip_blanks(at);
		at += *at == '-';
		if (!take(&at, &v[i]))
			return -EINVAL;
	}
	s->minor_faults = v[5];
	s->major_faults = v[7];
	s->user_ticks = v[9];
	s->system_ticks = v[10];
	s->threads = v[15];
	s->start_ticks = v[17];
	s->virtual_bytes = v[18];
	s->resident_pages = v[19];
	return 0;
}

/* --- differences */

uint64_t proc__delta(uint64_t before, uint64_t now)
{
	return now >= before ? now - before : 0;
}

uint64_t proc__delta32(uint64_t before, uint64_t now)
{
	bool wrapped = now < before && before <= UINT32_MAX && before - now > UINT32_MAX / 2;

	return wrapped ? now + (1ULL << 32) - before : proc__delta(before, now);
}
