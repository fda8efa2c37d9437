/* SPDX-License-Identifier: Apache-2.0 */
/* System calls by name: of this CPU's own programs, and of 32-bit ones on it. */
#ifndef SONDE_PROBE_CALL_NAMES_H
#define SONDE_PROBE_CALL_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sonde/syscalls.h"

/* Longest with all that may stand beside it, and its NUL. */
#define CALL_NAME 40

/* "openat", "openat (32-bit)", "call 999" where no name is known. */
void call__name(uint32_t call, char name[CALL_NAME]);
/* "ENOENT"; also of what the kernel does not show to programs: "ERESTARTSYS". `text` is room for a number. */
const char *call__error(unsigned number, char text[16]);
/* What is known of each call (CALL_ of sonde/syscalls.h), by number; `wanted` is a list of names with commas,
 * NULL: all. What stands there was checked. */
void call__flags(const char *wanted, uint8_t native[CALL_NUMBERS], uint8_t compat[CALL_NUMBERS]);
/* The first of the list's names that no call has, in `unknown`; false: there is none. `*nearest` (of room for
 * CALL_NAME) is the most alike, "" for none. */
bool call__unknown(const char *wanted, char unknown[CALL_NAME], char nearest[CALL_NAME]);

#endif
