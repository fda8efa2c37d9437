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

#pragma clang attribute pop

#define REGS_IP	     pc
#define REGS_SP	     sp
#define REGS_FP	     regs[29]
#define REGS_SYSCALL syscallno
#define REGS_ARG1    orig_x0
#define REGS_ARG2    regs[1]
/* Entry by exception: syscallno is NO_SYSCALL (arch/arm64/include/asm/ptrace.h). */
#define REGS_IN_EXCEPTION(syscall_number) ((int)(syscall_number) == -1)
/* 32-bit code, with system call numbers of its own: PSR_MODE32_BIT. */
#define REGS_COMPAT(regs)  ((READ(regs, pstate) & 0x10) != 0)
#define KERNEL_STACK_BYTES 16384

#endif
