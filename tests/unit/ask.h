/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the symbolizer for the names of some file offsets. */
#ifndef SONDE_TESTS_ASK_H
#define SONDE_TESTS_ASK_H

#include "fixture.h"

#include "object/debugfile.h"
#include "object/symbolizer.h"

struct asked {
	int err;
	struct symbol symbols[64];
};

static inline struct asked ask(struct symbolizer *s, int fd, const char *root, const char *path,
			       const uint64_t *addresses, size_t count)
{
	struct debug_places places = {.root = root, .path = path};
	struct symbol_request r = {
		.source = SYMBOLS_ELF,
		.fd = fd,
		.debug_file = debugfile__locate,
		.context = &places,
		.path = path,
		.count = count,
		.addresses = addresses,
	};
	struct asked a;

	assert_true(count <= 64);
	a.err = symbolizer__resolve(s, &r, a.symbols);
	return a;
}

#endif
