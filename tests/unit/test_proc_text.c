// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/proc_text.h"

static void reads_cpus(void **state)
{
	struct proc_stat s;

	(void)state;
	assert_int_equal(proc__stat("cpu  1 2 3 4 5 6 7 8 9 10\n"
				    "cpu0 10 20 30 40 50 60 70 80 90 100\n"
				    "cpu7 1 1 1 1\n"
				    "cpufreq 9\ncpu8 1 2 3\n"
				    "intr 5 4 3 2 1\nctxt 99\nbtime 7\nprocesses 12\nprocs_running 3\n"
				    "procs_blocked 2\nsoftirq 1 2",
				    &s),
			 0);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.all.ticks[CPU_INTERRUPT], 13);
	assert_int_equal(s.cpus[0].ticks[CPU_USER], 10);
	assert_int_equal(s.cpus[0].ticks[CPU_IDLE], 40);
	assert_int_equal(s.cpus[0].ticks[CPU_STEAL], 80);
	assert_int_equal(s.cpus[1].number, 7);
	assert_int_equal(s.cpus[1].ticks[CPU_IOWAIT], 0);
	assert_int_equal(s.context_switches, 99);
	assert_int_equal(s.forks, 12);
	assert_int_equal(s.running, 3);
	assert_int_equal(s.blocked, 2);
	free(s.cpus);
	assert_int_equal(proc__stat("ctxt 99\n", &s), -EINVAL);
	assert_int_equal(proc__stat("", &s), -EINVAL);
}

static void reads_memory(void **state)
{
	struct proc_meminfo m;
	struct proc_vmstat v;

	(void)state;
	assert_int_equal(
		proc__meminfo("MemTotal:       16 kB\nMemFree:  3 kB\nCached: 5 kB\nSwapCached: 7 kB\n"
			      "HugePages_Total:       0\nSReclaimable: 2 kB\nSwapTotal: 1 kB\n",
			      &m),
		0);
	assert_int_equal(m.total, 16384);
	assert_int_equal(m.free, 3072);
	assert_int_equal(m.cached, 5120);
	assert_int_equal(m.reclaimable, 2048);
	assert_int_equal(m.swap_total, 1024);
	assert_int_equal(m.available, 0);
	assert_int_equal(proc__meminfo("nothing", &m), -EINVAL);
	assert_int_equal(proc__vmstat("pgfault 7\npgfault_extra 8\npgmajfault 2\npswpin 1\npswpout", &v), 0);
	assert_int_equal(v.faults, 7);
	assert_int_equal(v.major_faults, 2);
	assert_int_equal(v.swapped_in, 1);
	assert_int_equal(v.swapped_out, 0);
}

static void reads_load(void **state)
{
	double load[3];

	(void)state;
	assert_int_equal(proc__loadavg("0.03 1.50 12.99 2/345 6789\n", load), 0);
	assert_float_equal(load[0], 0.03, 1e-9);
	assert_float_equal(load[1], 1.5, 1e-9);
	assert_float_equal(load[2], 12.99, 1e-9);
	assert_int_equal(proc__loadavg("0.03 1", load), -EINVAL);
}

static void reads_disks(void **state)
{
	struct disk_counts *disks;
	size_t count;

	(void)state;
	assert_int_equal(proc__diskstats("   8       0 sda 1 2 3 4 5 6 7 8 0 10 11 12 13 14 15 16 17\n"
					 " 259       1 nvme0n1p1 1 2 3 4 5 6 7 8 9 10 11\n"
					 "   8       1 sda1 1 2 3 4\n"
					 "   8       2 a-name-that-is-longer-than-any-that-the-kernel-has 1 "
					 "2 3 4 5 6 7 8 9 10 "
					 "11\n"
					 "nonsense\n",
					 &disks, &count),
			 0);
	assert_int_equal(count, 2);
	assert_string_equal(disks[0].name, "sda");
	assert_int_equal(disks[0].reads, 1);
	assert_int_equal(disks[0].read_bytes, 3 * 512);
	assert_int_equal(disks[0].written_bytes, 7 * 512);
	assert_int_equal(disks[0].write_ms, 8);
	assert_int_equal(disks[0].io_ms, 10);
	assert_int_equal(disks[0].discards, 12);
	assert_int_equal(disks[0].flushes, 16);
	assert_string_equal(disks[1].name, "nvme0n1p1");
	assert_int_equal(disks[1].discards, 0);
	free(disks);
}

