/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What depends on the CPU: x86-64. */
#ifndef VMLINUX_X86_H
#define VMLINUX_X86_H

#include "base.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	unsigned long bp, si, di, orig_ax, ip, cs, sp; /* cs: 16 bits since 65c9cc9e2c14 (6.9) */
};

#pragma clang attribute pop

#define REGS_IP	     ip
#define REGS_SP	     sp
#define REGS_FP	     bp
#define REGS_SYSCALL orig_ax
#define REGS_ARG1    di
#define REGS_ARG2    si
/* Entry by exception: error_entry stores -1 over the error code (arch/x86/entry/entry_64.S). */
#define REGS_IN_EXCEPTION(syscall_number) ((long)(syscall_number) == -1)
/* 32-bit code, with system call numbers of its own: __USER32_CS. */
#define REGS_COMPAT(regs)  ((READ(regs, cs) & 0xffff) == 0x23)
#define KERNEL_STACK_BYTES 16384

#endif
