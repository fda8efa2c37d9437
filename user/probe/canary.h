/* SPDX-License-Identifier: Apache-2.0 */
/* Known calls of sonde's own, made while the programs on system calls may be preempted in the middle: where
 * the kernel then leaves out others' runs, some of them are missed. */
#ifndef SONDE_PROBE_CANARY_H
#define SONDE_PROBE_CANARY_H

#include <stdint.h>

/* Two processes on one CPU, one of which interrupts the other: calls of getppid with `mark` as first
 * argument, which that call does not look at. Takes about 10 ms. How many were made; 0: it could not be
 * tried. */
uint64_t canary__sing(uint64_t mark);

#endif
