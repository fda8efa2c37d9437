// SPDX-License-Identifier: Apache-2.0
/*
 * blockio FILE STEP...: I/O on a block device or file, past the page cache, whose numbers are known.
 *
 *   read:N:BYTES  write:N:BYTES     N requests of BYTES, one behind the other; with :down each before the
 *                                   last one, so that none begins where another ended
 *   flush:N                         fdatasync
 *   discard:N:BYTES  zeroes:N:BYTES BLKDISCARD and BLKZEROOUT
 *   dirty:N:BYTES                   writes through the page cache, which stay there
 *   sleep:MS
 *
 * With --threads N so many threads do each step, each in a range of its own. Prints "failed WORD N" for each
 * step with calls that failed, "pid PID" before all.
 */
#include "workload.h"
#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>

#define THREADS_MAX 64

struct step {
	char word[16];
	long count, bytes;
	bool down;
};

struct worker {
	pthread_t thread;
	const struct step *step;
	char *memory;
	off_t begin;
	int direct, cached;
	long failed;
};

static struct step parse(const char *text)
{
	struct step s = {0};
	char *at, *copy = strdup(text), *rest = copy;

	at = strsep(&rest, ":");
	snprintf(s.word, sizeof(s.word), "%s", at);
	s.count = work__number(strsep(&rest, ":"));
	at = strsep(&rest, ":");
	s.bytes = at ? work__number(at) : 0;
	at = strsep(&rest, ":");
	s.down = at && !strcmp(at, "down");
	free(copy);
	return s;
}

static bool once(const struct worker *w, off_t at)
{
	const struct step *s = w->step;
	uint64_t range[2] = {(uint64_t)at, (uint64_t)s->bytes};
	const struct timespec pause = {s->count / 1000, s->count % 1000 * 1000000};

	if (!strcmp(s->word, "read"))
		return pread(w->direct, w->memory, s->bytes, at) == s->bytes;
	if (!strcmp(s->word, "write"))
		return pwrite(w->direct, w->memory, s->bytes, at) == s->bytes;
	if (!strcmp(s->word, "dirty"))
		return pwrite(w->cached, w->memory, s->bytes, at) == s->bytes;
	if (!strcmp(s->word, "flush"))
		return !fdatasync(w->direct);
	if (!strcmp(s->word, "discard"))
		return !ioctl(w->direct, BLKDISCARD, range);
	if (!strcmp(s->word, "zeroes"))
		return !ioctl(w->direct, BLKZEROOUT, range);
	if (!strcmp(s->word, "sleep"))
		return !nanosleep(&pause, NULL);
	fprintf(stderr, "workload: no step %s\n", s->word);
	exit(2);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	const struct step *s = w->step;
	long n = strcmp(s->word, "sleep") ? s->count : 1;

	w->failed = 0;
	for (long i = 0; i < n; i++)
		w->failed += !once(w, w->begin + (s->down ? n - 1 - i : i) * s->bytes);
	return NULL;
}

static void do_step(struct worker *workers, long threads, const struct step *s)
{
	long failed = 0;

	for (long i = 0; i < threads; i++) {
		workers[i].step = s;
		workers[i].begin = i * s->count * s->bytes;
		if (s->bytes && posix_memalign((void **)&workers[i].memory, 4096, s->bytes))
			work__fail("memory");
		if (s->bytes)
			memset(workers[i].memory, 'x', s->bytes);
		if (threads == 1)
			work(&workers[i]);
		else if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			work__fail("pthread_create");
	}
	for (long i = 0; i < threads; i++) {
		if (threads > 1)
			pthread_join(workers[i].thread, NULL);
		failed += workers[i].failed;
		free(workers[i].memory);
		workers[i].memory = NULL;
	}
	if (failed)
		printf("failed %s %ld\n", s->word, failed);
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	char *threads_text = work__option(&argc, argv, "--threads");
	long threads = threads_text ? work__number(threads_text) : 1;
	struct worker workers[THREADS_MAX] = {0};
	struct step step;

	if (argc < 3 || threads < 1 || threads > THREADS_MAX) {
		fprintf(stderr, "usage: blockio FILE STEP...\n");
		return 2;
	}
	for (long i = 0; i < threads; i++) {
		workers[i].direct = open(argv[1], O_RDWR | O_DIRECT | O_CREAT | O_CLOEXEC, 0600);
		workers[i].cached = open(argv[1], O_RDWR | O_CLOEXEC);
		if (workers[i].direct < 0 || workers[i].cached < 0)
			work__fail(argv[1]);
	}
	work__ready(now);
	printf("pid %d\n", (int)getpid());
	for (int i = 2; i < argc; i++) {
		step = parse(argv[i]);
		do_step(workers, threads, &step);
	}
	return 0;
}
