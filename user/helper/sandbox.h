/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walls around the helper, put up by itself before it sees the first foreign byte: no capabilities and no
 * way to get any, nobody's memory but its own, no files but those it is handed, no system calls but the few
 * that parsing takes.
 */
#ifndef SONDE_HELPER_SANDBOX_H
#define SONDE_HELPER_SANDBOX_H

#include <stddef.h>

/*
 * For a process that was just forked and goes on as the helper. *socket is moved to a number of its own
 * choice; every other descriptor is closed. 0 or -errno: one of the walls that count does not stand
 * (capabilities, the way back to them, the filter). What is only a second line (an empty root, limits) may
 * fail.
 */
int sandbox__enter(int *socket, size_t memory_bytes);

/*
 * The system calls that are left:
 * - read, pread64, lseek, fstat, newfstatat (so glibc asks for fstat), fcntl (F_GETFD, F_GETFL: libelf's
 * check), close, write; sendmsg, recvmsg, poll, ppoll;
 * - brk, munmap, mremap, mmap of anonymous private memory that is not executable;
 * - futex, rt_sigreturn, restart_syscall, exit_group.
 * Opening and looking for files (open, openat, readlink, readlinkat, access, faccessat) is answered by
 * EACCES, because libdw tries it on its own for parts of debug information that lie elsewhere. Whatever else
 * is called ends the process.
 */
int sandbox__filter(void);

#endif
