/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses in, names out, by batches: nothing else reaches the code that parses other people's ELF. It runs
 * in a process of its own (user/helper/) and opens nothing: files arrive as open descriptors, regular files
 * only, and are read, never mapped. What else a file refers to is asked for by a callback.
 */
#ifndef SONDE_OBJECT_SYMBOLIZER_H
#define SONDE_OBJECT_SYMBOLIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbolizer;
struct debug_wanted;

enum symbol_source {
	SYMBOLS_ELF,	  /* fd: an ELF file; addresses: file offsets (of the mapped bytes) */
	SYMBOLS_PERF_MAP, /* fd: a /tmp/perf-PID.map; addresses: virtual */
	SYMBOLS_KERNEL,	  /* fd: /proc/kallsyms, at its start; addresses: kernel */
	SYMBOLS_VDSO,	  /* fd: a copy of the vdso's image; addresses: offset into it */
	SYMBOLS_DATA, /* fd: an ELF file; addresses: file offsets, of variables. Those behind the file's bytes
			 count on as they lie in memory */
	SYMBOLS_SOURCES
};

struct symbol_request {
	enum symbol_source source;
	int fd;		  /* borrowed. helper__resolve() opens those of kernel and vdso itself */
	int modules_fd;	  /* kernel: /proc/modules, or -1 if there is none */
	const char *path; /* as the target names it, or NULL: says only that it is libc */
	size_t count;
	const uint64_t *addresses; /* any order */
	bool lines;		   /* source lines and inlined functions, too (--lines) */
	/* Opens a file that the one in question refers to (debugfile.h): a descriptor, which becomes the
	 * callee's, or -errno: -ENOENT: there is none, or no further one. NULL: there are none. */
	int (*debug_file)(void *context, const struct debug_wanted *);
	void *context;
};

/* Is this where a thread starts? A walk that ends in such a function is complete. */
enum symbol_start {
	SYMBOL_NO_START,
	SYMBOL_START_IF_LAST, /* it also has callers: `clone` */
	SYMBOL_START,	      /* nothing calls it: whatever a walk found behind it is not a frame */
};

struct inlined;

struct symbol {
	const char *name;     /* demangled; NULL: no name is right. Owned by the symbolizer until its end */
	const char *module;   /* kernel modules: "nf_tables"; NULL otherwise */
	const char *build_id; /* of the file, hex; NULL: none. Owned likewise */
	uint64_t offset;      /* of the address in the symbol */
	uint64_t address;     /* the file's virtual address (ELF): for `object+0xoffset` */
	enum symbol_start start;
	bool scheduler;	  /* kernel: in the text of the scheduler and of what waits by it (__sched) */
	const char *file; /* with `lines`: the source of this address, in `name` itself or in the innermost
			     inlined function; NULL: not known */
	uint32_t line;	  /* 0: not known */
	uint32_t inlined_count;
	const struct inlined *inlined; /* innermost first; owned by the symbolizer until its end */
};

/* A function that was inlined at the address. */
struct inlined {
	const char *name;      /* demangled */
	const char *call_file; /* where its caller (the next one, or the symbol) calls it */
	uint32_t call_line;
	uint32_t reserved;
};

struct symbolizer *symbolizer__new(void);
/*
 * Fills `symbols[count]`. 0 or -errno of the file as a whole (then all names are NULL and the reason is
 * known): -ENOEXEC no ELF file, -EPERM the kernel hides its symbols (kptr_restrict), -EFBIG absurdly large...
 * A file that failed is remembered by what it is (device, inode, size, time) and not parsed again.
 */
int symbolizer__resolve(struct symbolizer *, const struct symbol_request *, struct symbol *symbols);
void symbolizer__free(struct symbolizer *);

/* What a file offers, for `sonde check -p`. */
struct symbol_coverage {
	int has_symtab, has_dynsym, has_eh_frame, has_debug_file; /* 0 or 1 */
	int has_go_id;						  /* Go's linker made it */
	char build_id[41];					  /* hex, "" if none */
	uint32_t frame_pointer_percent; /* share of CFI rows whose CFA is based on the frame pointer; 0 if
					   unknown */
};
int symbolizer__coverage(struct symbolizer *, const struct symbol_request *, struct symbol_coverage *);

#endif
