// SPDX-License-Identifier: Apache-2.0
/*
 * faults PAGES [--children N] [--threads N] [--linger] [--file PATH [--by-call]] [--read PATH]: N children
 * (1), each of which touches PAGES fresh pages of anonymous memory in each of N threads (1), in grow(). With
 * --file each maps the file instead, whose pages are not in memory, and touches the first PAGES of them in
 * touch_file(); with
 * --read each reads it twice, whose pages are not in memory either, in read_file(). Waits for the children
 * one by one.
 *
 * Prints for each: "child PID MINOR MAJOR", as the kernel accounts for it at its end; then "minor SUM",
 * "major SUM", and "bytes N", what all have grown by in grow().
 */
#include "workload.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct work {
	long pages, threads;
	const char *file, *read;
	size_t page;
	bool linger, by_call;
};

WORK_FN static void grow(volatile char *memory, const struct work *w)
{
	for (long i = 0; i < w->pages; i++)
		memory[i * w->page] = 1;
}

static void *grower(void *context)
{
	const struct work *w = context;
	size_t size = w->pages * w->page;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		work__fail("mmap");
	madvise(memory, size, MADV_NOHUGEPAGE);
	grow(memory, w);
	return NULL;
}

WORK_FN static int touch_file(const volatile char *memory, const struct work *w)
{
	int sum = 0;

	for (long i = 0; i < w->pages; i++)
		sum += memory[i * w->page];
	return sum;
}

static void write_file(const volatile char *memory, const struct work *w)
{
	int ends[2];
	char byte;

	if (pipe(ends))
		work__fail("pipe");
	for (long i = 0; i < w->pages; i++)
		if (write(ends[1], (const char *)memory + i * w->page, 1) != 1 ||
		    read(ends[0], &byte, 1) != 1)
			work__fail("pipe");
}

static void drop(int fd)
{
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		work__fail("posix_fadvise");
}

static void map_file(const struct work *w)
{
	int fd = open(w->file, O_RDONLY | O_CLOEXEC);
	char *memory = mmap(NULL, w->pages * w->page, PROT_READ, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		work__fail(w->file);
	madvise(memory, w->pages * w->page, MADV_RANDOM); /* one by one */
	drop(fd);
	if (w->by_call)
		write_file(memory, w);
	else
		touch_file(memory, w);
}

WORK_FN static void read_file(int fd)
{
	static char bytes[65536];

	lseek(fd, 0, SEEK_SET);
	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

static void read_twice(const struct work *w)
{
	int fd = open(w->read, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		work__fail(w->read);
	drop(fd);
	read_file(fd);
	read_file(fd);
}

static void work(struct work *w)
{
	pthread_t threads[64] = {0};

	if (w->file) {
		map_file(w);
	} else if (w->read) {
		read_twice(w);
	} else {
		for (long i = 1; i < w->threads; i++)
			if (pthread_create(&threads[i], NULL, grower, w))
				work__fail("pthread_create");
		grower(w);
		for (long i = 1; i < w->threads; i++)
			pthread_join(threads[i], NULL);
	}
	if (w->linger)
		work__sleep_ns(NSEC_PER_SEC / 2);
	exit(0);
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	const char *children = work__option(&argc, argv, "--children");
	const char *threads = work__option(&argc, argv, "--threads");
	struct work w = {.threads = threads ? work__number(threads) : 1,
			 .file = work__option(&argc, argv, "--file"),
			 .read = work__option(&argc, argv, "--read"),
			 .by_call = work__flag(&argc, argv, "--by-call"),
			 .linger = work__flag(&argc, argv, "--linger"),
			 .page = sysconf(_SC_PAGESIZE)};
	long minor = 0, major = 0, count = children ? work__number(children) : 1;
	struct rusage usage;
	int status;
	pid_t pid;

	w.pages = work__number(argv[1]);
	if (w.threads > 64)
		return 2;
	work__ready(now);
	for (long i = 0; i < count; i++) {
		pid = fork();
		if (!pid)
			work(&w);
		if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status)
			work__fail("child");
		printf("child %d %ld %ld\n", (int)pid, usage.ru_minflt, usage.ru_majflt);
		minor += usage.ru_minflt;
		major += usage.ru_majflt;
	}
	printf("minor %ld\nmajor %ld\n", minor, major);
	if (!w.file && !w.read)
		printf("bytes %ld\n", count * w.threads * w.pages * (long)w.page);
	return 0;
}
