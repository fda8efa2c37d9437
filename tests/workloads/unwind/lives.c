// SPDX-License-Identifier: Apache-2.0
/*
 * lives COUNT PROGRAM [ARG...]: COUNT lives of a program, one after the other, each by fork and exec; with
 * --other OTHER every second one is OTHER's; with --reuse all have the same PID. Prints: cpu NS, the CPU time
 * of all of them by the kernel's account, from fork to exit.
 */
#include "../workload.h"
#include <linux/sched.h>
#include <sys/resource.h>
#include <sys/wait.h>

static pid_t start(pid_t wanted)
{
	struct clone_args args = {.exit_signal = SIGCHLD};

	if (!wanted)
		return fork();
	args.set_tid = (uintptr_t)&wanted;
	args.set_tid_size = 1;
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static uint64_t live(char **argv, pid_t wanted)
{
	struct rusage usage;
	pid_t child = start(wanted);
	int status;

	if (!child) {
		execv(argv[0], argv);
		_exit(127);
	}
	if (child < 0 || (wanted && child != wanted) || wait4(child, &status, 0, &usage) != child || status)
		work__fail(argv[0]);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NSEC_PER_SEC +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ULL;
}

/* A number that nobody has, and that nobody else will get soon: the kernel hands them out in ascending order.
 */
static pid_t a_free_pid(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	if (child < 0 || waitpid(child, NULL, 0) != child)
		work__fail("fork");
	return child;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now"), reuse = work__flag(&argc, argv, "--reuse");
	char *programs[2] = {NULL, work__option(&argc, argv, "--other")};
	long count = work__number(argv[1]);
	uint64_t cpu_ns = 0;
	pid_t wanted;

	if (argc < 3)
		return 2;
	programs[0] = argv[2];
	work__ready(now);
	wanted = reuse ? a_free_pid() : 0;
	for (long i = 0; i < count; i++) {
		argv[2] = programs[i % 2 && programs[1]];
		cpu_ns += live(argv + 2, wanted);
	}
	printf("cpu %llu\n", (unsigned long long)cpu_ns);
	return 0;
}
