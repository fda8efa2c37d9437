// SPDX-License-Identifier: Apache-2.0
/* JSON lines: every type of line against golden files, the schema and, read back, the numbers that went in.
 */
#include "sink_fixture.h"

#include <locale.h>
#include <math.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sink/json.h"

extern char **environ;

/* Golden files do not change with every release. */
static void hide_version(char *text)
{
	static const char mark[] = "\"sonde\":\"" SONDE_VERSION "\"";
	char *at = strstr(text, mark);

	assert_non_null(at);
	memset(at + strlen("\"sonde\":\""), '#', strlen(SONDE_VERSION));
	memmove(at + strlen("\"sonde\":\"#"), at + strlen(mark) - 1, strlen(at + strlen(mark) - 1) + 1);
}

/* One interval as lines, in a string that the caller frees. */
static char *write_lines(const char *command, const struct interval *interval, filler fill)
{
	struct outlet out;
	char *text = NULL;
	size_t len;
	FILE *stream = open_memstream(&text, &len);

	assert_non_null(stream);
	out.sink = json_sink__to(stream, &(struct sink_options){.command_line = command});
	assert_non_null(out.sink);
	assert_int_equal(sink_json.begin(out.sink, interval), 0);
	if (fill)
		fill(&out);
	assert_int_equal(sink_json.end(out.sink, interval), 0);
	assert_int_equal(sink_json.close(out.sink, true), 0);
	assert_int_equal(fclose(stream), 0);
	hide_version(text);
	return text;
}

static const struct frame user_stack[] = {
	K("futex_wait"),
	LIB("mutex_lock"),
	U("cache_get"),
	{.name = "run", .object = "app.jar", .address = 7, .kind = FRAME_JIT},
	{.name = "inlined",
	 .object = "api",
	 .address = 8,
	 .kind = FRAME_INLINED,
	 .line = 42,
	 .file = "src/api.c"},
	MARK("[truncated: no frame pointers]")};
static const struct frame irq_stack[] = {K("try_to_wake_up"), MARK("[irq]")};

static void every_type(struct outlet *out)
{
	static const struct event_field fields[] = {{"status", NULL, 1}, {"program", "/bin/true", 0}};
	static const struct event event = {"exit", 7 * S, fields, COUNT(fields)};
	struct who api = {.tgid = 812, .tid = 814, .comm = "api", .cgroup = 4711, .start_ns = 77 * S};
	struct hist h = {0}, sizes = {.count = 7, .sum = 7 * 4096}, none = {0};

	hist_add(&h, 0, 2);
	hist_add(&h, 1200 * US, 120);
	hist_add(&h, 48 * MS, 3);
	sizes.slot[hist__slot_unit(4096)] = 7;
	emit_count(out, &metric_counter, (struct who){0}, NULL, NULL, 1873);
	emit_count(out, &metric_states, api, "network", "n", 4400 * MS);
	emit(out,
	     &(struct point){.metric = &metric_gauge, .who = {.cgroup = 5}, .label = {"1m"}, .gauge = 0.1});
	emit_hist(out, &metric_latency, (struct who){0}, &h);
	emit_hist(out, &metric_latency, api, &none);
	emit_hist(out, &metric_sizes, (struct who){.comm = "xz"}, &sizes);
	emit_stack(out, &metric_samples, (struct who){.tgid = 7}, NULL,
		   (struct sample){.frames = user_stack,
				   .count = 3,
				   .value = 1,
				   .occurrences = 1,
				   .period_ns = 10101010});
	emit_stack(out, &metric_waits, api, "lock",
		   (struct sample){.frames = user_stack,
				   .count = COUNT(user_stack),
				   .value = 19400 * MS,
				   .occurrences = 27000,
				   .open = 3,
				   .hist = &h,
				   .incomplete = "no frame pointers",
				   .waker_frames = irq_stack,
				   .waker_count = COUNT(irq_stack),
				   .waker_comm = ""});
	emit(out, &(struct point){.metric = &metric_event, .who = api, .event = &event});
}

