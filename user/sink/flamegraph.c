// SPDX-License-Identifier: Apache-2.0
#include "sink/flamegraph.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

void flamegraph__init(struct flamegraph *g)
{
	memset(g, 0, sizeof(*g));
	flame__init(&g->tree);
}

void flamegraph__free(struct flamegraph *g)
{
	for (size_t i = 0; i < g->count; i++) {
		free(g->facts[i].key);
		free(g->facts[i].value);
	}
	free(g->facts);
	g->facts = NULL;
	g->count = 0;
	flame__free(&g->tree);
}

/* --- facts */

static char *safe_copy(const char *text)
{
	struct buf b = {0};

	text__puts(&b, text, TEXT_TERMINAL);
	buf__puts(&b, ""); /* terminated even if empty */
	if (b.failed || !b.data) {
		buf__free(&b);
		return strdup("");
	}
	return b.data;
}

void flamegraph__set(struct flamegraph *g, const char *key, const char *value)
{
	struct flamegraph_fact *facts, fact = {safe_copy(key), safe_copy(value)};

	for (size_t i = 0; i < g->count && fact.value && strcmp(key, "loss") != 0; i++) {
		if (fact.key && !strcmp(g->facts[i].key, fact.key)) {
			free(g->facts[i].value);
			g->facts[i].value = fact.value;
			free(fact.key);
			return;
		}
	}
	facts = reallocarray(g->facts, g->count + 1, sizeof(*facts));
	if (facts)
		g->facts = facts;
	if (!facts || !fact.key || !fact.value) {
		free(fact.key);
		free(fact.value);
		g->failed = true;
		return;
	}
	facts[g->count++] = fact;
}

void flamegraph__setf(struct flamegraph *g, const char *key, const char *format, ...)
{
	struct buf b = {0};
	va_list args;

	va_start(args, format);
	buf__vprintf(&b, format, args);
	va_end(args);
	flamegraph__set(g, key, buf__text(&b));
	g->failed |= b.failed;
	buf__free(&b);
}

const char *flamegraph__get(const struct flamegraph *g, const char *key)
{
	for (size_t i = 0; i < g->count; i++) {
		if (!strcmp(g->facts[i].key, key))
			return g->facts[i].value;
	}
	return "";
}

uint64_t flamegraph__number(const struct flamegraph *g, const char *key)
{
	return strtoull(flamegraph__get(g, key), NULL, 10);
}

static const struct {
	const char *unit, *word;
} counts[] = {{"{sample}", "samples"}, {"{call}", "calls"}};

const char *flamegraph__word_of_count(const char *unit)
{
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (!strcmp(counts[i].unit, unit))
			return counts[i].word;
	return NULL;
}

const char *flamegraph__unit_of_count(const char *word)
{
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (!strcmp(counts[i].word, word))
			return counts[i].unit;
	return NULL;
}

bool flamegraph__is_weighted(const struct flamegraph *g)
{
	const char *unit = flamegraph__get(g, "unit");

	return *unit && !flamegraph__unit_of_count(unit);
}

/* --- reading */

/* The block's start and the length of its XML text, or NULL. */
static const char *find_block(const char *text, size_t len, const char *id, size_t *block_len)
{
	struct buf mark = {0};
	const char *start, *end = NULL;

	buf__printf(&mark, " id=\"%s\"", id);
	start = mark.failed ? NULL : memmem(text, len, mark.data, mark.len);
	buf__free(&mark);
	if (start)
		start = memchr(start, '>', (size_t)(text + len - start));
	if (start)
		start++;
	if (start)
		end = memchr(start, '<', (size_t)(text + len - start));
	if (!end)
		return NULL;
	*block_len = (size_t)(end - start);
	return start;
}

/* The five entities that text__add writes; others stay as they are. */
static void add_unescaped(struct buf *out, const char *text, size_t len)
{
	static const struct {
		const char *entity;
		char c;
	} entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}};
	const char *end = text + len;

	while (text < end) {
		const char *amp = memchr(text, '&', (size_t)(end - text));
		size_t skip = 1;
		char c = '&';

		buf__add(out, text, (size_t)((amp ? amp : end) - text));
		if (!amp)
			return;
		for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
			size_t n = strlen(entities[i].entity);

			if (n <= (size_t)(end - amp) && !memcmp(amp, entities[i].entity, n)) {
				skip = n;
				c = entities[i].c;
			}
		}
		buf__putc(out, c);
		text = amp + skip;
	}
}

