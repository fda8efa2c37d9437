/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as /proc/PID/maps, through the reader that streams it. */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object/lines.h"
#include "object/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct map_line m;
	struct lines r;
	const char *line;
	size_t len;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) ||
	    lines__open(&r, fd, MAPS_BYTES_MAX))
		goto out;
	while ((line = lines__next(&r, &len))) {
		if (!maps__parse_line(line, &m))
			continue;
		if (m.start >= m.end || m.path < line || m.path > line + len)
			__builtin_trap();
		maps__kind(&m);
		if (strlen(maps__base_name(m.path, &len)) < len)
			__builtin_trap();
	}
	lines__close(&r);
out:
	if (fd >= 0)
		close(fd);
	return 0;
}
