// SPDX-License-Identifier: Apache-2.0
/*
 * lifetime PROGRAM [ARG...]: runs PROGRAM as a child and prints, when it has ended, "lifetime PID SWITCHES":
 * the context switches of all its threads over their whole lives, by the kernel's final account. A thread's
 * very last switch, from which it does not come back, is in that account only for the thread that gives the
 * process its PID.
 */
#include "workload.h"
#include <sys/resource.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	struct rusage usage;
	int status = 0;
	pid_t pid;

	if (argc < 2)
		return 2;
	work__ready(now);
	pid = fork();
	if (pid < 0)
		work__fail("fork");
	if (pid == 0) {
		execv(argv[1], argv + 1);
		work__fail(argv[1]);
	}
	if (wait4(pid, &status, 0, &usage) != pid)
		work__fail("wait4");
	printf("lifetime %d %ld\n", (int)pid, usage.ru_nvcsw + usage.ru_nivcsw);
	return status != 0;
}
