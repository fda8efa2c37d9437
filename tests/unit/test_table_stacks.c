// SPDX-License-Identifier: Apache-2.0
/* Tables of functions and of stacks, as people see them. */
#include "table_fixture.h"

/* --- functions */

static void profile(struct outlet *out)
{
	static const struct frame search[] = {
		U("hash_search_with_hash_value"), U("ExecScan"),     U("ExecutorRun"), U("PortalRun"),
		U("exec_simple_query"),		  U("PostgresMain"), U("ServerLoop"),  U("main"),
		LIB("__libc_start_main_impl"),	  U("_start")};
	static const struct frame recursion[] = {U("fib"), U("fib"), U("fib"), U("main"), U("_start")};
	static const struct frame copy[] = {K("copy_user_generic"), K("vfs_read"),
					    K("do_syscall_64"),	    LIB("read"),
					    U("ExecScan"),	    MARK("[truncated: no frame pointers]")};
	static const struct frame template[] = {
		U("std::_Rb_tree<std::string, std::pair<std::string const, int> >::_M_get_insert_unique_pos"),
		U("main")};
	static const struct frame lost[] = {MARK("[truncated: user memory unreadable]")};
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

/* --- stacks */

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
