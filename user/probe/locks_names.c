// SPDX-License-Identifier: Apache-2.0
#include "probe/locks_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/units.h"
#include "object/debugfile.h"
#include "stack/place.h"

#define LIST_AGAIN_NS 100000000u
#define THREADS_MAX   4096 /* of a process, that are looked at */

struct process_id {
	uint64_t start_boot_ns, tgid;
};

struct thread_id {
	struct process_id process;
	uint64_t tid;
};

struct thread_name {
	char comm[COMM_LEN];
};

void lock_names__init(struct lock_names *n)
{
	strings__init(&n->strings);
	table__init(&n->locks, sizeof(uint32_t), sizeof(struct lock_name));
	table__init(&n->threads, sizeof(struct thread_id), sizeof(struct thread_name));
	table__init(&n->listed, sizeof(struct process_id), sizeof(uint64_t));
}

static void close_files(struct lock_names *n)
{
	for (size_t i = 0; i < n->file_count; i++)
		fd__close(&n->files[i].fd);
	n->file_count = 0;
}

void lock_names__free(struct lock_names *n)
{
	close_files(n);
	table__free(&n->locks);
	table__free(&n->threads);
	table__free(&n->listed);
	strings__free(&n->strings);
}

static int open_process(const struct lock_entry *entry)
{
	const struct process p = {.key = {.start_boot_ns = entry->start_boot_ns, .tgid = entry->tgid}};

	return process__open(&p);
}

/* --- threads */

/* The last number of "NSpid:": the one that the thread has for itself. */
static uint32_t own_number(const char *status)
{
	const char *line = strstr(status, "\nNSpid:"), *end, *at;

	if (!line)
		return 0;
	end = strchr(line + 1, '\n');
	at = end ? memrchr(line, '\t', (size_t)(end - line)) : NULL;
	return at ? (uint32_t)strtoul(at, NULL, 10) : 0;
}

static int read_at(int dir, const char *tid, const char *name, char *text, size_t size)
{
	char path[64];
	int fd;
	ssize_t len;

	snprintf(path, sizeof(path), "%.20s/%s", tid, name);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, size - 1);
	fd__close(&fd);
	text[len > 0 ? len : 0] = 0;
	return len > 0 ? 0 : -ESRCH;
}

static void add_thread(struct lock_names *n, const struct process_id *process, int dir, const char *tid)
{
	struct thread_id id = {.process = *process};
	struct thread_name *name;
	char text[4096], comm[COMM_LEN + 1];

	if (read_at(dir, tid, "status", text, sizeof(text)) || read_at(dir, tid, "comm", comm, sizeof(comm)))
		return;
	id.tid = own_number(text);
	name = id.tid ? table__add(&n->threads, &id, NULL) : NULL;
	if (!name)
		return;
	comm[strcspn(comm, "\n")] = 0;
	memset(name->comm, 0, sizeof(name->comm));
	memcpy(name->comm, comm, strnlen(comm, COMM_LEN - 1));
}

static void list_threads(struct lock_names *n, const struct process_id *process, int dir)
{
	int tasks = openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = tasks < 0 ? NULL : fdopendir(tasks);
	uint64_t *when = table__add(&n->listed, process, NULL);
	const struct dirent *entry;

	for (int i = 0; list && i < THREADS_MAX && (entry = readdir(list)); i++)
		if (*entry->d_name != '.')
			add_thread(n, process, dirfd(list), entry->d_name);
	if (list)
		closedir(list);
	else
		fd__close(&tasks);
	if (when)
		*when = units__now_ns();
}

static bool listed_lately(const struct lock_names *n, const struct process_id *process)
{
	const uint64_t *when = table__find(&n->listed, process);

	return when && units__now_ns() - *when < LIST_AGAIN_NS;
}

const char *lock_names__thread(struct lock_names *n, const struct lock_entry *entry, uint32_t tid)
{
	const struct thread_id id = {{entry->start_boot_ns, entry->tgid}, tid};
	struct thread_name *name = table__find(&n->threads, &id);
	int dir;

	if (name || !tid || listed_lately(n, &id.process))
		return name ? name->comm : NULL;
	dir = open_process(entry);
	if (dir < 0)
		return NULL;
	list_threads(n, &id.process, dir);
	close(dir);
	name = table__find(&n->threads, &id);
	return name ? name->comm : NULL;
}

/* --- locks */

static const char *format(struct lock_names *n, const char *pattern, ...)
	__attribute__((format(printf, 2, 3)));

static const char *format(struct lock_names *n, const char *pattern, ...)
{
	struct buf text = {0};
	const char *kept;
	va_list args;

	va_start(args, pattern);
	buf__vprintf(&text, pattern, args);
	va_end(args);
	kept = text.failed ? NULL : strings__add(&n->strings, text.data, text.len);
	buf__free(&text);
	return kept;
}

