// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <stdint.h>
#include <string.h>

struct range {
	uint32_t first, last;
};

/* Bidirectional controls, line separators, invisible marks: they move or hide what stands beside them. */
static const struct range deceiving[] = {
	{0x061c, 0x061c}, {0x200b, 0x200b}, {0x200e, 0x200f},
	{0x2028, 0x202e}, {0x2060, 0x2069}, {0xfeff, 0xfeff},
};

static const struct range zero_width[] = {
	{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a},
	{0x064b, 0x065f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f},
	{0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef},
};

static const struct range wide[] = {
	{0x1100, 0x115f},   {0x2e80, 0x303e},	{0x3041, 0xa4cf},   {0xa960, 0xa97f},	{0xac00, 0xd7a3},
	{0xf900, 0xfaff},   {0xfe30, 0xfe6f},	{0xff00, 0xff60},   {0xffe0, 0xffe6},	{0x1f300, 0x1f64f},
	{0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static bool in_ranges(const struct range *ranges, size_t count, uint32_t point)
{
	for (size_t i = 0; i < count; i++) {
		if (point >= ranges[i].first && point <= ranges[i].last)
			return true;
	}
	return false;
}

/* Bytes of the well-formed UTF-8 sequence at `s`, or 0: overlong, surrogate, beyond U+10FFFF, cut or stray.
 */
static size_t decode(const unsigned char *s, size_t len, uint32_t *point)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t need = s[0] < 0x80   ? 1
		      : s[0] < 0xc2 ? 0
		      : s[0] < 0xe0 ? 2
		      : s[0] < 0xf0 ? 3
		      : s[0] < 0xf5 ? 4
				    : 0;

	if (!need || need > len)
		return 0;
	*point = need == 1 ? s[0] : s[0] & (0x7fu >> need);
	for (size_t i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (s[i] & 0x3f);
	}
	if (*point < smallest[need] || *point > 0x10ffff || (*point >= 0xd800 && *point <= 0xdfff))
		return 0;
	return need;
}

static void add_hex(struct buf *out, const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf__printf(out, "\\x%02x", bytes[i]);
}

/* One ASCII character that has a meaning in the syntax of the style; false: it has none. */
static bool add_syntax(struct buf *out, unsigned char c, enum text_style style)
{
	if (style == TEXT_FOLDED && c == ';')
		buf__putc(out, ':');
	else if (style == TEXT_JSON && (c == '"' || c == '\\'))
		buf__printf(out, "\\%c", c);
	else if (style == TEXT_XML && c == '&')
		buf__puts(out, "&amp;");
	else if (style == TEXT_XML && c == '<')
		buf__puts(out, "&lt;");
	else if (style == TEXT_XML && c == '>')
		buf__puts(out, "&gt;");
	else if (style == TEXT_XML && c == '"')
		buf__puts(out, "&quot;");
	else if (style == TEXT_XML && c == '\'')
		buf__puts(out, "&#39;");
	else
		return false;
	return true;
}

/* U+FFFE and U+FFFF are no XML characters. */
static bool is_unsafe(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || (point & 0xfffe) == 0xfffe ||
	       (point >= 0x061c && in_ranges(deceiving, LENGTH(deceiving), point));
}

static void add_unsafe(struct buf *out, const unsigned char *s, size_t len, uint32_t point,
		       enum text_style style)
{
	if (style != TEXT_JSON)
		add_hex(out, s, len);
	else if (point < 0x10000)
		buf__printf(out, "\\u%04x", (unsigned)point);
	else
		buf__add(out, s, len);
}

void text__add(struct buf *out, const char *bytes, size_t len, enum text_style style)
{
	const unsigned char *s = (const unsigned char *)bytes, *end = s + len, *plain = s;
	uint32_t point;
	size_t n;

	while (s < end) {
		n = decode(s, (size_t)(end - s), &point);
		if (n == 1 && !is_unsafe(point) && !strchr(";\"\\&<>'", (int)point)) {
			s++;
			continue;
		}
		if (n > 1 && !is_unsafe(point)) {
			s += n;
			continue;
		}
		buf__add(out, plain, (size_t)(s - plain));
		plain = s + (n ? n : 1);
		if (!n && style == TEXT_JSON)
			buf__puts(out, "\xef\xbf\xbd");
		else if (!n)
			add_hex(out, s, 1);
		else if (is_unsafe(point))
			add_unsafe(out, s, n, point, style);
		else if (!add_syntax(out, *s, style))
			plain = s; /* plain in this style */
		s += n ? n : 1;
	}
	buf__add(out, plain, (size_t)(s - plain));
}

void text__puts(struct buf *out, const char *string, enum text_style style)
{
	text__add(out, string, strlen(string), style);
}

/* Columns of the character at `s` and the bytes that it takes; a stray byte counts as one column. */
static size_t columns(const char *s, size_t *bytes)
{
	uint32_t point;

	*bytes = decode((const unsigned char *)s, strnlen(s, 4), &point);
	if (!*bytes) {
		*bytes = 1;
		return 1;
	}
	if (in_ranges(zero_width, LENGTH(zero_width), point))
		return 0;
	return in_ranges(wide, LENGTH(wide), point) ? 2 : 1;
}

size_t text__width(const char *utf8)
{
	size_t width = 0, bytes;

	for (; *utf8; utf8 += bytes)
		width += columns(utf8, &bytes);
	return width;
}

void text__clip(struct buf *out, const char *utf8, size_t width)
{
	const char *cut = utf8, *at = utf8;
	size_t used = 0, bytes, wide_by;

	if (!width)
		return;
	for (; *at; at += bytes) {
		wide_by = columns(at, &bytes);
		if (used + wide_by > width)
			break;
		used += wide_by;
		if (used < width)
			cut = at + bytes; /* here a `~` still fits behind */
	}
	buf__add(out, utf8, (size_t)((*at ? cut : at) - utf8));
	if (*at)
		buf__putc(out, '~');
}

#define NEAR_MAX 48 /* longer words are not guessed */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: insertions, deletions, substitutions and swapped neighbours cost one each. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][NEAR_MAX + 1], *two_back = rows[0], *back = rows[1], *now = rows[2], *spare;
	size_t a_len = strlen(a), b_len = strlen(b);

	for (size_t j = 0; j <= b_len; j++)
		back[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			now[j] = least(least(now[j - 1], back[j]) + 1, back[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], two_back[j - 2] + 1);
		}
		spare = two_back;
		two_back = back;
		back = now;
		now = spare;
	}
	return back[b_len];
}

