// SPDX-License-Identifier: Apache-2.0
#include "sink/table_page.h"

#include <string.h>

#include "base/text.h"
#include "base/units.h"

static const char *const inks[] = {
	[INK_PLAIN] = "",
	[INK_TITLE] = "\033[1m",
	[INK_DIM] = "\033[2m",
	[INK_WARN] = "\033[33m",
	[INK_BAD] = "\033[1;31m",
	[INK_PALETTE] = "\033[32m",
	[INK_PALETTE + 1] = "\033[35m",
	[INK_PALETTE + 2] = "\033[33m",
	[INK_PALETTE + 3] = "\033[36m",
	[INK_PALETTE + 4] = "\033[34m",
	[INK_PALETTE + 5] = "\033[31m",
};

void page__ink(struct page *p, enum ink ink, const char *text)
{
	bool paint = p->colour && ink != INK_PLAIN && *text;

	if (paint)
		buf__puts(&p->out, inks[ink]);
	buf__puts(&p->out, text);
	if (paint)
		buf__puts(&p->out, "\033[0m");
}

size_t page__room(const struct page *p, size_t used)
{
	if (!p->columns)
		return SIZE_MAX;
	return p->columns > used ? p->columns - used : 0;
}

/* Bytes of the longest beginning that ends behind a separator and fits; the whole text if no such beginning
 * does. */
static size_t fitting(const char *text, const char *separator, size_t room, struct buf *scratch)
{
	const char *end = text, *next;
	size_t fits = 0;

	while ((next = strstr(end, separator))) {
		end = next + strlen(separator);
		buf__clear(scratch);
		buf__add(scratch, text, (size_t)(next - text));
		if (fits && text__width(buf__text(scratch)) + 1 > room)
			return fits;
		fits = (size_t)(end - text);
	}
	if (!fits || text__width(text) <= room)
		return strlen(text);
	return fits;
}

void page__wrap(struct page *p, enum ink ink, const char *text, const char *separator)
{
	struct buf scratch = {0};
	size_t room = page__room(p, 0), indent = 0, n, len;

	while (*text) {
		n = text__width(text) + indent > room ? fitting(text, separator, room - indent, &scratch)
						      : strlen(text);
		for (len = n; text[n] && len && text[len - 1] == ' '; len--)
			;
		buf__clear(&scratch);
		buf__printf(&scratch, "%*s%.*s", (int)indent, "", (int)len, text);
		page__ink(p, ink, buf__text(&scratch));
		p->out.failed |= scratch.failed;
		buf__putc(&p->out, '\n');
		text += n;
		indent = 2;
	}
	buf__free(&scratch);
}

void page__safe(struct buf *out, const char *foreign)
{
	if (foreign)
		text__puts(out, foreign, TEXT_TERMINAL);
}

void page__seconds(struct buf *out, uint64_t ns)
{
	if (ns >= 100000000)
		buf__printf(out, "%.1f s", (double)ns / 1e9);
	else
		units__duration(out, ns);
}

void page__share(struct buf *out, uint64_t part, uint64_t whole)
{
	double percent = whole ? 100.0 * (double)part / (double)whole : 0;

	if (!part || !whole)
		buf__puts(out, "0 %");
	else if (part == whole)
		buf__puts(out, "100 %");
	else if (percent < 0.1)
		buf__puts(out, "<0.1 %");
	else if (percent > 99.9 && percent < 100)
		buf__puts(out, ">99.9 %");
	else if (percent < 0.95 || (percent >= 99.5 && percent < 100))
		buf__printf(out, "%.1f %%", percent);
	else
		buf__printf(out, "%.0f %%", percent);
}

void page__amount(struct buf *out, const char *unit, uint64_t value)
{
	size_t len = strlen(unit);

	if (!strcmp(unit, "ns")) {
		units__duration(out, value);
		return;
	}
	if (!strcmp(unit, "By")) {
		units__bytes(out, value);
		return;
	}
	units__count(out, value);
	if (len > 2 && unit[0] == '{' && unit[len - 1] == '}')
		buf__printf(out, " %.*s", (int)len - 2, unit + 1);
	else if (len && strcmp(unit, "1"))
		buf__printf(out, " %s", unit);
}

void page__gauge(struct buf *out, const char *unit, double value)
{
	bool whole = !strcmp(unit, "By") || !strcmp(unit, "ns");

	if (whole && value >= 0)
		page__amount(out, unit, (uint64_t)(value + 0.5));
	else if (value >= 10000 && value < 1e15 && value == (double)(uint64_t)value)
		page__amount(out, unit, (uint64_t)value);
	else if (!strcmp(unit, "%"))
		buf__printf(out, value && value < 9.95 ? "%.1f %%" : "%.0f %%", value);
	else
		buf__printf(out, "%.4g%s%s", value, *unit && strcmp(unit, "1") ? " " : "",
			    strcmp(unit, "1") ? unit : "");
}

/* who.comm need not end in a NUL. */
void page__who(struct buf *out, const struct who *who)
{
	size_t len = strnlen(who->comm, sizeof(who->comm));

	if (who->tid && who->tid != who->tgid)
		buf__printf(out, "%u%s", who->tid, len ? " " : "");
	text__add(out, who->comm, len, TEXT_TERMINAL);
	if (who->tgid && (!who->tid || who->tid == who->tgid))
		buf__printf(out, len ? "[%u]" : "%u", who->tgid);
	else if (!len && !who->tid && who->cgroup)
		buf__printf(out, "cgroup %llu", (unsigned long long)who->cgroup);
}

bool page__is_start(const char *function)
{
	static const char *const starts[] = {"_start",
					     "__libc_start_main",
					     "__libc_start_main_impl",
					     "__libc_start_call_main",
					     "clone",
					     "clone3",
					     "__clone3",
					     "__clone",
					     "start_thread",
					     "ret_from_fork_asm",
					     "ret_from_fork",
					     "kthread"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (!strcmp(function, starts[i]))
			return true;
	}
	return false;
}
