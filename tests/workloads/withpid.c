// SPDX-License-Identifier: Apache-2.0
/*
 * withpid PID PROGRAM [ARG...]: runs PROGRAM as a process that has exactly this PID (clone3 with set_tid,
 * root only; the PID must be free) and ends with its status. What a wrapped PID counter does once in a while,
 * on demand.
 */
#include "workload.h"
#include <linux/sched.h>
#include <signal.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	pid_t wanted;
	struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)&wanted, .set_tid_size = 1};
	long pid;
	int status = 0;

	if (argc < 3)
		return 2;
	wanted = work__number(argv[1]);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		work__fail(argv[1]);
	if (pid == 0) {
		execv(argv[2], argv + 2);
		work__fail(argv[2]);
	}
	if (waitpid(pid, &status, 0) != pid)
		work__fail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
