/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of `sonde check`: what its files tell each other. */
#ifndef SONDE_COMMAND_CHECK_H
#define SONDE_COMMAND_CHECK_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "probe/try.h"

/* --- check_privileges.c: what this process may do, and what the system's settings ask for */

struct privileges {
	uint64_t effective; /* bits of linux/capability.h */
	unsigned euid;
	bool user_namespace; /* not the initial one: the kernel does not ask for the capabilities that we have
			      */
	int no_new_privs, seccomp;			 /* -1: unknown */
	int event_paranoid, bpf_disabled, kptr_restrict; /* kernel.*; -1: unknown */
	char lockdown[32]; /* "none", "integrity", "confidentiality"; "": the kernel has none */
};

void privileges__read(struct privileges *p);
/* The names of capabilities that `needs` (NEEDS_) asks for and that are missing: "CAP_BPF, CAP_PERFMON" or
 * nothing. */
void privileges__missing(const struct privileges *p, unsigned needs, struct buf *names);
/* Why something may be refused although no capability is missing; NULL: no idea. */
const char *privileges__suspect(const struct privileges *p);
/* True if all capabilities are there that any part of sonde needs here. */
bool privileges__complete(const struct privileges *p);
void privileges__print(const struct privileges *p, struct buf *out);
struct json_object *privileges__json(const struct privileges *p);

/* --- check_commands.c: the commands as features, tried on sonde itself */

struct check_command {
	const char *name, *what;
	unsigned needs;		 /* NEEDS_ */
	const char *const *uses; /* names of features that it can do without, or not; NULL-terminated */
	int (*attempt)(struct buf *why);
};
extern const struct check_command check__commands[]; /* ends with a NULL name */

/* --- check_process.c: what of a process unwinds and is named */

struct check_process;
/* NULL after one line on stderr, and then *code is the exit code. */
struct check_process *check_process__new(pid_t pid, int *code);
/* Before it is printed: do walks by unwind tables work on this kernel? */
void check_process__judge(struct check_process *p, bool kernel_walks_tables);
void check_process__print(const struct check_process *p, struct buf *out);
struct json_object *check_process__json(const struct check_process *p);
void check_process__free(struct check_process *p);

/* --- check_package.c: which Debian package has a file, and which one its debug symbols */

struct check_owner {
	const char *path;	       /* as the process names it */
	char package[128], debug[128]; /* "": none is known */
};
/* Asks the database in the root directory `root` (descriptor) about all of them; there may be none. 0 or
 * -ENOMEM. */
int check_package__find(int root, struct check_owner *owners, size_t count);

/* --- check_runtime.c: what to tell an interpreter or a virtual machine, so that its code unwinds and has
 * names */

/* Appends lines of advice. `names`: the mapped files' base names; `dir`: /proc/PID. */
void check_runtime__advise(int dir, const char *const *names, size_t count, bool perf_map, struct buf *lines);

#endif