/* The number of the open file + 1; 0: it cannot be had. */
static uint32_t open_file(struct lock_names *n, const struct place *p, int dir)
{
	struct file_key key;
	struct stat st;
	int located = process__locate(&p->mapping, dir, &st), fd = -1;
	uint32_t number = 0;

	if (located < 0)
		return 0;
	file_key__from_stat(&key, &st);
	for (size_t i = 0; !number && i < n->file_count; i++)
		if (!memcmp(&n->files[i].key, &key, sizeof(key)))
			number = (uint32_t)i + 1;
	if (!number && n->file_count < LOCK_FILES_MAX)
		fd = safefile__reopen(located);
	close(located);
	if (fd < 0)
		return number;
	n->files[n->file_count++] = (struct lock_file){.key = key, .path = p->mapping.path, .fd = fd};
	return (uint32_t)n->file_count;
}

static int look(struct lock_names *n, struct lock_name *name, int dir)
{
	struct place place;
	const char *base;
	size_t len;
	int err = dir < 0 ? dir : place__find(dir, name->entry.address, &n->strings, &place);

	if (err) {
		name->text = format(n, "%#" PRIx64, (uint64_t)name->entry.address);
		return name->text ? 0 : -ENOMEM;
	}
	base = maps__base_name(place.mapping.path, &len);
	if (place.mapping.kind == MAPPED_FILE) {
		name->file = open_file(n, &place, dir);
		name->offset = place.offset;
		name->object = strings__add(&n->strings, base, len);
		return name->object ? 0 : -ENOMEM;
	}
	name->text = format(n, "%.*s %#" PRIx64, (int)len, base, (uint64_t)name->entry.address);
	return name->text ? 0 : -ENOMEM;
}

int lock_names__add(struct lock_names *n, const struct lock_entry *entry)
{
	const struct process_id process = {entry->start_boot_ns, entry->tgid};
	struct lock_name *name;
	bool is_new;
	int dir, err;

	name = table__add(&n->locks, &entry->number, &is_new);
	if (!name)
		return -ENOMEM;
	if (!is_new)
		return 0;
	name->entry = *entry;
	dir = open_process(entry);
	err = look(n, name, dir);
	if (dir < 0)
		return err;
	if (!listed_lately(n, &process))
		list_threads(n, &process, dir);
	close(dir);
	return err;
}

static void set_text(struct lock_names *n, struct lock_name *name, const struct symbol *symbol)
{
	if (symbol && symbol->name && symbol->offset)
		name->text = format(n, "%s+%#" PRIx64 " (%s)", symbol->name, symbol->offset, name->object);
	else if (symbol && symbol->name)
		name->text = format(n, "%s (%s)", symbol->name, name->object);
	else if (symbol && symbol->address && symbol->address != name->offset)
		name->text = format(n, "%s+%#" PRIx64, name->object, symbol->address);
	else /* no data of an ELF file: shared memory, or memory that happens to lie behind a file */
		name->text = format(n, "%s %#" PRIx64, name->object, (uint64_t)name->entry.address);
	name->file = 0;
}

/* All locks of one file, in one question. */
static void resolve_file(struct lock_names *n, struct helper *helper, uint32_t file)
{
	struct debug_places places = {.directory = "/usr/lib/debug", .path = n->files[file - 1].path};
	struct symbol_request request = {.source = SYMBOLS_DATA,
					 .fd = n->files[file - 1].fd,
					 .modules_fd = -1,
					 .debug_file = debugfile__locate,
					 .context = &places};
	uint64_t *offsets = calloc(n->locks.count + 1, sizeof(*offsets));
	struct symbol *symbols = calloc(n->locks.count + 1, sizeof(*symbols));
	bool asked = offsets && symbols;
	size_t i = 0, at = 0;
	const void *key;
	void *value;

	while (asked && table__next(&n->locks, &i, &key, &value))
		if (((struct lock_name *)value)->file == file)
			offsets[request.count++] = ((struct lock_name *)value)->offset;
	request.addresses = offsets;
	asked = asked && !helper__resolve(helper, &request, symbols);
	for (i = 0; table__next(&n->locks, &i, &key, &value);) {
		struct lock_name *name = value;

		if (name->file == file)
			set_text(n, name, asked ? &symbols[at++] : NULL);
	}
	free(offsets);
	free(symbols);
}

void lock_names__resolve(struct lock_names *n, struct helper *helper)
{
	const void *key;
	size_t i = 0;
	void *value;

	for (uint32_t file = 1; file <= n->file_count; file++)
		resolve_file(n, helper, file);
	close_files(n);
	while (table__next(&n->locks, &i, &key, &value))
		if (!((struct lock_name *)value)->text)
			set_text(n, value, NULL);
}

const struct lock_name *lock_names__find(const struct lock_names *n, uint32_t number)
{
	return table__find(&n->locks, &number);
}
