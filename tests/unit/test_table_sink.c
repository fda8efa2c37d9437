// SPDX-License-Identifier: Apache-2.0
/* Tables, as people see them: each test draws points with a known answer and compares the page with a golden
 * file. */
#include "sink_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sink/table.h"

typedef void (*filler)(struct outlet *);

/* No byte that a terminal would obey, bar the line ends and, in colour, sonde's own SGR sequences. */
static void assert_harmless(const char *text, bool colour)
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
static char *draw(const struct sink_options *options, const struct interval *interval, filler fill)
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

static void check(const char *name, const struct sink_options *options, const struct interval *interval,
		  filler fill)
{
	char path[128], *text = draw(options, interval, fill);

	snprintf(path, sizeof(path), "tests/golden/table/%s.txt", name);
	check_golden(path, text);
	free(text);
}

/* The same page at widths that people have: NAME.40, .80, .200, .pipe (no truncation) and .colour. */
static void check_widths(const char *name, const struct interval *interval, filler fill)
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

/* --- functions
 * ------------------------------------------------------------------------------------------------- */

static void profile(struct outlet *out)
{
	static const struct frame search[] = {
		U("hash_search_with_hash_value"), U("ExecScan"),     U("ExecutorRun"), U("PortalRun"),
		U("exec_simple_query"),		  U("PostgresMain"), U("ServerLoop"),  U("main"),
		LIB("__libc_start_main_impl"),	  U("_start")};
	static const struct frame recursion[] = {U("fib"), U("fib"), U("fib"), U("main"), U("_start")};
	static const struct frame copy[] = {K("copy_user_generic"), K("vfs_read"),
					    K("do_syscall_64"),	    LIB("read"),
					    U("ExecScan"),	    MARK("[incomplete: no frame pointers]")};
	static const struct frame template[] = {
		U("std::_Rb_tree<std::string, std::pair<std::string const, int> >::_M_get_insert_unique_pos"),
		U("main")};
	static const struct frame lost[] = {MARK("[incomplete: user memory unreadable]")};
	struct who a = {.tgid = 4127, .tid = 4127, .comm = "postgres"}, b = {.tgid = 4127, .tid = 4130};

	emit_stack(
		out, &metric_samples, a, NULL,
		(struct sample){.frames = search, .count = COUNT(search), .value = 500, .occurrences = 500});
	emit_stack(out, &metric_samples, a, NULL,
		   (struct sample){
			   .frames = recursion, .count = COUNT(recursion), .value = 300, .occurrences = 300});
	emit_stack(
		out, &metric_samples, b, NULL,
		(struct sample){.frames = search, .count = COUNT(search), .value = 100, .occurrences = 100});
	emit_stack(out, &metric_samples, a, NULL,
		   (struct sample){.frames = copy,
				   .count = COUNT(copy),
				   .value = 60,
				   .occurrences = 60,
				   .incomplete = "no frame pointers"});
	emit_stack(out, &metric_samples, a, NULL,
		   (struct sample){.frames = template, .count = 2, .value = 39, .occurrences = 39});
	emit_stack(out, &metric_samples, a, NULL,
		   (struct sample){.frames = lost, .count = 1, .value = 1, .occurrences = 1});
}

static void recursion(struct outlet *out)
{
	static const struct frame deep[] = {U("fib"), U("fib"),	 U("fib"),  U("even"),
					    U("odd"), U("even"), U("main"), U("_start")};
	static const struct frame starting[] = {U("_start")};

	emit_stack(out, &metric_samples, (struct who){.tgid = 7}, NULL,
		   (struct sample){.frames = deep, .count = COUNT(deep), .value = 90, .occurrences = 90});
	emit_stack(out, &metric_samples, (struct who){.tgid = 7}, NULL,
		   (struct sample){.frames = starting, .count = 1, .value = 10, .occurrences = 10});
	emit_stack(out, &metric_samples, (struct who){.tgid = 7}, NULL, (struct sample){0});
}

/* A function that is in a stack several times counts once: no total above 100 %. */
static void test_recursion(void **state)
{
	struct interval i = an_interval("fib[7]", "100 samples");

	(void)state;
	check("functions.recursion", &(struct sink_options){.columns = 80, .rows = 20}, &i, recursion);
}

static void test_functions(void **state)
{
	struct interval i = an_interval("postgres[4127]", "1.89 CPUs, 1 000 samples at 99 Hz (cpu-clock)");

	(void)state;
	i.coverage = (struct coverage){1000, 939, "no frame pointers", "libfoo.so"};
	check_widths("functions", &i, profile);
	check("functions.rows", &(struct sink_options){.columns = 80, .rows = 2}, &i, profile);
}

static void one_sample(struct outlet *out)
{
	static const struct frame frames[] = {U("main")};

	emit_stack(out, &metric_samples, (struct who){.tgid = 7}, NULL,
		   (struct sample){.frames = frames, .count = 1, .value = 1, .occurrences = 1});
}

