/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an SVG or HTML of sonde; whatever can be read is drawn, and nothing of it becomes markup. */
#include <stdint.h>
#include <string.h>

#include "sink/flamegraph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct flamegraph_style style = {.min_width = 0.1, .width = FLAMEGRAPH_WIDTH};
	struct buf out = {0};
	struct flamegraph g;
	const char *script;
	size_t line;

	flamegraph__init(&g);
	if (flamegraph__read(&g, (const char *)data, size, &line))
		goto out;
	flamegraph__write_svg(&out, &g, &style);
	flamegraph__write_html(&out, &g, &style);
	flamegraph__write_folded(&out, &g, true);
	if (out.failed)
		__builtin_trap();
	buf__clear(&out);
	flamegraph__write_svg(&out, &g, &style);
	script = strstr(buf__text(&out), "<script");
	if (!script || strstr(script + 1, "<script") || strlen(out.data) != out.len)
		__builtin_trap();
out:
	flamegraph__free(&g);
	buf__free(&out);
	return 0;
}
