/* SPDX-License-Identifier: Apache-2.0 */
#include "object/vdso.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object/lines.h"
#include "object/maps.h"

size_t vdso__size(void)
{
	struct map_line m;
	struct lines r;
	const char *line;
	size_t len, size = 0;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (!lines__open(&r, fd, MAPS_BYTES_MAX)) {
		while (!size && (line = lines__next(&r, &len)))
			if (maps__parse_line(line, &m) && !strcmp(m.path, "[vdso]"))
				size = m.end - m.start;
		lines__close(&r);
	}
	close(fd);
	return size;
}

int vdso__open(void)
{
	const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
	size_t size = image ? vdso__size() : 0, done = 0;
	ssize_t n = 1;
	int fd;

	if (!size)
		return -ENOENT;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (done < size && (n = write(fd, image + done, size - done)) > 0)
		done += (size_t)n;
	if (done == size)
		return fd;
	close(fd);
	return -EIO;
}
