/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a pprof profile, gzipped or not. What can be read is written again, and is then the same. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "sink/profile.h"

static void check_again(const struct profile *p, const struct flamegraph *g)
{
	struct buf out = {0}, why = {0};
	struct flamegraph facts;
	struct profile again;

	flamegraph__init(&facts);
	profile__init(&again);
	pprof__write(&out, p, g);
	if (out.failed || pprof__read(&again, &facts, out.data, out.len, &why) ||
	    again.type_count != p->type_count)
		__builtin_trap();
	for (size_t i = 0; i < p->type_count; i++)
		if (profile__total(&again, i) != profile__total(p, i))
			__builtin_trap();
	buf__clear(&out);
	speedscope__write(&out, p, g);
	if (out.failed || strlen(buf__text(&out)) != out.len)
		__builtin_trap();
	profile__free(&again);
	flamegraph__free(&facts);
	buf__free(&out);
	buf__free(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf why = {0};
	struct flamegraph g;
	struct profile p;
	int err;

	flamegraph__init(&g);
	profile__init(&p);
	err = pprof__read(&p, &g, (const char *)data, size, &why);
	if (err == -EINVAL && !why.len)
		__builtin_trap();
	if (!err)
		check_again(&p, &g);
	if (!err)
		profile__fold(&p, &g, NULL);
	profile__free(&p);
	flamegraph__free(&g);
	buf__free(&why);
	return 0;
}
