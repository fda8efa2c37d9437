// SPDX-License-Identifier: Apache-2.0
/* sonde check: each measuring command opens and attaches what it needs, watches sonde itself for a moment and
 * ends. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "command/check.h"
#include "probe/probe.h"

#define STACKS	       64	  /* enough that the programs walk them, as a run does: by unwind tables */
#define RUNS_WITHIN_NS 500000000u /* a sample comes every 10 ms, a switch with each sleep */

static int ignore(void *context, void *record, size_t size)
{
	(void)context;
	(void)record;
	(void)size;
	return 0;
}

static void spin_and_sleep(void)
{
	const struct timespec moment = {.tv_nsec = 500000};
	uint64_t end = units__now_ns() + 3000000;

	while (units__now_ns() < end)
		;
	nanosleep(&moment, NULL);
}

static void refused_connection(void)
{
	const struct sockaddr_in nobody = {
		.sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	(void)connect(fd, (const struct sockaddr *)&nobody, sizeof(nobody));
	close(fd);
}

static void write_through(void)
{
	int fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	if (write(fd, "sonde", 5) == 5)
		(void)fsync(fd);
	close(fd);
}

/* A child waits for a lock, and its end wakes nobody; it is new memory to both. */
static void child_with_a_lock(void)
{
	const struct timespec moment = {.tv_nsec = 500000};
	uint32_t *word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	if (word == MAP_FAILED)
		return;
	*word = 2;
	child = fork();
	if (!child) {
		syscall(SYS_futex, word, FUTEX_WAIT, 2, &moment, NULL, 0);
		_exit(0);
	}
	syscall(SYS_futex, word, FUTEX_WAIT, 2, &moment, NULL, 0);
	if (child > 0)
		waitpid(child, NULL, 0);
	munmap(word, sizeof(*word));
}

/* Something to see for every probe. */
static void live(void)
{
	spin_and_sleep();
	refused_connection();
	write_through();
	child_with_a_lock();
}

/* The loss account counts what its hooks see: that they are attached is not enough. */
static int watch(struct probe *probe)
{
	uint64_t end = units__now_ns() + RUNS_WITHIN_NS, runs = 0;
	const struct unit *unit = probe->type->unit(probe);
	int err = probe->type->begin(probe, units__now_ns());
	struct loss seen;

	while (unit && !err && !runs && units__now_ns() < end) {
		live();
		memset(&seen, 0, sizeof(seen));
		unit__losses(unit, &seen);
		for (int part = 0; part < PART_COUNT; part++)
			runs += seen.count[part][OUTCOME_HITS];
	}
	if (unit && !err && !runs)
		fprintf(stderr, "its programs are attached, but do not run\n");
	return err || runs || !unit ? err : -ENODATA;
}

/* It works, but not with the first choice. */
static void say_choice(const struct unit *u, struct buf *why)
{
	if (u && *u->why_not)
		buf__printf(why, "loads as %s; refused: %s", u->image->name, u->why_not);
}

static int run_probe(const struct probe_type *type, const void *options, struct buf *why)
{
	pid_t self = getpid();
	struct target target = {.filter.conditions = TARGET_MARKED, .pids = &self, .count = 1};
	struct loader_options loader_options = {.stacks = STACKS};
	struct loader loader;
	struct probe_context context = {.loader = &loader};
	struct probe *probe = NULL;
	int err = loader__open(&loader, &target, &loader_options, ignore, NULL);

	if (!err) {
		probe = type->open(&context, options);
		err = probe ? 0 : -errno;
	}
	if (!err)
		err = loader__mark(&loader, self, MARK_WANTED);
	if (!err)
		err = type->attach(probe);
	if (!err) {
		err = watch(probe);
		if (!err)
			say_choice(type->unit(probe), why);
		type->detach(probe);
	}
	type->close(probe);
	loader__close(&loader);
	return err;
}

/* "sonde: cannot attach ... (see `sonde check`)": without its beginning, and without the advice to come here.
 */
static void take_words(int fd, struct buf *why)
{
	static const char *const advice[] = {" (see `sonde check`)", "; see `sonde check`"};
	struct buf text = {0};
	char *line, *at;

	(void)buf__read_fd(&text, fd, 1 << 16);
	if (text.len) {
		line = text.data + (strncmp(text.data, "sonde: ", 7) ? 0 : 7);
		line[strcspn(line, "\n")] = 0;
		for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++) {
			at = strstr(line, advice[i]);
			if (at)
				memmove(at, at + strlen(advice[i]), strlen(at + strlen(advice[i])) + 1);
		}
		buf__puts(why, line);
	}
	buf__free(&text);
}

/* What goes wrong is said on stderr, in one line by whoever knows it; here that line belongs into the report.
 */
