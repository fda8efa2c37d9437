/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Memory control groups and the page cache: the fields that our programs read, and no others. */
#ifndef VMLINUX_MM_H
#define VMLINUX_MM_H

#include "base.h"
#include "cgroup.h"
#include "sched.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct page_counter {
	unsigned long max; /* pages; PAGE_COUNTER_MAX: no limit */
};

struct mem_cgroup {
	struct cgroup_subsys_state css; /* first */
	struct page_counter memory;
};

struct inode___size {
	s64 i_size;
};

struct address_space {
	struct inode___size *host;
};

/* Since 7b230db3b8d3 (5.16); until then the hooks hand over a struct page. */
struct folio {
	unsigned long flags; /* 5.16 to 6.17 */
	unsigned long
		_flags_1; /* since 379708ffde1b (6.6): its lowest byte is the order; since 5.16 it is there */
	unsigned char _folio_order; /* 6.1 to 6.5 */
};

struct folio___wrapped { /* since 53fbef56e07d (6.18) */
	struct {
		unsigned long f;
	} flags;
};

#pragma clang attribute pop

enum pageflags {
	PG_head = 6,
};

enum cgroup_subsys_id {
	memory_cgrp_id = 4,
};

/* include/linux/gfp_types.h */
#define GFP_MOVABLE 0x08
#define GFP_ZERO    0x100

#endif
