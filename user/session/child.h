/* SPDX-License-Identifier: Apache-2.0 */
/* COMMAND: started by sonde, held before its exec until everything is attached, so that its first instruction
 * is seen. */
#ifndef SONDE_SESSION_CHILD_H
#define SONDE_SESSION_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
	pid_t pid; /* 0: none */
	int pidfd;
	int release_fd, error_fd; /* pipes; -1: closed */
	int status;		  /* as from waitpid, once `ended` */
	bool ended;
};

/* Forks; the child waits. Under sudo it becomes the calling user, with that user's groups. 0 or -errno. */
int child__start(struct child *c, char **argv);
/* Lets it exec. 0, or the errno of a failed exec, negative. */
int child__release(struct child *c);
/* Reaps if it has ended (or `wait`s for it). */
void child__reap(struct child *c, bool wait);
/* 0..255, 128 + signal if it was killed. */
int child__exit_code(const struct child *c);
void child__close(struct child *c); /* one that was never released ends without exec */

#endif