static int quietly(const struct probe_type *type, const void *options, struct buf *why)
{
	int words = memfd_create("words", MFD_CLOEXEC), stderr_fd = dup(STDERR_FILENO), err;

	fflush(stderr);
	if (words >= 0 && stderr_fd >= 0)
		dup2(words, STDERR_FILENO);
	err = run_probe(type, options, why);
	fflush(stderr);
	if (stderr_fd >= 0)
		dup2(stderr_fd, STDERR_FILENO);
	if (err && words >= 0 && !lseek(words, 0, SEEK_SET))
		take_words(words, why);
	if (words >= 0)
		close(words);
	if (stderr_fd >= 0)
		close(stderr_fd);
	return err;
}

static int try_profile(struct buf *why)
{
	const struct cpu_options options = {.frequency_hz = 99};

	return quietly(&probe_cpu, &options, why);
}

static int try_offcpu(struct buf *why)
{
	const struct sched_options options = {.offcpu = true, .waker = true, .reason = true};

	return quietly(&probe_sched, &options, why);
}

static int try_runq(struct buf *why)
{
	const struct sched_options options = {.runq = true, .long_wait_ns = 1000000};

	return quietly(&probe_sched, &options, why);
}

static int try_wall(struct buf *why)
{
	const struct sched_options options = {.wall = true};

	return quietly(&probe_sched, &options, why);
}

static int try_processes(struct buf *why)
{
	const struct processes_options options = {.each = true};

	return quietly(&probe_processes, &options, why);
}

static int try_syscalls(struct buf *why)
{
	const struct syscalls_options options = {0};

	return quietly(&probe_syscalls, &options, why);
}

static int try_block(struct buf *why)
{
	const struct block_options options = {.by = BY_NONE};

	int err = quietly(&probe_block, &options, why);

	if (err != -ENODATA) /* where no disk is, nothing can be seen */
		return err;
	buf__clear(why);
	buf__puts(why, "attached; no block device did anything meanwhile");
	return 0;
}

static int try_memory(struct buf *why)
{
	const struct memory_options options = {.by = BY_PID, .stacks = true};

	return quietly(&probe_memory, &options, why);
}

static int try_locks(struct buf *why)
{
	const struct locks_options options = {.user = true, .kernel = true};

	return quietly(&probe_locks, &options, why);
}

static int try_resources(struct buf *why)
{
	return quietly(&probe_resources, NULL, why);
}

static int try_tcp(struct buf *why)
{
	const struct tcp_options options = {.parties = 64};

	return quietly(&probe_tcp, &options, why);
}

#define USES(...)                 \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

#define TRACING	  (NEEDS_BPF | NEEDS_TRACE)
#define LOOPS	  "bpf_loop", "for_each_map_elem"
#define EVERYBODY "btf", "ringbuf", "map_in_map", "bpf_stats"

const struct check_command check__commands[] = {
	{"profile", "on-CPU stacks", TRACING | NEEDS_EVENT,
	 USES(EVERYBODY, "stacks", LOOPS, "perf_cycles", "kallsyms"), try_profile},
	{"offcpu", "blocked time by stack", TRACING,
	 USES(EVERYBODY, "tp_btf", "task_storage", "iter_task_sleepable", "stacks", LOOPS, "irq_text",
	      "kallsyms"),
	 try_offcpu},
	{"runq", "run-queue latency", TRACING, USES(EVERYBODY, "tp_btf", "task_storage", "iter_task"),
	 try_runq},
	{"wall", "time by state", TRACING,
	 USES(EVERYBODY, "tp_btf", "task_storage", "iter_task", "throttling"), try_wall},
	{"locks", "waits for locks", TRACING,
	 USES(EVERYBODY, "tp_btf", "task_storage", "iter_task_sleepable", "stacks", LOOPS, "irq_text",
	      "kallsyms"),
	 try_locks},
	{"syscalls", "system calls", TRACING, USES(EVERYBODY, "tp_btf", "task_storage", "iter_task"),
	 try_syscalls},
	{"tcp", "connections", TRACING, USES(EVERYBODY, "tp_btf", "fentry"), try_tcp},
	{"block", "block I/O", TRACING, USES(EVERYBODY, "tp_btf", "task_storage"), try_block},
	{"memory", "faults, growth, reclaim, kills, page cache", TRACING,
	 USES(EVERYBODY, "tp_btf", "task_storage", "iter_task", "stacks", LOOPS, "kallsyms"), try_memory},
	{"processes", "starts and ends of processes", TRACING, USES(EVERYBODY, "tp_btf", "task_storage"),
	 try_processes},
	{"resources", "what the kernel counts", TRACING, USES("ringbuf"), try_resources},
	{NULL},
};
