// SPDX-License-Identifier: Apache-2.0
#include "sink/sink.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "sink/json.h"
#include "sink/picture.h"
#include "sink/profile.h"
#include "sink/table.h"

const struct sink_type *const sink__types[] = {
	&sink_table, &sink_json, &sink_folded, &sink_svg, &sink_html, &sink_pprof, &sink_speedscope, NULL,
};

const struct sink_type *sink__find(const char *name)
{
	for (size_t i = 0; sink__types[i]; i++) {
		if (!strcmp(sink__types[i]->name, name))
			return sink__types[i];
	}
	return NULL;
}

/* True if `word` is one of the comma separated words. */
static bool is_listed(const char *words, const char *word)
{
	size_t len = strlen(word), n;

	for (; *words; words += n + (words[n] == ',')) {
		n = strcspn(words, ",");
		if (n == len && !strncasecmp(words, word, n))
			return true;
	}
	return false;
}

void sink__cost(struct buf *out, double share)
{
	if (isnan(share))
		buf__puts(out, "not known");
	else if (share > 0 && share < 0.0005)
		buf__puts(out, "<0.1 %");
	else
		buf__printf(out, "%.1f %%", 100 * share);
}

static const struct sink_type *find_extension(const char *extension)
{
	for (size_t i = 0; sink__types[i]; i++) {
		if (is_listed(sink__types[i]->extensions, extension))
			return sink__types[i];
	}
	return NULL;
}

/* The longest extension that is known: "a.b.pb.gz" is tried as b.pb.gz, pb.gz and gz. */
const char *sink__extension(const char *path)
{
	const char *slash = strrchr(path, '/'), *dot = strchr(slash ? slash : path, '.');

	while (dot && !find_extension(dot + 1))
		dot = strchr(dot + 1, '.');
	return dot;
}

const struct sink_type *sink__by_extension(const char *path)
{
	const char *dot = sink__extension(path);

	return dot ? find_extension(dot + 1) : NULL;
}
