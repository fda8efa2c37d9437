// SPDX-License-Identifier: Apache-2.0
/* Tables of histograms, states and values, their heads, intervals and ends. */
#include "table_fixture.h"

#include <errno.h>
#include <time.h>

/* --- histograms and rankings */

static void latency(struct outlet *out)
{
	static const struct {
		const char *comm;
		uint32_t tgid;
		uint64_t ns;
	} instead[] = {{"kworker/1:2", 77, 9},
		       {"xz", 9001, 77},
		       {"a", 1, 4},
		       {"b", 2, 3},
		       {"c", 3, 2},
		       {"d", 4, 4},
		       {"", 0, 1}};
	struct hist h = {0};
	struct who who;

	for (size_t i = 0; i < COUNT(instead); i++) { /* before the histogram, yet drawn below it */
		who = (struct who){.tgid = instead[i].tgid};
		memcpy(who.comm, instead[i].comm, strlen(instead[i].comm));
		emit_count(out, &metric_instead, who, NULL, NULL, instead[i].ns * MS);
	}
	hist_add(&h, 0, 12);
	hist_add(&h, 1500, 41210);
	hist_add(&h, 3100, 52877);
	hist_add(&h, 6400, 20100);
	hist_add(&h, 22 * US, 13100);
	hist_add(&h, 90 * US, 700);
	hist_add(&h, 1900 * US, 120);
	hist_add(&h, 14 * MS, 1);
	emit_hist(out, &metric_latency, (struct who){0}, &h);
}

static void test_histogram(void **state)
{
	struct interval i = an_interval("machine, 2 CPUs", "128 120 waits");

	(void)state;
	i.end_ns = i.start_ns + 5 * S;
	check_widths("histogram", &i, latency);
}

static void one_wait(struct outlet *out)
{
	struct hist h = {0};

	hist_add(&h, 3100, 1);
	emit_hist(out, &metric_latency, (struct who){0}, &h);
}

static void huge_waits(struct outlet *out)
{
	struct hist h = {0};

	h.slot[HIST_SLOTS - 1] = UINT64_MAX / 4;
	h.slot[1] = 1;
	h.count = UINT64_MAX / 4 + 1;
	h.max = UINT64_MAX;
	h.sum = UINT64_MAX;
	emit_hist(out, &metric_latency, (struct who){0}, &h);
}

static void sizes(struct outlet *out)
{
	struct hist h = {.count = 111, .sum = 5 << 20, .max = 1 << 20};

	h.slot[hist__slot_unit(4096)] = 100;
	h.slot[hist__slot_unit(4097)] = 7;
	h.slot[hist__slot_unit(1 << 20)] = 4;
	emit_hist(out, &metric_sizes, (struct who){0}, &h);
}

static void test_odd_histograms(void **state)
{
	struct interval i = an_interval("machine, 2 CPUs", "1 wait");

	(void)state;
	check("histogram.one", &eighty, &i, one_wait);
	check("histogram.huge", &eighty, &i, huge_waits);
	check("histogram.bytes", &eighty, &i, sizes);
}

static void latency_by_who(struct outlet *out)
{
	static const char *const names[] = {"xz", "postgres", "kworker/1:2", HOSTILE};
	struct hist h = {0};
	struct who who;

	for (uint32_t n = 0; n < 13; n++) {
		hist_add(&h, (n + 1) * 700 * US, 100 + n);
		who = (struct who){.tgid = 100 + n};
		memcpy(who.comm, names[n % 4], strnlen(names[n % 4], 16));
		if (n == 5 || n == 6)
			who = (struct who){.cgroup = 4711};
		emit(out, &(struct point){.metric = &metric_latency,
					  .who = who,
					  .hist = &h,
					  .label = {n == 6 ? "/system.slice/" HOSTILE : NULL}});
	}
}

static void test_histograms_by_who(void **state)
{
	struct interval i = an_interval("machine, 2 CPUs", "12 000 waits");

	(void)state;
	check_widths("histogram_who", &i, latency_by_who);
}

/* --- states */

struct times {
	uint32_t tid;
	const char *comm;
	uint64_t ms[8];
};