static void reads_interfaces(void **state)
{
	struct net_counts *n;
	size_t count;

	(void)state;
	assert_int_equal(proc__net_dev("Inter-|   Receive                    |  Transmit\n"
				       " face |bytes    packets errs drop fifo\n"
				       "    lo:  10 11 12 13 14 15 16 17 20 21 22 23 24 25 26 27\n"
				       "eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
				       "short: 1 2 3\n",
				       &n, &count),
			 0);
	assert_int_equal(count, 2);
	assert_string_equal(n[0].name, "lo");
	assert_int_equal(n[0].bytes[NET_RECEIVE], 10);
	assert_int_equal(n[0].dropped[NET_RECEIVE], 13);
	assert_int_equal(n[0].bytes[NET_TRANSMIT], 20);
	assert_int_equal(n[0].errors[NET_TRANSMIT], 22);
	assert_string_equal(n[1].name, "eth0");
	assert_int_equal(n[1].packets[NET_TRANSMIT], 10);
	free(n);
}

static void reads_mounts(void **state)
{
	struct mount *m;
	size_t count;

	(void)state;
	assert_int_equal(proc__mounts("27 1 254:3 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw\n"
				      "30 27 0:25 /a\\040b /mnt/x\\134y\\012z ro,nosuid - tmpfs a\\b ro\n"
				      "31 27 0:26 / /proc rw - proc proc\n"
				      "32 27 broken / / rw - ext4 x rw\nno dash\n",
				      &m, &count),
			 0);
	assert_int_equal(count, 3);
	assert_int_equal(m[0].major, 254);
	assert_int_equal(m[0].minor, 3);
	assert_string_equal(m[0].type, "ext4");
	assert_string_equal(m[0].source, "/dev/vda");
	assert_false(m[0].read_only);
	assert_string_equal(m[1].root, "/a b");
	assert_string_equal(m[1].point, "/mnt/x\\y\nz");
	assert_string_equal(m[1].source, "a\\b");
	assert_true(m[1].read_only);
	assert_string_equal(m[2].source, "proc");
	proc__free_mounts(m, count);
}

static void reads_processes(void **state)
{
	struct process_stat s;
	struct process_io io;

	(void)state;
	assert_int_equal(proc__process_stat(
				 "812 (a) b) S 1 812 812 0 -1 4194560 100 200 3 400 50 60 7 8 20 0 9 0 12345 "
				 "6789 77 18446744073709551615 1 1",
				 &s),
			 0);
	assert_memory_equal(s.comm, "a) b", 5);
	assert_int_equal(s.pid, 812);
	assert_int_equal(s.parent, 1);
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.minor_faults, 100);
	assert_int_equal(s.major_faults, 3);
	assert_int_equal(s.user_ticks, 50);
	assert_int_equal(s.system_ticks, 60);
	assert_int_equal(s.threads, 9);
	assert_int_equal(s.start_ticks, 12345);
	assert_int_equal(s.virtual_bytes, 6789);
	assert_int_equal(s.resident_pages, 77);
	assert_int_equal(proc__process_stat("812 (a) S 1 2 3", &s), -EINVAL);
	assert_int_equal(proc__process_stat("", &s), -EINVAL);
	assert_int_equal(
		proc__process_io("rchar: 1\nwchar: 2\nsyscr: 3\nread_bytes: 4096\nwrite_bytes: 8192\n"
				 "cancelled_write_bytes: 1\n",
				 &io),
		0);
	assert_int_equal(io.read_bytes, 4096);
	assert_int_equal(io.written_bytes, 8192);
	assert_int_equal(io.asked_read_bytes, 1);
}

static void counters_go_on(void **state)
{
	(void)state;
	assert_int_equal(proc__delta(5, 9), 4);
	assert_int_equal(proc__delta(9, 5), 0);
	assert_int_equal(proc__delta32(5, 9), 4);
	assert_int_equal(proc__delta32(UINT32_MAX - 1, 3), 5); /* wrapped */
	assert_int_equal(proc__delta32(9, 5), 0);	       /* corrected */
	assert_int_equal(proc__delta32(1ULL << 40, 5), 0);
}

/* More than 64 bits hold. */
static void large_numbers_are_the_largest(void **state)
{
	struct net_counts *n;
	size_t count;

	(void)state;
	assert_int_equal(proc__net_dev("a: 99999999999999999999999 1 1 1 1 1 1 1 18446744073709551615 1 1 1",
				       &n, &count),
			 0);
	assert_true(n[0].bytes[NET_RECEIVE] == UINT64_MAX);
	assert_true(n[0].bytes[NET_TRANSMIT] == UINT64_MAX);
	assert_int_equal(n[0].packets[NET_RECEIVE], 1);
	free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_cpus),
		cmocka_unit_test(reads_memory),
		cmocka_unit_test(reads_load),
		cmocka_unit_test(reads_disks),
		cmocka_unit_test(reads_interfaces),
		cmocka_unit_test(reads_mounts),
		cmocka_unit_test(reads_processes),
		cmocka_unit_test(counters_go_on),
		cmocka_unit_test(large_numbers_are_the_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
