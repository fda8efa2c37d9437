/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What depends on the CPU: x86-64. */
#ifndef VMLINUX_X86_H
#define VMLINUX_X86_H

#include "base.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs,
		sp; /* cs: 16 bits since 65c9cc9e2c14 (6.9) */
};

struct thread_info {
	u32 status;
};

struct task_struct___x86 {
	struct thread_info thread_info;
};

#pragma clang attribute pop

/* As the context of a perf event shows them (arch/x86/include/uapi/asm/ptrace.h): an interface, not
 * relocated. */
struct sampled_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs,
		flags, sp, ss;
};
struct bpf_perf_event_data {
	struct sampled_regs regs;
};
#define SAMPLED_IN_USER(regs) (((regs)->cs & 3) == 3)
#define SAMPLED_COMPAT(regs)  (((regs)->cs & 0xffff) == 0x23)

/* By DWARF number, from either kind. GET is how its fields are read. */
#define REGS_OTHERS(to, regs, GET)                                                               \
	({                                                                                       \
		(to)[0] = GET(regs, ax), (to)[1] = GET(regs, dx), (to)[2] = GET(regs, cx),       \
		(to)[3] = GET(regs, bx), (to)[4] = GET(regs, si), (to)[5] = GET(regs, di),       \
		(to)[8] = GET(regs, r8), (to)[9] = GET(regs, r9), (to)[10] = GET(regs, r10),     \
		(to)[11] = GET(regs, r11), (to)[12] = GET(regs, r12), (to)[13] = GET(regs, r13), \
		(to)[14] = GET(regs, r14), (to)[15] = GET(regs, r15);                            \
	})
/* What a walk may want of a system call's: by rbx the dynamic linker finds its frames. */
#define REGS_KEPT(to, regs, GET) ((to)[3] = GET(regs, bx))
#define REGS_LINK(regs, GET)	 0

#define REGS_IP	     ip
#define REGS_SP	     sp
#define REGS_FP	     bp
#define REGS_SYSCALL orig_ax
#define REGS_ARG1    di
#define REGS_ARG2    si
#define REGS_ARG3    dx
/* Entry by exception: error_entry stores -1 over the error code (arch/x86/entry/entry_64.S). */
#define REGS_IN_EXCEPTION(syscall_number) ((long)(syscall_number) == -1)
/* Not in a system call: interrupts store a negative number, too. */
#define REGS_INTERRUPTED(syscall_number) ((long)(syscall_number) < 0)
/* System calls whose caller keeps its return address in a register: vfork, lest the child overwrites it. */
#define REGS_HOLD_RETURN(syscall_number) ((syscall_number) == 58)
/* 32-bit code, with system call numbers of its own: __USER32_CS. */
#define REGS_COMPAT(regs) ((READ(regs, cs) & 0xffff) == 0x23)
/* In a 32-bit system call, which 64-bit code may make, too: TS_COMPAT. */
#define TASK_IN_COMPAT_CALL(task)                                    \
	({                                                           \
		struct task_struct___x86 *task_x86 = (void *)(task); \
		(READ(task_x86, thread_info.status) & 2) != 0;       \
	})
#define X32_CALL	   0x40000000 /* the kernel's __X32_SYSCALL_BIT */
#define KERNEL_STACK_BYTES 16384

#endif
