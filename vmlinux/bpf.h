/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Contexts of our programs, and the helper numbers that we ask the kernel about. */
#ifndef VMLINUX_BPF_H
#define VMLINUX_BPF_H

#include "base.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

enum bpf_func_id {
	BPF_FUNC_task_pt_regs = 175, /* dd6e10fbd9fb (5.15) */
	BPF_FUNC_loop = 181,	     /* e6f2dd0f8067 (5.17) */
};

#endif
