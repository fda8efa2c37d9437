// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/text.h"

static void expect(const char *bytes, size_t len, enum text_style style, const char *expected)
{
	struct buf out = {0};

	text__add(&out, bytes, len, style);
	assert_string_equal(buf__text(&out), expected);
	buf__free(&out);
}

#define EXPECT(bytes, style, expected) expect(bytes, sizeof(bytes) - 1, style, expected)

static void plain_text_stays(void **state)
{
	(void)state;
	EXPECT("std::map<int, \"a&b'\\>;", TEXT_TERMINAL, "std::map<int, \"a&b'\\>;");
	EXPECT("na\xc3\xafve \xe6\xbc\xa2 \xf0\x9f\x94\xa5", TEXT_TERMINAL,
	       "na\xc3\xafve \xe6\xbc\xa2 \xf0\x9f\x94\xa5");
	EXPECT("", TEXT_JSON, "");
}

static void syntax_of_each_style(void **state)
{
	(void)state;
	EXPECT("a;b \"<&>'\\", TEXT_FOLDED, "a:b \"<&>'\\");
	EXPECT("a;b \"<&>'\\", TEXT_JSON, "a;b \\\"<&>'\\\\");
	EXPECT("a;b \"<&>'\\", TEXT_XML, "a;b &quot;&lt;&amp;&gt;&#39;\\");
}

static void controls(void **state)
{
	(void)state;
	EXPECT("\x1b[31m\r\n\t\0\x7f", TEXT_TERMINAL, "\\x1b[31m\\x0d\\x0a\\x09\\x00\\x7f");
	EXPECT("\x1b\n\0", TEXT_FOLDED, "\\x1b\\x0a\\x00");
	EXPECT("\x1b\n\0", TEXT_XML, "\\x1b\\x0a\\x00");
	EXPECT("\x1b\n\0\x7f", TEXT_JSON, "\\u001b\\u000a\\u0000\\u007f");
	EXPECT("\xc2\x9b"
	       "31m",
	       TEXT_TERMINAL, "\\xc2\\x9b31m"); /* C1: CSI in one character */
	EXPECT("\xc2\x9b", TEXT_JSON, "\\u009b");
}

static void deceiving_characters(void **state)
{
	(void)state;
	EXPECT("\xe2\x80\xae", TEXT_TERMINAL, "\\xe2\\x80\\xae"); /* U+202E */
	EXPECT("\xe2\x81\xa6", TEXT_XML, "\\xe2\\x81\\xa6");	  /* U+2066 */
	EXPECT("\xe2\x80\x8f", TEXT_FOLDED, "\\xe2\\x80\\x8f");	  /* U+200F */
	EXPECT("\xe2\x80\xa8", TEXT_JSON, "\\u2028");
	EXPECT("\xe2\x80\x93", TEXT_TERMINAL, "\xe2\x80\x93"); /* U+2013, an innocent dash */
	EXPECT("\xef\xbf\xbf", TEXT_XML, "\\xef\\xbf\\xbf");   /* U+FFFF is no XML character */
}

static void invalid_utf8(void **state)
{
	static const char *const bad[] = {
		"\xc0\x80",
		"\xc1\xbf",
		"\xe0\x9f\xbf",
		"\xf0\x8f\xbf\xbf", /* overlong */
		"\xed\xa0\x80",
		"\xed\xbf\xbf", /* surrogates */
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff", /* beyond U+10FFFF */
		"\x80",
		"\xbf",
		"\xc3",
		"\xe2\x82",
		"\xf0\x9f\x94", /* stray, cut */
	};
	char expected[32], *at;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		at = expected;
		for (const char *c = bad[i]; *c; c++)
			at += snprintf(at, 5, "\\x%02x", (unsigned char)*c);
		expect(bad[i], strlen(bad[i]), TEXT_TERMINAL, expected);
	}
	EXPECT("a\xff"
	       "b\xc3",
	       TEXT_JSON,
	       "a\xef\xbf\xbd"
	       "b\xef\xbf\xbd");
	EXPECT("\xc3(", TEXT_XML, "\\xc3(");
	EXPECT("\xed\x9f\xbf\xee\x80\x80", TEXT_TERMINAL,
	       "\xed\x9f\xbf\xee\x80\x80");			       /* beside the surrogates */
	EXPECT("\xf4\x8f\xbf\xbd", TEXT_TERMINAL, "\xf4\x8f\xbf\xbd"); /* U+10FFFD */
}

/* Every single byte and every pair: a strict JSON reader must accept what comes out, the others hold no
 * control. */
