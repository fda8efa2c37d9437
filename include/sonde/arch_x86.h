/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What unwinding knows of the CPU: x86-64. */
#ifndef SONDE_ARCH_X86_H
#define SONDE_ARCH_X86_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define UNWIND_DWARF_SP	 7
#define UNWIND_DWARF_FP	 6
#define UNWIND_DWARF_RBX 3

/* Calls push the return address. */
#define UNWIND_HAS_LINK	       0
#define UNWIND_RETURN_AT(cfa)  ((cfa)-8) /* what the kernel calls the `stack` of a uretprobe */
#define UNWIND_ADDRESS_BITS    47
#define UNWIND_BREAKPOINT_SIZE 1 /* int3: the instruction pointer is behind it */
#define UNWIND_LAZY_BYTES      0

/* The frame that a signal's return works on: what the stack pointer shows is a struct ucontext, whose
 * registers begin 40 bytes in (arch/x86/include/uapi/asm/sigcontext.h). Of these from rbp to rip. */
#define UNWIND_SIGNAL_OFFSET (40 + 10 * 8)
#define UNWIND_SIGNAL_WORDS  7
#define UNWIND_SIGNAL_FP     0
#define UNWIND_SIGNAL_RBX    1
#define UNWIND_SIGNAL_SP     5
#define UNWIND_SIGNAL_IP     6

/* A code address as it is read from the stack. */
static inline __attribute__((always_inline)) __u64 unwind__address(__u64 value)
{
	return value;
}

/* mov $15, %rax; syscall: what handlers return to, whether or not a table says so. */
#define UNWIND_SIGRETURN 0x0f0000000fc0c748ULL

/* Whether the eight bytes before a return address end with a call: E8 rel32, or FF /2 with 0, 1 or 4 bytes of
 * displacement, with or without a SIB byte. */
static inline __attribute__((always_inline)) int unwind__ends_with_call(__u64 code)
{
	if ((code >> 24 & 0xff) == 0xe8)
		return 1;
	/* opcode and ModRM of each length: the register field holds the /2 */
	return (code >> 48 & 0x38ff) == 0x10ff || (code >> 40 & 0x38ff) == 0x10ff ||
	       (code >> 32 & 0x38ff) == 0x10ff || (code >> 16 & 0x38ff) == 0x10ff ||
	       (code >> 8 & 0x38ff) == 0x10ff;
}

#endif
