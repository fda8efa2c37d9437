// SPDX-License-Identifier: Apache-2.0
/*
 * File systems: how full they are. One whose server does not answer must not stop sonde: those of networks
 * and of user space are left out by their type, with what is mounted below them, since the way there leads
 * through them.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "probe/resources.h"

/* Of a device, or of memory that somebody fills. Anything else is made up by the kernel, or far away. */
static bool is_kept(const struct mount *m)
{
	static const char *const types[] = {"tmpfs", "overlay", "zfs", "btrfs", "bcachefs", "ubifs", NULL};

	if (!strncmp(m->source, "/dev/", 5) && strncmp(m->type, "fuse", 4) && strcmp(m->type, "devtmpfs") &&
	    strcmp(m->type, "ocfs2") && strcmp(m->type, "gfs2"))
		return true;
	for (const char *const *type = types; *type; type++)
		if (!strcmp(m->type, *type))
			return true;
	return false;
}

/* Those of the kernel's own making answer at once. */
static bool is_harmless(const struct mount *m)
{
	static const char *const types[] = {"proc",	"sysfs",      "devtmpfs",    "devpts",	"mqueue",
					    "debugfs",	"tracefs",    "securityfs",  "cgroup",	"cgroup2",
					    "bpf",	"pstore",     "hugetlbfs",   "ramfs",	"rootfs",
					    "configfs", "efivarfs",   "binfmt_misc", "fusectl", "selinuxfs",
					    "nsfs",	"rpc_pipefs", "squashfs",    NULL};

	for (const char *const *type = types; *type; type++)
		if (!strcmp(m->type, *type))
			return true;
	return is_kept(m);
}

static bool is_below(const char *path, const char *point)
{
	size_t len = strlen(point);

	if (len && point[len - 1] == '/')
		len--;
	return !strncmp(path, point, len) && (path[len] == '/' || !path[len]);
}

static bool is_safe(const struct mount *mounts, size_t count, size_t which)
{
	for (size_t i = 0; i < count; i++)
		if (!is_harmless(&mounts[i]) && is_below(mounts[which].point, mounts[i].point))
			return false;
	return true;
}

/* Once a device, at the mount that shows it whole. */
static bool is_told_elsewhere(const struct mount *mounts, size_t count, size_t which)
{
	const struct mount *m = &mounts[which];
	bool whole = !strcmp(m->root, "/");

	for (size_t i = 0; i < count; i++) {
		const struct mount *other = &mounts[i];
		bool other_whole = !strcmp(other->root, "/");

		if (i == which || other->major != m->major || other->minor != m->minor)
			continue;
		if (other_whole != whole ? other_whole : i < which)
			return true;
	}
	return false;
}

/* What is mounted there now: a later mount may hide it. */
static bool is_on_top(const struct mount *m)
{
	struct statx s;

	if (statx(AT_FDCWD, m->point, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW,
		  STATX_BASIC_STATS, &s))
		return false;
	/* Each part of these has a number of its own. */
	return (s.stx_dev_major == m->major && s.stx_dev_minor == m->minor) || !strcmp(m->type, "btrfs") ||
	       !strcmp(m->type, "overlay");
}

static void emit_mount(struct emitter *e, const struct mount *m, const struct statfs *s)
{
	uint64_t block = (uint64_t)(s->f_frsize ? s->f_frsize : s->f_bsize);
	uint64_t used = proc__delta(s->f_bfree, s->f_blocks), reserved = proc__delta(s->f_bavail, s->f_bfree);
	const struct {
		const char *state;
		uint64_t blocks;
	} states[] = {{"used", used}, {"free", s->f_bavail}, {"reserved", reserved}};
	const char *labels[4] = {m->point, m->type, m->source, "used"};

	emit__gauge(e, &resource_fs_limit, (const char *const[4]){m->point, m->type, m->source},
		    (double)(s->f_blocks * block));
	for (size_t i = 0; i < 3; i++) {
		labels[3] = states[i].state;
		emit__gauge(e, &resource_fs_usage, labels, (double)(states[i].blocks * block));
	}
	labels[3] = "used";
	emit__gauge(e, &resource_fs_share, labels,
		    used + s->f_bavail ? (double)used / (double)(used + s->f_bavail) : 0);
	if (!s->f_files)
		return;
	emit__gauge(e, &resource_fs_inodes, labels, (double)proc__delta(s->f_ffree, s->f_files));
	labels[3] = "free";
	emit__gauge(e, &resource_fs_inodes, labels, (double)s->f_ffree);
}

void mounts__emit(struct emitter *e)
{
	struct buf b = {0};
	struct mount *mounts = NULL;
	struct statfs s;
	size_t count = 0;

	if (!resources__read(&b, "/proc/self/mountinfo"))
		proc__mounts(buf__text(&b), &mounts, &count);
	for (size_t i = 0; i < count; i++) {
		const struct mount *m = &mounts[i];

		if (is_kept(m) && !is_told_elsewhere(mounts, count, i) && is_safe(mounts, count, i) &&
		    is_on_top(m) && !statfs(m->point, &s) && s.f_blocks)
			emit_mount(e, m, &s);
	}
	proc__free_mounts(mounts, count);
	buf__free(&b);
}
