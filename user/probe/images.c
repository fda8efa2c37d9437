// SPDX-License-Identifier: Apache-2.0
/* The compiled BPF objects, inside the binary. */
#include <stddef.h>

#include "probe/loader.h"

#define IMAGE(name)                                                                                       \
	__asm__(".pushsection .rodata\n.balign 8\nimage_" #name ":\n.incbin \"" SONDE_BUILD "/bpf/" #name \
		".bpf.o\"\nimage_" #name "_end:\n.byte 0\n.popsection\n");                                \
	extern const char image_##name[], image_##name##_end[];

IMAGE(sched)
IMAGE(sched_raw)
IMAGE(sched_plain)
IMAGE(cpu)
IMAGE(cpu_raw)
IMAGE(cpu_plain)
IMAGE(uprobe)
IMAGE(uprobe_raw)
IMAGE(uprobe_plain)
IMAGE(try)

#define ROW(name, raw)                                       \
	{                                                    \
#name, image_##name, image_##name##_end, raw \
	}

const struct loader_image loader__images[] = {
	ROW(sched, false),
	ROW(sched_raw, true),
	ROW(sched_plain, true),
	ROW(cpu, false),
	ROW(cpu_raw, true),
	ROW(cpu_plain, true),
	ROW(uprobe, false),
	ROW(uprobe_raw, true),
	ROW(uprobe_plain, true),
	ROW(try, false),
	{NULL},
};
