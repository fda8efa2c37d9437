// SPDX-License-Identifier: Apache-2.0
/* Tables whose rows several metrics share, and events. */
#include "table_fixture.h"

static const struct metric calls = {.name = "sonde_syscall_latency",
				    .unit = "ns",
				    .kind = POINT_HIST,
				    .shape = SHAPE_ROWS,
				    .labels = {"syscall"},
				    .table = "calls",
				    .columns = "count:calls *total p50 p99 max"};
static const struct metric failed = {.name = "sonde_syscall_errors",
				     .unit = "{error}",
				     .kind = POINT_COUNTER,
				     .shape = SHAPE_ROWS,
				     .labels = {"syscall", "errno"},
				     .table = "calls",
				     .columns = "value:errors",
				     .spread = true};
static const struct metric sizes = {.name = "sonde_block_size",
				    .unit = "By",
				    .kind = POINT_HIST,
				    .shape = SHAPE_ROWS,
				    .title = "by device",
				    .labels = {"device", "operation"},
				    .columns = "count total mean p50 max"};
static const struct metric used = {.name = "system.memory.usage",
				   .unit = "By",
				   .kind = POINT_GAUGE,
				   .shape = SHAPE_ROWS,
				   .table = "memory",
				   .columns = "value:used_now"};
static const struct metric share = {.name = "system.cpu.utilization",
				    .unit = "%",
				    .kind = POINT_GAUGE,
				    .shape = SHAPE_ROWS,
				    .table = "memory",
				    .columns = "value:busy"};

static void emit_call(struct outlet *out, struct who who, const char *name, uint64_t ns, uint64_t count)
{
	struct hist h = {0};

	hist_add(&h, ns, count);
	emit(out, &(struct point){.metric = &calls, .who = who, .label = {name}, .hist = &h});
}

static void emit_error(struct outlet *out, struct who who, const char *name, const char *error,
		       uint64_t count)
{
	emit(out, &(struct point){.metric = &failed, .who = who, .label = {name, error}, .counter = count});
}

/* A process whose number was used twice has two rows. */
static void system_calls(struct outlet *out)
{
	const struct who api = {.tgid = 812, .start_ns = 1, .comm = "api"};
	const struct who again = {.tgid = 812, .start_ns = 2, .comm = "api"};

	emit_call(out, api, "read", 12 * US, 1873);
	emit_call(out, api, "futex", 9 * MS, 41);
	emit_call(out, again, "read", 800, 7);
	emit_call(out, again, HOSTILE, 100, 1);
	emit_error(out, api, "read", "EBADF", 13);
	emit_error(out, api, "read", "EAGAIN", 1201);
	emit_error(out, api, "futex", HOSTILE, 3);
	for (int i = 0; i < 7; i++)
		emit_error(out, again, "read", (const char *[]){"E1", "E2", "E3", "E4", "E5", "E6", "E7"}[i],
			   1);
	emit_error(out, api, "openat", "ENOENT", 2);
}

static void test_calls(void **state)
{
	struct interval i = an_interval("machine, 2 CPUs", "1 922 calls");

	(void)state;
	check_widths("rows", &i, system_calls);
	check("rows.two", &(struct sink_options){.columns = 80, .rows = 2}, &i, system_calls);
}

static void block_sizes(struct outlet *out)
{
	struct hist h = {.count = 3, .sum = 3 * 4096, .slot = {[97] = 3}};

	emit(out, &(struct point){.metric = &sizes, .label = {"vda", "write"}, .hist = &h});
	h = (struct hist){.count = 5, .sum = 2560, .slot = {[73] = 5}};
	emit(out, &(struct point){.metric = &sizes, .label = {"vda", "read"}, .hist = &h});
	h = (struct hist){.count = 2, .slot = {2}};
	emit(out, &(struct point){.metric = &sizes, .label = {"vdb", "flush"}, .hist = &h});
}

static void one_row(struct outlet *out)
{
	emit(out, &(struct point){.metric = &used, .gauge = 3e9});
	emit(out, &(struct point){.metric = &share, .gauge = 45.25});
}

/* A number that comes twice in an interval is the later one. */
static void test_numbers(void **state)
{
	struct interval i = an_interval("machine, 2 CPUs", "");

	(void)state;
	check("rows.sizes", &eighty, &i, block_sizes);
	check("rows.one", &eighty, &i, one_row);
}

static void slow_call(struct outlet *out)
{
	static const struct event_field fields[] = {{"call", "read", 0, NULL},
						    {"file", HOSTILE, 0, NULL},
						    {"asked", NULL, 65536, "By"},
						    {"result", "EAGAIN", 0, NULL}};
	static const struct frame frames[] = {LIB("read"), U("load\nuser"), U("main"),
					      LIB("__libc_start_main")};
	static const struct event event = {.type = "slow call",
					   .time_ns = 7 * S,
					   .fields = fields,
					   .count = COUNT(fields),
					   .duration_ns = 12 * MS,
					   .frames = frames,
					   .frame_count = COUNT(frames)};
	struct who who = {.tgid = 812, .tid = 814, .comm = "wrk"};

	emit(out, &(struct point){.metric = &metric_event, .who = who, .event = &event});
}

static void test_event(void **state)
{
	struct interval i = an_interval("api[812]", "1 slow call");

	(void)state;
	check("event", &eighty, &i, slow_call);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
