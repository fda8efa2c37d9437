/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the stack store, shared by its three parts: store.c keeps stacks, source.c finds what will
 * name an address, resolve.c asks for the names.
 */
#ifndef SONDE_STACK_STORE_PRIVATE_H
#define SONDE_STACK_STORE_PRIVATE_H

#include "base/table.h"
#include "helper/helper.h"
#include "stack/process.h"
#include "object/safefile.h"
#include "stack/store.h"
#include "stack/tables.h"

enum { SOURCE_NONE, SOURCE_KERNEL, SOURCE_VDSO, SOURCE_FIRST_FREE };

/* Something that names addresses: the kernel, the vdso, a file, the perf map of a process. */
struct source {
	enum symbol_source kind;
	const char *object;  /* interned: how its frames' object is called */
	const char *path;    /* of a file, as the process that was seen with it names it; interned */
	struct file_key key; /* of a file */
	int fd;		     /* of a file: held from the first unnamed address to the next resolve; else -1 */
	struct process *process; /* whose root holds the debug file or the perf map */
	struct perf_map_owner owner;
	bool failed;
	bool is_elf;
	const char *build_id; /* hex; NULL: none, or not known yet */
};

/* Where a frame's name will come from. source SOURCE_NONE: the frame has its name already. */
struct location {
	uint64_t address; /* in the source's own terms, see enum symbol_source */
	uint32_t source;
	uint16_t kind; /* enum frame_kind */
	uint8_t exact; /* 1: the instruction itself; 0: a return address, the call stands before it */
	bool unmapped; /* no code can be there */
};

/* A mapping of a file, for whoever writes addresses. No padding. */
struct image_key {
	uint64_t start, end, offset;
	const char *path; /* interned */
	uint64_t source;
};

/* Key and value of the names that are known. No padding in the key. */
struct name_key {
	uint64_t address;
	uint32_t source, exact;
};
struct name {
	const char *text, *object; /* interned; text NULL: asked for, no answer yet */
	enum symbol_start start;
	bool scheduler;	  /* as in struct symbol */
	const char *file; /* of the address, in the innermost function that was inlined there; or NULL */
	uint32_t line, inlined_count;
	const struct inlined *inlined; /* innermost first */
	bool provisional; /* no symbol for now: the file was out of reach, or the perf map still grows */
};

struct stack {
	uint64_t hash, start_boot_ns, cgroup;
	size_t bytes; /* of memory that is accounted for */
	uint32_t tgid, tid, flags;
	uint32_t used; /* the interval in which it was last stored or asked for */
	uint16_t end, kernel_count, user_count, count; /* kernel + user + mark = count */
	char comm[COMM_LEN], leader_comm[COMM_LEN];
	const char *incomplete, *stopped_in;
	struct process *process;  /* of the user frames; NULL: there are none. Valid until it is resolved */
	struct location *pending; /* of each frame, until it has its name; owned */
	struct frame *frames;	  /* `own`, or with inlined functions in memory of their own */
	struct frame own[];	  /* room for one mark more */
};

struct stacks {
	struct stacks_options options;
	struct helper *helper;
	struct strings strings;
	struct table stacks;	/* hash -> struct stack *, which is owned by its own hash */
	struct table contents;	/* of those that have their names: what they say -> struct stack * */
	struct table processes; /* struct process_key -> struct process * */
	struct table files;	/* struct file_key -> uint32_t: index in sources */
	struct table names;	/* struct name_key -> struct name */
	struct table images;	/* struct image_key -> struct image *, of frames */
	struct stack **pending; /* stacks not resolved yet */
	size_t pending_count, pending_capacity;
	struct source *sources;
	size_t source_count, source_capacity;
	size_t open_files, vdso_size, bytes;
	size_t forget_bytes; /* when to look for what can be forgotten */
	uint32_t interval;   /* number of it */
	struct stacks_counts counts;
	struct tables *tables;	     /* NULL: none */
	struct snapshots *snapshots; /* with tables */
};

/* store.c: the record's process, its mappings read at first sight. NULL: no memory. */
struct process *stacks__process(struct stacks *s, const struct stack_record *r);

void stack__free(struct stack *stack);

/* resolve.c: as stacks__resolve(), of the stacks that are stored so far. */
int resolve__names(struct stacks *s);

/* source.c */
int source__init(struct stacks *s);
void source__free(struct stacks *s);
/* Decides what names a user address; `frame` gets its name at once where nothing can. 0 or -ENOMEM. */
int source__bind(struct stacks *s, struct process *p, struct frame *frame, struct location *l);
/* The process's mappings as they are now; not more often than a program can make it. */
int source__read(struct stacks *s, struct process *p, int dir);
/* `exec_pages`: as for tables__set_process(). */
void source__reread(struct stacks *s, struct process *p, uint64_t exec_pages);
/* Tells the frames' images the build ids that answers brought. */
void source__name_images(struct stacks *s);
/* Closes the files that were held for the resolve that is done. */
void source__close_files(struct stacks *s);

#define TWIN_BYTES     48   /* an entry of a table, with what that has to spare */
#define OPEN_FILES_MAX 128  /* held at a time; then a resolve comes early */
#define PENDING_MAX    8192 /* the same, for stacks: many may turn out to be one */

#endif
