/* SPDX-License-Identifier: Apache-2.0 */
#include "object/maps.h"

#include <string.h>

#include "object/lines.h"

static bool hex(const char **p, uint64_t *value, char end)
{
	if (!lines__hex(p, value) || **p != end)
		return false;
	++*p;
	return true;
}

static bool decimal(const char **p, uint64_t *value)
{
	const char *start = *p;

	*value = 0;
	for (; **p >= '0' && **p <= '9'; ++*p)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, **p - '0', value))
			return false;
	return *p > start;
}

/* "rwxp" and the like. */
static bool permissions(const char **p, struct map_line *out)
{
	static const char *const allowed[] = {"r-", "w-", "x-", "ps", " "};

	for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
		if (!(*p)[i] || !strchr(allowed[i], (*p)[i]))
			return false;
	out->writable = (*p)[1] == 'w';
	out->executable = (*p)[2] == 'x';
	out->shared = (*p)[3] == 's';
	*p += 5;
	return true;
}

bool maps__parse_line(const char *line, struct map_line *out)
{
	const char *p = line;
	uint64_t major, minor;

	if (!hex(&p, &out->start, '-') || !hex(&p, &out->end, ' ') || out->end <= out->start ||
	    !permissions(&p, out) || !hex(&p, &out->offset, ' ') || !hex(&p, &major, ':') ||
	    !hex(&p, &minor, ' ') || !decimal(&p, &out->inode))
		return false;
	if (out->offset > UINT64_MAX - (out->end - out->start))
		return false;
	out->major = (uint32_t)major;
	out->minor = (uint32_t)minor;
	out->path = p + strspn(p, " ");
	return true;
}

enum map_kind maps__kind(const struct map_line *m)
{
	static const struct {
		const char *path;
		enum map_kind kind;
	} specials[] = {
		{"[vdso]", MAPPED_VDSO}, {"[vsyscall]", MAPPED_VSYSCALL}, {"[uprobes]", MAPPED_UPROBES}};

	for (size_t i = 0; i < sizeof(specials) / sizeof(*specials); i++)
		if (!m->inode && !strcmp(m->path, specials[i].path))
			return specials[i].kind;
	return m->inode ? MAPPED_FILE : MAPPED_ANON;
}

const char *maps__base_name(const char *path, size_t *len)
{
	static const char deleted[] = " (deleted)";
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	*len = strlen(base);
	if (*len >= sizeof(deleted) && !strcmp(base + *len - (sizeof(deleted) - 1), deleted))
		*len -= sizeof(deleted) - 1;
	if (!*len) {
		base = "[anon]";
		*len = strlen(base);
	}
	return base;
}
