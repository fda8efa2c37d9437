// SPDX-License-Identifier: Apache-2.0
/*
 * states [NAME...]: one process per kind of wait, all at the same time, each waits once for 100 ms, in the
 * way that its name says, through libc where libc has it. A process carries the name of its wait; what has to
 * come from outside comes from a process of its own named "later". Prints per kind: "wait NAME PID NS" (wall
 * time around the wait, way to the CPU included), or "skipped NAME" if this kernel does not have it.
 */
#include "workload.h"
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#define WAIT_NS (100 * NSEC_PER_MS)

static const struct timespec span = {0, WAIT_NS};
static uint64_t started_ns; /* when the wait of this process began: what prepares it is not part of it */

static void begin(void)
{
	started_ns = work__clock_ns(CLOCK_MONOTONIC);
}

static struct timespec deadline(clockid_t clock)
{
	uint64_t ns = work__clock_ns(clock) + WAIT_NS;

	return (struct timespec){ns / NSEC_PER_SEC, ns % NSEC_PER_SEC};
}

/* A process that does something in 100 ms; 0 in it, after that time. */
static pid_t later(void)
{
	pid_t pid = fork();

	if (pid < 0)
		work__fail("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "later");
	work__sleep_ns(WAIT_NS);
	return 0;
}

static void write_later(int fd, const void *data, size_t size)
{
	begin();
	if (later())
		return;
	if (write(fd, data, size) != (ssize_t)size)
		work__fail("write");
	_exit(0);
}

static void read_some(int fd)
{
	char data[256];

	if (read(fd, data, sizeof(data)) <= 0)
		work__fail("read");
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* A signal in 100 ms, for those that wait for one. */
static void alarm_later(void)
{
	struct itimerval once = {.it_value.tv_usec = WAIT_NS / 1000};
	struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */

	sigaction(SIGALRM, &action, NULL);
	begin();
	setitimer(ITIMER_REAL, &once, NULL);
}

static void wait_nanosleep(void)
{
	begin();
	syscall(SYS_nanosleep, &span, NULL); /* nanosleep() is clock_nanosleep */
}

static void wait_clock_nanosleep(void)
{
	begin();
	clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
}

static void wait_pause(void)
{
	alarm_later();
	pause();
}

static void wait_sigsuspend(void)
{
	sigset_t none;

	sigemptyset(&none);
	alarm_later();
	sigsuspend(&none);
}

static void wait_sigtimedwait(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	begin();
	sigtimedwait(&set, NULL, &span);
}

static void wait_timerfd(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct itimerspec once = {.it_value = span};

	begin();
	timerfd_settime(fd, 0, &once, NULL);
	read_some(fd);
}

static void wait_signalfd(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	alarm_later();
	read_some(fd);
}

static void wait_poll_none(void)
{
	begin();
	poll(NULL, 0, WAIT_NS / NSEC_PER_MS);
}

static void wait_select_none(void)
{
	struct timeval t = {.tv_usec = WAIT_NS / 1000};

	begin();
	select(0, NULL, NULL, NULL, &t);
}

/* Two sockets, to which nothing comes. */
static int idle_sockets(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		work__fail("socketpair");
	return ends[0];
}

static void poll_two(int first, int second)
{
	struct pollfd fds[2] = {{first, POLLIN, 0}, {second, POLLIN, 0}};

	begin();
	poll(fds, 2, WAIT_NS / NSEC_PER_MS);
}

static void wait_poll_sockets(void)
{
	int ends[2];

	idle_sockets(ends);
	poll_two(ends[0], ends[1]);
}

static void wait_poll_mixed(void)
{
	int ends[2];

	poll_two(idle_sockets(ends), eventfd(0, EFD_CLOEXEC));
}

static void wait_ppoll_socket(void)
{
	int ends[2];
	struct pollfd fd = {idle_sockets(ends), POLLIN, 0};

	begin();
	ppoll(&fd, 1, &span, NULL);
}

static void wait_select_socket(void)
{
	struct timeval t = {.tv_usec = WAIT_NS / 1000};
	int ends[2], fd = idle_sockets(ends);
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	begin();
#ifdef SYS_select
	syscall(SYS_select, fd + 1, &set, NULL, NULL, &t); /* select() is pselect6 */
#else
	select(fd + 1, &set, NULL, NULL, &t);
#endif
}

static void wait_pselect_socket(void)
{
	int ends[2], fd = idle_sockets(ends);
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	begin();
	pselect(fd + 1, &set, NULL, NULL, &span, NULL);
}

static void wait_epoll(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd = epoll_create1(EPOLL_CLOEXEC), ends[2];

	idle_sockets(ends);
	if (epoll_ctl(fd, EPOLL_CTL_ADD, ends[0], &event))
		work__fail("epoll_ctl");
	begin();
	epoll_wait(fd, &event, 1, WAIT_NS / NSEC_PER_MS);
}

/* A socket that listens to a name that the kernel found, which comes back. */
static int listening(struct sockaddr_un *name, socklen_t *size, int queue)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	*name = (struct sockaddr_un){.sun_family = AF_UNIX};
	*size = sizeof(*name);
	if (bind(fd, (void *)name, sizeof(sa_family_t)) || listen(fd, queue) ||
	    getsockname(fd, (void *)name, size))
		work__fail("listen");
	return fd;
}

static void wait_accept(void)
{
	struct timeval t = {.tv_usec = WAIT_NS / 1000};
	struct sockaddr_un name;
	socklen_t size;
	int fd = listening(&name, &size, 1);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	begin();
	accept(fd, NULL, NULL);
}

/* The second one finds the queue full. */
static void wait_connect(void)
{
	struct timeval t = {.tv_usec = WAIT_NS / 1000};
	int first = socket(AF_UNIX, SOCK_STREAM, 0), second = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un name;
	socklen_t size;
	int queue;

	queue = listening(&name, &size, 0);
	if (connect(first, (void *)&name, size))
		work__fail("connect");
	setsockopt(second, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	begin();
	connect(second, (void *)&name, size);
	close(queue);
}

static void wait_recvfrom(void)
{
	char byte;
	int ends[2];

	idle_sockets(ends);
	write_later(ends[1], "x", 1);
	recvfrom(ends[0], &byte, 1, 0, NULL, NULL);
}

static void wait_recvmsg(void)
{
	char byte;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	int ends[2];

	idle_sockets(ends);
	write_later(ends[1], "x", 1);
	recvmsg(ends[0], &message, 0);
}

static void wait_read_pipe(void)
{
	int ends[2];

	if (pipe(ends))
		work__fail("pipe");
	write_later(ends[1], "x", 1);
	read_some(ends[0]);
}

static void wait_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t one = 1;

	write_later(fd, &one, sizeof(one));
	read_some(fd);
}

static void wait_tty(void)
{
	int leader, terminal;

	if (openpty(&leader, &terminal, NULL, NULL, NULL))
		work__fail("openpty");
	write_later(leader, "x\n", 2);
	read_some(terminal);
}

static void wait_inotify(void)
{
	int fd = inotify_init1(IN_CLOEXEC);
	char byte;

	alarm_later();
	if (read(fd, &byte, 1) != -1 || errno != EINTR)
		work__fail("inotify");
}

/* Two open files, so that there are two who can hold the lock; the other ends with its lock. */
static void wait_flock(void)
{
	int file = memfd_create("locked", MFD_CLOEXEC), again;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	again = open(path, O_RDWR | O_CLOEXEC);
	if (again < 0 || flock(file, LOCK_EX))
		work__fail("flock");
	begin();
	if (!later())
		_exit(0);
	close(file);
	flock(again, LOCK_EX);
	close(again);
}

static void wait_futex(void)
{
	uint32_t word = 0;

	begin();
	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &span, NULL, 0);
}