static void take_fact(void *context, const char *key, const char *value)
{
	flamegraph__set(context, key, value);
}

static int read_block(struct flamegraph *g, const char *text, size_t len, const char *id, size_t *line)
{
	struct buf folded = {0};
	bool waits = !strcmp(id, "sonde-waits");
	size_t block_len;
	const char *block = find_block(text, len, id, &block_len);
	int err;

	if (!block)
		return waits ? 0 : -ENODATA; /* the number of waits is not known everywhere */
	add_unescaped(&folded, block, block_len);
	err = folded.failed ? -ENOMEM
			    : flame__add_folded(&g->tree, buf__text(&folded), folded.len, waits,
						waits ? NULL : take_fact, g, line);
	buf__free(&folded);
	return err;
}

/* Markup begins with `<`; so may a thread's name, but its line ends in a number. */
static bool is_markup(const char *text, size_t len)
{
	const char *stop;

	while (len && strchr(" \t\r\n", *text) && *text) {
		text++;
		len--;
	}
	stop = len ? memchr(text, '\n', len) : NULL;
	if (stop)
		len = (size_t)(stop - text);
	return len && *text == '<' && (text[len - 1] < '0' || text[len - 1] > '9');
}

int flamegraph__read(struct flamegraph *g, const char *text, size_t len, size_t *line)
{
	int err;

	*line = 0;
	if (is_markup(text, len)) {
		err = read_block(g, text, len, "sonde-folded", line);
		if (!err && !g->tree.is_difference)
			err = read_block(g, text, len, "sonde-waits", line);
	} else {
		err = flame__add_folded(&g->tree, text, len, false, take_fact, g, line);
	}
	return !err && g->failed ? -ENOMEM : err;
}

/* --- writing */

static void write_facts(struct buf *out, const struct flamegraph *g)
{
	for (size_t i = 0; i < g->count; i++)
		buf__printf(out, "# %s: %s\n", g->facts[i].key, g->facts[i].value);
}

void flamegraph__write_folded(struct buf *out, struct flamegraph *g, bool with_facts)
{
	flame__sort(&g->tree);
	if (with_facts)
		write_facts(out, g);
	flame__write_folded(out, &g->tree, false);
	out->failed |= g->failed;
}

/* Lines end in a real newline, everything between is text. */
static void add_lines_as_xml(struct buf *out, const struct buf *lines)
{
	const char *cursor = buf__text(lines), *end = cursor + lines->len, *stop;

	for (; cursor < end; cursor = stop + 1) {
		stop = memchr(cursor, '\n', (size_t)(end - cursor));
		if (!stop)
			break;
		text__add(out, cursor, (size_t)(stop - cursor), TEXT_XML);
		buf__putc(out, '\n');
	}
}

static void embed_block(struct buf *out, const struct buf *lines, const char *element, const char *id)
{
	buf__printf(out, "<%s id=\"%s\"%s>\n", element, id, strcmp(element, "pre") == 0 ? " hidden" : "");
	add_lines_as_xml(out, lines);
	buf__printf(out, "</%s>\n", element);
	out->failed |= lines->failed;
}

void flamegraph__embed(struct buf *out, struct flamegraph *g, const char *element)
{
	struct buf lines = {0};

	write_facts(&lines, g);
	flame__write_folded(&lines, &g->tree, true);
	embed_block(out, &lines, element, "sonde-folded");
	if (!g->tree.is_difference && g->tree.root.other_total) {
		buf__clear(&lines);
		flame__swap(&g->tree);
		flame__write_folded(&lines, &g->tree, true);
		flame__swap(&g->tree);
		embed_block(out, &lines, element, "sonde-waits");
	}
	out->failed |= g->failed;
	buf__free(&lines);
}

