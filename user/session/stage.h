/* SPDX-License-Identifier: Apache-2.0 */
/* A stage maps points to points, between probes and sinks. It may keep them back until the interval's end. */
#ifndef SONDE_SESSION_STAGE_H
#define SONDE_SESSION_STAGE_H

#include "model/point.h"

struct stage {
	int (*point)(struct stage *, const struct point *, struct point_stream *next);
	int (*end)(struct stage *, struct point_stream *next);
};

#endif
