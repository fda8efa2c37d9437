// SPDX-License-Identifier: Apache-2.0
#include "helper/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "object/lines.h"
#include "object/maps.h"

#if defined(__SANITIZE_ADDRESS__)
#define has_sanitizer true /* its shadow is larger than any memory */
#else
#define has_sanitizer false
#endif

#define SOCKET_FD   3
#define FDS_MAX	    256
#define SHARED_MAX  4096 /* mappings */
#define LARGE_BYTES (128 << 10)
#define SORTED_MANY 4096 /* bytes: more than qsort() takes from the stack */

/* --- descriptors and memory */

/* The standard streams lead nowhere; what is 3 is the socket; nothing else is left. */
static int keep_only(int *socket)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(*socket, SOCKET_FD) < 0)
		return -errno;
	for (int fd = 0; fd < SOCKET_FD; fd++)
		if (dup2(null, fd) < 0)
			return -errno;
	*socket = SOCKET_FD;
	if (!syscall(SYS_close_range, SOCKET_FD + 1, ~0U, 0))
		return 0;
	for (int fd = SOCKET_FD + 1; fd < (int)sysconf(_SC_OPEN_MAX); fd++)
		close(fd);
	return 0;
}

/* Memory that is shared with others: a helper that is started anew inherits the maps of BPF programs.
 * Collected first: the list is read through memory, too. */
static int drop_shared_memory(void)
{
	struct {
		uint64_t start, end;
	} *shared = calloc(SHARED_MAX, sizeof(*shared));
	size_t n = 0, len;
	struct map_line m;
	struct lines r;
	const char *line;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), err = shared ? 0 : -ENOMEM;

	if (!err && (fd < 0 || lines__open(&r, fd, MAPS_BYTES_MAX)))
		err = -ENOENT;
	if (!err) {
		while (n < SHARED_MAX && (line = lines__next(&r, &len)))
			if (maps__parse_line(line, &m) && m.shared) {
				shared[n].start = m.start;
				shared[n++].end = m.end;
			}
		lines__close(&r);
	}
	for (size_t i = 0; i < n && !err; i++)
		if (munmap((void *)(uintptr_t)shared[i].start, shared[i].end - shared[i].start))
			err = -errno;
	if (fd >= 0)
		close(fd);
	free(shared);
	return err;
}

/* --- privileges */

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {0};

	/* The bounding set and groups need a capability to be dropped: who has none has nothing to lose. */
	for (int cap = 0; cap < 64; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	setgroups(0, NULL);
	if (syscall(SYS_capset, &header, none) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return 0;
}

/* A directory in which nothing can be found: paths, should any be looked at, end there. */
static void leave_root(void)
{
	if (!chroot("/proc/self/fdinfo"))
		(void)!chdir("/");
}

static void limit(int which, rlim_t value)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)which, &now))
		return;
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value)
		value = now.rlim_max;
	now.rlim_cur = now.rlim_max = value;
	setrlimit((__rlimit_resource_t)which, &now);
}

/* Beyond what it has now: a helper that is started late begins as large as sonde is then. */
static void limit_memory(size_t bytes)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f) {
		if (fscanf(f, "%llu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	if (pages && bytes < RLIM_INFINITY / 2 && !has_sanitizer)
		limit(RLIMIT_AS, pages * (rlim_t)sysconf(_SC_PAGESIZE) + bytes);
}

static void limit_all(size_t memory_bytes)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NOFILE, FDS_MAX);
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_MEMLOCK, 0);
	limit_memory(memory_bytes);
}

/* --- the filter */

static const int plain[] = {
	SCMP_SYS(read),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(clock_gettime), /* where the vdso cannot read the clock by itself */
	SCMP_SYS(futex),
	SCMP_SYS(close),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit_group),
#if defined(__SANITIZE_ADDRESS__)
	/* what the sanitizers' own allocator takes, in tests only */
	SCMP_SYS(madvise),
	SCMP_SYS(sched_yield),
	SCMP_SYS(mprotect),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(sigaltstack),
#endif
};

static const int refused[] = {SCMP_SYS(open),	    SCMP_SYS(openat), SCMP_SYS(readlink),
			      SCMP_SYS(readlinkat), SCMP_SYS(access), SCMP_SYS(faccessat)};

/* mmap(address, length, protection, flags, ...): flags say private and anonymous, the protection not
 * executable. */
static int allow_memory(scmp_filter_ctx filter)
{
	const unsigned kind = MAP_ANONYMOUS | MAP_TYPE;

	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
				SCMP_A3(SCMP_CMP_MASKED_EQ, kind, MAP_ANONYMOUS | MAP_PRIVATE));
}

static int allow_fcntl(scmp_filter_ctx filter)
{
	int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETFD));

	return err ? err
		   : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				      SCMP_A1(SCMP_CMP_EQ, F_GETFL));
}

int sandbox__filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, plain[i], 0);
	/* Some do not exist on newer CPUs: libseccomp passes over those. */
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), refused[i], 0);
	if (!err)
		err = allow_memory(filter);
	if (!err)
		err = allow_fcntl(filter);
	if (!err)
		err = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	return err;
}

/* --- all of it */

static int compare(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

/* What the C library looks up at its first use: qsort() asks how much memory the machine has. */
static void warm_up(void)
{
	char *bytes = calloc(SORTED_MANY, 1);

	if (bytes)
		qsort(bytes, SORTED_MANY, 1, compare);
	free(bytes);
#ifdef __GLIBC__
	/* Set, it does not grow with what was freed: large pieces go back at once. */
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
#endif
}

/* A terminal's signals mean sonde, at whose end the socket closes. */
static void ignore_signals(void)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGTSTP};
	sigset_t none;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	/* These end it; who started sonde may have had them ignored. */
	signal(SIGXCPU, SIG_DFL);
	signal(SIGSYS, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int sandbox__enter(int *socket, size_t memory_bytes)
{
	int err;

	prctl(PR_SET_NAME, "sonde-helper", 0, 0, 0);
	ignore_signals();
	warm_up();
	err = keep_only(socket);
	if (!err)
		err = drop_shared_memory();
	if (err)
		return err;
	leave_root();
	limit_all(memory_bytes);
	err = drop_capabilities();
	if (err)
		return err;
	/* Forbids others of the same user to look in, and ends with sonde even if the socket stays open. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return sandbox__filter();
}
