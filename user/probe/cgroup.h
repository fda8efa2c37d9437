/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups of the version 2 hierarchy, by path, id, container or pod. An id is the directory's inode
 * number. */
#ifndef SONDE_PROBE_CGROUP_H
#define SONDE_PROBE_CGROUP_H

#include <stdint.h>

/* Each: 0 with *id and *path (malloc'ed, below the mount point), or an exit code after one line on stderr. */
int cgroup__resolve(const char *path_or_id, uint64_t *id, char **path);
int cgroup__of_container(const char *id_or_name, uint64_t *id, char **path);
int cgroup__of_pod(const char *namespace_slash_name, uint64_t *id, char **path);

/* The path of a cgroup by id, "/" for the root; malloc'ed. NULL and errno: ENOENT if it is gone. */
char *cgroup__path(uint64_t id);

#endif