static void test_functions_of_one_sample(void **state)
{
	struct interval i = an_interval("true[7]", "0.00 CPUs, 1 sample at 99 Hz (cpu-clock)");

	(void)state;
	i.end_ns = i.start_ns + 1234567;
	i.own_cost = 0.0001;
	check("functions.one", &eighty, &i, one_sample);
}

static void hostile_profile(struct outlet *out)
{
	static const struct frame frames[] = {{.name = HOSTILE, .object = HOSTILE, .kind = FRAME_USER},
					      {.name = "", .object = "", .kind = FRAME_JIT}};

	emit_stack(out, &metric_samples, (struct who){.tgid = 7}, NULL,
		   (struct sample){.frames = frames, .count = 2, .value = 3, .occurrences = 3});
}

static void test_hostile_functions(void **state)
{
	struct interval i = an_interval(HOSTILE "[7]", HOSTILE);

	(void)state;
	i.note = "first\nsecond " HOSTILE;
	i.coverage = (struct coverage){3, 1, HOSTILE, HOSTILE};
	check_widths("functions_hostile", &i, hostile_profile);
}

/* --- stacks
 * ---------------------------------------------------------------------------------------------------- */

static const struct frame wait_network[] = {
	K("__schedule"),  K("schedule"),       K("schedule_timeout"), K("unix_stream_read_generic"),
	LIB("recv"),	  LIB("PQgetResult"),  U("load_user"),	      U("handle_request"),
	U("worker_main"), LIB("start_thread"), LIB("clone3")};
static const struct frame wait_lock[] = {K("__schedule"),   K("schedule"),	 K("futex_wait"),
					 LIB("mutex_lock"), U("cache_get"),	 U("handle_request"),
					 U("worker_main"),  LIB("start_thread"), LIB("clone3")};
static const struct frame wait_idle[] = {K("schedule"), K("ep_poll"), LIB("epoll_wait"), U("loop"),
					 U("main")};
static const struct frame wait_kernel[] = {K("__schedule"), K("schedule"), K("worker_thread"), K("kthread"),
					   K("ret_from_fork")};
static const struct frame wake_softirq[] = {K("try_to_wake_up"), K("sock_def_readable"), MARK("[softirq]")};
static const struct frame wake_unlock[] = {K("wake_up_q"), K("futex_wake"), U("cache_evict"), U("main")};

static void blocked(struct outlet *out)
{
	struct who api = {.tgid = 812, .comm = "api", .start_ns = 77};
	struct hist network = {0}, lock = {0}, later = {0};

	hist_add(&network, 1200 * US, 12000);
	hist_add(&network, 48 * MS, 121);
	hist_add(&lock, 88 * US, 20000);
	hist_add(&later, 9100 * US, 7000);
	emit_stack(
		out, &metric_waits, api, "idle",
		(struct sample){
			.frames = wait_idle, .count = COUNT(wait_idle), .value = 70 * S, .occurrences = 9});
	emit_stack(out, &metric_waits, api, "network",
		   (struct sample){.frames = wait_network,
				   .count = COUNT(wait_network),
				   .value = 41900 * MS,
				   .occurrences = 12121,
				   .hist = &network,
				   .waker_frames = wake_softirq,
				   .waker_count = COUNT(wake_softirq),
				   .waker_comm = ""});
	emit_stack(out, &metric_waits, api, "lock",
		   (struct sample){.frames = wait_lock,
				   .count = COUNT(wait_lock),
				   .value = 10 * S,
				   .occurrences = 20000,
				   .hist = &lock,
				   .waker_frames = wake_unlock,
				   .waker_count = COUNT(wake_unlock),
				   .waker_comm = "api/814"});
	/* the same stack of another thread: one row with the above, its quantiles over both */
	emit_stack(out, &metric_waits, api, "lock",
		   (struct sample){.frames = wait_lock,
				   .count = COUNT(wait_lock),
				   .value = 9400 * MS,
				   .occurrences = 7000,
				   .hist = &later,
				   .open = 3,
				   .waker_frames = wake_unlock,
				   .waker_count = COUNT(wake_unlock),
				   .waker_comm = "api/814"});
}

static void test_stacks(void **state)
{
	struct interval i =
		an_interval("api[812]", "14 threads: blocked 138.3 s in 41 220 waits (9 still open)");

	(void)state;
	check_widths("stacks", &i, blocked);
	check("stacks.rows", &(struct sink_options){.columns = 80, .rows = 1}, &i, blocked);
}