static void test_every_type(void **state)
{
	static const struct loss_row rows[] = {{"offcpu", "aggregated", 41220, false},
					       {"offcpu", "ring full", 12, true}};
	struct interval i = an_interval("api[812]", "41 220 waits");
	char *text;

	(void)state;
	i.loss = rows;
	i.loss_count = COUNT(rows);
	i.lost = 12;
	i.note = "one\ntwo";
	i.coverage = (struct coverage){100, 94, "no frame pointers", "libfoo.so"};
	text = write_lines("sonde offcpu -p 812 --json", &i, every_type);
	check_golden("tests/golden/json/every_type.jsonl", text);
	free(text);
}

static void hostile(struct outlet *out)
{
	static const struct frame frames[] = {{.name = HOSTILE, .object = HOSTILE, .kind = FRAME_USER}};
	static const struct event_field fields[] = {{"text", HOSTILE, 0}};
	static const struct event event = {HOSTILE, UINT64_MAX, fields, 1};
	struct who who = {.tgid = UINT32_MAX, .tid = 1, .cgroup = UINT64_MAX, .start_ns = UINT64_MAX};
	struct hist h = {.count = UINT64_MAX, .sum = UINT64_MAX};

	memcpy(who.comm, HOSTILE, sizeof(who.comm)); /* no NUL */
	h.slot[HIST_SLOTS - 1] = UINT64_MAX;
	emit_count(out, &metric_counter, who, NULL, NULL, UINT64_MAX);
	emit(out, &(struct point){.metric = &metric_gauge, .label = {HOSTILE}, .gauge = INFINITY});
	emit(out, &(struct point){.metric = &metric_gauge, .gauge = NAN});
	emit(out, &(struct point){.metric = &metric_gauge, .gauge = -1e300 / 3});
	emit_hist(out, &metric_latency, who, &h);
	emit_stack(out, &metric_waits, who, HOSTILE,
		   (struct sample){.frames = frames,
				   .count = 1,
				   .value = UINT64_MAX,
				   .occurrences = UINT64_MAX,
				   .open = UINT64_MAX,
				   .incomplete = HOSTILE,
				   .waker_frames = frames,
				   .waker_count = 1,
				   .waker_comm = HOSTILE});
	emit_stack(out, &metric_waits, who, NULL, (struct sample){0});
	emit(out, &(struct point){.metric = &metric_event, .event = &event});
}

static void test_hostile(void **state)
{
	static const struct loss_row rows[] = {{HOSTILE, HOSTILE, UINT64_MAX, true}};
	struct interval i = an_interval(HOSTILE, HOSTILE);
	char *text;

	(void)state;
	i.note = HOSTILE;
	i.loss = rows;
	i.loss_count = 1;
	i.lost = UINT64_MAX;
	i.start_ns = i.end_ns = UINT64_MAX;
	i.number = UINT32_MAX;
	i.accounted = i.last = false;
	i.own_cost = NAN;
	i.wall_start = (struct timespec){0};
	i.coverage = (struct coverage){UINT64_MAX, 0, HOSTILE, HOSTILE};
	text = write_lines(HOSTILE, &i, hostile);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		assert_true((*c >= 0x20 && *c != 0x7f) || *c == '\n');
	check_golden("tests/golden/json/hostile.jsonl", text);
	free(text);
}

static void test_empty(void **state)
{
	struct interval i = an_interval(NULL, NULL);
	char *text;

	(void)state;
	i.note = NULL;
	text = write_lines(NULL, &i, NULL);
	check_golden("tests/golden/json/empty.jsonl", text);
	free(text);
}

/* Whole numbers of 64 bits and doubles come back as they went in; with a decimal comma, where such a locale
 * is there. */
static void test_numbers_read_back(void **state)
{
	static const double doubles[] = {0.1,  1.0 / 3,		  2.5e-310, 1.7976931348623157e308,
					 -0.0, 123456789012345680};
	struct json_line line = {.object = json_object_new_object()};
	struct json_object *back;
	char key[8];

	(void)state;
	setlocale(LC_NUMERIC, "de_DE.UTF-8");
	for (size_t i = 0; i < COUNT(doubles); i++) {
		snprintf(key, sizeof(key), "d%u", (unsigned)i);
		json_line__double(&line, line.object, key, doubles[i]);
	}
	json_line__number(&line, line.object, "u", UINT64_MAX);
	assert_false(line.failed);
	setlocale(LC_NUMERIC, "C");
	back = json_tokener_parse(json_object_to_json_string(line.object));
	assert_non_null(back);
	for (size_t i = 0; i < COUNT(doubles); i++) {
		snprintf(key, sizeof(key), "d%u", (unsigned)i);
		assert_true(json_object_get_double(json_object_object_get(back, key)) == doubles[i]);
	}
	assert_true(json_object_get_uint64(json_object_object_get(back, "u")) == UINT64_MAX);
	json_object_put(back);
	json_object_put(line.object);
}

