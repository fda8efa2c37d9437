// SPDX-License-Identifier: Apache-2.0
/*
 * locks WHAT [ROUNDS [MS]]: waits for locks whose number and time are known.
 *
 * mutex, heap, shared, pi, rwlock, timed: `holder` takes the lock in keep_it and lets it go in let_go,
 * `waiter` asks for it in want_it, each time while it is held: ROUNDS waits. From when the waiter is asleep
 * the holder keeps it MS milliseconds more: "kept_ns" is the sum of that, "waited_ns" of what the waiter
 * measured around its calls, the one below and the other above the time that it was blocked. "lock 0xADDRESS"
 * is what it waits on. condition, semaphore, barrier, join: likewise, but nobody holds anything: `waiter`
 * waits for work in await_work.
 *
 * memory: for MS milliseconds two threads map and unmap, and two touch new pages, of one address space. pipe:
 * two threads write to one pipe, which two read. Both wait for locks of the kernel.
 */
#include "workload.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>

pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER; /* mutex, timed */
pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct {
	long used;
	pthread_mutex_t lock;
} pool; /* pi */
static pthread_cond_t more_work = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t all_here;
static sem_t slots;

struct run {
	const struct kind *kind;
	long rounds;
	uint64_t hold_ns;
	void *lock;
	atomic_long held, asked; /* the round in which it is; asked: by the waiter's thread */
	atomic_int waiter;
	pthread_t sleeper; /* join */
	bool work;	   /* condition */
	uint64_t kept_ns, waited_ns;
};

struct kind {
	const char *name;
	void (*take)(struct run *); /* the holder's and the waiter's; or how the waiter waits for work */
	void (*give)(struct run *);
	bool is_work;
};

static bool asleep(pid_t tid)
{
	char path[64], stat[256], *state;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, stat, sizeof(stat) - 1);
	close(fd);
	stat[len < 0 ? 0 : len] = 0;
	state = strrchr(stat, ')');
	return state && state[2] == 'S';
}

WORK_FN static void let_go(struct run *r)
{
	r->kind->give(r);
	__asm__ volatile("" ::: "memory");
}

WORK_FN static void want_it(struct run *r)
{
	r->kind->take(r);
	__asm__ volatile("" ::: "memory");
}

WORK_FN static void await_work(struct run *r)
{
	r->kind->take(r);
	__asm__ volatile("" ::: "memory");
}

/* From when the waiter sleeps. No futex in here but the one in question. */
static void hold(struct run *r, long round)
{
	uint64_t from;

	while (atomic_load(&r->asked) != round || !asleep(atomic_load(&r->waiter)))
		work__sleep_ns(NSEC_PER_MS / 4);
	from = work__clock_ns(CLOCK_MONOTONIC);
	work__sleep_ns(r->hold_ns);
	r->kept_ns += work__clock_ns(CLOCK_MONOTONIC) - from;
}

WORK_FN static void *keep_it(void *arg)
{
	struct run *r = arg;

	prctl(PR_SET_NAME, "holder");
	for (long i = 1; i <= r->rounds; i++) {
		if (!r->kind->is_work)
			r->kind->take(r);
		atomic_store(&r->held, i);
		hold(r, i);
		let_go(r);
		while (atomic_load(&r->asked) == i)
			work__sleep_ns(NSEC_PER_MS / 4);
	}
	return NULL;
}

static void *ask(void *arg)
{
	struct run *r = arg;

	prctl(PR_SET_NAME, "waiter");
	atomic_store(&r->waiter, gettid());
	for (long i = 1; i <= r->rounds; i++) {
		uint64_t from;

		while (atomic_load(&r->held) != i)
			work__sleep_ns(NSEC_PER_MS / 4);
		from = work__clock_ns(CLOCK_MONOTONIC);
		atomic_store(&r->asked, i);
		if (r->kind->is_work)
			await_work(r);
		else
			want_it(r);
		r->waited_ns += work__clock_ns(CLOCK_MONOTONIC) - from;
		if (!r->kind->is_work)
			r->kind->give(r);
		atomic_store(&r->asked, -i);
	}
	return NULL;
}

/* --- locks */

static void lock_mutex(struct run *r)
{
	pthread_mutex_lock(r->lock);
}

static void lock_timed(struct run *r)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 600;
	pthread_mutex_timedlock(r->lock, &until);
}

static void unlock_mutex(struct run *r)
{
	pthread_mutex_unlock(r->lock);
}

static void lock_rwlock(struct run *r)
{
	pthread_rwlock_wrlock(r->lock);
}

static void unlock_rwlock(struct run *r)
{
	pthread_rwlock_unlock(r->lock);
}

/* --- work */

static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;

static void await_condition(struct run *r)
{
	pthread_mutex_lock(&work_lock);
	while (!r->work)
		pthread_cond_wait(&more_work, &work_lock);
	r->work = false;
	pthread_mutex_unlock(&work_lock);
}

static void give_condition(struct run *r)
{
	pthread_mutex_lock(&work_lock);
	r->work = true;
	pthread_mutex_unlock(&work_lock);
	pthread_cond_signal(&more_work);
}