static void deadlock(struct outlet *out)
{
	struct who who = {.tgid = 900, .tid = 901, .comm = "dead"},
		   kernel = {.tgid = 12, .comm = "kworker/0:1"};

	emit_stack(
		out, &metric_waits, who, NULL,
		(struct sample){.frames = wait_lock, .count = COUNT(wait_lock), .value = 10 * S, .open = 1});
	emit_stack(out, &metric_waits, kernel, NULL,
		   (struct sample){
			   .frames = wait_kernel, .count = COUNT(wait_kernel), .value = 9 * S, .open = 1});
	emit_stack(out, &metric_waits, kernel, NULL, (struct sample){.value = 1, .occurrences = 1});
}

static void test_stacks_of_several_processes(void **state)
{
	struct interval i = an_interval("machine, 2 CPUs", "blocked 19.0 s in 1 wait (2 still open)");

	(void)state;
	check_widths("stacks_who", &i, deadlock);
}

static void only_idle(struct outlet *out)
{
	struct who who = {.tgid = 812, .comm = "api"};

	emit_stack(out, &metric_waits, who, "idle",
		   (struct sample){
			   .frames = wait_idle, .count = COUNT(wait_idle), .value = 7 * S, .occurrences = 9});
	emit_stack(out, &metric_waits, who, "idle",
		   (struct sample){
			   .frames = wait_lock, .count = COUNT(wait_lock), .value = 8 * S, .occurrences = 1});
}

static void test_only_idle(void **state)
{
	struct interval i = an_interval("api[812]", "blocked 15.0 s in 10 waits");

	(void)state;
	check("stacks.idle", &eighty, &i, only_idle);
	check("stacks.idle.40", &(struct sink_options){.columns = 40}, &i, only_idle);
}

static void hostile_stack(struct outlet *out)
{
	static const struct frame frames[] = {{.name = HOSTILE, .object = HOSTILE, .kind = FRAME_USER},
					      U("main")};
	struct who who = {.tgid = 1, .comm = "\033]0;x\007\n\xff"},
		   other = {.tgid = 2, .comm = "sixteen bytes.."};

	other.comm[15] = '!'; /* no NUL */
	emit_stack(out, &metric_waits, who, HOSTILE,
		   (struct sample){.frames = frames,
				   .count = 2,
				   .value = UINT64_MAX / 2,
				   .occurrences = UINT64_MAX,
				   .waker_comm = HOSTILE,
				   .waker_frames = frames,
				   .waker_count = 2});
	emit_stack(out, &metric_waits, other, "",
		   (struct sample){.frames = frames, .count = 2, .value = 1, .occurrences = 1});
}

static void test_hostile_stacks(void **state)
{
	struct interval i = an_interval("machine", "blocked");

	(void)state;
	check_widths("stacks_hostile", &i, hostile_stack);
}

/* --- histograms and rankings
 * ----------------------------------------------------------------------------------- */

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

/* --- states
 * ---------------------------------------------------------------------------------------------------- */

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

/* --- values, heads, loss
 * --------------------------------------------------------------------------------------- */

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

/* --- files and pipes
 * ------------------------------------------------------------------------------------------- */

static void test_file_is_whole_or_absent(void **state)
{
	struct interval i = an_interval("sleep[5]", "0 samples");
	char dir[] = "/tmp/sonde-table-XXXXXX", path[64];
	struct buf content = {0};
	struct sink *sink;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/out.txt", dir);
	for (int keep = 0; keep < 2; keep++) {
		sink = sink_table.open(&(struct sink_options){.path = path});
		assert_non_null(sink);
		assert_int_equal(sink_table.begin(sink, &i), 0);
		assert_int_equal(sink_table.end(sink, &i), 0);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(sink_table.close(sink, keep), 0);
		assert_int_equal(access(path, F_OK), keep - 1);
	}
	assert_int_equal(buf__read_file(&content, path, 1 << 20), 0);
	assert_string_equal(content.data, "sleep[5] 10.0 s, 0 samples, 0 lost, own cost 0.2 %\n");
	buf__free(&content);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0); /* no temporary file is left */
	errno = 0;
	assert_null(sink_table.open(&(struct sink_options){.path = "/nowhere/at/all.txt"}));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(sink_table.close(NULL, true), 0);
}

static void test_reader_is_gone(void **state)
{
	struct interval i = an_interval("sleep[5]", "0 samples");
	struct sink *sink;
	FILE *stream;
	int ends[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	stream = fdopen(ends[1], "w");
	sink = table_sink__to(stream, &eighty);
	assert_int_equal(sink_table.begin(sink, &i), 0);
	assert_int_equal(sink_table.end(sink, &i), -EPIPE);
	sink_table.close(sink, false);
	fclose(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_recursion),
		cmocka_unit_test(test_functions_of_one_sample),
		cmocka_unit_test(test_hostile_functions),
		cmocka_unit_test(test_stacks),
		cmocka_unit_test(test_stacks_of_several_processes),
		cmocka_unit_test(test_only_idle),
		cmocka_unit_test(test_hostile_stacks),
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
