/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's process: how it comes to be, what it does, how it ends. */
#ifndef SONDE_HELPER_WORKER_H
#define SONDE_HELPER_WORKER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct worker {
	pid_t pid; /* 0: none runs */
	int pidfd; /* -1: none */
};

/* Starts it; *socket is this side's end, the caller's. 0 or -errno. It does nothing before
 * worker__release(), and says MESSAGE_READY when its walls stand. */
int worker__start(struct worker *w, int *socket, size_t memory_bytes);
void worker__release(int socket);
/* Ends it at once, whatever it does. The CPU time that it took. */
uint64_t worker__kill(struct worker *w);
uint64_t worker__cpu_ns(const struct worker *w);
/* From now on it may use as much CPU time before the kernel ends it: also when nobody looks at it any more.
 */
void worker__allow_cpu(const struct worker *w, uint64_t cpu_ns);

#endif
