/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a folded file: what was read, written and read again is the same. */
#include <stdint.h>
#include <string.h>

#include "model/flame.h"
#include "model/layout.h"

static void write_sorted(struct buf *out, struct flame *f)
{
	flame__sort(f);
	flame__write_folded(out, f, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once = {0}, twice = {0};
	struct flame_layout layout = {0};
	struct flame first, second;
	size_t line;

	flame__init(&first);
	flame__init(&second);
	if (flame__add_folded(&first, (const char *)data, size, false, NULL, NULL, &line))
		goto out;
	write_sorted(&once, &first);
	if (!once.len)
		goto out;
	if (flame__add_folded(&second, once.data, once.len, false, NULL, NULL, &line))
		__builtin_trap();
	write_sorted(&twice, &second);
	if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
		__builtin_trap();
	if (flame__layout(&layout, &first, 0) || layout.boxes[0].weight != layout.total)
		__builtin_trap();
out:
	flame_layout__free(&layout);
	flame__free(&first);
	flame__free(&second);
	buf__free(&once);
	buf__free(&twice);
	return 0;
}
