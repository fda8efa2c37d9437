// SPDX-License-Identifier: Apache-2.0
#include "probe/iterator.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define BUFFER_BYTES 16384

int iterator__run(const struct bpf_link *link, size_t record_size,
		  int (*each)(void *context, const void *record), void *context)
{
	_Alignas(8) char bytes[BUFFER_BYTES];
	int fd = bpf_iter_create(bpf_link__fd(link)), err = 0;
	size_t have = 0, at;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (!err) {
		n = read(fd, bytes + have, sizeof(bytes) - have);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		if (!record_size)
			continue;
		have += (size_t)n;
		for (at = 0; !err && at + record_size <= have; at += record_size)
			err = each(context, bytes + at);
		memmove(bytes, bytes + at, have - at); /* the beginning of another one */
		have -= at;
	}
	close(fd);
	return err;
}
