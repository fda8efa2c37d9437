/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wall-clock flame graph: one picture whose width is elapsed thread time. CPU samples are scaled to their
 * thread's exact CPU time, time in the run queue and in quotas stands under a mark, blocked time under its
 * own stacks.
 */
#ifndef SONDE_SESSION_WALLTIME_H
#define SONDE_SESSION_WALLTIME_H

#include "session/stage.h"

struct stage *walltime__new(void); /* NULL and errno */
void walltime__free(struct stage *stage);

#endif
