/* SPDX-License-Identifier: Apache-2.0 */
/* How each system call of this architecture waits, by number: a table for BPF. */
#ifndef SONDE_PROBE_WAITS_H
#define SONDE_PROBE_WAITS_H

#include <stdint.h>

#include "sonde/abi.h"

/* Fills enum wait_class by system call number; what is not in the table waits for "other". */
void waits__fill(uint8_t classes[WAIT_CLASSES]);

/* The word and the letter of a state. */
const char *state__word(unsigned state);
char state__letter(unsigned state);

#endif
