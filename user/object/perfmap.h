/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of just-in-time compiled code out of a /tmp/perf-PID.map: lines "START SIZE NAME", bare hex or with
 * 0x, in any order, names with spaces. Where entries overlap the later line is the newer code.
 */
#ifndef SONDE_OBJECT_PERFMAP_H
#define SONDE_OBJECT_PERFMAP_H

#include "object/lookup.h"

#define PERF_MAP_BYTES_MAX (64ULL << 20) /* what lies behind is not read */

/* Streams the map past the lookups (sorted by virtual address). 0, -EFBIG (absurd overlaps), or -errno. */
int perfmap__scan(int fd, struct lookup *l, size_t count, struct name_taker *names);

#endif