/* Near: at most one edit in about three letters. The beginning of a word counts as one edit, however long the
 * word is. */
const char *text__nearest(const char *word, const char *const *words)
{
	size_t len = strlen(word), limit = len < 6 ? 1 + (len > 3) : len / 3, best = limit + 1, d;
	const char *found = NULL;

	if (!len || len > NEAR_MAX)
		return NULL;
	for (; *words; words++) {
		if (strlen(*words) > NEAR_MAX)
			continue;
		d = distance(word, *words);
		if (d >= strlen(*words))
			continue; /* nothing in common */
		if (d > 1 && len >= 3 && !strncmp(word, *words, len))
			d = 1;
		if (d < best) {
			best = d;
			found = *words;
		}
	}
	return found;
}

/* The class that begins behind '[' at `p`: *end behind its ']', NULL if it has none (then '[' is a plain
 * letter). */
static bool in_class(const char *p, unsigned char c, const char **end)
{
	bool negated = *p == '!' || *p == '^', found = false;
	const char *first = p += negated;
	unsigned char low, high;

	for (*end = NULL; *p && (*p != ']' || p == first); p++) {
		if (*p == '\\' && p[1])
			p++;
		low = high = (unsigned char)*p;
		if (p[1] == '-' && p[2] && p[2] != ']') {
			p += 2;
			if (*p == '\\' && p[1])
				p++;
			high = (unsigned char)*p;
		}
		found |= c >= low && c <= high;
	}
	if (*p == ']')
		*end = p + 1;
	return found != negated;
}

/* Matches one character of the name; moves both. `?` takes a whole UTF-8 character. */
static bool glob_one(const char **pattern, const char **name)
{
	const char *p = *pattern, *end;
	bool same;

	if (*p == '[') {
		same = in_class(p + 1, (unsigned char)**name, &end);
		if (end) {
			*pattern = end;
			(*name)++;
			return same;
		}
	}
	if (*p == '?') {
		do
			(*name)++;
		while (((unsigned char)**name & 0xc0) == 0x80);
		(*pattern)++;
		return true;
	}
	if (*p == '\\' && p[1])
		p++;
	same = *p == **name;
	*pattern = p + 1;
	(*name)++;
	return same;
}

/* Only the last `*` is ever tried again: what matched before an earlier one can stay as it is. Hence at most
 * pattern x name steps. */
bool text__glob(const char *pattern, const char *name)
{
	const char *star = NULL, *resume = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			resume = name;
			continue;
		}
		if (*pattern && glob_one(&pattern, &name))
			continue;
		if (!star)
			return false;
		pattern = star;
		name = ++resume;
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
