/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The registers with which a thread entered the kernel. */
#ifndef SONDE_REGISTERS_BPF_H
#define SONDE_REGISTERS_BPF_H

#include "common.bpf.h"

#define SAMPLED(regs, field) ((regs)->field) /* of struct sampled_regs */

/* How user memory of the thread in question can be read: it is current, the program may sleep, or not at all.
 */
enum user_access { USER_CURRENT, USER_REMOTE, USER_NONE };

struct registers {
	u64 ip, sp, fp;
	s64 syscall;
	u64 arg1, arg2;
	bool compat;
};

/* Where they lie: the helper takes trusted pointers only, so the raw variant asks for the current task by
 * itself. Before the helper came, they lay at the very top of the kernel stack. */
inline_always struct pt_regs *registers__at(struct task_struct *task, enum user_access access)
{
#ifdef RAW_TP
	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (void *)READ(task, stack) + KERNEL_STACK_BYTES - bpf_core_type_size(struct pt_regs);
	if (access == USER_CURRENT)
		task = bpf_get_current_task_btf();
#endif
	return (struct pt_regs *)bpf_task_pt_regs(task);
}

/* The registers with which the thread entered the kernel. False for kernel threads. */
inline_always bool registers__of(struct task_struct *task, struct registers *r, enum user_access access)
{
	struct pt_regs *regs;

	if (READ(task, flags) & PF_KTHREAD)
		return false;
	regs = registers__at(task, access);
	r->ip = READ(regs, REGS_IP);
	r->sp = READ(regs, REGS_SP);
	r->fp = READ(regs, REGS_FP);
	r->syscall = (s64)READ(regs, REGS_SYSCALL);
	r->arg1 = READ(regs, REGS_ARG1);
	r->arg2 = READ(regs, REGS_ARG2);
	r->compat = REGS_COMPAT(regs);
	return true;
}

inline_always long user__read(void *to, u32 size, u64 from, struct task_struct *task, enum user_access access)
{
	if (access == USER_CURRENT)
		return bpf_probe_read_user(to, size, (void *)from);
	if (access == USER_REMOTE)
		return bpf_copy_from_user_task(to, size, (void *)from, task, 0);
	return -1;
}

#endif
