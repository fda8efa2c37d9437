/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an ELF file: names for addresses all over it, and what it offers. */
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object/function.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { ADDRESSES = 40 };
	uint64_t addresses[ADDRESSES];
	struct symbol symbols[ADDRESSES];
	struct symbol_coverage coverage;
	struct function_place place;
	/* As libc, so that the search for nameless thread starts takes part. */
	struct symbol_request r = {
		.source = SYMBOLS_ELF, .path = "/lib/libc.so.6", .count = ADDRESSES, .addresses = addresses};
	struct symbolizer *s = symbolizer__new();

	r.fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (!s || r.fd < 0 || write(r.fd, data, size) != (ssize_t)size)
		goto out;
	for (size_t i = 0; i < ADDRESSES; i++)
		addresses[i] = i < 32 ? i * size / 32 : i * 0x0101010101010101;
	symbolizer__resolve(s, &r, symbols);
	symbolizer__coverage(s, &r, &coverage);
	if (coverage.frame_pointer_percent > 100)
		__builtin_trap();
	if (!function__find(&r, "main", &place) && place.offset >= size)
		__builtin_trap();
out:
	if (r.fd >= 0)
		close(r.fd);
	symbolizer__free(s);
	return 0;
}
