// SPDX-License-Identifier: Apache-2.0
/* Which format a file has is seen from its content: names may lie, and standard input has none. */
#include <errno.h>
#include <string.h>

#include "sink/profile.h"

static void explain(struct buf *why, int err, size_t line)
{
	if (err == -EINVAL)
		buf__printf(why, ":%zu: not a folded stack: want `frame;frame;frame NUMBER`", line);
	else if (err == -EOVERFLOW)
		buf__printf(why, ":%zu: the numbers add up to more than 64 bits", line);
	else if (err == -ENODATA)
		buf__puts(why, ": no profile inside: only SVG and HTML written by sonde can be read back");
	else
		buf__printf(why, ": %s", strerror(-err));
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* JSON: an object; a folded stack may begin with `{`, but not with a quoted key behind it. */
static bool is_json(const char *data, size_t len)
{
	size_t i = 0;

	while (i < len && is_space(data[i]))
		i++;
	if (i == len || data[i++] != '{')
		return false;
	while (i < len && is_space(data[i]))
		i++;
	return i < len && (data[i] == '"' || data[i] == '}');
}

/* Every line of sonde's begins with its type. */
static bool is_json_lines(const char *data, size_t len)
{
	static const char start[] = "{\"type\":\"";

	while (len && is_space(*data)) {
		data++;
		len--;
	}
	return len >= sizeof(start) - 1 && !memcmp(data, start, sizeof(start) - 1);
}

int profile__read(struct profile *p, struct flamegraph *g, const char *data, size_t len, bool *is_tree,
		  struct buf *why)
{
	size_t line = 0;
	int err;

	*is_tree = false;
	if (pprof__is(data, len)) {
		err = pprof__read(p, g, data, len, why);
	} else if (is_json_lines(data, len)) {
		err = json_lines__read(p, g, data, len, why);
	} else if (is_json(data, len)) {
		err = speedscope__read(p, g, data, len, why);
	} else {
		*is_tree = true;
		err = flamegraph__read(g, data, len, &line);
		if (err)
			explain(why, err, line);
		return err;
	}
	if (err == -EOVERFLOW && !why->len)
		buf__puts(why, ": the numbers add up to more than 64 bits");
	else if (err && !why->len)
		buf__printf(why, ": %s", strerror(-err));
	return err;
}
