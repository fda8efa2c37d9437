// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "base/units.h"

static void parses_durations(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t ns;
	} rows[] = {
		{"250us", 0, 250000},
		{"1.5ms", 0, 1500000},
		{"10s", 0, 10000000000},
		{"2m", 0, 120000000000},
		{"1h", 0, 3600000000000},
		{"1d", 0, 86400000000000},
		{"100ns", 0, 100},
		{"0s", 0, 0},
		{"3\xc2\xb5s", 0, 3000},
		{"0.000000001s", 0, 1},
		{"0.1s", 0, 100000000},
		{"0.0000000000000000000000009s", 0, 0},
		{"18446744073709551615ns", 0, UINT64_MAX},
		{"18446744073709551616ns", -ERANGE},
		{"18446744073.709551616s", -ERANGE},
		{"99999999999999999999999999999999999999999999s", -ERANGE},
		{"10", -EINVAL},
		{"", -EINVAL},
		{"s", -EINVAL},
		{"-1s", -EINVAL},
		{"+1s", -EINVAL},
		{" 1s", -EINVAL},
		{"1 s", -EINVAL},
		{"1.s", -EINVAL},
		{".5s", -EINVAL},
		{"1e3s", -EINVAL},
		{"1sec", -EINVAL},
		{"1S", -EINVAL},
		{"1.2.3s", -EINVAL},
	};
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ns = 77;
		if (units__parse_duration(rows[i].text, &ns) != rows[i].err ||
		    ns != (rows[i].err ? 77 : rows[i].ns))
			fail_msg("%s: %llu", rows[i].text, (unsigned long long)ns);
	}
}

static void parses_sizes(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t bytes;
	} rows[] = {
		{"4096", 0, 4096},    {"64k", 0, 65536},      {"24MB", 0, 24 << 20},
		{"1GiB", 0, 1 << 30}, {"1.5k", 0, 1536},      {"2T", 0, 2ULL << 40},
		{"7B", 0, 7},	      {"16777216T", -ERANGE}, {"64kk", -EINVAL},
		{"k", -EINVAL},	      {"-1", -EINVAL},	      {"16777215T", 0, 16777215ULL << 40},
	};
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bytes = 77;
		if (units__parse_size(rows[i].text, &bytes) != rows[i].err ||
		    bytes != (rows[i].err ? 77 : rows[i].bytes))
			fail_msg("%s: %llu", rows[i].text, (unsigned long long)bytes);
	}
}

static void parses_whole_numbers(void **state)
{
	long long n = 77;

	(void)state;
	assert_int_equal(units__parse_int("12", 1, 12, &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(units__parse_int("-5", -5, 0, &n), 0);
	assert_int_equal(n, -5);
	assert_int_equal(units__parse_int("9223372036854775807", 0, LLONG_MAX, &n), 0);
	assert_true(n == LLONG_MAX);
	n = 77;
	assert_int_equal(units__parse_int("13", 1, 12, &n), -ERANGE);
	assert_int_equal(units__parse_int("0", 1, 12, &n), -ERANGE);
	assert_int_equal(units__parse_int("9223372036854775808", 0, LLONG_MAX, &n), -ERANGE);
	assert_int_equal(units__parse_int("12x", 1, 12, &n), -EINVAL);
	assert_int_equal(units__parse_int(" 12", 1, 12, &n), -EINVAL);
	assert_int_equal(units__parse_int("+12", 1, 12, &n), -EINVAL);
	assert_int_equal(units__parse_int("", 1, 12, &n), -EINVAL);
	assert_int_equal(units__parse_int("-", -5, 12, &n), -EINVAL);
	assert_int_equal(n, 77);
}

typedef void writer(struct buf *, uint64_t);

static void expect(writer *write, uint64_t n, const char *expected)
{
	struct buf out = {0};

	write(&out, n);
	if (strcmp(buf__text(&out), expected))
		fail_msg("%llu: %s, not %s", (unsigned long long)n, buf__text(&out), expected);
	assert_true(text__width(buf__text(&out)) <= 8 || write == units__count);
	buf__free(&out);
}

static void writes_durations(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} rows[] = {
		{0, "0"},
		{1, "1ns"},
		{999, "999ns"},
		{1000, "1.0us"},
		{3100, "3.1us"},
		{9949, "9.9us"},
		{9950, "10us"},
		{22000, "22us"},
		{999499, "999us"},
		{999500, "1.0ms"},
		{999600, "1.0ms"},
		{1900000, "1.9ms"},
		{48000000, "48ms"},
		{999499999, "999ms"},
		{999500000, "1.0s"},
		{2500000000, "2.5s"},
		{41900000000, "41.9s"},
		{99949999999, "99.9s"},
		{99950000000, "100s"},
		{138300000000, "138s"},
		{999499999999, "999s"},
		{999500000000, "16m40s"},
		{3599499999999, "59m59s"},
		{3599500000000, "1h00m"},
		{7500000000000, "2h05m"},
		{359969000000000, "99h59m"},
		{359970000000000, "4d04h"},
		{UINT64_MAX, "213504d"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(units__duration, rows[i].ns, rows[i].text);
}

static void writes_counts(void **state)
{
	(void)state;
	expect(units__count, 0, "0");
	expect(units__count, 999, "999");
	expect(units__count, 1873, "1 873");
	expect(units__count, 41220, "41 220");
	expect(units__count, 100000, "100 000");
	expect(units__count, UINT64_MAX, "18 446 744 073 709 551 615");
	expect(units__short_count, 0, "0");
	expect(units__short_count, 9999, "9999");
	expect(units__short_count, 10000, "10.0k");
	expect(units__short_count, 12149, "12.1k");
	expect(units__short_count, 99949, "99.9k");
	expect(units__short_count, 99950, "100k");
	expect(units__short_count, 999499, "999k");
	expect(units__short_count, 999500, "1.0M");
	expect(units__short_count, 3400000, "3.4M");
	expect(units__short_count, UINT64_MAX, "18.4E");
}

static void writes_bytes(void **state)
{
	(void)state;
	expect(units__bytes, 0, "0B");
	expect(units__bytes, 1023, "1023B");
	expect(units__bytes, 1024, "1.0KiB");
	expect(units__bytes, 65536, "64KiB");
	expect(units__bytes, (1 << 20) - 1, "1.0MiB");
	expect(units__bytes, 15 << 20, "15MiB");
	expect(units__bytes, UINT64_MAX, "16EiB");
}

/* What is written is parsed again to within the digits shown, over all magnitudes. */
static void durations_survive_a_round_trip(void **state)
{
	(void)state;
	for (uint64_t ns = 1; ns < 999000000000; ns += ns / 7 + 1) {
		struct buf out = {0};
		uint64_t back = 0;

		units__duration(&out, ns);
		assert_int_equal(units__parse_duration(buf__text(&out), &back), 0);
		if (back > ns ? (back - ns) * 20 > ns : (ns - back) * 20 > ns)
			fail_msg("%llu is shown as %s", (unsigned long long)ns, buf__text(&out));
		buf__free(&out);
	}
}

static void clock_runs(void **state)
{
	uint64_t before = units__now_ns();

	(void)state;
	assert_true(before > 0);
	assert_true(units__now_ns() >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_durations),
		cmocka_unit_test(parses_sizes),
		cmocka_unit_test(parses_whole_numbers),
		cmocka_unit_test(writes_durations),
		cmocka_unit_test(writes_counts),
		cmocka_unit_test(writes_bytes),
		cmocka_unit_test(durations_survive_a_round_trip),
		cmocka_unit_test(clock_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
