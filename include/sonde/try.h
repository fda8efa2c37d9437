/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the trial programs of bpf/try.bpf.c and `sonde check` tell each other: the whole of their .bss. */
#ifndef SONDE_TRY_H
#define SONDE_TRY_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define TRY_MAGIC 0x736f6e6465747279ULL
#define TRY_STEPS 4 /* of the loops on trial */

struct trial {
	/* in: whose events count. A process is known by its number in the PID namespace that
	 * /proc/self/ns/pid shows. */
	__u64 namespace_device, namespace_inode, pid;
	__u64 address; /* of eight bytes in that process that hold TRY_MAGIC */
	/* out */
	__u64 fired; /* times that the thing to try worked */
	__u64 value; /* what it found; its meaning depends on the program */
};

#endif
