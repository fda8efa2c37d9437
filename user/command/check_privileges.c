// SPDX-License-Identifier: Apache-2.0
/* sonde check: capabilities and the settings that make the kernel ask for them. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/check.h"

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif
#define BIT(capability) (1ULL << (capability))

static bool is_always_wanted(const struct privileges *p)
{
	(void)p;
	return true;
}

/* A patch of Debian and others: level 3 and above refuses perf_event_open() to all but CAP_SYS_ADMIN. */
static bool is_paranoid(const struct privileges *p)
{
	return p->event_paranoid >= 3;
}

static bool is_not_paranoid(const struct privileges *p)
{
	return !is_paranoid(p);
}

static const struct row {
	const char *name, *what;
	uint64_t any_of; /* one of these bits is enough: CAP_SYS_ADMIN implies the younger ones */
	unsigned needs;	 /* NEEDS_ that ask for it */
	bool (*wanted)(const struct privileges *); /* do those, on this system? */
	bool optional;				   /* only features that name it need it */
} rows[] = {
	{"CAP_BPF", "BPF maps and programs", BIT(CAP_BPF) | BIT(CAP_SYS_ADMIN), NEEDS_BPF, is_always_wanted},
	{"CAP_PERFMON", "programs that trace, CPU samples", BIT(CAP_PERFMON) | BIT(CAP_SYS_ADMIN),
	 NEEDS_TRACE, is_always_wanted},
	{"CAP_PERFMON", NULL, BIT(CAP_PERFMON) | BIT(CAP_SYS_ADMIN), NEEDS_EVENT, is_not_paranoid, true},
	{"CAP_SYS_ADMIN", "CPU samples, where kernel.perf_event_paranoid is 3 or more", BIT(CAP_SYS_ADMIN),
	 NEEDS_EVENT, is_paranoid},
	{"CAP_SYS_ADMIN", NULL, BIT(CAP_SYS_ADMIN), NEEDS_ADMIN, is_always_wanted, true},
	{"CAP_SYS_PTRACE", "files and symbols of other users' processes", BIT(CAP_SYS_PTRACE), 0,
	 is_always_wanted},
	{"CAP_DAC_READ_SEARCH", "programs that only their owner may read", BIT(CAP_DAC_READ_SEARCH), 0,
	 is_always_wanted},
	{"CAP_CHECKPOINT_RESTORE", "programs that were replaced or deleted",
	 BIT(CAP_CHECKPOINT_RESTORE) | BIT(CAP_SYS_ADMIN), 0, is_always_wanted},
	{"CAP_SYSLOG", NULL, BIT(CAP_SYSLOG), NEEDS_SYSLOG, is_always_wanted,
	 true}, /* kernels differ: the trial tells */
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static bool is_missing(const struct privileges *p, const struct row *row)
{
	return row->wanted(p) && !(p->effective & row->any_of);
}

static int read_number(const char *path)
{
	struct buf text = {0};
	int value = -1;

	if (buf__read_file(&text, path, 64) || sscanf(buf__text(&text), "%d", &value) != 1)
		value = -1;
	buf__free(&text);
	return value;
}

/* "none [integrity] confidentiality": the bracketed word holds. */
static void read_lockdown(char *word, size_t size)
{
	struct buf text = {0};
	const char *from, *to;

	*word = 0;
	if (!buf__read_file(&text, "/sys/kernel/security/lockdown", 256)) {
		from = strchr(buf__text(&text), '[');
		to = from ? strchr(from, ']') : NULL;
		if (to)
			snprintf(word, size, "%.*s", (int)(to - from - 1), from + 1);
	}
	buf__free(&text);
}

static const char *field(const struct buf *status, const char *name)
{
	const char *at = strstr(buf__text(status), name);

	return at ? at + strlen(name) : "";
}

void privileges__read(struct privileges *p)
{
	struct buf status = {0}, map = {0};
	unsigned long long bits = 0;
	unsigned inside, outside, count;

	*p = (struct privileges){.euid = geteuid(), .no_new_privs = -1, .seccomp = -1};
	(void)buf__read_file(&status, "/proc/self/status", 1 << 16);
	if (sscanf(field(&status, "\nCapEff:"), "%llx", &bits) == 1)
		p->effective = bits;
	(void)sscanf(field(&status, "\nNoNewPrivs:"), "%d", &p->no_new_privs);
	(void)sscanf(field(&status, "\nSeccomp:"), "%d", &p->seccomp);
	(void)buf__read_file(&map, "/proc/self/uid_map", 1 << 16);
	p->user_namespace =
		sscanf(buf__text(&map), "%u %u %u", &inside, &outside, &count) == 3 && count != UINT32_MAX;
	p->event_paranoid = read_number("/proc/sys/kernel/perf_event_paranoid");
	p->bpf_disabled = read_number("/proc/sys/kernel/unprivileged_bpf_disabled");
	p->kptr_restrict = read_number("/proc/sys/kernel/kptr_restrict");
	read_lockdown(p->lockdown, sizeof(p->lockdown));
	buf__free(&status);
	buf__free(&map);
}

void privileges__missing(const struct privileges *p, unsigned needs, struct buf *names)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].needs & needs && is_missing(p, &rows[i]) &&
		    !strstr(buf__text(names), rows[i].name))
			buf__printf(names, "%s%s", names->len ? ", " : "", rows[i].name);
}

