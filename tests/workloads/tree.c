// SPDX-License-Identifier: Apache-2.0
/*
 * tree SECONDS [--early] [--cgroup DIR]: a process, its child and its grandchild burn SECONDS of CPU time
 * each, in burn_parent, burn_child and burn_grandchild. With --early the descendants exist (blocked in read)
 * before "ready" and start with the word to go; otherwise they are forked after it. --cgroup: the grandchild
 * first moves itself into DIR. Prints: child PID, grandchild PID.
 */
#include "workload.h"
#include <fcntl.h>
#include <sys/wait.h>

struct plan {
	uint64_t burn_ns;
	const char *cgroup;
	int go[2];   /* closed for writing by everybody = go */
	int born[2]; /* the grandchild's PID comes this way */
};

WORK_FN static void burn_parent(uint64_t ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, work__clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns);
}

WORK_FN static void burn_child(uint64_t ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, work__clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns);
}

WORK_FN static void burn_grandchild(uint64_t ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, work__clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns);
}

static void wait_for_go(struct plan *plan)
{
	char byte;

	if (read(plan->go[0], &byte, 1) < 0)
		work__fail("read");
}

static void move_into(const char *dir)
{
	char path[4096], pid[32];
	int len = snprintf(pid, sizeof(pid), "%d", (int)getpid()), fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, pid, len) != len)
		work__fail(path);
	close(fd);
}

static void grandchild(struct plan *plan)
{
	pid_t pid = getpid();

	if (plan->cgroup)
		move_into(plan->cgroup);
	if (write(plan->born[1], &pid, sizeof(pid)) != sizeof(pid))
		work__fail("write");
	wait_for_go(plan);
	burn_grandchild(plan->burn_ns);
}

static int child(struct plan *plan)
{
	int status = 1;
	pid_t pid;

	close(plan->go[1]);
	pid = fork();
	if (pid < 0)
		work__fail("fork");
	if (pid == 0) {
		grandchild(plan);
		return 0;
	}
	wait_for_go(plan);
	burn_child(plan->burn_ns);
	waitpid(pid, &status, 0);
	return status != 0;
}

/* Returns the child's PID when both descendants stand; the descendants themselves never return. */
static pid_t start_family(struct plan *plan)
{
	pid_t pid, born;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		work__fail("fork");
	if (pid == 0)
		_exit(child(plan));
	if (read(plan->born[0], &born, sizeof(born)) != sizeof(born))
		work__fail("read");
	printf("child %d\ngrandchild %d\n", (int)pid, (int)born);
	return pid;
}

int main(int argc, char **argv)
{
	struct plan plan = {.cgroup = work__option(&argc, argv, "--cgroup")};
	bool now = work__flag(&argc, argv, "--now"), early = work__flag(&argc, argv, "--early");
	pid_t pid = 0;
	int status = 1;

	plan.burn_ns = work__number(argv[1]) * NSEC_PER_SEC;
	if (pipe(plan.go) || pipe(plan.born))
		work__fail("pipe");
	if (early)
		pid = start_family(&plan);
	work__ready(now);
	if (!early)
		pid = start_family(&plan);
	close(plan.go[1]);
	burn_parent(plan.burn_ns);
	waitpid(pid, &status, 0);
	return status != 0;
}
