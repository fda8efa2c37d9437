// SPDX-License-Identifier: Apache-2.0
#include "probe/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <fts.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/units.h"

#define CGROUP2_MAGIC 0x63677270
#define CGROUP1_MAGIC 0x27e0eb

/* Where the version 2 hierarchy is mounted (hybrid systems: not at the root). malloc'ed; NULL: nowhere. */
static char *mount_point(void)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	char *found = NULL;

	while (f && !found && (m = getmntent(f)))
		if (!strcmp(m->mnt_type, "cgroup2"))
			found = strdup(m->mnt_dir);
	if (f)
		endmntent(f);
	return found;
}

static char *must_mount_point(void)
{
	char *root = mount_point();

	if (!root)
		msg__error("no cgroup v2 hierarchy is mounted (mount -t cgroup2 none /sys/fs/cgroup)");
	return root;
}

typedef bool (*cgroup_test)(const char *name, const struct stat *st, const void *context);

/* First directory below the root, the root included, that passes the test. malloc'ed path or NULL and errno.
 */
static char *search(const char *root, cgroup_test test, const void *context)
{
	char *const roots[] = {(char *)root, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	char *found = NULL;
	FTSENT *e;

	while (walk && !found && (e = fts_read(walk)))
		if (e->fts_info == FTS_D && test(e->fts_name, e->fts_statp, context))
			found = strdup(e->fts_path);
	if (walk)
		fts_close(walk);
	if (!found)
		errno = ENOENT;
	return found;
}

static bool has_id(const char *name, const struct stat *st, const void *context)
{
	(void)name;
	return st->st_ino == *(const uint64_t *)context;
}

static char *relative(const char *root, const char *path)
{
	const char *rest = path + strlen(root);

	return strdup(*rest ? rest : "/");
}

char *cgroup__path(uint64_t id)
{
	char *root = mount_point(), *full, *path = NULL;

	if (!root) {
		errno = ENOENT;
		return NULL;
	}
	full = search(root, has_id, &id);
	if (full)
		path = relative(root, full);
	free(full);
	free(root);
	return path;
}

/* /sys/fs/cgroup/cpu/x -> the same group in the version 2 hierarchy, if there is one. */
static int refuse_v1(const char *path, const char *root)
{
	const char *below = path;

	for (int slashes = 0; *below && slashes < 5; below++)
		slashes += *below == '/';
	msg__error("%s is a cgroup v1 directory: name one of version 2, below %s (perhaps %s/%s)", path, root,
		   root, *below ? below : "");
	return EXIT_USAGE;
}

static int resolve_path(const char *path, const char *root, uint64_t *id, char **shown)
{
	char joined[4096];
	struct statfs fs;
	struct stat st;

	/* A path as in /proc/PID/cgroup is meant below the mount point. */
	if (path[0] != '/' || access(path, F_OK)) {
		snprintf(joined, sizeof(joined), "%s/%s", root, path[0] == '/' ? path + 1 : path);
		if (!access(joined, F_OK))
			path = joined;
	}
	if (stat(path, &st) || !S_ISDIR(st.st_mode) || statfs(path, &fs)) {
		msg__error("no cgroup directory %s (version 2 is mounted at %s)", path, root);
		return EXIT_NO_TARGET;
	}
	if (fs.f_type == CGROUP1_MAGIC)
		return refuse_v1(path, root);
	if (fs.f_type != CGROUP2_MAGIC) {
		msg__error("%s is not a cgroup directory (version 2 is mounted at %s)", path, root);
		return EXIT_USAGE;
	}
	*id = st.st_ino;
	*shown = strncmp(path, root, strlen(root)) ? strdup(path) : relative(root, path);
	return *shown ? 0 : EXIT_RUN_FAILED;
}

int cgroup__resolve(const char *path_or_id, uint64_t *id, char **path)
{
	char *root = must_mount_point();
	long long number;
	int code;

	if (!root)
		return EXIT_IMPOSSIBLE;
	if (!units__parse_int(path_or_id, 1, INT64_MAX, &number)) {
		*id = number;
		*path = cgroup__path(*id);
		code = *path ? 0 : EXIT_NO_TARGET;
		if (code)
			msg__error("no cgroup with id %s", path_or_id);
	} else {
		code = resolve_path(path_or_id, root, id, path);
	}
	free(root);
	return code;
}

/* Runtimes name a container's directory by its id, with a prefix and ".scope" under systemd: docker-ID.scope,
 * ID ... */
static bool names_container(const char *name, const struct stat *st, const void *context)
{
	const char *id = context, *at = strstr(name, id);

	(void)st;
	return at && strlen(id) >= 6 && (at == name || at[-1] == '-' || at[-1] == ':');
}

static int resolve_search(cgroup_test test, const void *context, uint64_t *id, char **path)
{
	char *root = must_mount_point(), *full;
	struct stat st;
	int code = EXIT_NO_TARGET;

	if (!root)
		return EXIT_IMPOSSIBLE;
	full = search(root, test, context);
	if (full && !stat(full, &st)) {
		*id = st.st_ino;
		*path = relative(root, full);
		code = *path ? 0 : EXIT_RUN_FAILED;
	}
	free(full);
	free(root);
	return code;
}

/* Kubernetes keeps a link per container: /var/log/containers/POD_NS_CONTAINER-ID.log. Finds an id by a
 * file-name glob. */
static int id_of_log(const char *glob, char *id, size_t size)
{
	DIR *dir = opendir("/var/log/containers");
	struct dirent *e;
	int err = -ENOENT;

	while (dir && err && (e = readdir(dir))) {
		const char *dash = strrchr(e->d_name, '-');

		if (fnmatch(glob, e->d_name, 0) || !dash)
			continue;
		snprintf(id, size, "%.*s", (int)strcspn(dash + 1, "."), dash + 1);
		err = 0;
	}
	if (dir)
		closedir(dir);
	return err;
}

static bool is_plain_name(const char *s)
{
	return *s && !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

int cgroup__of_container(const char *id_or_name, uint64_t *id, char **path)
{
	char glob[512], found[128];
	int code;

	if (!is_plain_name(id_or_name)) {
		msg__error("--container %s: neither a container's id nor a name", id_or_name);
		return EXIT_USAGE;
	}
	code = resolve_search(names_container, id_or_name, id, path);
	if (code == EXIT_NO_TARGET) {
		snprintf(glob, sizeof(glob), "*_*_%s-*.log", id_or_name);
		if (!id_of_log(glob, found, sizeof(found)))
			code = resolve_search(names_container, found, id, path);
	}
	if (code == EXIT_NO_TARGET)
		msg__error("no container %s: no cgroup directory is named by this id (6 digits or more), and "
			   "no log of Kubernetes by this name",
			   id_or_name);
	return code;
}

/* A pod's directory is the parent of each of its containers'. */
int cgroup__of_pod(const char *namespace_slash_name, uint64_t *id, char **path)
{
	const char *slash = strchr(namespace_slash_name, '/');
	char glob[512], container[128], *up;
	int code = EXIT_NO_TARGET;

	if (!slash || !is_plain_name(slash + 1)) {
		msg__error("--pod %s: NAMESPACE/NAME is expected", namespace_slash_name);
		return EXIT_USAGE;
	}
	snprintf(glob, sizeof(glob), "%s_%.*s_*-*.log", slash + 1, (int)(slash - namespace_slash_name),
		 namespace_slash_name);
	if (!id_of_log(glob, container, sizeof(container)))
		code = resolve_search(names_container, container, id, path);
	if (!code) {
		up = strrchr(*path, '/');
		if (up && up != *path) {
			char *pod = strndup(*path, up - *path);

			free(*path);
			return pod ? cgroup__resolve(pod, id, path) : EXIT_RUN_FAILED;
		}
	}
	if (code == EXIT_NO_TARGET)
		msg__error("no pod %s on this node (no container of it in /var/log/containers)",
			   namespace_slash_name);
	return code;
}
