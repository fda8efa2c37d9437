/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What unwinding knows of the CPU: arm64. */
#ifndef SONDE_ARCH_ARM64_H
#define SONDE_ARCH_ARM64_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define UNWIND_DWARF_SP	 31
#define UNWIND_DWARF_FP	 29
#define UNWIND_DWARF_RBX 3 /* x86's: no rule names x3 */

/* Calls leave the return address in x30, signed or not: the signature stands above the address bits. */
#define UNWIND_HAS_LINK	       1
#define UNWIND_RETURN_AT(cfa)  (cfa)
#define UNWIND_BREAKPOINT_SIZE 0  /* brk: the instruction pointer stays */
#define UNWIND_LAZY_BYTES      16 /* what the PLT's first entry pushes: x16, x30 */

/*
 * User addresses have as many bits as the kernel was built for: 39, 42, 47, 48; where it is 52, more than 48
 * only for who asks for them. The first stack lies at their top: user space sees it by its own.
 */
#ifdef __bpf__
extern const volatile __u32 unwind_address_bits;
#define UNWIND_ADDRESS_BITS unwind_address_bits
#else
#define UNWIND_ADDRESS_BITS (64 - __builtin_clzl((unsigned long)__builtin_frame_address(0)))
#endif

/* The frame that a signal's return works on: 128 bytes of siginfo, then a struct ucontext, whose registers
 * x0..x30, sp, pc begin 184 bytes in (arch/arm64/include/uapi/asm/sigcontext.h, 16-aligned). From x29 to pc.
 */
#define UNWIND_SIGNAL_OFFSET (128 + 176 + 8 + 29 * 8)
#define UNWIND_SIGNAL_WORDS  4
#define UNWIND_SIGNAL_FP     0
#define UNWIND_SIGNAL_LINK   1
#define UNWIND_SIGNAL_SP     2
#define UNWIND_SIGNAL_IP     3

/* A code address as it is read from the stack: without its signature. */
static inline __attribute__((always_inline)) __u64 unwind__address(__u64 value)
{
	return value & ((1ULL << UNWIND_ADDRESS_BITS) - 1);
}

/* mov x8, #139; svc #0 */
#define UNWIND_SIGRETURN 0xd4000001d2801168ULL

/* bl, blr, blraa and its kin */
static inline __attribute__((always_inline)) int unwind__ends_with_call(__u64 code)
{
	__u32 instruction = code >> 32;

	return instruction >> 26 == 0x25 || (instruction & 0xfffffc1f) == 0xd63f0000 ||
	       (instruction & 0xfefff800) == 0xd63f0800;
}

#endif
