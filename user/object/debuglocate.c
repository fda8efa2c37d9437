/* SPDX-License-Identifier: Apache-2.0 */
/* The half that may open files. The wish comes from a process that may have been taken over. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "object/debugfile.h"
#include "object/safefile.h"

#define TARGET_DEBUG "/usr/lib/debug"

struct search {
	const struct debug_places *places;
	const struct debug_wanted *wanted;
	int root;	  /* descriptor of places->root, or -errno */
	uint32_t to_skip; /* of the files that are there */
};

static bool is_elf(int fd)
{
	char magic[SELFMAG];

	return safefile__read_at(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	       !memcmp(magic, ELFMAG, SELFMAG);
}

/* `path` is absolute; in the target's root or in the host's. */
static int try(struct search *s, bool in_target, const char *path)
{
	struct stat st;
	int fd;

	if (in_target)
		fd = s->root < 0 ? -ENOENT : safefile__open_in_root(s->root, path, true, &st);
	else
		fd = safefile__open(AT_FDCWD, path, &st);
	if (fd < 0 || (is_elf(fd) && !s->to_skip--))
		return fd;
	close(fd);
	return -ENOENT;
}

/* `rest` below the directories of debug files. */
static int try_below(struct search *s, const char *rest)
{
	char path[2 * PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), TARGET_DEBUG "/%s", rest);
	fd = try(s, true, path);
	if (fd < 0 && s->places->directory) {
		snprintf(path, sizeof(path), "%s/%s", s->places->directory, rest);
		fd = try(s, false, path);
	}
	return fd;
}

static int by_build_id(struct search *s)
{
	const struct debug_wanted *w = s->wanted;
	char rest[sizeof(".build-id/.debug/") + 2 * BUILD_ID_MAX];
	size_t len;

	len = (size_t)snprintf(rest, sizeof(rest), ".build-id/%02x/", w->build_id[0]);
	for (size_t i = 1; i < w->build_id_len; i++)
		len += (size_t)snprintf(rest + len, sizeof(rest) - len, "%02x", w->build_id[i]);
	snprintf(rest + len, sizeof(rest) - len, ".debug");
	return try_below(s, rest);
}

static int by_link(struct search *s)
{
	static const struct {
		const char *before, *after; /* around the directory of the file */
	} in_target[] = {{"", ""}, {"", "/.debug"}, {TARGET_DEBUG, ""}};
	const char *name = s->wanted->name, *from = s->places->path;
	const char *slash = from && *from == '/' ? strrchr(from, '/') : NULL;
	char path[2 * PATH_MAX];
	int fd = -ENOENT, dir;

	if (!slash || slash - from >= PATH_MAX || strchr(name, '/') || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return -ENOENT;
	dir = (int)(slash - from);
	for (size_t i = 0; i < sizeof(in_target) / sizeof(*in_target) && fd < 0; i++) {
		snprintf(path, sizeof(path), "%s%.*s%s/%s", in_target[i].before, dir, from,
			 in_target[i].after, name);
		fd = try(s, true, path);
	}
	if (fd < 0 && s->places->directory && strlen(s->places->directory) < NAME_MAX) {
		snprintf(path, sizeof(path), "%s%.*s/%s", s->places->directory, dir, from, name);
		fd = try(s, false, path);
	}
	return fd;
}

/* Distributions keep them in a directory of their own among the debug files, whatever lies before it. */
static int by_supplement(struct search *s)
{
	const char *name = s->wanted->name, *rest = strstr(name, ".dwz/");
	int fd = -ENOENT;

	if (rest && (rest == name || rest[-1] == '/') && !strstr(rest, "/.."))
		fd = try_below(s, rest);
	return fd < 0 ? by_build_id(s) : fd;
}

static bool is_sound(const struct debug_wanted *w)
{
	if (w->kind >= DEBUG_KINDS || w->build_id_len > BUILD_ID_MAX || !memchr(w->name, 0, sizeof(w->name)))
		return false;
	return w->kind == DEBUG_BY_LINK ? *w->name != 0 : w->build_id_len >= 2;
}

int debugfile__locate(void *places, const struct debug_wanted *wanted)
{
	static int (*const ways[DEBUG_KINDS])(struct search *) = {
		[DEBUG_BY_BUILD_ID] = by_build_id,
		[DEBUG_BY_LINK] = by_link,
		[DEBUG_SUPPLEMENT] = by_supplement,
	};
	struct search s = {.places = places, .wanted = wanted, .root = -ENOENT, .to_skip = wanted->attempt};
	int fd;

	if (!is_sound(wanted))
		return -EINVAL;
	if (s.places->root)
		s.root = open(s.places->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = ways[wanted->kind](&s);
	if (s.root >= 0)
		close(s.root);
	return fd < 0 ? -ENOENT : fd;
}
