/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the loader's units tell each other. */
#ifndef SONDE_PROBE_UNIT_PRIVATE_H
#define SONDE_PROBE_UNIT_PRIVATE_H

#include "probe/loader.h"

/* Takes ownership of the link; NULL: errno says why there is none. 0 or -errno. */
int unit__keep(struct unit *u, struct bpf_link *link);

#endif
