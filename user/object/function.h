/* SPDX-License-Identifier: Apache-2.0 */
/* Where a function stands in a file, by its name: for probes. */
#ifndef SONDE_OBJECT_FUNCTION_H
#define SONDE_OBJECT_FUNCTION_H

#include <stdint.h>

#include "object/symbolizer.h"

/* No padding, no pointers: it crosses the border of a process. */
struct function_place {
	uint64_t offset;      /* in the file, of its first instruction */
	uint64_t bytes;	      /* 0: not said */
	uint32_t is_go;	      /* the file is Go's: stacks move, and with them return addresses */
	uint32_t is_resolver; /* the symbol is an IFUNC's: its code only chooses the function */
};

/*
 * Looks for the symbol `name`, as it stands in the symbol tables (mangled, without a version), in the file,
 * its debug file and its .gnu_debugdata. Of request, fd and what finds debug files count. -ENOENT: there is
 * none; -ENOTUNIQ: several local ones; or as elf__open().
 */
int function__find(const struct symbol_request *request, const char *name, struct function_place *place);

#endif
