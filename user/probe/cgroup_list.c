// SPDX-License-Identifier: Apache-2.0
/* Which cgroups there are, and which one is a process's. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "probe/cgroup_files.h"

#define PROC_LIMIT   65536
#define SEARCH_LIMIT 65536

/* Takes over the path. */
static int add(struct cgroup_list *list, size_t *room, char *path, uint64_t id)
{
	struct cgroup_entry *more;

	if (!path)
		return -ENOMEM;
	if (list->count == *room) {
		more = reallocarray(list->at, *room ? *room * 2 : 64, sizeof(*more));
		if (!more) {
			free(path);
			return -ENOMEM;
		}
		list->at = more;
		*room = *room ? *room * 2 : 64;
	}
	list->at[list->count++] = (struct cgroup_entry){path, id};
	return 0;
}

/* The directories in one, whose numbers are the cgroups' ids. One that has gone has none. */
static int add_children(const char *root, const char *path, bool has_ids, size_t limit,
			struct cgroup_list *list, size_t *room)
{
	char full[PATH_MAX], *child;
	struct dirent *e;
	int err = 0;
	DIR *dir;

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return 0;
	dir = opendir(full);
	while (dir && !err && (e = readdir(dir))) {
		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (list->count >= limit) {
			list->truncated = true;
			break;
		}
		if (asprintf(&child, "%s/%s", strcmp(path, "/") ? path : "", e->d_name) < 0)
			child = NULL;
		err = add(list, room, child, has_ids ? e->d_ino : 0);
	}
	if (dir)
		closedir(dir);
	return err;
}

static int by_path(const void *a, const void *b)
{
	const struct cgroup_entry *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order ? order : (x->id < y->id) - (x->id > y->id); /* the one with an id first */
}

static void keep_one_of_each(struct cgroup_list *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->at, list->count, sizeof(*list->at), by_path);
	for (size_t i = 0; i < list->count; i++) {
		if (kept && !strcmp(list->at[kept - 1].path, list->at[i].path))
			free(list->at[i].path);
		else
			list->at[kept++] = list->at[i];
	}
	list->count = kept;
}

static uint64_t directory_id(const char *root, const char *path)
{
	char full[PATH_MAX];
	struct dirent *e;
	uint64_t id = 0;
	DIR *dir;

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return 0;
	dir = opendir(full);
	while (dir && !id && (e = readdir(dir)))
		if (!strcmp(e->d_name, "."))
			id = e->d_ino;
	if (dir)
		closedir(dir);
	return id;
}

/* `below` and what lies below it in one hierarchy, behind what is in the list. */
static int add_hierarchy(const char *root, const char *below, bool has_ids, size_t limit,
			 struct cgroup_list *list, size_t *room)
{
	size_t first = list->count;
	uint64_t id = root ? directory_id(root, below) : 0;
	int err = id ? add(list, room, strdup(below), has_ids ? id : 0) : 0;

	for (size_t i = first; i < list->count && !err; i++)
		err = add_children(root, list->at[i].path, has_ids, first + limit, list, room);
	return err;
}

int cgroup_files__list(const struct cgroup_files *f, const char *below, size_t limit,
		       struct cgroup_list *list)
{
	size_t room = 0;
	int err = 0;

	*list = (struct cgroup_list){0};
	for (int h = 0; h < CGROUP_HIERARCHIES && !err; h++)
		err = add_hierarchy(f->root[h], below, h == CGROUP_V2, limit, list, &room);
	keep_one_of_each(list);
	if (err)
		cgroup_list__free(list);
	return err;
}

char *cgroup_files__path(const struct cgroup_files *f, enum cgroup_hierarchy hierarchy, uint64_t id)
{
	struct cgroup_list list = {0};
	char *found = NULL;
	size_t room = 0;

	(void)add_hierarchy(f->root[hierarchy], "/", true, SEARCH_LIMIT, &list,
			    &room); /* what was found counts */
	for (size_t i = 0; i < list.count && !found; i++)
		if (list.at[i].id == id)
			found = strdup(list.at[i].path);
	cgroup_list__free(&list);
	if (!found)
		errno = ENOENT;
	return found;
}

void cgroup_list__free(struct cgroup_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->at[i].path);
	free(list->at);
	*list = (struct cgroup_list){0};
}

/* Whether the line "4:memory:/x", whose controllers end at `end`, is the hierarchy's. */
static bool has_controller(const char *controllers, const char *end, const char *wanted)
{
	size_t len = strlen(wanted);

	for (const char *at = controllers; at < end; at += strcspn(at, ",:") + 1)
		if (strcspn(at, ",:") == len && !memcmp(at, wanted, len))
			return true;
	return false;
}

char *cgroup__of_process(enum cgroup_hierarchy hierarchy, uint32_t tgid)
{
	const char *wanted = cgroup__controllers[hierarchy];
	struct buf b = {0};
	char path[32], *found = NULL;
	int err;

	snprintf(path, sizeof(path), "/proc/%u/cgroup", tgid);
	err = buf__read_file(&b, path, PROC_LIMIT);
	for (const char *line = buf__text(&b); !err && !found && *line; line += *line == '\n') {
		const char *names = strchr(line, ':'), *at = names ? strchr(names + 1, ':') : NULL;

		if (at && (*wanted ? has_controller(names + 1, at, wanted) : at == names + 1))
			found = strndup(at + 1, strcspn(at + 1, "\n"));
		line += strcspn(line, "\n");
	}
	buf__free(&b);
	errno = err ? -err : ENOENT;
	return found;
}
