// SPDX-License-Identifier: Apache-2.0
/*
 * closed: a thread waits in read of a pipe whose descriptor main closes meanwhile: whoever looks then cannot
 * tell what it waits for. Prints "closed TID" when that is so, and stays until it is killed.
 */
#include "workload.h"
#include <pthread.h>

struct reader {
	int fd;
	volatile pid_t tid;
};

WORK_FN static void *read_closed(void *arg)
{
	struct reader *r = arg;
	char byte;

	r->tid = gettid();
	work__syscall(SYS_read, r->fd, (long)&byte, 1, 0);
	return NULL;
}

/* The kernel says what a thread is in, once it is blocked. */
static bool is_blocked_in_read(pid_t tid)
{
	char path[64], text[128] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		work__fail(path);
	close(fd);
	return strncmp(text, "running", 7) != 0 && strtol(text, NULL, 10) == SYS_read;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	struct reader reader = {0};
	pthread_t thread;
	int fds[2];

	if (pipe(fds))
		work__fail("pipe");
	reader.fd = fds[0];
	work__ready(now);
	if (pthread_create(&thread, NULL, read_closed, &reader))
		work__fail("pthread_create");
	while (!reader.tid || !is_blocked_in_read(reader.tid))
		work__sleep_ns(NSEC_PER_MS);
	close(fds[0]);
	printf("closed %d\n", reader.tid);
	pthread_join(thread, NULL);
	return 0;
}
