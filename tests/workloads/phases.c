// SPDX-License-Identifier: Apache-2.0
/*
 * phases MS [--disk FILE] [--tty]: main goes through phases of MS milliseconds each, one kind of time per
 * phase, in a function named for it. All but cpu, disk and child consist of ten blocks of MS / 10; a helper
 * process writes the byte that ends each block where one has to come from outside.
 * - cpu: spins
 * - sleep: nanosleep
 * - futex: waits on a private word, with a timeout
 * - pipe: reads an empty pipe
 * - socket: receives on an empty socket
 * - poll: polls one socket for input (as libpq does)
 * - epoll: waits for input on a pipe and a socket together
 * - ipc: receives from an empty message queue
 * - child: waits for a child process
 * - disk: writes to FILE with O_DIRECT and O_SYNC as often as it can (--disk)
 * - tty: reads an empty terminal (--tty)
 *
 * Two more threads live from before "ready" to the end and never switch by themselves: "spinner" spins in
 * spin_forever, "blocked" waits in block_forever. Prints at the end, per phase: phase NAME START_NS WALL_NS
 * CPU_NS DELAY_NS (monotonic start; wall time with wake latency; CPU time of the thread in it, and its waits
 * for a CPU); then thread main|spinner|blocked TID CPU_NS, and elapsed_ns from the word to go.
 */
#include "workload.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

#define BLOCKS 10

enum way { PIPE, SOCKET, POLL, EPOLL, TTY, QUEUE, WAYS };

struct run {
	uint64_t each_ns, total_ns;
	int in[WAYS], out[WAYS]; /* the thread's end, the helper's end */
	int epoll;
	int orders; /* to the helper: one byte, an enum way */
	int queue;
	int disk;
	void *page;
};

struct phase {
	const char *name;
	void (*body)(struct run *run);
	uint64_t start_ns, wall_ns, cpu_ns, delay_ns;
};

WORK_FN static void phase_cpu(struct run *run)
{
	work__burn_until(CLOCK_MONOTONIC, work__clock_ns(CLOCK_MONOTONIC) + run->total_ns);
}

WORK_FN static void phase_sleep(struct run *run)
{
	for (int i = 0; i < BLOCKS; i++)
		work__sleep_ns(run->each_ns);
}

WORK_FN static void phase_futex(struct run *run)
{
	uint32_t word = 0;

	for (int i = 0; i < BLOCKS; i++) {
		struct timespec t = {run->each_ns / NSEC_PER_SEC, run->each_ns % NSEC_PER_SEC};

		work__syscall(SYS_futex, (long)&word, FUTEX_WAIT_PRIVATE, 0, (long)&t);
	}
}

/* The helper starts to feed the phase that asks for it. */
work__inline void order(struct run *run, char way)
{
	work__syscall(SYS_write, run->orders, (long)&way, 1, 0);
}

work__inline void read_byte(int fd)
{
	char byte;

	if (work__syscall(SYS_read, fd, (long)&byte, 1, 0) != 1)
		abort();
}

WORK_FN static void phase_pipe(struct run *run)
{
	order(run, PIPE);
	for (int i = 0; i < BLOCKS; i++)
		read_byte(run->in[PIPE]);
}

WORK_FN static void phase_socket(struct run *run)
{
	order(run, SOCKET);
	for (int i = 0; i < BLOCKS; i++)
		read_byte(run->in[SOCKET]);
}

WORK_FN static void phase_poll(struct run *run)
{
	struct pollfd fd = {.fd = run->in[POLL], .events = POLLIN};

	order(run, POLL);
	for (int i = 0; i < BLOCKS; i++) {
		work__syscall(SYS_ppoll, (long)&fd, 1, 0, 0);
		read_byte(fd.fd);
	}
}

WORK_FN static void phase_epoll(struct run *run)
{
	struct epoll_event event;

	order(run, EPOLL);
	for (int i = 0; i < BLOCKS; i++) {
		work__syscall(SYS_epoll_pwait, run->epoll, (long)&event, 1, -1);
		read_byte(run->in[EPOLL]);
	}
}

WORK_FN static void phase_tty(struct run *run)
{
	order(run, TTY);
	for (int i = 0; i < BLOCKS; i++)
		read_byte(run->in[TTY]);
}

WORK_FN static void phase_ipc(struct run *run)
{
	char byte;

	order(run, QUEUE);
	for (int i = 0; i < BLOCKS; i++)
		work__syscall(SYS_mq_timedreceive, run->queue, (long)&byte, 1, 0);
}

WORK_FN static void phase_child(struct run *run)
{
	pid_t pid = fork();

	if (pid == 0) {
		work__sleep_ns(run->total_ns);
		_exit(0);
	}
	work__syscall(SYS_wait4, pid, 0, 0, 0);
}

WORK_FN static void phase_disk(struct run *run)
{
	uint64_t end_ns = work__clock_ns(CLOCK_MONOTONIC) + run->total_ns;

	while (work__clock_ns(CLOCK_MONOTONIC) < end_ns)
		if (work__syscall(SYS_pwrite64, run->disk, (long)run->page, 4096, 0) != 4096)
			abort();
}

WORK_FN static void *spin_forever(void *arg)
{
	pthread_setname_np(pthread_self(), "spinner");
	*(volatile pid_t *)arg = gettid();
	for (volatile unsigned i = 0;; i++)
		;
	return NULL;
}

WORK_FN static void *block_forever(void *arg)
{
	uint32_t word = 0;

	pthread_setname_np(pthread_self(), "blocked");
	*(volatile pid_t *)arg = gettid();
	for (;;)
		work__syscall(SYS_futex, (long)&word, FUTEX_WAIT_PRIVATE, 0, 0);
	return NULL;
}