static const char *const words[8][2] = {{"idle", "."},	  {"user", "u"}, {"sys", "k"},	   {"runq", "r"},
					{"network", "n"}, {"disk", "d"}, {"unknown", "?"}, {"lock", "l"}};

static void emit_times(struct outlet *out, uint32_t tgid, const struct times *t)
{
	struct who who = {.tgid = tgid, .tid = t->tid};

	memcpy(who.comm, t->comm, strnlen(t->comm, sizeof(who.comm)));
	for (size_t i = 0; i < COUNT(words); i++) {
		if (t->ms[i])
			emit_count(out, &metric_states, who, words[i][0], words[i][1], t->ms[i] * MS);
	}
}

static const struct times threads[] = {
	{812, "api", {9990, 10}},
	{814, "wrk", {0, 310, 90, 200, 4400, 2100, 0, 2900}},
	{815, "wrk", {1000, 310, 0, 200, 4400, 1190, 0, 2900}},
	{816, HOSTILE, {0, 10000}},
};

static void one_process(struct outlet *out)
{
	for (size_t i = 0; i < COUNT(threads); i++)
		emit_times(out, 812, &threads[i]);
}

static void test_states(void **state)
{
	struct interval i = an_interval("api[812]", "4 threads: accounted 40.000 s, unknown 0");

	(void)state;
	check_widths("states", &i, one_process);
	check("states.rows", &(struct sink_options){.columns = 80, .rows = 2}, &i, one_process);
}

static void many_processes(struct outlet *out)
{
	struct times t = {.comm = "loop"};

	one_process(out);
	for (uint32_t n = 0; n < 14; n++) {
		t.tid = 1000 + n;
		t.ms[1] = 100 * n;
		t.ms[0] = 10000 - 100 * n;
		emit_times(out, t.tid, &t);
	}
	t = (struct times){2001, "wide", {0, 1, 1, 1, 1, 1, 12345678, 1}};
	for (; t.tid < 2010; t.tid++)
		emit_times(out, 2001, &t);
}

static void test_states_of_many_processes(void **state)
{
	struct interval i = an_interval("machine, 2 CPUs", "27 threads");

	(void)state;
	check_widths("states_processes", &i, many_processes);
	check("states_processes.rows", &(struct sink_options){.columns = 80, .rows = 2}, &i, many_processes);
}

static void one_thread(struct outlet *out)
{
	emit_times(out, 9, &(struct times){9, "x", {0, 3}});
}

/* More words than columns, and a letter that is none. */
static void forty_states(struct outlet *out)
{
	char word[8];

	for (uint64_t n = 0; n < 40; n++) {
		snprintf(word, sizeof(word), "s%02u", (unsigned)n);
		emit_count(out, &metric_states, (struct who){.tgid = 9, .tid = 9, .comm = "x"}, word,
			   n % 2 ? NULL : "\033", n * MS);
	}
}

static void test_odd_states(void **state)
{
	struct interval i = an_interval("x[9]", "1 thread");

	(void)state;
	check("states.one", &eighty, &i, one_thread);
	check("states.forty", &eighty, &i, forty_states);
	check("states.forty.pipe", &(struct sink_options){0}, &i, forty_states);
}

/* --- values, heads, loss */

static void values(struct outlet *out)
{
	static const struct event_field fields[] = {{"status", NULL, 1}, {"program", HOSTILE, 0}};
	static const struct event event = {"exit", 7 * S, fields, 2};
	struct who who = {.tgid = 812, .tid = 814, .comm = "wrk"};

	emit_count(out, &metric_counter, (struct who){0}, NULL, NULL, 1873);
	emit(out, &(struct point){.metric = &metric_gauge, .who = who, .label = {"1m"}, .gauge = 0.25});
	emit(out, &(struct point){.metric = &metric_gauge, .label = {"5m"}, .gauge = 1.0 / 3});
	emit(out, &(struct point){.metric = &metric_event, .who = who, .event = &event});
}

static void test_values(void **state)
{
	struct interval i = an_interval("machine, 2 CPUs", "3 values");

	(void)state;
	check("values", &eighty, &i, values);
	check("values.40", &(struct sink_options){.columns = 40}, &i, values);
}

