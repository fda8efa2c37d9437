// SPDX-License-Identifier: Apache-2.0
/*
 * storm KIND COUNT: as fast as it can, COUNT times one of
 *
 *   calls        getppid(2)
 *   faults       the first touch of a page of 4 KiB
 *   connections  to a listener of its own on 127.0.0.1: connect, accept, a byte there, close
 *   processes    fork, exec of itself (`storm nothing 0`), wait
 *   waits        one of four threads takes a mutex that another one holds for 50 us
 *
 * Prints: done (how many), ns (CLOCK_MONOTONIC).
 */
#include <netinet/in.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "workload.h"

#define REGION_BYTES (64UL << 20)
#define PAGE	     4096
#define THREADS	     4
#define HELD_NS	     50000

static void calls(long count)
{
	for (long i = 0; i < count; i++)
		work__syscall(SYS_getppid, 0, 0, 0, 0);
}

static void faults(long count)
{
	char *region = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (region == MAP_FAILED)
		work__fail("mmap");
	madvise(region, REGION_BYTES, MADV_NOHUGEPAGE);
	for (long i = 0; i < count; i++) {
		size_t at = i * PAGE % REGION_BYTES;

		if (i && !at)
			madvise(region, REGION_BYTES, MADV_DONTNEED);
		*(volatile char *)(region + at) = 1;
	}
	munmap(region, REGION_BYTES);
}

static void connections(long count)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), from, to;
	socklen_t size = sizeof(address);
	char byte = 'x';

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 16) ||
	    getsockname(listener, (struct sockaddr *)&address, &size))
		work__fail("listen");
	for (long i = 0; i < count; i++) {
		from = socket(AF_INET, SOCK_STREAM, 0);
		if (from < 0 || connect(from, (struct sockaddr *)&address, size))
			work__fail("connect");
		to = accept(listener, NULL, NULL);
		if (to < 0 || write(from, &byte, 1) != 1 || read(to, &byte, 1) != 1)
			work__fail("accept");
		close(from);
		close(to);
	}
	close(listener);
}

static void processes(long count)
{
	char name[] = "storm", kind[] = "nothing", zero[] = "0";
	char *const argv[] = {name, kind, zero, NULL}, *const none[] = {NULL};
	pid_t child;

	for (long i = 0; i < count; i++) {
		if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, none))
			work__fail("posix_spawn");
		waitpid(child, NULL, 0);
	}
}

struct contended {
	pthread_mutex_t mutex;
	long left;
};

static void *contend(void *context)
{
	struct contended *c = context;
	const struct timespec held = {.tv_nsec = HELD_NS};
	long left;

	do {
		pthread_mutex_lock(&c->mutex);
		left = c->left--;
		if (left > 0)
			nanosleep(&held, NULL);
		pthread_mutex_unlock(&c->mutex);
	} while (left > 0);
	return NULL;
}

static void waits(long count)
{
	struct contended c = {.mutex = PTHREAD_MUTEX_INITIALIZER, .left = count};
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, contend, &c))
			work__fail("pthread_create");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void nothing(long count)
{
	(void)count;
}

static const struct {
	const char *word;
	void (*run)(long count);
} kinds[] = {
	{"calls", calls},	  {"faults", faults}, {"connections", connections},
	{"processes", processes}, {"waits", waits},   {"nothing", nothing},
};

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	size_t kind = 0, kind_count = sizeof(kinds) / sizeof(kinds[0]);
	uint64_t begun;
	long count;

	while (kind < kind_count && (argc != 3 || strcmp(kinds[kind].word, argv[1])))
		kind++;
	if (kind == kind_count) {
		fprintf(stderr, "usage: storm calls|faults|connections|processes|waits COUNT\n");
		return 2;
	}
	count = work__number(argv[2]);
	if (kinds[kind].run == nothing)
		return 0;
	work__ready(now);
	begun = work__clock_ns(CLOCK_MONOTONIC);
	kinds[kind].run(count);
	printf("done %ld\nns %llu\n", count, (unsigned long long)(work__clock_ns(CLOCK_MONOTONIC) - begun));
	return 0;
}
