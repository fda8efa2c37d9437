// SPDX-License-Identifier: Apache-2.0
/* The kernel's files of cgroups, of both versions, as they were found on real kernels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>
#include <ftw.h>

#include "probe/cgroup_files.c"
#include "probe/cgroup_list.c"

static char dir[] = "/tmp/sonde-cgroups-XXXXXX";

static void put(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void make_dir(const char *path)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	assert_int_equal(mkdir(full, 0755), 0);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	make_dir("v2");
	make_dir("v2/a");
	make_dir("v2/a/b");
	make_dir("v1");
	make_dir("v1/a");
	make_dir("v1/only");
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct cgroup_files roots(bool v1)
{
	static char v2_root[64], v1_root[64];
	struct cgroup_files f = {.root = {[CGROUP_V2] = v2_root}};

	snprintf(v2_root, sizeof(v2_root), "%s/v2", dir);
	snprintf(v1_root, sizeof(v1_root), "%s/v1", dir);
	for (int i = CGROUP_V1_MEMORY; v1 && i < CGROUP_HIERARCHIES; i++)
		f.root[i] = v1_root;
	return f;
}

static void memory_of_version_2(void **state)
{
	struct cgroup_files f = roots(false);
	struct cgroup_memory m;
	char *whose;

	(void)state;
	put("v2/a/b/memory.stat", "anon 4096\nfile 8192\ninactive_file 1024\nworkingset_refault_file 7\n"
				  "pgfault 11\npgmajfault 2\nsomething_new 5\n");
	put("v2/a/b/memory.events", "low 0\nhigh 1\nmax 13\noom 2\noom_kill 1\noom_group_kill 0\n");
	put("v2/a/b/memory.current", "65536\n");
	put("v2/a/b/memory.max", "max\n");
	put("v2/a/memory.max", "1048576\n");
	assert_int_equal(cgroup_files__memory(&f, "/a/b", &m), 0);
	assert_int_equal(m.current, 65536);
	assert_true(m.limit == CGROUP_NO_LIMIT);
	assert_true(m.peak == CGROUP_UNKNOWN);
	assert_int_equal(m.anon, 4096);
	assert_int_equal(m.refault_file, 7);
	assert_int_equal(m.major_faults, 2);
	assert_int_equal(m.oom_kills, 1);
	assert_int_equal(m.reached_max, 13);
	assert_int_equal(cgroup_files__memory_limit(&f, "/a/b", &whose), 1048576);
	assert_string_equal(whose, "/a");
	free(whose);
	assert_int_equal(cgroup_files__memory(&f, "/none", &m), -ENOENT);
}

static void memory_of_version_1(void **state)
{
	struct cgroup_files f = roots(true);
	struct cgroup_memory m;

	(void)state;
	put("v1/a/memory.stat", "rss 1\ntotal_rss 4096\ntotal_cache 8192\ntotal_inactive_file 512\n");
	put("v1/a/memory.limit_in_bytes", "9223372036854771712\n");
	put("v1/a/memory.usage_in_bytes", "12288\n");
	put("v1/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
	assert_int_equal(cgroup_files__memory(&f, "/a", &m), 0);
	assert_int_equal(m.current, 12288);
	assert_true(m.limit == CGROUP_NO_LIMIT);
	assert_int_equal(m.anon, 4096);
	assert_int_equal(m.inactive_file, 512);
	assert_int_equal(m.oom_kills, 3);
}

static void cpu_of_both(void **state)
{
	struct cgroup_files f = roots(false);
	struct cgroup_cpu c;

	(void)state;
	put("v2/a/cpu.stat", "usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\nnr_periods 9\n"
			     "nr_throttled 4\nthrottled_usec 50\n");
	put("v2/a/cpu.max", "20000 100000\n");
	assert_int_equal(cgroup_files__cpu(&f, "/a", &c), 0);
	assert_int_equal(c.usage, 3000000);
	assert_int_equal(c.throttled, 50000);
	assert_int_equal(c.quota, 20000000);
	assert_int_equal(c.period, 100000000);
	f = roots(true);
	put("v1/only/cpu.stat", "nr_periods 5\nnr_throttled 2\nthrottled_time 77\n");
	put("v1/only/cpu.cfs_quota_us", "-1\n");
	put("v1/only/cpu.cfs_period_us", "100000\n");
	put("v1/only/cpuacct.usage", "123456\n");
	assert_int_equal(cgroup_files__cpu(&f, "/only", &c), 0);
	assert_int_equal(c.usage, 123456);
	assert_int_equal(c.throttled, 77);
	assert_true(c.quota == CGROUP_NO_LIMIT);
	assert_true(c.user == CGROUP_UNKNOWN);
}

static void io_of_both(void **state)
{
	struct cgroup_files f = roots(false);
	struct cgroup_io devices[2];
	size_t count;

	(void)state;
	put("v2/a/io.stat",
	    "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n"
	    "7:0 \n8:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=5 dios=3\n");
	assert_int_equal(cgroup_files__io(&f, "/a", devices, 2, &count), 0);
	assert_int_equal(count, 2); /* the third has no room */
	assert_int_equal(devices[0].minor, 16);
	assert_int_equal(devices[0].written_bytes, 314773504);
	assert_int_equal(devices[0].writes, 353);
	assert_int_equal(devices[1].read_bytes, 0);
	f = roots(true);
	put("v1/a/blkio.throttle.io_service_bytes_recursive", "8:0 Read 100\n8:0 Write 200\n8:0 Total 300\n"
							      "Total 300\n");
	put("v1/a/blkio.throttle.io_serviced_recursive", "8:0 Read 1\n8:0 Write 2\nTotal 3\n");
	assert_int_equal(cgroup_files__io(&f, "/a", devices, 2, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(devices[0].read_bytes, 100);
	assert_int_equal(devices[0].writes, 2);
}

static void pressure_of_a_cgroup(void **state)
{
	struct cgroup_files f = roots(true);
	struct pressure p;

	(void)state;
	put("v2/a/memory.pressure", "some avg10=1.23 avg60=0.29 avg300=0.31 total=17135\n"
				    "full avg10=0.50 avg60=0.00 avg300=0.00 total=12\n");
	put("v2/a/cpu.pressure", "some avg10=1.23 avg60=0.29 avg300=0.31 total=17135\n");
	put("v2/a/io.pressure", "garbage\n");
	assert_int_equal(cgroup_files__pressure(&f, "/a", PRESSURE_MEMORY, &p), 0);
	assert_true(p.has_full && p.some.avg10 == 1.23 && p.full.avg10 == 0.5);
	assert_int_equal(p.some.total, 17135000);
	assert_int_equal(cgroup_files__pressure(&f, "/a", PRESSURE_CPU, &p), 0);
	assert_false(p.has_full);
	assert_int_equal(cgroup_files__pressure(&f, "/a", PRESSURE_IO, &p), -EINVAL);
}

static void list_is_of_all_hierarchies(void **state)
{
	struct cgroup_files f = roots(true);
	struct cgroup_list list;

	(void)state;
	assert_int_equal(cgroup_files__list(&f, "/", 100, &list), 0);
	assert_int_equal(list.count, 4);
	assert_string_equal(list.at[0].path, "/");
	assert_string_equal(list.at[1].path, "/a");
	assert_string_equal(list.at[2].path, "/a/b");
	assert_string_equal(list.at[3].path, "/only");
	assert_true(list.at[0].id && list.at[1].id && list.at[2].id && !list.at[3].id);
	assert_false(list.truncated);
	cgroup_list__free(&list);
	assert_int_equal(cgroup_files__list(&f, "/a", 100, &list), 0);
	assert_int_equal(list.count, 2);
	cgroup_list__free(&list);
	assert_int_equal(cgroup_files__list(&f, "/", 2, &list), 0);
	assert_true(list.truncated);
	cgroup_list__free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_of_version_2),	cmocka_unit_test(memory_of_version_1),
		cmocka_unit_test(cpu_of_both),		cmocka_unit_test(io_of_both),
		cmocka_unit_test(pressure_of_a_cgroup), cmocka_unit_test(list_is_of_all_hierarchies),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
