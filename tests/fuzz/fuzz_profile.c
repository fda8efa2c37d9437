/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a profile of any format, mostly speedscope and JSON lines. What can be read is written as all.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "sink/json.h"
#include "sink/profile.h"

static void write_lines(const struct profile *p, const struct flamegraph *g)
{
	FILE *null = fopen("/dev/null", "w");
	struct sink *sink = null ? json_sink__to(null, &(struct sink_options){0}) : NULL;

	if (!sink || profile__emit(p, g, sink))
		__builtin_trap();
	sink->type->close(sink, true);
	fclose(null);
}

static void write_all(struct profile *p, struct flamegraph *g)
{
	struct buf out = {0};

	pprof__write(&out, p, g);
	if (out.failed)
		__builtin_trap();
	buf__clear(&out);
	speedscope__write(&out, p, g);
	if (out.failed || strlen(buf__text(&out)) != out.len)
		__builtin_trap();
	write_lines(p, g);
	if (!profile__fold(p, g, NULL)) {
		buf__clear(&out);
		flamegraph__write_folded(&out, g, true);
	}
	buf__free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf why = {0};
	struct flamegraph g;
	struct profile p;
	bool is_tree;
	int err;

	flamegraph__init(&g);
	profile__init(&p);
	err = profile__read(&p, &g, (const char *)data, size, &is_tree, &why);
	if (err && !why.len)
		__builtin_trap();
	if (!err && is_tree)
		err = profile__unfold(&p, &g);
	if (!err && !is_tree)
		write_all(&p, &g);
	else if (!err)
		write_lines(&p, &g);
	profile__free(&p);
	flamegraph__free(&g);
	buf__free(&why);
	return 0;
}
