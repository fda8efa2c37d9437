// SPDX-License-Identifier: Apache-2.0
/* The compiled BPF objects, inside the binary. */
#include <stddef.h>

#include "probe/loader.h"

#define IMAGE(name)                                                                                       \
	__asm__(".pushsection .rodata\n.balign 8\nimage_" #name ":\n.incbin \"" SONDE_BUILD "/bpf/" #name \
		".bpf.o\"\nimage_" #name "_end:\n.byte 0\n.popsection\n");                                \
	extern const char image_##name[], image_##name##_end[];

/* BPF_IMAGES is the list of bpf/: X(cpu) X(sched) ... */
#define X(name) IMAGE(name) IMAGE(name##_raw) IMAGE(name##_plain)
BPF_IMAGES
#undef X
IMAGE(try)

#define ROW(name, raw)                                       \
	{                                                    \
#name, image_##name, image_##name##_end, raw \
	}

const struct loader_image loader__images[] = {
#define X(name) ROW(name, false), ROW(name##_raw, true), ROW(name##_plain, true),
	BPF_IMAGES
#undef X
		ROW(try, false),
	{NULL},
};