static void wait_semaphore(void)
{
	struct timespec until;
	sem_t semaphore;

	sem_init(&semaphore, 0, 0);
	until = deadline(CLOCK_REALTIME);
	begin();
	sem_timedwait(&semaphore, &until);
}

static void wait_condition(void)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	struct timespec until = deadline(CLOCK_REALTIME);

	pthread_mutex_lock(&mutex);
	begin();
	pthread_cond_timedwait(&condition, &mutex, &until);
	pthread_mutex_unlock(&mutex);
}

static void wait_wait4(void)
{
	pid_t pid;

	begin();
	pid = later();
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static void wait_waitid(void)
{
	siginfo_t info;
	pid_t pid;

	begin();
	pid = later();
	if (!pid)
		_exit(0);
	waitid(P_PID, pid, &info, WEXITED);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void wait_vfork(void)
{
	begin();
	if (!vfork()) {
		work__sleep_ns(WAIT_NS);
		_exit(0);
	}
}
#pragma GCC diagnostic pop

static int sleep_and_end(void *arg)
{
	(void)arg;
	work__sleep_ns(WAIT_NS);
	return 0;
}

/* As posix_spawn() does it. */
static void wait_clone_vfork(void)
{
	static char stack[65536];

	begin();
	if (clone(sleep_and_end, stack + sizeof(stack), CLONE_VFORK | SIGCHLD, NULL) < 0)
		work__fail("clone");
}

static void wait_mq(void)
{
	struct mq_attr one_byte = {.mq_maxmsg = 4, .mq_msgsize = 1};
	struct timespec until = deadline(CLOCK_REALTIME);
	char name[32], byte;
	mqd_t queue;

	snprintf(name, sizeof(name), "/states-%d", (int)getpid());
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &one_byte);
	if (queue < 0 || mq_unlink(name))
		work__fail("mq_open");
	begin();
	mq_timedreceive(queue, &byte, 1, NULL, &until);
}

static void wait_msgrcv(void)
{
	struct {
		long type;
		char byte;
	} message = {1, 'x'};
	int queue = msgget(IPC_PRIVATE, 0600);

	begin();
	if (!later())
		_exit(msgsnd(queue, &message, 1, 0) ? 1 : 0);
	msgrcv(queue, &message, 1, 0, 0);
	msgctl(queue, IPC_RMID, NULL);
}

static void wait_semop(void)
{
	struct sembuf take = {.sem_op = -1}, give = {.sem_op = 1};
	int set = semget(IPC_PRIVATE, 1, 0600);

	begin();
	if (!later())
		_exit(semop(set, &give, 1) ? 1 : 0);
	syscall(SYS_semop, set, &take, 1); /* semop() is semtimedop */
	semctl(set, 0, IPC_RMID);
}

static void wait_semtimedop(void)
{
	struct sembuf take = {.sem_op = -1};
	int set = semget(IPC_PRIVATE, 1, 0600);

	begin();
	if (!semtimedop(set, &take, 1, &span))
		work__fail("semtimedop");
	semctl(set, 0, IPC_RMID);
}

/* Wants one completion and asked for nothing: until the time is up. The structures are those of
 * linux/io_uring.h, which older headers lack. */
static void wait_io_uring(void)
{
#ifdef SYS_io_uring_setup
	const unsigned get_events = 1, extended = 8;
	struct {
		uint64_t mask;
		uint32_t mask_size, pad;
		uint64_t timeout;
	} how = {.timeout = (uintptr_t)&span};
	uint64_t parameters[15] = {0};
	int fd = syscall(SYS_io_uring_setup, 4, parameters);

	begin();
	if (fd >= 0 && syscall(SYS_io_uring_enter, fd, 0, 1, get_events | extended, &how, sizeof(how)) < 0 &&
	    errno == ETIME)
		return;
#endif
	printf("skipped io_uring\n");
	exit(0);
}

static void wait_stopped(void)
{
	pid_t pid = getpid();

	begin();
	if (!later())
		_exit(kill(pid, SIGCONT) ? 1 : 0);
	raise(SIGSTOP);
}

static const struct {
	const char *name;
	void (*wait)(void);
} kinds[] = {
#define KIND(name)                 \
	{                          \
#name, wait_##name \
	}
	KIND(nanosleep),     KIND(clock_nanosleep),
	KIND(pause),	     KIND(sigsuspend),
	KIND(sigtimedwait),  KIND(timerfd),
	KIND(signalfd),	     KIND(poll_none),
	KIND(select_none),   KIND(poll_sockets),
	KIND(ppoll_socket),  KIND(poll_mixed),
	KIND(select_socket), KIND(pselect_socket),
	KIND(epoll),	     KIND(accept),
	KIND(connect),	     KIND(recvfrom),
	KIND(recvmsg),	     KIND(read_pipe),
	KIND(eventfd),	     KIND(tty),
	KIND(inotify),	     KIND(flock),
	KIND(futex),	     KIND(semaphore),
	KIND(condition),     KIND(wait4),
	KIND(waitid),	     KIND(vfork),
	KIND(clone_vfork),   KIND(mq),
	KIND(msgrcv),	     KIND(semop),
	KIND(semtimedop),    KIND(io_uring),
	KIND(stopped),
#undef KIND
};

static bool is_wanted(const char *name, char **names, int count)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(name, names[i]))
			return true;
	return !count;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	int failed = 0, status;

	work__ready(now);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (!is_wanted(kinds[i].name, argv + 1, argc - 1) || fork())
			continue;
		prctl(PR_SET_NAME, kinds[i].name);
		kinds[i].wait();
		printf("wait %s %d %llu\n", kinds[i].name, (int)getpid(),
		       (unsigned long long)(work__clock_ns(CLOCK_MONOTONIC) - started_ns));
		return 0;
	}
	while (wait(&status) > 0)
		failed |= status;
	return failed != 0;
}
