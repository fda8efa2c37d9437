/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every known-truth workload shares.
 *
 * Protocol: a workload prints "ready PID", starts its work when it reads a line from standard input (at once
 * with
 * --now), prints its own measurements as "key value" lines and ends by itself; an alarm ends it after ten
 * minutes in any case. Times are nanoseconds, clocks are named in the keys or are CLOCK_MONOTONIC.
 *
 * Blocking calls are made by work__syscall(), inlined, so that the blocked stack's top is the named function:
 * libc keeps no frame pointers, and a walk through it would skip the very function the truth is about.
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MS  1000000ULL
#define WORK_FN	     __attribute__((noinline, noclone))
#define work__inline static inline __attribute__((always_inline))

#if defined(__x86_64__)
work__inline long work__syscall(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = 0;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
work__inline long work__syscall(long nr, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = 0;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
#endif

work__inline uint64_t work__clock_ns(clockid_t clock)
{
	struct timespec now = {0};

	work__syscall(SYS_clock_gettime, clock, (long)&now, 0, 0);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* Burn CPU in the calling function itself until the clock says so; about 20 us of work per look at the clock.
 */
work__inline void work__burn_until(clockid_t clock, uint64_t end_ns)
{
	while (work__clock_ns(clock) < end_ns)
		for (volatile int i = 0; i < 10000; i++)
			;
}

/* Sleep once, whole; the kernel restarts nothing here, so one call is one block. */
work__inline void work__sleep_ns(uint64_t ns)
{
	struct timespec t = {ns / NSEC_PER_SEC, ns % NSEC_PER_SEC};

	work__syscall(SYS_nanosleep, (long)&t, 0, 0, 0);
}

static inline void work__fail(const char *what)
{
	fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
	exit(1);
}

struct work__switches {
	long voluntary, involuntary;
};

/*
 * How often the calling thread has left its CPU so far: blocked, and preempted. Without stdio: memory that it
 * takes or gives back contends for the address space, and the waits for that would count.
 */
static inline struct work__switches work__switches(void)
{
	struct work__switches s = {-1, -1};
	char text[4096], *found;
	int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	text[len < 0 ? 0 : len] = 0;
	found = strstr(text, "\nvoluntary_ctxt_switches:");
	if (!found || sscanf(found, " voluntary_ctxt_switches: %ld nonvoluntary_ctxt_switches: %ld",
			     &s.voluntary, &s.involuntary) != 2)
		work__fail("/proc/thread-self/status");
	return s;
}

/* How long the calling thread has waited for a CPU so far; 0 where the kernel does not tell. */
static inline uint64_t work__run_delay_ns(void)
{
	unsigned long long ran, waited = 0;
	char text[128];
	int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	text[len < 0 ? 0 : len] = 0;
	return sscanf(text, "%llu %llu", &ran, &waited) == 2 ? waited : 0;
}

/* A non-negative number, or the end. */
static inline long work__number(const char *text)
{
	char *end = NULL;
	long n = text ? strtol(text, &end, 10) : -1;

	if (!text || end == text || *end || n < 0) {
		fprintf(stderr, "workload: not a number: '%s'\n", text ? text : "(missing)");
		exit(2);
	}
	return n;
}

/* Takes the flag out of argv and says whether it was there. */
static inline bool work__flag(int *argc, char **argv, const char *flag)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], flag) != 0)
			continue;
		memmove(&argv[i], &argv[i + 1], (*argc - i) * sizeof(*argv));
		(*argc)--;
		return true;
	}
	return false;
}

/* Takes "flag VALUE" out of argv and returns the value, NULL if it was not given. */
static inline char *work__option(int *argc, char **argv, const char *flag)
{
	for (int i = 1; i + 1 < *argc; i++) {
		char *value = argv[i + 1];

		if (strcmp(argv[i], flag) != 0)
			continue;
		memmove(&argv[i], &argv[i + 2], (*argc - i - 1) * sizeof(*argv));
		*argc -= 2;
		return value;
	}
	return NULL;
}

/* Says that everything stands, and waits for the word to go. */
static inline void work__ready(bool now)
{
	char line[64];

	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(600);
	printf("ready %d\n", (int)getpid());
	if (!now && !fgets(line, sizeof(line), stdin)) {
		fprintf(stderr, "workload: standard input ended before the word to go\n");
		exit(1);
	}
}
#endif