/* The helper: for each order BLOCKS times sleep, then end the block. */
static void feed(struct run *run, int orders)
{
	char way;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "feeder");
	while (read(orders, &way, 1) == 1) {
		for (int i = 0; i < BLOCKS; i++) {
			work__sleep_ns(run->each_ns);
			if (way == QUEUE ? mq_send(run->queue, "x", 1, 0)
					 : write(run->out[(int)way], "x", 1) != 1)
				break;
		}
	}
	_exit(0);
}

static void open_terminal(struct run *run)
{
	struct termios raw;

	if (openpty(&run->out[TTY], &run->in[TTY], NULL, NULL, NULL))
		work__fail("openpty");
	tcgetattr(run->in[TTY], &raw);
	cfmakeraw(&raw);
	tcsetattr(run->in[TTY], TCSANOW, &raw);
}

static void open_ways(struct run *run, bool tty)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct mq_attr one_byte = {.mq_maxmsg = 4, .mq_msgsize = 1};
	char name[32];
	int fds[2];

	for (int way = PIPE; way <= EPOLL; way++) {
		if (way == PIPE || way == EPOLL ? pipe(fds) : socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
			work__fail("pipe or socket");
		run->in[way] = fds[0];
		run->out[way] = fds[1];
	}
	run->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, run->in[EPOLL], &event) ||
	    epoll_ctl(run->epoll, EPOLL_CTL_ADD, run->in[SOCKET], &event))
		work__fail("epoll_ctl");
	snprintf(name, sizeof(name), "/phases-%d", (int)getpid());
	run->queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &one_byte);
	if (run->queue < 0 || mq_unlink(name))
		work__fail("mq_open");
	if (tty)
		open_terminal(run);
}

static void open_disk(struct run *run, const char *file)
{
	run->disk = open(file, O_WRONLY | O_CREAT | O_DIRECT | O_SYNC | O_CLOEXEC, 0600);
	if (run->disk < 0)
		work__fail(file);
	run->page = aligned_alloc(4096, 4096);
	memset(run->page, 0, 4096);
}

static pid_t start_helper(struct run *run)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds))
		work__fail("pipe");
	pid = fork();
	if (pid < 0)
		work__fail("fork");
	if (pid == 0) {
		close(fds[1]);
		feed(run, fds[0]);
	}
	close(fds[0]);
	run->orders = fds[1];
	return pid;
}

static pthread_t start_thread(void *(*body)(void *), volatile pid_t *tid)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, body, (void *)tid))
		work__fail("pthread_create");
	while (!*tid)
		work__sleep_ns(NSEC_PER_MS);
	return thread;
}

static void go_through(struct phase *phase, struct run *run)
{
	uint64_t cpu_ns = work__clock_ns(CLOCK_THREAD_CPUTIME_ID);

	phase->delay_ns = -work__run_delay_ns();
	phase->start_ns = work__clock_ns(CLOCK_MONOTONIC);
	phase->body(run);
	phase->wall_ns = work__clock_ns(CLOCK_MONOTONIC) - phase->start_ns;
	phase->cpu_ns = work__clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	phase->delay_ns += work__run_delay_ns();
}

static void print_thread(const char *name, pid_t tid, pthread_t thread)
{
	clockid_t clock;

	if (!pthread_getcpuclockid(thread, &clock))
		printf("thread %s %d %llu\n", name, tid, (unsigned long long)work__clock_ns(clock));
}

int main(int argc, char **argv)
{
	struct phase phases[] = {
		{"cpu", phase_cpu},	{"sleep", phase_sleep},	  {"futex", phase_futex},
		{"pipe", phase_pipe},	{"socket", phase_socket}, {"poll", phase_poll},
		{"epoll", phase_epoll}, {"ipc", phase_ipc},	  {"child", phase_child},
		{"disk", phase_disk},	{"tty", phase_tty},
	};
	const int n = sizeof(phases) / sizeof(*phases);
	const char *disk = work__option(&argc, argv, "--disk");
	bool tty = work__flag(&argc, argv, "--tty"), now = work__flag(&argc, argv, "--now");
	struct run run = {.total_ns = work__number(argv[1]) * NSEC_PER_MS};
	pid_t spinner_tid = 0, blocked_tid = 0, helper;

	run.each_ns = run.total_ns / BLOCKS;
	open_ways(&run, tty);
	if (disk)
		open_disk(&run, disk);
	helper = start_helper(&run);
	pthread_t spinner = start_thread(spin_forever, &spinner_tid);
	pthread_t blocked = start_thread(block_forever, &blocked_tid);
	work__ready(now);
	uint64_t start_ns = work__clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < n; i++)
		if ((phases[i].body != phase_disk || disk) && (phases[i].body != phase_tty || tty))
			go_through(&phases[i], &run);
	uint64_t elapsed_ns = work__clock_ns(CLOCK_MONOTONIC) - start_ns;
	for (int i = 0; i < n; i++)
		if (phases[i].wall_ns)
			printf("phase %s %llu %llu %llu %llu\n", phases[i].name,
			       (unsigned long long)phases[i].start_ns, (unsigned long long)phases[i].wall_ns,
			       (unsigned long long)phases[i].cpu_ns, (unsigned long long)phases[i].delay_ns);
	print_thread("main", getpid(), pthread_self());
	print_thread("spinner", spinner_tid, spinner);
	print_thread("blocked", blocked_tid, blocked);
	printf("elapsed_ns %llu\n", (unsigned long long)elapsed_ns);
	close(run.orders);
	waitpid(helper, NULL, 0);
	return 0;
}
