/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as each of the files of /proc: what is read of them is whole, and freed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/proc_text.h"

static void must(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void devices(const char *text)
{
	struct disk_counts *disks;
	struct net_counts *interfaces;
	struct mount *mounts;
	size_t count;

	if (!proc__diskstats(text, &disks, &count))
		for (size_t i = 0; i < count; i++)
			must(disks[i].name[0] && memchr(disks[i].name, 0, sizeof(disks[i].name)));
	free(disks);
	if (!proc__net_dev(text, &interfaces, &count))
		for (size_t i = 0; i < count; i++)
			must(interfaces[i].name[0] &&
			     memchr(interfaces[i].name, 0, sizeof(interfaces[i].name)));
	free(interfaces);
	if (!proc__mounts(text, &mounts, &count)) {
		for (size_t i = 0; i < count; i++)
			must(mounts[i].root && *mounts[i].point && *mounts[i].type && mounts[i].source);
		proc__free_mounts(mounts, count);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct proc_meminfo memory;
	struct proc_vmstat paging;
	struct process_stat process;
	struct process_io io;
	struct proc_stat stat;
	double load[3];

	memcpy(text, data, size);
	text[size] = 0;
	if (!proc__stat(text, &stat))
		must(stat.count && stat.cpus);
	free(stat.cpus);
	proc__meminfo(text, &memory);
	proc__vmstat(text, &paging);
	if (!proc__loadavg(text, load))
		must(load[0] >= 0);
	proc__process_stat(text, &process);
	proc__process_io(text, &io);
	devices(text);
	free(text);
	return 0;
}
