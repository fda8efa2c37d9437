/* SPDX-License-Identifier: Apache-2.0 */
/* What lies at an address of a process: data of a file, the heap, a stack, or just memory. */
#ifndef SONDE_STACK_PLACE_H
#define SONDE_STACK_PLACE_H

#include "stack/process.h"

struct place {
	struct mapping mapping; /* of a file: the one that was mapped, also for what follows it as its .bss */
	uint64_t offset;	/* of a file: of the address in it */
};

/* `dir`: of process__open(). 0, -ENOENT: nothing is mapped there, -ESRCH or -ENOMEM. */
int place__find(int dir, uint64_t address, struct strings *strings, struct place *p);

#endif
