// SPDX-License-Identifier: Apache-2.0
#include "probe/waits.h"

#include <string.h>
#include <sys/syscall.h>

/* Not here, so "other": open, stat, unlink, mkdir and their like wait for a disk only in_iowait, which is
 * asked before; otherwise for the other end of a FIFO, a lease or a server. */
static const struct {
	uint16_t number;
	uint8_t class;
} waits[] = {
#define W(name, class)                   \
	{                                \
		SYS_##name, WAIT_##class \
	}
	W(nanosleep, SLEEP),
	W(clock_nanosleep, SLEEP),
	W(rt_sigtimedwait, SLEEP),
	W(rt_sigsuspend, SLEEP),
	W(futex, LOCK),
#ifdef SYS_futex_waitv
	W(futex_waitv, LOCK),
#endif
	{454,
	 WAIT_LOCK}, /* futex_wake, futex_wait, futex_requeue: one number on all architectures, since 6.7 */
	{455, WAIT_LOCK},
	{456, WAIT_LOCK},
	W(flock, LOCK),
	W(accept, NETWORK),
	W(accept4, NETWORK),
	W(connect, NETWORK),
	W(recvfrom, NETWORK),
	W(recvmsg, NETWORK),
	W(recvmmsg, NETWORK),
	W(sendto, NETWORK),
	W(sendmsg, NETWORK),
	W(sendmmsg, NETWORK),
	W(shutdown, NETWORK),
	W(read, FD),
	W(readv, FD),
	W(pread64, FD),
	W(preadv, FD),
	W(preadv2, FD),
	W(write, FD),
	W(writev, FD),
	W(pwrite64, FD),
	W(pwritev, FD),
	W(pwritev2, FD),
	W(splice, FD),
	W(tee, FD),
	W(vmsplice, FD),
	W(ioctl, FD),
	W(sendfile, FD), /* first argument: where it goes */
	W(copy_file_range, FD),
	W(fsync, DISK),
	W(fdatasync, DISK),
	W(sync, DISK),
	W(syncfs, DISK),
	W(sync_file_range, DISK),
	W(msync, DISK),
	W(getdents64, DISK),
	W(fallocate, DISK),
	W(ftruncate, DISK),
	W(truncate, DISK),
	W(ppoll, POLL),
	W(pselect6, SELECT),
	W(epoll_pwait, IDLE),
#ifdef SYS_epoll_pwait2
	W(epoll_pwait2, IDLE),
#endif
	W(wait4, CHILD),
	W(waitid, CHILD),
	W(clone, CHILD), /* vfork: the parent waits until the child execs */
	W(clone3, CHILD),
	W(msgrcv, IPC),
	W(msgsnd, IPC),
	W(semop, IPC),
	W(semtimedop, IPC),
	W(mq_timedreceive, IPC),
	W(mq_timedsend, IPC),
	W(io_uring_enter, IO_URING),
	W(io_getevents, DISK),
	W(ptrace, CHILD),
	W(restart_syscall,
	  SLEEP), /* what is restarted after a stop is a sleep, a futex or a poll; most often a sleep */
#ifdef SYS_open
	W(pause, SLEEP),
	W(poll, POLL),
	W(select, SELECT),
	W(epoll_wait, IDLE),
	W(vfork, CHILD),
	W(fork, CHILD),
#endif
#undef W
};

void waits__fill(uint8_t classes[WAIT_CLASSES])
{
	memset(classes, WAIT_OTHER, WAIT_CLASSES);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		if (waits[i].number < WAIT_CLASSES)
			classes[waits[i].number] = waits[i].class;
}

static const struct {
	const char *word;
	char letter;
} states[STATE_COUNT] = {
#define X(name, word, letter) {word, letter},
	STATES(X)
#undef X
};

const char *state__word(unsigned state)
{
	return states[state < STATE_COUNT ? state : STATE_UNKNOWN].word;
}

char state__letter(unsigned state)
{
	return states[state < STATE_COUNT ? state : STATE_UNKNOWN].letter;
}