static void every_pair_is_harmless(void **state)
{
	struct buf out = {0};

	(void)state;
	for (unsigned pair = 0; pair < 0x10000; pair++) {
		const char bytes[2] = {(char)(pair >> 8), (char)pair};
		struct json_tokener *tokener = json_tokener_new();
		struct json_object *parsed;

		buf__clear(&out);
		buf__putc(&out, '"');
		text__add(&out, bytes, 2, TEXT_JSON);
		buf__putc(&out, '"');
		json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
		parsed = json_tokener_parse_ex(tokener, out.data, (int)out.len);
		assert_int_equal(json_tokener_get_error(tokener), json_tokener_success);
		json_object_put(parsed);
		json_tokener_free(tokener);
		for (int style = TEXT_TERMINAL; style <= TEXT_XML; style++) {
			buf__clear(&out);
			text__add(&out, bytes, 2, (enum text_style)style);
			for (size_t i = 0; i < out.len; i++)
				assert_true((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f);
			assert_true(style != TEXT_FOLDED || !strchr(out.data, ';'));
			assert_true(style != TEXT_XML || !strpbrk(out.data, "<>\"'"));
		}
	}
	buf__free(&out);
}

static void clip(const char *text, size_t width, const char *expected)
{
	struct buf out = {0};

	text__clip(&out, text, width);
	assert_string_equal(buf__text(&out), expected);
	assert_true(text__width(buf__text(&out)) <= width);
	buf__free(&out);
}

static void widths_and_clipping(void **state)
{
	(void)state;
	assert_int_equal(text__width(""), 0);
	assert_int_equal(text__width("abc"), 3);
	assert_int_equal(text__width("na\xc3\xafve"), 5);
	assert_int_equal(text__width("e\xcc\x81"), 1);	   /* combining accent */
	assert_int_equal(text__width("\xe6\xbc\xa2x"), 3); /* wide */
	clip("abcdef", 6, "abcdef");
	clip("abcdef", 5, "abcd~");
	clip("abcdef", 1, "~");
	clip("abcdef", 0, "");
	clip("\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2", 6, "\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2");
	clip("\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2", 5, "\xe6\xbc\xa2\xe6\xbc\xa2~");
	clip("\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2", 4, "\xe6\xbc\xa2~");
	clip("abe\xcc\x81", 3, "abe\xcc\x81");
}

static void nearest_word(void **state)
{
	static const char *const words[] = {"duration", "interval", "output", "json",
					    "comm",	"cgroup",   "pid",    NULL};

	(void)state;
	assert_string_equal(text__nearest("duratoin", words), "duration");
	assert_string_equal(text__nearest("ouput", words), "output");
	assert_string_equal(text__nearest("jsno", words), "json");
	assert_string_equal(text__nearest("cgruop", words), "cgroup");
	assert_string_equal(text__nearest("inter", words), "interval"); /* a beginning */
	assert_string_equal(text__nearest("pids", words), "pid");
	assert_null(text__nearest("frequency", words));
	assert_null(text__nearest("x", words));
	assert_null(text__nearest("", words));
	assert_null(text__nearest("a-very-long-word-that-nobody-would-type-as-an-option-name", words));
}

static void globs(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} rows[] = {
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"a*c", "abbbc", true},
		{"a*c", "abbbd", false},
		{"?", "\xc3\xa9", true},
		{"?", "", false},
		{"kworker/*", "kworker/1:2", true},
		{"[a-c]x", "bx", true},
		{"[a-c]x", "dx", false},
		{"[!a-c]x", "dx", true},
		{"[^a-c]", "b", false},
		{"[]x]", "]", true},
		{"[a-]", "-", true},
		{"[ab", "[ab", true},
		{"[ab", "a", false},
		{"\\*", "*", true},
		{"\\*", "x", false},
		{"*a*b*c", "xxaxxbxxc", true},
		{"*ab", "aab", true},
		{"**x**", "x", true},
		{"post*s", "postgres", true},
		{"abc", "abcd", false},
		{"abcd", "abc", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (text__glob(rows[i].pattern, rows[i].name) != rows[i].matches)
			fail_msg("%s against %s", rows[i].pattern, rows[i].name);
	}
}

/* Thirty stars against a name without the last letter: a matcher that tries all splits would not come back.
 */
static void glob_time_is_bounded(void **state)
{
	char pattern[64], name[4096];

	(void)state;
	for (size_t i = 0; i < 30; i++)
		memcpy(pattern + 2 * i, "*a", 2);
	memcpy(pattern + 60, "*b", 3);
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_false(text__glob(pattern, name));
	name[sizeof(name) - 2] = 'b';
	assert_true(text__glob(pattern, name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_stays),
		cmocka_unit_test(syntax_of_each_style),
		cmocka_unit_test(controls),
		cmocka_unit_test(deceiving_characters),
		cmocka_unit_test(invalid_utf8),
		cmocka_unit_test(every_pair_is_harmless),
		cmocka_unit_test(widths_and_clipping),
		cmocka_unit_test(nearest_word),
		cmocka_unit_test(globs),
		cmocka_unit_test(glob_time_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