const char *privileges__suspect(const struct privileges *p)
{
	if (p->user_namespace)
		return "the capabilities are those of a user namespace; the initial one's are asked for";
	if (!strcmp(p->lockdown, "confidentiality"))
		return "lockdown is in confidentiality mode";
	if (p->seccomp > 0)
		return "a seccomp filter may refuse it";
	return NULL;
}

bool privileges__complete(const struct privileges *p)
{
	for (size_t i = 0; i < ROWS; i++)
		if (!rows[i].optional && is_missing(p, &rows[i]))
			return false;
	return !p->user_namespace;
}

static void print_setting(struct buf *out, const char *name, int value)
{
	if (value >= 0)
		buf__printf(out, ", %s %d", name, value);
}

void privileges__print(const struct privileges *p, struct buf *out)
{
	buf__printf(out, "user %u%s", p->euid, p->user_namespace ? " of a user namespace" : "");
	buf__printf(out, ", %s",
		    privileges__complete(p) ? "all capabilities that sonde can use"
					    : "capabilities are missing");
	print_setting(out, "perf_event_paranoid", p->event_paranoid);
	print_setting(out, "unprivileged_bpf_disabled", p->bpf_disabled);
	if (*p->lockdown && strcmp(p->lockdown, "none"))
		buf__printf(out, ", lockdown %s", p->lockdown);
	if (p->seccomp > 0)
		buf__puts(out, ", a seccomp filter");
	buf__putc(out, '\n');
	for (size_t i = 0; i < ROWS; i++)
		if (!rows[i].optional && is_missing(p, &rows[i]))
			buf__printf(out, "missing %-22s  %s\n", rows[i].name, rows[i].what);
}

static void add_number(struct json_object *to, const char *key, int value)
{
	json_object_object_add(to, key, value < 0 ? NULL : json_object_new_int(value));
}

struct json_object *privileges__json(const struct privileges *p)
{
	struct json_object *o = json_object_new_object(), *missing = json_object_new_array();

	for (size_t i = 0; i < ROWS; i++) {
		struct json_object *row;

		if (rows[i].optional || !is_missing(p, &rows[i]))
			continue;
		row = json_object_new_object();
		json_object_object_add(row, "capability", json_object_new_string(rows[i].name));
		json_object_object_add(row, "for", json_object_new_string(rows[i].what));
		json_object_array_add(missing, row);
	}
	json_object_object_add(o, "euid", json_object_new_int64(p->euid));
	json_object_object_add(o, "missing", missing);
	json_object_object_add(o, "user_namespace", json_object_new_boolean(p->user_namespace));
	add_number(o, "no_new_privs", p->no_new_privs);
	add_number(o, "seccomp", p->seccomp);
	add_number(o, "perf_event_paranoid", p->event_paranoid);
	add_number(o, "unprivileged_bpf_disabled", p->bpf_disabled);
	add_number(o, "kptr_restrict", p->kptr_restrict);
	json_object_object_add(o, "lockdown", *p->lockdown ? json_object_new_string(p->lockdown) : NULL);
	return o;
}
