/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What both sides of the probe of system calls know. */
#ifndef SONDE_SYSCALLS_H
#define SONDE_SYSCALLS_H

#include "sonde/abi.h"

/* A call: its number, and whose numbers they are. */
#define CALL_NUMBERS 512      /* there are fewer */
#define CALL_NUMBER  0xffffU  /* the mask */
#define CALL_INVALID 0xffffU  /* a number that no kernel has: they are counted together */
#define CALL_COMPAT  0x10000U /* of a 32-bit program */
#define CALL_X32     0x20000U /* of an x32 program: the native numbers, mostly */

/* What is known of a call by its number: one byte each. */
#define CALL_WANTED	   1
#define CALL_NEVER_RETURNS 2 /* exit, exit_group */
#define CALL_NO_RESULT	   4 /* rt_sigreturn: what it returns is the interrupted code's */
#define CALL_FORKS	   8 /* a child's first way back to user space looks like its return, too */
#define CALL_FIRST_IS_FD   16

/* Kinds of cells. a, b: whose, by enum key_by; tgid: the call. */
enum call_cell {
	CALL_CELL_TIMED = 1, /* slot: of its duration */
	CALL_CELL_UNTIMED,   /* state: enum call_untimed. ns: nothing */
	CALL_CELL_ERROR,     /* slot: the error number */
	CALL_CELL_STACK,     /* a: the stack's hash, b: unused. slot: of its duration */
};

/* Why a call has no duration. All but the open ones have ended in this interval. */
#define CALL_UNTIMED(X)                                                                        \
	X(OPEN, "open")			  /* at the interval's end; user space counts them */  \
	X(BEFORE, "began before")	  /* the measurement of its thread */                  \
	X(NEVER_RETURNS, "never returns") /* counted at its begin */                           \
	X(NO_BEGIN, "no begin")		  /* refused before it began (seccomp), or not seen */ \
	X(NO_END, "no end")		  /* its thread's next call has begun */

enum call_untimed {
#define X(name, word) UNTIMED_##name,
	CALL_UNTIMED(X)
#undef X
};

/* A slow call: event_record.value */
enum call_value {
	CALL_VALUE_CALL,
	CALL_VALUE_RESULT,
	CALL_VALUE_FD,	 /* + 1; 0: it takes none */
	CALL_VALUE_MODE, /* of the file behind it (S_IFMT, or 0 for an anonymous one); 0 if it is closed */
};

#define CALL_OWN 4

struct syscalls_config {
	__u64 slow_ns;	 /* calls of this length or more are told one by one; 0: none */
	__u64 stacks_ns; /* stacks are taken of calls of this length or more */
	__u64 canary;	 /* first argument of the calls that the canary makes, before anything is counted */
	/* Few processes (threads) that alone can be the target, by number in the initial PID namespace: who
	 * is none of them is not asked for. */
	__u32 own_count, own[CALL_OWN];
	__u8 own_are_threads;
	__u8 filtered; /* not all calls are wanted */
	__u8 guard;    /* this kernel runs the programs preemptibly: disable that */
	__u8 reserved;
	__u8 native[CALL_NUMBERS], compat[CALL_NUMBERS]; /* CALL_WANTED ... */
};

/* From the iterator: a call that is open. */
struct open_call {
	__u64 a, b;	/* whose, by enum key_by */
	__u64 since_ns; /* 0: before the measurement */
	__u32 call, reserved;
};

#endif
