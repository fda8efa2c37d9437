// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit times[] = {
	{"ns", 1},
	{"us", 1000},
	{"\xc2\xb5s", 1000}, /* micro sign */
	{"\xce\xbcs", 1000}, /* Greek mu */
	{"ms", 1000000},
	{"s", 1000000000},
	{"m", 60000000000},
	{"min", 60000000000},
	{"h", 3600000000000},
	{"d", 86400000000000},
	{NULL, 0},
};

static const struct unit sizes[] = {
	{"", 1},	  {"b", 1},	     {"k", 1024},	 {"kb", 1024},	      {"kib", 1024},
	{"m", 1 << 20},	  {"mb", 1 << 20},   {"mib", 1 << 20},	 {"g", 1 << 30},      {"gb", 1 << 30},
	{"gib", 1 << 30}, {"t", 1ULL << 40}, {"tb", 1ULL << 40}, {"tib", 1ULL << 40}, {NULL, 0},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal number, then a unit: exact, no floating point. Digits of a fraction beyond the 18th are dropped. */
static int parse(const char *text, const struct unit *units, int (*compare)(const char *, const char *),
		 uint64_t *out)
{
	unsigned __int128 whole = 0, part = 0, scale = 1, value;
	const char *at = text;

	if (!is_digit(*at))
		return -EINVAL;
	for (; is_digit(*at); at++) {
		if (whole <= UINT64_MAX) /* beyond, it is too large however it ends */
			whole = whole * 10 + (unsigned)(*at - '0');
	}
	if (at[0] == '.' && !is_digit(at[1]))
		return -EINVAL;
	for (at += *at == '.'; is_digit(*at); at++) {
		if (scale < 1000000000000000000) {
			part = part * 10 + (unsigned)(*at - '0');
			scale *= 10;
		}
	}
	while (units->name && compare(at, units->name))
		units++;
	if (!units->name)
		return -EINVAL;
	if (whole > UINT64_MAX)
		return -ERANGE;
	value = whole * units->factor + part * units->factor / scale;
	if (value > UINT64_MAX)
		return -ERANGE;
	*out = (uint64_t)value;
	return 0;
}

int units__parse_duration(const char *text, uint64_t *ns)
{
	return parse(text, times, strcmp, ns);
}

int units__parse_size(const char *text, uint64_t *bytes)
{
	return parse(text, sizes, strcasecmp, bytes);
}

int units__parse_int(const char *text, long long min, long long max, long long *value)
{
	const char *at = text + (*text == '-');
	char *end;
	long long n;

	if (!is_digit(*at))
		return -EINVAL;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno || n < min || n > max)
		return -ERANGE;
	*value = n;
	return 0;
}

/* n / unit, rounded to one decimal below ten and to whole numbers above. False: it rounds up to `limit`
 * units, so the caller takes the next larger unit. */
static bool scaled(struct buf *out, uint64_t n, uint64_t unit, uint64_t limit, const char *name)
{
	uint64_t tenths = n / unit * 10 + (n % unit * 10 + unit / 2) / unit;
	uint64_t whole = n / unit + (n % unit >= unit - unit / 2);

	if (whole >= limit)
		return false;
	if (tenths < 100)
		buf__printf(out, "%u.%u%s", (unsigned)(tenths / 10), (unsigned)(tenths % 10), name);
	else
		buf__printf(out, "%llu%s", (unsigned long long)whole, name);
	return true;
}

/* Two numbers of an hour and up: "2h05m". */
static void clock_time(struct buf *out, uint64_t seconds)
{
	uint64_t minutes = (seconds + 30) / 60, hours = (minutes + 30) / 60;

	if (seconds < 3600)
		buf__printf(out, "%um%02us", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
	else if (minutes < 100 * 60)
		buf__printf(out, "%uh%02um", (unsigned)(minutes / 60), (unsigned)(minutes % 60));
	else if (hours < 1000 * 24)
		buf__printf(out, "%ud%02uh", (unsigned)(hours / 24), (unsigned)(hours % 24));
	else
		buf__printf(out, "%llud", (unsigned long long)(hours + 12) / 24);
}

void units__duration(struct buf *out, uint64_t ns)
{
	uint64_t tenths = ns / 100000000 + (ns % 100000000 >= 50000000);

	if (ns < 1000)
		buf__printf(out, ns ? "%uns" : "%u", (unsigned)ns);
	else if (scaled(out, ns, 1000, 1000, "us") || scaled(out, ns, 1000000, 1000, "ms"))
		return;
	else if (tenths < 1000)
		buf__printf(out, "%u.%us", (unsigned)(tenths / 10), (unsigned)(tenths % 10));
	else if (!scaled(out, ns, 1000000000, 1000, "s"))
		clock_time(out, ns / 1000000000 + (ns % 1000000000 >= 500000000));
}

void units__count(struct buf *out, uint64_t n)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)n);

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf__putc(out, ' ');
		buf__putc(out, text[i]);
	}
}

void units__short_count(struct buf *out, uint64_t n)
{
	static const char letters[] = "kMGTPE";
	uint64_t unit = 1000, tenths, whole;

	if (n < 10000) {
		buf__printf(out, "%u", (unsigned)n);
		return;
	}
	for (const char *letter = letters; *letter; letter++, unit *= 1000) {
		tenths = n / (unit / 10) + (n % (unit / 10) >= unit / 20);
		whole = n / unit + (n % unit >= unit / 2);
		if (whole >= 1000)
			continue;
		if (tenths < 1000)
			buf__printf(out, "%u.%u%c", (unsigned)(tenths / 10), (unsigned)(tenths % 10),
				    *letter);
		else
			buf__printf(out, "%u%c", (unsigned)whole, *letter);
		return;
	}
}

void units__bytes(struct buf *out, uint64_t bytes)
{
	static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t unit = 1024;

	if (bytes < 1024) {
		buf__printf(out, "%uB", (unsigned)bytes);
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++, unit *= 1024) {
		if (scaled(out, bytes, unit, 1024, names[i]))
			return;
	}
}

uint64_t units__now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
