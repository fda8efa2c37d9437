// SPDX-License-Identifier: Apache-2.0
#include "helper/debuginfod.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define LIBRARY	    "libdebuginfod.so.1"
#define TIMEOUT_SEC "5"

struct debuginfod {
	void *library, *client;
	void *(*begin)(void);
	void (*end)(void *client);
	int (*find)(void *client, const unsigned char *build_id, int len, char **path);
};

struct debuginfod *debuginfod__new(const char *urls)
{
	struct debuginfod *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	/* Its settings are the environment's. */
	setenv("DEBUGINFOD_URLS", urls, 1);
	setenv("DEBUGINFOD_TIMEOUT", TIMEOUT_SEC, 0);
	d->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (d->library) {
		*(void **)&d->begin = dlsym(d->library, "debuginfod_begin");
		*(void **)&d->end = dlsym(d->library, "debuginfod_end");
		*(void **)&d->find = dlsym(d->library, "debuginfod_find_debuginfo");
	}
	if (d->begin && d->end && d->find)
		d->client = d->begin();
	if (d->client)
		return d;
	debuginfod__free(d);
	return NULL;
}

void debuginfod__free(struct debuginfod *d)
{
	if (!d)
		return;
	if (d->client)
		d->end(d->client);
	if (d->library)
		dlclose(d->library);
	free(d);
}

int debuginfod__find(struct debuginfod *d, const struct debug_wanted *wanted)
{
	char *path = NULL;
	int fd;

	if (!d || wanted->build_id_len < 2 || wanted->build_id_len > BUILD_ID_MAX)
		return -ENOENT;
	fd = d->find(d->client, wanted->build_id, (int)wanted->build_id_len, &path);
	free(path);
	return fd;
}
