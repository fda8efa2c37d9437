/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices by number, as sysfs has them. Each is looked up once. */
#ifndef SONDE_PROBE_BLOCK_DEVICE_H
#define SONDE_PROBE_BLOCK_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"

struct block_device_name {
	char name[32];	 /* "sda"; "8:0" if sysfs does not know it */
	bool is_stacked; /* what it is asked for it asks other devices for: dm, md, loop */
};

/* All zero: empty. */
struct block_devices {
	struct table by_number;
};

/* By major << 20 | minor. Valid until the next call. Never NULL. */
const struct block_device_name *block_devices__get(struct block_devices *d, uint32_t number);
void block_devices__free(struct block_devices *d);

#endif
