// SPDX-License-Identifier: Apache-2.0
/* sonde check: from files to Debian packages, by dpkg's own lists of files; nothing is executed. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/table.h"
#include "base/text.h"
#include "command/check.h"

#define LIST_BYTES_MAX (16u << 20)

/* Packages whose debug symbols do not lie in PACKAGE-dbgsym. %s: the version in the name, as in
 * python3.11-minimal. */
static const struct {
	const char *package, *debug;
	size_t version_at; /* 0: none */
} exceptions[] = {
	{"libc6", "libc6-dbg", 0},
	{"libc6-*", "libc6-dbg", 0},
	{"python3.[0-9]*", "python%s-dbg", sizeof("python") - 1},
	{"libpython3.[0-9]*", "python%s-dbg", sizeof("libpython") - 1},
};

static void name_debug(struct check_owner *o)
{
	char version[16];

	for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
		if (!text__glob(exceptions[i].package, o->package))
			continue;
		if (!exceptions[i].version_at) {
			snprintf(o->debug, sizeof(o->debug), "%s", exceptions[i].debug);
		} else {
			const char *at = o->package + exceptions[i].version_at;

			snprintf(version, sizeof(version), "%.*s", (int)strspn(at, "0123456789."), at);
			snprintf(o->debug, sizeof(o->debug), "python%s-dbg", version);
		}
		return;
	}
	snprintf(o->debug, sizeof(o->debug), "%.*s-dbgsym", (int)(sizeof(o->debug) - sizeof("-dbgsym")),
		 o->package);
}

/* By steps without links: the directory may belong to a container that would like to lead us elsewhere. */
static int open_folder(int root)
{
	static const char *const steps[] = {"var", "lib", "dpkg", "info"};
	int at = root, next;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		next = openat(at, steps[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (at != root)
			close(at);
		if (next < 0)
			return -errno;
		at = next;
	}
	return at;
}

/* Paths of owners by hash. Since the merge of /usr a package may list its file under either name. */
static int index_path(struct table *paths, const char *path, size_t number)
{
	uint64_t key = hash__bytes(path, strlen(path), 0);
	size_t *value = table__add(paths, &key, NULL);

	if (!value)
		return -ENOMEM;
	*value = number;
	return 0;
}

static int index_owners(struct table *paths, const struct check_owner *owners, size_t count)
{
	int err = 0;

	for (size_t i = 0; !err && i < count; i++) {
		err = index_path(paths, owners[i].path, i);
		if (!err && !strncmp(owners[i].path, "/usr/", 5))
			err = index_path(paths, owners[i].path + 4, i);
	}
	return err;
}

static void look_up(const struct table *paths, const char *line, const char *package,
		    struct check_owner *owners)
{
	uint64_t key = hash__bytes(line, strlen(line), 0);
	const size_t *number = table__find(paths, &key);
	struct check_owner *o = number ? &owners[*number] : NULL;
	size_t shift = o && strcmp(o->path, line) && !strncmp(o->path, "/usr/", 5) ? 4 : 0;

	if (!o || *o->package || strcmp(o->path + shift, line))
		return;
	snprintf(o->package, sizeof(o->package), "%s", package);
	name_debug(o);
}

/* "libc6:amd64.list" -> "libc6". What is no package's name will not be told to anybody as a command to run.
 */
static bool package_of(const char *file, char *package, size_t size)
{
	size_t len = strcspn(file, ":");
	const char *end = strstr(file, ".list");

	if (!end || strcmp(end, ".list"))
		return false;
	if (len > (size_t)(end - file))
		len = end - file;
	if (!len || len >= size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)file[i]) && !isdigit((unsigned char)file[i]) &&
		    !strchr("+.-", file[i]))
			return false;
	memcpy(package, file, len);
	package[len] = 0;
	return isalnum((unsigned char)*package);
}

static void read_list(int folder, const char *file, const struct table *paths, struct check_owner *owners)
{
	int fd = openat(folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct buf text = {0};
	char package[128];
	char *rest, *line;
	struct stat st;

	if (fd >= 0 && package_of(file, package, sizeof(package)) && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    !buf__read_fd(&text, fd, LIST_BYTES_MAX) && text.data) {
		rest = text.data;
		while ((line = strsep(&rest, "\n")))
			look_up(paths, line, package, owners);
	}
	if (fd >= 0)
		close(fd);
	buf__free(&text);
}

int check_package__find(int root, struct check_owner *owners, size_t count)
{
	int folder = open_folder(root), err;
	DIR *list = folder < 0 ? NULL : fdopendir(folder);
	const struct dirent *entry;
	struct table paths;

	table__init(&paths, sizeof(uint64_t), sizeof(size_t));
	err = index_owners(&paths, owners, count);
	while (!err && list && (entry = readdir(list)))
		read_list(folder, entry->d_name, &paths, owners);
	if (list)
		closedir(list);
	else if (folder >= 0)
		close(folder);
	table__free(&paths);
	return err;
}
