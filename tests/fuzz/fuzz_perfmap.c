/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a perf map: whatever is named lies in what a line says, and no name is empty. */
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object/symbolizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t addresses[] = {0, 1, 0xfff, 0x1000, 0x1010, 0x10ff, 0x7f2d90ec7600, UINT64_MAX};
	enum { ADDRESSES = sizeof(addresses) / sizeof(*addresses) };
	struct symbol symbols[ADDRESSES];
	struct symbol_request r = {.source = SYMBOLS_PERF_MAP, .count = ADDRESSES, .addresses = addresses};
	struct symbolizer *s = symbolizer__new();

	r.fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (!s || r.fd < 0 || write(r.fd, data, size) != (ssize_t)size)
		goto out;
	symbolizer__resolve(s, &r, symbols);
	for (size_t i = 0; i < ADDRESSES; i++)
		if (symbols[i].name && (!*symbols[i].name || symbols[i].offset > addresses[i]))
			__builtin_trap();
out:
	if (r.fd >= 0)
		close(r.fd);
	symbolizer__free(s);
	return 0;
}