void flamegraph__title(struct buf *out, const struct flamegraph *g, const struct flamegraph_style *style)
{
	const char *title = style->title ? style->title : flamegraph__get(g, "title");

	if (*title)
		text__puts(out, title, TEXT_TERMINAL);
	else if (g->tree.is_difference && *flamegraph__get(g, "before"))
		buf__printf(out, "%s \342\206\222 %s", flamegraph__get(g, "before"),
			    flamegraph__get(g, "after"));
	else if (*flamegraph__get(g, "subject"))
		buf__puts(out, flamegraph__get(g, "subject"));
	else
		buf__puts(out, g->tree.is_difference ? "Difference of two profiles" : "Flame graph");
}

static void add_part(struct buf *out, const char *text)
{
	if (!*text)
		return;
	if (out->len)
		buf__puts(out, ", ");
	buf__puts(out, text);
}

static void add_coverage(struct buf *out, const struct flamegraph *g)
{
	uint64_t stacks = flamegraph__number(g, "stacks"), complete = flamegraph__number(g, "complete");
	struct buf b = {0};

	if (*flamegraph__get(g, "lost")) {
		units__count(&b, flamegraph__number(g, "lost"));
		buf__puts(&b, " lost");
		add_part(out, buf__text(&b));
		buf__clear(&b);
	}
	if (stacks) {
		buf__puts(&b, complete < stacks && complete > 0.995 * (double)stacks ? ">99" : "");
		if (!(complete < stacks && complete > 0.995 * (double)stacks))
			buf__printf(&b, "%.0f", 100 * (double)complete / (double)stacks);
		buf__puts(&b, " % complete");
		if (complete < stacks && *flamegraph__get(g, "incomplete-reason"))
			buf__printf(&b, " (%s)", flamegraph__get(g, "incomplete-reason"));
		add_part(out, buf__text(&b));
	}
	buf__free(&b);
}

void flamegraph__subtitle(struct buf *out, const struct flamegraph *g)
{
	struct buf b = {0};

	if (flamegraph__number(g, "duration-ns")) {
		units__duration(&b, flamegraph__number(g, "duration-ns"));
		add_part(out, buf__text(&b));
		buf__clear(&b);
	}
	add_part(out, flamegraph__get(g, "headline"));
	if (!*flamegraph__get(g, "headline") && !g->tree.is_difference) {
		flamegraph__weight(&b, g, g->tree.root.total);
		add_part(out, buf__text(&b));
	}
	add_coverage(out, g);
	add_part(out, flamegraph__get(g, "verdict"));
	buf__free(&b);
}

void flamegraph__weight(struct buf *out, const struct flamegraph *g, uint64_t weight)
{
	const char *unit = flamegraph__get(g, "unit");
	char digits[24];
	int n;

	if (!strcmp(unit, "us") && weight < UINT64_MAX / 1000) {
		units__duration(out, weight * 1000);
		return;
	}
	if (!strcmp(unit, "bytes")) {
		units__bytes(out, weight);
		return;
	}
	n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)weight);
	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			buf__putc(out, ',');
		buf__putc(out, digits[i]);
	}
	buf__printf(out, " %s", *unit ? unit : "samples");
}

/* --- style sheets and scripts, linked in as they are */

void asset__add(struct buf *out, const char *before, const struct asset *a, const char *after)
{
	buf__puts(out, before);
	buf__add(out, a->start, (size_t)(a->end - a->start));
	buf__puts(out, after);
}

#define ASSET(name, file)                                                             \
	__asm__(".pushsection .rodata\n"                                              \
		"sonde_" #name ":\n"                                                  \
		".incbin \"user/sink/" file "\"\n"                                    \
		"sonde_" #name "_end:\n"                                              \
		".byte 0\n"                                                           \
		".popsection\n");                                                     \
	extern const char sonde_##name[] __attribute__((visibility("hidden")));       \
	extern const char sonde_##name##_end[] __attribute__((visibility("hidden"))); \
	const struct asset asset_##name = {sonde_##name, sonde_##name##_end}

ASSET(keys_js, "keys.js");
ASSET(svg_css, "svg.css");
ASSET(svg_js, "svg.js");
ASSET(html_css, "html.css");
ASSET(html_js, "html.js");
