/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader: opens BPF objects, shares the maps that all probes of a session have in common, tries
 * alternatives in order, and keeps what has to be closed. The only door to libbpf besides the probes.
 */
#ifndef SONDE_PROBE_LOADER_H
#define SONDE_PROBE_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "probe/ring.h"
#include "probe/target.h"
#include "probe/unwind.h"
#include "sonde/abi.h"

struct bpf_link;
struct bpf_object;
struct bpf_program;

/* How user stacks are walked. */
enum loader_unwind {
	UNWIND_BY_TABLES,	  /* by the best loop that the kernel has */
	UNWIND_BY_TABLES_EACH,	  /* by the loop of older kernels (tests) */
	UNWIND_BY_FRAME_POINTERS, /* by the kernel's own walker */
};

struct loader_options {
	unsigned stacks; /* distinct stacks that the kernel remembers; 0: a token number */
	bool kernel_only, user_only, per_thread_stacks;
	bool verbose;	/* libbpf's words on stderr */
	bool force_raw; /* take the raw tracepoint alternative (tests) */
	enum loader_unwind unwind;
	bool compare; /* walks, with user space's (tests) */
};

/* One compiled object, in the binary. */
struct loader_image {
	const char *name; /* "sched", "sched_raw", "sched_plain" */
	const void *bytes, *end;
	bool raw;
};
extern const struct loader_image loader__images[]; /* ends with a NULL name */

struct loader {
	int cpus; /* possible ones: the width of per-CPU values */
	unsigned ring_bytes;
	const struct target *target;
	struct loader_options options;
	uint64_t salt;
	uint64_t pid_namespace; /* its inode, if it is not the initial one; else 0 */
	int ring_fd, known_stacks_fd, marks_fd, raw_marks_fd; /* made with the first object, -1 before */
	struct unwind_maps unwind;			      /* of unwind tables */
	unsigned unwind_loop; /* UNWIND_LOOP_ of bpf/snapshot.bpf.h; 0: there are no tables */
	bool wants_mappings;  /* no object watches mappings yet, and the kernel may have the hook */
	struct ring ring;
	int (*on_record)(void *context, void *record, size_t size);
	void *context;
};

/* 0, or -errno after one line that says what is missing. */
int loader__open(struct loader *l, const struct target *target, const struct loader_options *options,
		 int (*on_record)(void *, void *, size_t), void *context);
void loader__close(struct loader *l);

/* One line on stderr: what could not be done, why, and which capability is missing if it is one. Returns err.
 */
int loader__explain(const char *what, int err, const char *why);
/* Hands over the records that are in the ring now. Number of records or -errno. */
int loader__drain(struct loader *l);
/* A stack that will not come again. */
void loader__forget_stack(struct loader *l, uint64_t hash);
/* A pidfd of a process, or of a thread; -1 and errno EINVAL: this kernel has none of threads (before
 * 64bef697d33b, 6.9). */
int loader__pidfd(pid_t pid, bool thread);
/* Marks a process (or thread) of sonde's PID namespace: MARK_ of abi.h. 0, -ESRCH or -errno. */
int loader__mark(struct loader *l, pid_t pid, uint32_t value);

/* Where unwind tables lie, for stacks__new(); NULL: user stacks are walked by frame pointers. */
const struct table_memory *loader__table_memory(const struct loader *l);

/* The inode of sonde's PID namespace; 0: it is the initial one. */
uint64_t loader__pid_namespace(void);

/* Run-time statistics of BPF programs, for the whole machine: on while the descriptor is open. -errno if
 * refused. */
int loader__statistics(void);

/* Whether this process has the capability: CAP_ of linux/capability.h, one of the first 32. */
bool loader__has_capability(unsigned number);

/* The younger kind of link, since 89ae89f53d20 (6.6): by it programs whose expected attach type is this one
 * probe without CAP_SYS_ADMIN. pid 0: all processes. A descriptor or -errno. */
#define UPROBE_MULTI 48
int uprobe_multi__attach(int program_fd, const char *path, uint64_t offset, pid_t pid, bool at_return);

/* An attached object. */
struct unit {
	struct loader *loader;
	const struct loader_image *image;
	struct bpf_object *object;
	struct bpf_link *links[32];
	int link_count;
	int link_fd;		 /* of a link that is none of libbpf's; 0: none */
	struct control *control; /* .bss, shared with the kernel */
	size_t control_size;
	int cells[2], cells_outer, cells_active;
	bool by_perf_event;		/* it has programs on classic tracepoints */
	uint64_t recursions_before;	/* runs left out that do not count */
	bool shares_maps, shares_marks; /* that were made with an object before this one */
	char why_not[256];		/* why better alternatives were not taken */
};

/*
 * Opens image `name`, else its raw alternative; `prepare` sets read-only data and which programs load, and
 * may be called several times with attempt = 0, 1, ... (fewer optional features each time). 0 or -errno;
 * `u->why_not` then says why.
 */
int unit__load(struct unit *u, struct loader *l, const char *name, int attempts,
	       int (*prepare)(void *context, struct unit *u, int attempt), void *context);
/* Copies `size` bytes over the read-only variable `name`. -ENOENT: no such variable; -EINVAL: another size.
 */
int unit__set(struct unit *u, const char *variable, const void *value, size_t size);
void unit__without_tables(struct unit *u); /* in `prepare`: user stacks by frame pointers */
int unit__autoload(struct unit *u, const char *program, bool on);
int unit__resize(struct unit *u, const char *map, unsigned entries); /* before the load, in `prepare` */
int unit__attach(struct unit *u, const char *program);		     /* tracing programs: 0 or -errno */
/* Every program that was loaded, but iterators and what libbpf cannot attach by its section's name, and as
 * far as the kernel lets it, on functions. 0, or -errno and which one. */
int unit__attach_all(struct unit *u, const char **program);
void unit__use_uprobe_multi(struct unit *u, const char *program); /* in `prepare` */
/* At a file offset of a regular file; pid -1: in all processes. 0 or -errno. */
int unit__attach_uprobe(struct unit *u, const char *program, pid_t pid, int fd, uint64_t offset,
			bool at_return);
/* On a classic tracepoint, "raw_syscalls/sys_enter", by a perf event; its section's name is "tracepoint". 0
 * or -errno: ENOENT: no such event; EPERM and others: no tracefs. */
int unit__attach_tracepoint(struct unit *u, const char *program, const char *event);
int unit__map_fd(const struct unit *u, const char *map);

/* Flips the cells and takes out what the kernel side has counted until then: array owned by the caller. */
struct cell_row {
	struct cell_key key;
	uint64_t count, ns;
	uint32_t open; /* added by the probe: waits that are open */
	uint32_t reserved;
};
int unit__take_cells(struct unit *u, struct cell_row **rows, size_t *count);
void unit__losses(const struct unit *u, struct loss *sum); /* adds; u NULL: nothing, as below */
/* What the kernel left out until now was nobody's loss: nothing was counted yet. */
void unit__forget_recursions(struct unit *u);
/* Run time and runs of all programs so far, as far as statistics were on. */
void unit__cost(const struct unit *u, uint64_t *run_ns, uint64_t *runs);
/* Bytes of kernel memory that the maps take at most; those that an object before this one made are left out.
 */
uint64_t unit__map_bytes(const struct unit *u);
void unit__describe(const struct unit *u, struct buf *out); /* its programs and maps, a line each */
void unit__detach(struct unit *u);			    /* the maps stay */
void unit__close(struct unit *u);

#endif
