// SPDX-License-Identifier: Apache-2.0
#include "probe/cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <fts.h>
#include <limits.h>
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
#define ID_DIGITS     6 /* as few name a container */

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

/* First directory below the root, the root included, that passes the test; what lies below it is not looked
 * at. malloc'ed path or NULL and errno. `other`, if not NULL: the second, or NULL.
 */
static char *search(const char *root, cgroup_test test, const void *context, char **other)
{
	char *const roots[] = {(char *)root, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	char *found[2] = {NULL, NULL};
	int wanted = other ? 2 : 1, count = 0;
	FTSENT *e;

	while (walk && count < wanted && (e = fts_read(walk)))
		if (e->fts_info == FTS_D && test(e->fts_name, e->fts_statp, context)) {
			found[count++] = strdup(e->fts_path);
			fts_set(walk, e, FTS_SKIP);
		}
	if (walk)
		fts_close(walk);
	if (other)
		*other = found[1];
	if (!found[0])
		errno = ENOENT;
	return found[0];
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
	full = search(root, has_id, &id, NULL);
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

/* ".", "..", "./x", "../x": meant from the working directory, as a shell completes them. */
static bool is_dotted(const char *path)
{
	size_t dots = strspn(path, ".");

	return (dots == 1 || dots == 2) && (!path[dots] || path[dots] == '/');
}

static int resolve_path(const char *path, const char *root, uint64_t *id, char **shown)
{
	char joined[PATH_MAX];
	struct statfs fs;
	struct stat st;

	/* Others as in /proc/PID/cgroup are meant below the mount point. */
	if (is_dotted(path)) {
		if (realpath(path, joined))
			path = joined;
	} else if (path[0] != '/' || access(path, F_OK)) {
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
 * ID, SLICE:cri-containerd:ID ... The id's beginning and length; NULL: none of hexadecimal digits.
 */
static const char *id_in(const char *name, size_t *len)
{
	const char *id = name;

	if (strstr(name, "conmon-")) /* the watcher of a container */
		return NULL;
	for (const char *c = name; *c; c++)
		if (*c == '-' || *c == ':')
			id = c + 1;
	*len = 0;
	while (isxdigit((unsigned char)id[*len]))
		++*len;
	return *len >= ID_DIGITS && (!id[*len] || !strcmp(id + *len, ".scope")) ? id : NULL;
}

static bool is_container(const char *name, const struct stat *st, const void *context)
{
	static const char *const prefixes[] = {"docker-", "cri-containerd-", "libpod-", "crio-", "machine-"};
	const char *wanted = context, *id;
	size_t len, wanted_len = strlen(wanted);

	(void)st;
	id = id_in(name, &len);
	if (id && len == wanted_len && !strncmp(id, wanted, len))
		return true;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		id = name + strlen(prefixes[i]);
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])) && !strncmp(id, wanted, wanted_len) &&
		    (!id[wanted_len] || !strcmp(id + wanted_len, ".scope")))
			return true;
	}
	return false;
}

static bool begins_container(const char *name, const struct stat *st, const void *context)
{
	const char *wanted = context, *id;
	size_t len;

	(void)st;
	id = id_in(name, &len);
	return id && strlen(wanted) >= ID_DIGITS && strlen(wanted) <= len &&
	       !strncmp(id, wanted, strlen(wanted));
}

static int ambiguous(const char *name, const char *a, const char *b)
{
	msg__error("--container %s is ambiguous: %s and %s; name more of its id, or the directory by -G",
		   name, a, b);
	return EXIT_USAGE;
}

static int resolve_search(cgroup_test test, const char *name, uint64_t *id, char **path)
{
	char *root = must_mount_point(), *full, *other;
	struct stat st;
	int code = EXIT_NO_TARGET;

	if (!root)
		return EXIT_IMPOSSIBLE;
	full = search(root, test, name, &other);
	if (other) {
		code = ambiguous(name, full + strlen(root), other + strlen(root));
	} else if (full && !stat(full, &st)) {
		*id = st.st_ino;
		*path = relative(root, full);
		code = *path ? 0 : EXIT_RUN_FAILED;
	}
	free(other);
	free(full);
	free(root);
	return code;
}

/* The same as so far is no second one. Takes over the path. */
static int take_log(const char *name, uint64_t found, char *found_path, uint64_t *id, char **path)
{
	int code = 0;

	if (!*path) {
		*id = found;
		*path = found_path;
		return 0;
	}
	if (name && found != *id)
		code = ambiguous(name, *path, found_path);
	free(found_path);
	return code;
}

/*
 * Kubernetes keeps a link per container: /var/log/containers/POD_NS_CONTAINER-ID.log, also of those that have
 * ended (init containers, those restarted). Finds a living one by a file-name glob: any, or with a name for
 * the message the only one.
 */
static int resolve_logs(const char *glob, const char *name, uint64_t *id, char **path)
{
	DIR *dir = opendir("/var/log/containers");
	int code = EXIT_NO_TARGET;
	char text[128], *found_path;
	struct dirent *e;
	uint64_t found;

	*path = NULL;
	while (dir && (name || code) && (code == EXIT_NO_TARGET || !code) && (e = readdir(dir))) {
		const char *dash = strrchr(e->d_name, '-');
		int one;

		if (fnmatch(glob, e->d_name, 0) || !dash)
			continue;
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(dash + 1, "."), dash + 1);
		one = resolve_search(is_container, text, &found, &found_path);
		if (!one)
			one = take_log(name, found, found_path, id, path);
		if (one != EXIT_NO_TARGET)
			code = one;
	}
	if (dir)
		closedir(dir);
	return code;
}

static bool is_plain_name(const char *s)
{
	return *s && !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

int cgroup__of_container(const char *id_or_name, uint64_t *id, char **path)
{
	char glob[512];
	int code;

	if (!is_plain_name(id_or_name)) {
		msg__error("--container %s: neither a container's id nor a name", id_or_name);
		return EXIT_USAGE;
	}
	code = resolve_search(is_container, id_or_name, id, path);
	if (code == EXIT_NO_TARGET)
		code = resolve_search(begins_container, id_or_name, id, path);
	if (code == EXIT_NO_TARGET) {
		snprintf(glob, sizeof(glob), "*_*_%s-*.log", id_or_name);
		code = resolve_logs(glob, id_or_name, id, path);
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
	char glob[512], *up;
	int code;

	if (!slash || !is_plain_name(slash + 1)) {
		msg__error("--pod %s: NAMESPACE/NAME is expected", namespace_slash_name);
		return EXIT_USAGE;
	}
	snprintf(glob, sizeof(glob), "%s_%.*s_*-*.log", slash + 1, (int)(slash - namespace_slash_name),
		 namespace_slash_name);
	code = resolve_logs(glob, NULL, id, path);
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