/* The bucket bounds that a reader computes from scale, offset and unit hold the value that was put in. */
static void test_bucket_bounds(void **state)
{
	struct json_line line;
	struct json_object *counts;
	double lower, upper, seconds;
	int offset;

	(void)state;
	for (uint64_t ns = 3; ns < 100 * S; ns = ns * 13 / 8) {
		struct hist h = {0};

		hist_add(&h, ns, 1);
		line = (struct json_line){.object = json_object_new_object()};
		assert_int_equal(
			json_point__write(&line, &(struct point){.metric = &metric_latency, .hist = &h}), 0);
		offset = json_object_get_int(json_object_object_get(line.object, "offset"));
		counts = json_object_object_get(line.object, "bucket_counts");
		assert_int_equal(json_object_array_length(counts), 1);
		lower = exp2(offset / 8.0);
		upper = exp2((offset + 1) / 8.0);
		seconds = (double)ns / 1e9;
		assert_true(lower < seconds + 1e-9 && seconds <= upper * (1 + 1e-12));
		json_object_put(line.object);
	}
}

static void test_wrong_kind(void **state)
{
	static const struct metric wrong = {"x", "1", .kind = (enum point_kind)99};
	struct interval i = an_interval("x", "y");
	FILE *stream = fopen("/dev/null", "w");
	struct sink *sink = json_sink__to(stream, &(struct sink_options){0});

	(void)state;
	assert_int_equal(sink_json.begin(sink, &i), 0);
	assert_int_equal(sink_json.point(sink, &(struct point){.metric = &wrong}), -EINVAL);
	sink_json.close(sink, true);
	fclose(stream);
}

/* The binary holds the file that stands in the tree, byte by byte, and it is JSON. */
static void test_schema_is_linked(void **state)
{
	struct json_object *parsed;
	struct buf file = {0};
	const char *schema;
	size_t len;

	(void)state;
	schema = json_sink__schema(&len);
	assert_int_equal(buf__read_file(&file, "user/sink/schema.json", 1 << 20), 0);
	assert_int_equal(len, file.len);
	assert_memory_equal(schema, file.data, len);
	parsed = json_tokener_parse(file.data);
	assert_non_null(parsed);
	json_object_put(parsed);
	buf__free(&file);
}

/* python3-jsonschema judges the golden lines, and that broken ones do not pass. */
static void test_lines_satisfy_schema(void **state)
{
	static const char *const argv[] = {"python3",
					   "tests/golden/json/check.py",
					   "user/sink/schema.json",
					   "tests/golden/json/every_type.jsonl",
					   "tests/golden/json/hostile.jsonl",
					   "tests/golden/json/empty.jsonl",
					   NULL};
	int status;
	pid_t pid;

	(void)state;
	if (access("/usr/bin/python3", X_OK)) {
		print_message("skipped: no python3\n");
		skip();
	}
	assert_int_equal(posix_spawn(&pid, "/usr/bin/python3", NULL, NULL, (char *const *)argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_file_is_whole_or_absent(void **state)
{
	(void)state;
	check_whole_or_absent(&sink_json, NULL);
}

static void test_reader_is_gone(void **state)
{
	(void)state;
	check_gone_reader(&sink_json, json_sink__to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_numbers_read_back),
		cmocka_unit_test(test_bucket_bounds),
		cmocka_unit_test(test_wrong_kind),
		cmocka_unit_test(test_schema_is_linked),
		cmocka_unit_test(test_lines_satisfy_schema),
		cmocka_unit_test(test_file_is_whole_or_absent),
		cmocka_unit_test(test_reader_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
