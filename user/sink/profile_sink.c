// SPDX-License-Identifier: Apache-2.0
/* What the pprof and speedscope sinks share: an interval becomes one profile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/outfile.h"
#include "sink/picture.h"
#include "sink/profile.h"

struct profile_sink {
	struct sink base;
	struct sink_options options;
	profile_writer *write;
	struct outfile *file;
	struct profile profile;
	struct flamegraph facts; /* its tree stays empty */
	const char *metric;	 /* of the first stack; NULL: none yet */
	bool is_count;
};

static struct profile_sink *sink_of(struct sink *s)
{
	return (struct profile_sink *)s; /* base is the first member */
}

struct sink *profile_sink__open(const struct sink_type *type, const struct sink_options *options,
				profile_writer *write)
{
	struct profile_sink *ps = calloc(1, sizeof(*ps));
	int err;

	if (!ps)
		return NULL;
	ps->base.type = type;
	ps->options = *options;
	ps->write = write;
	profile__init(&ps->profile);
	flamegraph__init(&ps->facts);
	ps->file = outfile__open(options->path);
	if (ps->file)
		return &ps->base;
	err = errno;
	profile_sink__close(&ps->base, false);
	errno = err;
	return NULL;
}

int profile_sink__begin(struct sink *s, const struct interval *interval)
{
	struct profile_sink *ps = sink_of(s);

	profile__free(&ps->profile);
	profile__init(&ps->profile);
	flamegraph__free(&ps->facts);
	flamegraph__init(&ps->facts);
	ps->metric = NULL;
	ps->profile.time_ns =
		(uint64_t)interval->wall_start.tv_sec * 1000000000 + (uint64_t)interval->wall_start.tv_nsec;
	return 0;
}

int profile_sink__point(struct sink *s, const struct point *point)
{
	struct profile_sink *ps = sink_of(s);

	if (point->metric->kind == POINT_STACK && !ps->metric) {
		ps->metric = point->metric->name;
		ps->is_count = !strcmp(point->metric->unit, "{sample}");
	}
	return profile__add_point(&ps->profile, point);
}

int profile_sink__end(struct sink *s, const struct interval *interval)
{
	struct profile_sink *ps = sink_of(s);
	struct buf out = {0};
	int err;

	ps->profile.duration_ns = interval->end_ns - interval->start_ns;
	picture__state_facts(&ps->facts, &ps->options, interval, ps->metric);
	if (ps->metric && ps->is_count) /* so that convert draws what the svg sink would have drawn */
		flamegraph__set(&ps->facts, "unit", "samples");
	ps->write(&out, &ps->profile, &ps->facts);
	err = out.failed || ps->facts.failed ? -ENOMEM : buf__write(&out, outfile__stream(ps->file));
	errno = 0;
	if (!err && fflush(outfile__stream(ps->file)))
		err = errno ? -errno : -EIO;
	buf__free(&out);
	return err;
}

int profile_sink__close(struct sink *s, bool keep)
{
	struct profile_sink *ps = sink_of(s);
	int err = 0;

	if (!ps)
		return 0;
	if (keep && ps->file)
		err = outfile__commit(ps->file);
	outfile__close(ps->file);
	profile__free(&ps->profile);
	flamegraph__free(&ps->facts);
	free(ps);
	return err;
}
