// SPDX-License-Identifier: Apache-2.0
/*
 * rename MS NAME: burns MS of CPU time in before_rename under its own comm, then calls itself NAME and burns
 * MS in after_rename. A second thread, "bystander", burns MS in bystander_thread after that: the process has
 * another name then, the thread kept its own. Prints: renamed PID.
 */
#include "workload.h"
#include <pthread.h>
#include <sys/prctl.h>

WORK_FN static void before_rename(uint64_t ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, work__clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns);
}

WORK_FN static void after_rename(uint64_t ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, work__clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns);
}

WORK_FN static void *bystander_thread(void *arg)
{
	pthread_setname_np(pthread_self(), "bystander");
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, *(uint64_t *)arg);
	return NULL;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	pthread_t bystander;
	uint64_t ns;

	if (argc != 3)
		return 2;
	ns = work__number(argv[1]) * NSEC_PER_MS;
	work__ready(now);
	before_rename(ns);
	prctl(PR_SET_NAME, argv[2]);
	printf("renamed %d\n", (int)getpid());
	after_rename(ns);
	if (pthread_create(&bystander, NULL, bystander_thread, &ns))
		work__fail("pthread_create");
	pthread_join(bystander, NULL);
	return 0;
}
