// SPDX-License-Identifier: Apache-2.0
#include "probe/block_device.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MINOR_BITS 20

static const struct block_device_name unknown = {.name = "?"};

/* A directory with something in it. */
static bool has_entries(int dir, const char *path)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool any = false;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!any && (entry = readdir(list)))
		any = entry->d_name[0] != '.';
	closedir(list);
	return any;
}

static void look_up(struct block_device_name *device, uint32_t number)
{
	unsigned major = number >> MINOR_BITS, minor = number & ((1u << MINOR_BITS) - 1);
	char path[64], target[512];
	const char *name;
	ssize_t len;
	int dir;

	snprintf(device->name, sizeof(device->name), "%u:%u", major, minor);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major, minor);
	len = readlink(path, target, sizeof(target) - 1);
	if (len <= 0)
		return;
	target[len] = 0;
	name = strrchr(target, '/');
	snprintf(device->name, sizeof(device->name), "%.31s", name ? name + 1 : target);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	device->is_stacked = has_entries(dir, "slaves") || !faccessat(dir, "loop/backing_file", F_OK, 0);
	close(dir);
}

const struct block_device_name *block_devices__get(struct block_devices *d, uint32_t number)
{
	struct block_device_name *device;
	uint64_t key = number;
	bool is_new = false;

	if (!d->by_number.key_size)
		table__init(&d->by_number, sizeof(key), sizeof(*device));
	device = table__add(&d->by_number, &key, &is_new);
	if (!device)
		return &unknown;
	if (is_new)
		look_up(device, number);
	return device;
}

void block_devices__free(struct block_devices *d)
{
	if (d->by_number.key_size)
		table__free(&d->by_number);
}