static void await_semaphore(struct run *r)
{
	(void)r;
	sem_wait(&slots);
}

static void give_semaphore(struct run *r)
{
	(void)r;
	sem_post(&slots);
}

static void await_barrier(struct run *r)
{
	(void)r;
	pthread_barrier_wait(&all_here);
}

static void *sleeper(void *arg)
{
	struct run *r = arg;

	while (!r->work) /* ends when work is given */
		work__sleep_ns(NSEC_PER_MS / 4);
	return NULL;
}

static void await_join(struct run *r)
{
	r->work = false;
	if (pthread_create(&r->sleeper, NULL, sleeper, r))
		work__fail("pthread_create");
	pthread_join(r->sleeper, NULL);
}

static void give_join(struct run *r)
{
	r->work = true;
}

static const struct kind kinds[] = {
	{"mutex", lock_mutex, unlock_mutex, false},
	{"heap", lock_mutex, unlock_mutex, false},
	{"shared", lock_mutex, unlock_mutex, false},
	{"pi", lock_mutex, unlock_mutex, false},
	{"timed", lock_timed, unlock_mutex, false},
	{"rwlock", lock_rwlock, unlock_rwlock, false},
	{"condition", await_condition, give_condition, true},
	{"semaphore", await_semaphore, give_semaphore, true},
	{"barrier", await_barrier, await_barrier, true},
	{"join", await_join, give_join, true},
	{NULL},
};

static void *make_lock(const char *what)
{
	pthread_mutexattr_t attributes;
	void *lock = &cache_lock;

	pthread_mutexattr_init(&attributes);
	if (!strcmp(what, "heap")) {
		lock = malloc(sizeof(pthread_mutex_t));
		pthread_mutex_init(lock, NULL);
	} else if (!strcmp(what, "shared")) {
		lock = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
		pthread_mutex_init(lock, &attributes);
	} else if (!strcmp(what, "pi")) {
		lock = &pool.lock;
		pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
		pthread_mutex_init(lock, &attributes);
	} else if (!strcmp(what, "rwlock")) {
		lock = &table_lock;
	}
	return lock;
}

static int take_turns(struct run *r)
{
	pthread_t holder, waiter;

	pthread_barrier_init(&all_here, NULL, 2);
	sem_init(&slots, 0, 0);
	r->lock = make_lock(r->kind->name);
	if (pthread_create(&holder, NULL, keep_it, r) || pthread_create(&waiter, NULL, ask, r))
		work__fail("pthread_create");
	/* main waits for their end without a futex: that would be one more */
	while (atomic_load(&r->asked) != -r->rounds)
		work__sleep_ns(NSEC_PER_MS);
	printf("lock %p\nkept_ns %llu\nwaited_ns %llu\n", r->lock, (unsigned long long)r->kept_ns,
	       (unsigned long long)r->waited_ns);
	return 0;
}

/* --- the kernel's locks */

static int pipes[2];
static atomic_bool ended;

WORK_FN static void *map_and_unmap(void *arg)
{
	const size_t bytes = 1 << 20;

	(void)arg;
	while (!atomic_load(&ended)) {
		char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (size_t at = 0; at < bytes; at += 4096)
			p[at] = 1;
		munmap(p, bytes);
	}
	return NULL;
}

WORK_FN static void *write_pipe(void *arg)
{
	static char bytes[65536];

	(void)arg;
	while (!atomic_load(&ended))
		if (write(pipes[1], bytes, sizeof(bytes)) < 0)
			break;
	return NULL;
}

WORK_FN static void *read_pipe(void *arg)
{
	char *bytes = malloc(65536);

	(void)arg;
	while (!atomic_load(&ended))
		if (read(pipes[0], bytes, 65536) < 0)
			break;
	return NULL;
}

static int press_kernel(bool memory, uint64_t ns)
{
	pthread_t t;

	if (pipe2(pipes, O_NONBLOCK) || fcntl(pipes[0], F_SETFL, 0) || fcntl(pipes[1], F_SETFL, 0))
		work__fail("pipe");
	for (int i = 0; i < 4; i++)
		if (pthread_create(&t, NULL, memory ? map_and_unmap : i % 2 ? read_pipe : write_pipe, NULL))
			work__fail("pthread_create");
	work__sleep_ns(ns);
	atomic_store(&ended, true);
	return 0; /* the others end with main */
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	const char *what = argc > 1 ? argv[1] : "mutex";
	struct run run = {.kind = kinds,
			  .rounds = argc > 2 ? work__number(argv[2]) : 7,
			  .hold_ns = (argc > 3 ? work__number(argv[3]) : 10) * NSEC_PER_MS};

	while (run.kind->name && strcmp(run.kind->name, what) != 0)
		run.kind++;
	if (!run.kind->name && strcmp(what, "memory") != 0 && strcmp(what, "pipe") != 0)
		return 2;
	work__ready(now);
	return run.kind->name ? take_turns(&run) : press_kernel(!strcmp(what, "memory"), run.hold_ns);
}
