/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the probes on the kernel's own paths (system calls, TCP, block I/O ...) have in common: one object
 * whose programs are chosen by name, cells that are emptied once per interval, events that cross by
 * themselves, and keys by process, name or cgroup.
 *
 * A probe's instance begins with a struct tracer; its probe_type takes tracer__attach ... tracer__close as
 * they are, and adds open and drain.
 */
#ifndef SONDE_PROBE_TRACER_H
#define SONDE_PROBE_TRACER_H

#include "probe/probe.h"

struct tracer;

/* How programs of an object are wanted: rows end with a NULL program. */
struct tracer_program {
	const char *program; /* in the object; loaded only if it is wanted */
	bool (*wanted)(const struct tracer *, int attempt);
};

struct tracer_type {
	const char *image; /* of bpf/: "syscalls" */
	const char *what;  /* for messages: "the programs on system calls" */
	enum loss_part part;
	int attempts; /* to load, each with less than the one before */
	const struct tracer_program *programs;
	/* Sets read-only data and the size of maps; may be called several times. NULL: nothing to set. */
	int (*prepare)(struct tracer *, struct unit *, int attempt);
	/* An event of this part has come: 0 or -errno. NULL: it sends none. */
	int (*event)(struct tracer *, const struct event_record *);
	void (*free)(struct tracer *); /* what the instance holds besides itself; may be NULL */
};

struct tracer {
	struct probe probe;
	const struct tracer_type *type;
	struct unit unit;
	enum key_by by;
	uint64_t suppressed; /* events, as of the last note */
};

bool tracer__always(const struct tracer *t, int attempt);
/* Allocates `size` bytes that begin with a struct tracer; `by` and what `set` writes are there before the
 * first `prepare`. NULL and errno after one line on stderr. */
struct tracer *tracer__open(size_t size, const struct tracer_type *type, const struct probe_type *probe_type,
			    struct probe_context *context, enum key_by by,
			    void (*set)(struct tracer *, const void *options), const void *options);
/* With other programs, before anything was counted. Nothing of it is attached then. 0 or -errno, after one
 * line on stderr. */
int tracer__reload(struct tracer *t);
/* Functions of struct probe_type. */
int tracer__attach(struct probe *probe);
int tracer__begin(struct probe *probe, uint64_t start_ns);
void tracer__cut(struct probe *probe, uint64_t at_ns, bool last);
void tracer__detach(struct probe *probe);
int tracer__record(struct probe *probe, const void *record, size_t size);
const struct unit *tracer__unit(const struct probe *probe);
void tracer__close(struct probe *probe);

/* Flips the cells and takes out what was counted, sorted by kind, a, b, tgid, state and slot; the array is
 * the caller's. Adds a note if events were suppressed. 0 or -errno. */
int tracer__take(struct tracer *t, struct cell_row **rows, size_t *count, struct drain *d);
/* Where the rows end that differ from rows[from] in nothing but slot. */
size_t cells__end(const struct cell_row *rows, size_t count, size_t from);
/* Their histogram. */
void cells__hist(const struct cell_row *rows, size_t count, struct hist *h);
/* Whose the key is. `*cgroup_path` (owned by the caller; NULL unless by cgroup) is a label's text. */
void tracer__who(const struct tracer *t, uint64_t a, uint64_t b, struct who *who, char **cgroup_path);

/* Gives an event to the sinks at once: who, time, duration and stack come from the record. 0 or -errno. */
int tracer__send(struct tracer *t, const struct event_record *e, const struct metric *metric,
		 const char *event_type, const struct event_field *fields, size_t count);

#endif
