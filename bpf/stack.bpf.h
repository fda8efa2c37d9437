/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stack capture: kernel frames by the kernel's walker, user frames by unwind tables, or else by frame
 * pointers. */
#ifndef SONDE_STACK_BPF_H
#define SONDE_STACK_BPF_H

#include "snapshot.bpf.h"

/* How many of the kernel frames belong to an interrupt: those above its entry; `count` if there is none. */
GLOBAL int stack__irq_frames(u32 which, u32 count)
{
	struct stack_place *p = place__get(which);

	for (u32 i = 0; p && i < STACK_DEPTH; i++) {
		u64 address;

		if (i >= count)
			break;
		address = p->scratch.record.frames[i];
		if (address >= stack_irq_text[0] && address < stack_irq_text[1])
			return i;
	}
	return count;
}

/* Whether the registers with which it entered the kernel belong to its memory. During exec the old program's
 * are still there, but its stack is gone (the kernel's load_elf_binary() places the code last); at the exit
 * all memory goes. */
inline_always bool has_user_stack(struct task_struct *task)
{
	struct mm_struct *mm = READ(task__cast(task), mm);

	return mm && READ(mm, start_code);
}

/* The context is the user's registers at a function's first instruction. */
const volatile bool stack_at_entry;

/* There the function's frame does not stand yet, and the chain of frame pointers leads past its caller. */
inline_always u64 stack__missed_caller(const struct sampled_regs *regs, const struct stack_record *r,
				       u32 count)
{
	u64 caller = REGS_LINK(regs, SAMPLED);

	if (SAMPLED_COMPAT(regs) ||
	    (!caller && bpf_probe_read_user(&caller, sizeof(caller), (void *)regs->REGS_SP)))
		return 0;
	return caller == r->frames[count + 1] ? 0 : caller; /* newer kernels look for it in some functions */
}

/* The kernel's own walk over frame pointers, behind the `count` kernel frames. */
inline_always void stack__by_kernel(void *ctx, struct stack_record *r, u32 count)
{
	long bytes = bpf_get_stack(ctx, r->frames + count, FRAMES_BYTES, BPF_F_USER_STACK);
	u64 caller = stack_at_entry && bytes > 0 ? stack__missed_caller(ctx, r, count) : 0;

	if (caller) { /* below the first frame, which is written twice, and then once over */
		bytes = bpf_get_stack(ctx, r->frames + count + 1, FRAMES_BYTES - sizeof(u64),
				      BPF_F_USER_STACK);
		r->frames[count + 1] = caller;
		bytes += bytes > 0 ? sizeof(u64) : 0;
	}
	if (bytes <= 0 || bytes > (long)FRAMES_BYTES) {
		r->end = STACK_FAULT;
		return;
	}
	r->user_frames = bytes / sizeof(u64);
	if (bytes == (long)FRAMES_BYTES)
		r->end = STACK_DEPTH_LIMIT;
}

/* Kernel frames, and whose stack it is. Their number. */
inline_always u32 stack__kernel_part(void *ctx, u32 which, struct stack_place *p, struct task_struct *task,
				     bool may_be_irq)
{
	struct stack_record *r = &p->scratch.record;
	u32 count = 0, own, flags = 0;
	long bytes;

	r->end = STACK_COMPLETE;
	if (stack_kernel || may_be_irq) {
		bytes = bpf_get_stack(ctx, r->frames, FRAMES_BYTES, 0);
		if (bytes > 0 && bytes <= (long)FRAMES_BYTES)
			count = bytes / sizeof(u64);
	}
	if (may_be_irq && stack_irq_text[1]) {
		own = stack__irq_frames(which, count);
		flags = own < count ? STACK_FLAG_IRQ : 0;
		count = own;
	}
	if (!stack_kernel)
		count = 0;
	stack__owner(p, task, pids__of(task), flags);
	opaque(count);
	count &= 127;
	r->kernel_frames = count;
	r->user_frames = 0;
	return count;
}

/*
 * Captures the current task's stack, in the place `which`. `ctx` is the program's context; `may_be_irq`: an
 * interrupt may have come in between, and then only its own frames count; `sampled`: the registers at which
 * it was interrupted in user space, or NULL: those with which it entered the kernel. Returns the hash, never
 * 0; `*published` tells whether its frames are known to user space.
 */
inline_always u64 stack__capture(void *ctx, u32 which, struct task_struct *task, bool may_be_irq,
				 const struct sampled_regs *sampled, struct loss *l, u64 last_known,
				 bool *published)
{
	struct stack_place *p = place__get(which);
	enum stack_how how = STACK_BY_KERNEL;
	struct stack_record *r;
	u32 count;

	*published = false;
	if (!p)
		return 0;
	r = &p->scratch.record;
	count = stack__kernel_part(ctx, which, p, task, may_be_irq);
	if (stack_user && !(r->flags & STACK_NO_USER) && has_user_stack(task)) {
		how = stack__by_table(which, p, task, sampled, count);

		if (how == STACK_BY_SNAPSHOT) {
			*published = true;
			return r->hash;
		}
		if (how == STACK_BY_KERNEL) {
			r->end = UNWIND_MISSING;
			stack__by_kernel(ctx, r, count);
		}
	}
	stack__hash_frames(which, how == STACK_BY_TABLE ? count : count + r->user_frames);
	*published = r->hash == last_known || stack__publish(p, task, l);
	stack__compare(which, how);
	return r->hash;
}

#endif
