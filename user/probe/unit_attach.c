// SPDX-License-Identifier: Apache-2.0
/* Programs on classic tracepoints, by perf events. Their numbers stand in tracefs; where that is not mounted,
 * it is opened without a place in any directory. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "base/fd.h"
#include "probe/unit_private.h"

/* As union bpf_attr has it, which is younger than the headers that we build with. */
struct uprobe_multi {
	uint32_t program_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, reference_counters, cookies;
	uint32_t count, at_return, pid, reserved;
};

int uprobe_multi__attach(int program_fd, const char *path, uint64_t offset, pid_t pid, bool at_return)
{
	const struct uprobe_multi link = {
		.program_fd = (uint32_t)program_fd,
		.attach_type = UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)&offset,
		.count = 1,
		.at_return = at_return,
		.pid = (uint32_t)pid,
	};
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof(link));

	return fd < 0 ? -errno : fd;
}

void unit__use_uprobe_multi(struct unit *u, const char *program)
{
	bpf_program__set_expected_attach_type(bpf_object__find_program_by_name(u->object, program),
					      (enum bpf_attach_type)UPROBE_MULTI);
}

/* By the descriptor, so that it is the file that was looked at. Links of the younger kind are for all: before
 * 46ba0e49b642 (6.10) they took a process for its first thread. */
int unit__attach_uprobe(struct unit *u, const char *program, pid_t pid, int fd, uint64_t offset,
			bool at_return)
{
	struct bpf_program *p = bpf_object__find_program_by_name(u->object, program);
	LIBBPF_OPTS(bpf_uprobe_opts, options, .retprobe = at_return);
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!p)
		return -ENOENT;
	if ((int)bpf_program__expected_attach_type(p) != UPROBE_MULTI)
		return unit__keep(u, bpf_program__attach_uprobe_opts(p, pid, path, offset, &options));
	u->link_fd = uprobe_multi__attach(bpf_program__fd(p), path, offset, 0, at_return);
	return u->link_fd < 0 ? u->link_fd : 0;
}

/* --- classic tracepoints, by perf events. Their numbers stand in tracefs */

/* Where it is not mounted, it is opened without a place in any directory. Its root, or -errno. */
static int open_unmounted(void)
{
	int context = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC), fd = -1, err = 0;

	if (context < 0)
		return -errno;
	if (!syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
				  MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (fd < 0)
		err = -errno;
	close(context);
	return err ? err : fd;
}

static int open_tracefs(void)
{
	static const char *const places[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	int fd;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		fd = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && !faccessat(fd, "events", X_OK, 0))
			return fd;
		fd__close(&fd);
	}
	return open_unmounted();
}

/* The number of an event, or -errno. */
static int event_number(const char *event)
{
	int dir = open_tracefs(), fd, err = 0;
	char path[128], text[32];
	ssize_t len;

	if (dir < 0)
		return dir;
	snprintf(path, sizeof(path), "events/%s/id", event);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (len < 0)
		err = -errno;
	text[len < 0 ? 0 : len] = 0;
	fd__close(&fd);
	close(dir);
	return err ? err : (int)strtol(text, NULL, 10);
}

int unit__attach_tracepoint(struct unit *u, const char *program, const char *event)
{
	struct bpf_program *p = bpf_object__find_program_by_name(u->object, program);
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .sample_period = 1, .wakeup_events = 1};
	int number = event_number(event), fd, err;

	if (!p)
		return -ENOENT;
	if (number < 0)
		return number;
	attr.config = (unsigned)number;
	/* The event is one CPU's, its program everybody's. */
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = unit__keep(u, bpf_program__attach_perf_event(p, fd));
	if (err)
		close(fd);
	u->by_perf_event |= !err;
	return err;
}

void urgency__begin(struct urgency *g, const struct unit *u)
{
	const struct sched_param first = {.sched_priority = 1};

	g->policy = sched_getscheduler(0);
	g->on = u->by_perf_event && g->policy >= 0 && !sched_getparam(0, &g->parameters) &&
		!sched_setscheduler(0, SCHED_FIFO, &first);
}

void urgency__end(const struct urgency *g)
{
	if (g->on)
		sched_setscheduler(0, g->policy, &g->parameters);
}
