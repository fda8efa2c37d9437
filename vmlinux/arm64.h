/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What depends on the CPU: arm64. */
#ifndef VMLINUX_ARM64_H
#define VMLINUX_ARM64_H

#include "base.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	u64 regs[31];
	u64 sp, pc, pstate, orig_x0;
	s32 syscallno;
};

struct thread_info {
	unsigned long flags;
};

struct task_struct___arm64 {
	struct thread_info thread_info;
};

#pragma clang attribute pop

/* As the context of a perf event shows them (arch/arm64/include/uapi/asm/ptrace.h): an interface, not
 * relocated. */
struct sampled_regs {
	u64 regs[31];
	u64 sp, pc, pstate;
};
struct bpf_perf_event_data {
	struct sampled_regs regs;
};
#define SAMPLED_IN_USER(r) (((r)->pstate & 15) == 0)
#define SAMPLED_COMPAT(r)  (((r)->pstate & 0x10) != 0)

/* No rule needs another than frame pointer, stack pointer and link register. */
#define REGS_OTHERS(to, r, GET) ((void)0)
#define REGS_KEPT(to, r, GET)	((void)0)
#define REGS_LINK(r, GET)	GET(r, regs[30])

#define REGS_IP	     pc
#define REGS_SP	     sp
#define REGS_FP	     regs[29]
#define REGS_SYSCALL syscallno
#define REGS_ARG1    orig_x0
#define REGS_ARG2    regs[1]
#define REGS_ARG3    regs[2]
/* Entry by exception: syscallno is NO_SYSCALL (arch/arm64/include/asm/ptrace.h). */
#define REGS_IN_EXCEPTION(syscall_number) ((int)(syscall_number) == -1)
/* Not in a system call: interrupts store -1, too. */
#define REGS_INTERRUPTED(syscall_number) ((int)(syscall_number) < 0)
#define REGS_HOLD_RETURN(syscall_number) 0
/* 32-bit code, with system call numbers of its own: PSR_MODE32_BIT. */
#define REGS_COMPAT(regs) ((READ(regs, pstate) & 0x10) != 0)
/* TIF_32BIT (arch/arm64/include/asm/thread_info.h) */
#define TASK_IN_COMPAT_CALL(task)                                        \
	({                                                               \
		struct task_struct___arm64 *task_arm64 = (void *)(task); \
		(READ(task_arm64, thread_info.flags) >> 22 & 1) != 0;    \
	})
#define X32_CALL	   0 /* there is no such */
#define KERNEL_STACK_BYTES 16384

#endif
