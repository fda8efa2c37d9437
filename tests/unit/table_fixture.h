/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of tables share: each draws points with a known answer and compares the page with a golden
 * file. */
#ifndef SONDE_TESTS_TABLE_FIXTURE_H
#define SONDE_TESTS_TABLE_FIXTURE_H

#include "sink_fixture.h"

#include "sink/table.h"

/* No byte that a terminal would obey, bar the line ends and, in colour, sonde's own SGR sequences. */
static inline void assert_harmless(const char *text, bool colour)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == 0x1b) {
			assert_true(colour);
			assert_int_equal(c[1], '[');
			c += 2 + strspn((const char *)c + 2, "0123456789;");
			assert_int_equal(*c, 'm');
		} else {
			assert_true(*c >= 0x20 || *c == '\n');
			assert_int_not_equal(*c, 0x7f);
		}
	}
}

/* One interval to a string that the caller frees. */
static inline char *draw(const struct sink_options *options, const struct interval *interval, filler fill)
{
	struct outlet out;
	char *text = NULL;
	size_t len;
	FILE *stream = open_memstream(&text, &len);

	assert_non_null(stream);
	out.sink = table_sink__to(stream, options);
	assert_non_null(out.sink);
	assert_int_equal(sink_table.begin(out.sink, interval), 0);
	if (fill)
		fill(&out);
	assert_int_equal(sink_table.end(out.sink, interval), 0);
	assert_int_equal(sink_table.close(out.sink, true), 0);
	assert_int_equal(fclose(stream), 0);
	assert_harmless(text, options->colour);
	return text;
}

static inline void check(const char *name, const struct sink_options *options,
			 const struct interval *interval, filler fill)
{
	char path[128], *text = draw(options, interval, fill);

	snprintf(path, sizeof(path), "tests/golden/table/%s.txt", name);
	check_golden(path, text);
	free(text);
}

/* The same page at widths that people have: NAME.40, .80, .200, .pipe (no truncation) and .colour. */
static inline void check_widths(const char *name, const struct interval *interval, filler fill)
{
	static const struct {
		const char *suffix;
		int columns;
		bool colour;
	} variants[] = {{"40", 40, false},
			{"80", 80, false},
			{"200", 200, false},
			{"pipe", 0, false},
			{"colour", 80, true}};
	char full[64];

	for (size_t i = 0; i < COUNT(variants); i++) {
		snprintf(full, sizeof(full), "%s.%s", name, variants[i].suffix);
		check(full,
		      &(struct sink_options){.columns = variants[i].columns, .colour = variants[i].colour},
		      interval, fill);
	}
}

static const struct sink_options eighty = {.columns = 80};

static inline void one_sample(struct outlet *out)
{
	static const struct frame frames[] = {U("main")};

	emit_stack(out, &metric_samples, (struct who){.tgid = 7}, NULL,
		   (struct sample){.frames = frames, .count = 1, .value = 1, .occurrences = 1});
}

#endif
