// SPDX-License-Identifier: Apache-2.0
/*
 * calls THREADS TIMES SLEEPS MS [--children N] [--compat N] [--refused N] [--interrupted N]: each of THREADS
 * threads makes TIMES times a prime number of calls, another one for each thread and kind: openat of a file
 * that is missing, read of a descriptor that is closed, getppid; and SLEEPS times it sleeps MS. Then N
 * children, one after the other, make 101 calls of getpgid each; N 32-bit calls of getpgid are made (x86-64),
 * N calls of getsid that a seccomp filter refuses (EPERM), and N ppolls that a signal interrupts. Prints how
 * many: openat, read, getppid, nanosleep, getpgid, compat, getsid, ppoll.
 */
#include <pthread.h>
#include <stddef.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "workload.h"

#define THREADS_MAX 8
#define CLOSED_FD   919
#define CHILD_CALLS 101

static const unsigned primes[THREADS_MAX + 2] = {101, 103, 107, 109, 113, 127, 131, 137, 139, 149};

struct job {
	unsigned number;
	long times, sleeps, ms;
	uint64_t openat, read, getppid, nanosleep;
	pthread_t thread;
};

WORK_FN static void open_missing(struct job *j)
{
	for (long i = 0; i < j->times * (long)primes[j->number]; i++, j->openat++)
		work__syscall(SYS_openat, AT_FDCWD, (long)"/no/such/file", O_RDONLY, 0);
}

WORK_FN static void read_closed(struct job *j)
{
	char byte;

	for (long i = 0; i < j->times * (long)primes[j->number + 1]; i++, j->read++)
		work__syscall(SYS_read, CLOSED_FD, (long)&byte, 1, 0);
}

WORK_FN static void ask_parent(struct job *j)
{
	for (long i = 0; i < j->times * (long)primes[j->number + 2]; i++, j->getppid++)
		work__syscall(SYS_getppid, 0, 0, 0, 0);
}

WORK_FN static void sleep_often(struct job *j)
{
	for (long i = 0; i < j->sleeps; i++, j->nanosleep++)
		work__sleep_ns((uint64_t)j->ms * NSEC_PER_MS);
}

static void *work(void *context)
{
	struct job *j = context;

	open_missing(j);
	read_closed(j);
	ask_parent(j);
	sleep_often(j);
	return NULL;
}

static void run_threads(struct job *jobs, long threads)
{
	struct job sum = {0};

	for (long i = 0; i < threads; i++)
		if (pthread_create(&jobs[i].thread, NULL, work, &jobs[i]))
			work__fail("pthread_create");
	for (long i = 0; i < threads; i++) {
		pthread_join(jobs[i].thread, NULL);
		sum.openat += jobs[i].openat;
		sum.read += jobs[i].read;
		sum.getppid += jobs[i].getppid;
		sum.nanosleep += jobs[i].nanosleep;
	}
	printf("openat %llu\nread %llu\ngetppid %llu\nnanosleep %llu\n", (unsigned long long)sum.openat,
	       (unsigned long long)sum.read, (unsigned long long)sum.getppid,
	       (unsigned long long)sum.nanosleep);
}

static void run_children(long count)
{
	for (long n = 0; n < count; n++) {
		pid_t child = fork();

		if (child < 0)
			work__fail("fork");
		for (int i = 0; !child && i < CHILD_CALLS; i++)
			work__syscall(SYS_getpgid, 0, 0, 0, 0);
		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	printf("getpgid %ld\n", count * CHILD_CALLS);
}

#if defined(__x86_64__)
#define COMPAT_GETPGID 132

static void run_compat(long count)
{
	for (long i = 0; i < count; i++) {
		long result;

		__asm__ volatile("int $0x80"
				 : "=a"(result)
				 : "0"(COMPAT_GETPGID), "b"(0)
				 : "memory", "r8", "r9", "r10", "r11");
		if (result < 0)
			work__fail("int 0x80");
	}
	printf("compat %ld\n", count);
}
#else
static void run_compat(long count)
{
	(void)count;
	printf("compat 0\n");
}
#endif

static void run_refused(long count)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]), rules};

	if (count &&
	    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)))
		work__fail("seccomp");
	for (long i = 0; i < count; i++)
		work__syscall(SYS_getsid, 0, 0, 0, 0);
	printf("getsid %ld\n", count);
}

static void nothing(int signal)
{
	(void)signal;
}

static void run_interrupted(long count)
{
	const struct itimerval soon = {.it_value.tv_usec = 2000};
	struct sigaction action = {.sa_handler = nothing};

	sigaction(SIGALRM, &action, NULL);
	for (long i = 0; i < count; i++) {
		setitimer(ITIMER_REAL, &soon, NULL);
		work__syscall(SYS_ppoll, 0, 0, 0, 0);
	}
	printf("ppoll %ld\n", count);
}

static long option(int *argc, char **argv, const char *flag)
{
	const char *value = work__option(argc, argv, flag);

	return value ? work__number(value) : 0;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	long children = option(&argc, argv, "--children"), compat = option(&argc, argv, "--compat");
	long refused = option(&argc, argv, "--refused"), interrupted = option(&argc, argv, "--interrupted");
	long threads = work__number(argv[1]);
	struct job jobs[THREADS_MAX] = {0};

	for (unsigned i = 0; i < THREADS_MAX; i++)
		jobs[i] = (struct job){.number = i,
				       .times = work__number(argv[2]),
				       .sleeps = work__number(argv[3]),
				       .ms = work__number(argv[4])};
	work__ready(now);
	run_threads(jobs, threads < THREADS_MAX ? threads : THREADS_MAX);
	run_children(children);
	run_compat(compat);
	run_interrupted(interrupted);
	run_refused(refused);
	return 0;
}