static void test_empty(void **state)
{
	struct interval i = an_interval("sleep[5]", "0 samples");

	(void)state;
	check("empty", &eighty, &i, NULL);
	i.subject = i.headline = i.note = NULL;
	i.end_ns = i.start_ns;
	i.own_cost = 0;
	check("empty.nothing", &eighty, &i, NULL);
}

static void test_loss(void **state)
{
	static const struct loss_row rows[] = {{"offcpu", "aggregated", 41220, false},
					       {"offcpu", "no room for the stack", 12, true},
					       {"offcpu", "ring full", 0, true},
					       {"runq", "aggregated", 128412, false}};
	struct interval i = an_interval("api[812]", "41 220 waits");
	struct sink_options o = {.columns = 80, .verbose = true};

	(void)state;
	i.loss = rows;
	i.loss_count = COUNT(rows);
	i.lost = 12;
	i.coverage = (struct coverage){100000, 99999, "depth limit", NULL};
	check("loss", &o, &i, NULL);
	o.colour = true;
	i.accounted = false;
	check("loss.colour", &o, &i, NULL);
}

/* Endless runs: each interval starts with its time of day and forgets the one before. */
static void test_intervals(void **state)
{
	struct interval i = an_interval("true[7]", "1 sample");
	struct outlet out;
	char *text = NULL;
	size_t len;
	FILE *stream = open_memstream(&text, &len);

	(void)state;
	out.sink = table_sink__to(stream, &eighty);
	i.last = false;
	for (i.number = 1; i.number <= 3; i.number++) {
		i.wall_start.tv_sec += 10;
		assert_int_equal(sink_table.begin(out.sink, &i), 0);
		if (i.number != 2)
			one_sample(&out);
		assert_int_equal(sink_table.end(out.sink, &i), 0);
	}
	sink_table.close(out.sink, true);
	fclose(stream);
	check_golden("tests/golden/table/intervals.txt", text);
	free(text);
}

/* A metric whose kind does not fit its shape is a probe's error, said, and nothing is drawn of it. */
static void test_wrong_kind(void **state)
{
	static const struct metric wrong[] = {
		{"a", "1", .kind = POINT_COUNTER, .shape = SHAPE_FUNCTIONS},
		{"b", "1", .kind = POINT_GAUGE, .shape = SHAPE_STACKS},
		{"c", "1", .kind = POINT_COUNTER, .shape = SHAPE_HISTOGRAM},
		{"d", "1", .kind = POINT_STACK, .shape = SHAPE_STATES},
		{"e", "1", .kind = POINT_HIST, .shape = SHAPE_RANKING},
		{"f", "1", .kind = POINT_STACK, .shape = SHAPE_VALUE},
		{"g", "1", .kind = POINT_STACK, .shape = (enum metric_shape)99},
	};
	struct interval i = an_interval("x", "y");
	FILE *stream = fopen("/dev/null", "w");
	struct sink *sink = table_sink__to(stream, &eighty);

	(void)state;
	sink_table.begin(sink, &i);
	for (size_t n = 0; n < COUNT(wrong); n++)
		assert_int_equal(sink_table.point(sink, &(struct point){.metric = &wrong[n]}), -EINVAL);
	assert_int_equal(sink_table.end(sink, &i), 0);
	sink_table.close(sink, true);
	fclose(stream);
}

/* --- files and pipes */

static void test_file_is_whole_or_absent(void **state)
{
	(void)state;
	check_whole_or_absent(&sink_table, "sleep[5] 10.0 s, 0 samples, 0 lost, own cost 0.2 %\n");
}

static void test_reader_is_gone(void **state)
{
	(void)state;
	check_gone_reader(&sink_table, table_sink__to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_odd_histograms),
		cmocka_unit_test(test_histograms_by_who),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_states_of_many_processes),
		cmocka_unit_test(test_odd_states),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_wrong_kind),
		cmocka_unit_test(test_file_is_whole_or_absent),
		cmocka_unit_test(test_reader_is_gone),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
