// SPDX-License-Identifier: Apache-2.0
/* A shell glob as a bit-parallel automaton: bit i stands for "the first i tokens have matched". */
#include <errno.h>
#include <string.h>

#include "session/target.h"

#define TOKENS_MAX 31

/* One `[set]`; returns what follows it, NULL if it does not end. */
static const char *set__parse(const char *p, bool members[256])
{
	bool invert = *p == '!' || *p == '^';
	const char *first;

	memset(members, 0, 256);
	p += invert;
	for (first = p; *p && (*p != ']' || p == first); p++) {
		unsigned char from = *p, to = from;

		if (p[1] == '-' && p[2] && p[2] != ']') {
			to = p[2];
			p += 2;
		}
		for (unsigned c = from; c <= to; c++)
			members[c] = true;
	}
	if (*p != ']')
		return NULL;
	for (int c = 0; invert && c < 256; c++)
		members[c] = !members[c];
	return p + 1;
}

/* One token that takes exactly one byte; returns what follows it, NULL: a bracket that does not end. */
static const char *token__parse(const char *p, bool members[256])
{
	memset(members, *p == '?', 256);
	if (*p == '?')
		return p + 1;
	if (*p == '[')
		return set__parse(p + 1, members);
	if (*p == '\\' && p[1])
		p++;
	members[(unsigned char)*p] = true;
	return p + 1;
}

int glob__compile(struct glob *g, const char *pattern)
{
	bool members[256];
	unsigned token = 0;

	memset(g, 0, sizeof(*g));
	for (const char *p = pattern; *p; token++) {
		if (token == TOKENS_MAX)
			return -E2BIG;
		if (*p == '*') {
			g->stars |= 1u << token;
			p += strspn(p, "*"); /* as good as one, and the automaton skips only one */
			continue;
		}
		p = token__parse(p, members);
		if (!p)
			return -EINVAL;
		for (int c = 0; c < 256; c++)
			if (members[c])
				g->accept[c] |= 1u << token;
	}
	g->final = 1u << token;
	return 0;
}
