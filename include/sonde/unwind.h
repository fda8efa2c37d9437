/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The format of unwind tables and the step from one frame to its caller. Both sides share it: BPF programs
 * walk live stacks, user space walks snapshots and fills the tables.
 *
 * Tables. Code is cut into chunks of 64 KB of virtual address space of its file. A chunk has a blob:
 *
 *     rules (u32, rule 0 last) | header | rows (u8 address, u8 rule)
 *
 * Row i says which rule holds from its address on; the first one of a chunk has address 0. Rows are found by
 * buckets of 256 bytes of code: group[g] is the number of rows before the bucket 16 * g, count[b] how many
 * lie in bucket b. Headers begin in the middle of a cache line, so that the eight most frequent rules share
 * it with the groups. Blobs lie in shards, areas of memory that both sides map.
 *
 * A process has segments, one per executable mapping, ascending, which lead to chunks.
 */
#ifndef SONDE_UNWIND_H
#define SONDE_UNWIND_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define UNWIND_SHARD_BYTES   (256u << 10)
#define UNWIND_SHARD_SLACK   64 /* readable behind a shard, so that a masked offset needs no second check */
#define UNWIND_SHARDS_MAX    1024
#define UNWIND_LINE	     64 /* blobs begin at multiples of it */
#define UNWIND_CHUNK_SHIFT   16
#define UNWIND_CHUNKS_MAX    (1u << 17) /* 8 GB of code */
#define UNWIND_SEGMENTS_MAX  (1u << 16)
#define UNWIND_PROCESSES_MAX 8192

/* --- rules */

/*
 * How the frame address (CFA) is found. A rule is one word: kind:4 | ra:2 | cfa:13 | fp:13, from the low bits
 * up; cfa and fp are signed, in units of 8 bytes. fp: where the caller's frame pointer was saved, from the
 * CFA; 0: it was not.
 */
enum unwind_kind {
	UNWIND_GAP,	    /* nobody says: frame pointers, JIT and hand-written code */
	UNWIND_SP,	    /* stack pointer + cfa */
	UNWIND_FRAME,	    /* frame pointer + cfa */
	UNWIND_PLT11,	    /* x86 lazy binding: 8 more from byte 11 of an entry of 16 on ... */
	UNWIND_PLT10,	    /* ... or from byte 10 on */
	UNWIND_SIGNAL,	    /* the kernel saved all registers on the stack */
	UNWIND_STOP,	    /* the outermost frame: it has no caller */
	UNWIND_UNSUPPORTED, /* more than this format can say */
	UNWIND_WIDE,	    /* in three words, see struct unwind_wide */
};

/* Where the return address is. */
enum unwind_ra {
	UNWIND_RA_CALL,	    /* below the CFA: x86, whose calls push it, whatever the field says */
	UNWIND_RA_LINK,	    /* in the link register: arm64, in leaf functions and prologues */
	UNWIND_RA_AFTER_FP, /* 8 bytes above the saved frame pointer: arm64 */
	UNWIND_RA_AT,	    /* wide rules only: at CFA + ra_words * 8 */
};

/*
 * On x86 that field says of rules that are not wide where the caller's rbx is, by which the dynamic linker
 * finds its frames. Compilers push it last, just below the frame pointer. Where that leads to the CFA, rbx
 * lies elsewhere, and would take rows of its own: a seventh more of them.
 */
enum unwind_rbx {
	UNWIND_RBX_SAME,     /* not saved */
	UNWIND_RBX_BELOW_FP, /* the word below the saved frame pointer, else below the return address */
	UNWIND_RBX_LOST,
};

#define UNWIND_CFA_MIN (-4096) /* words of 8 bytes, cfa and fp alike */
#define UNWIND_CFA_MAX 4095

static inline __u32 unwind_rule__make(__u32 kind, __u32 ra, __s32 cfa_words, __s32 fp_words)
{
	return kind | ra << 4 | ((__u32)cfa_words & 0x1fff) << 6 | ((__u32)fp_words & 0x1fff) << 19;
}
#define UNWIND_KIND(rule) ((rule)&15)
#define UNWIND_RA(rule)	  ((rule) >> 4 & 3)
#define UNWIND_RBX(rule)  ((rule) >> 4 & 3)
#define UNWIND_CFA(rule)  (((__s32)((rule) << 13) >> 19) * 8) /* bytes */
#define UNWIND_FP(rule)	  (((__s32)(rule) >> 19) * 8)	      /* bytes from the CFA; 0: not saved */

/*
 * The wide form: CFA = base + offset, or *(base + offset) + add, with 8 * index added to the address that is
 * read if there is an index. Registers by their DWARF numbers; others than stack and frame pointer are known
 * in the innermost frame only, rbx as a base mostly further on. First word: an ordinary one of kind WIDE,
 * whose cfa field is base | index << 5 | flags << 10. The row's rule number names it; the next two words of
 * the dictionary follow it (their numbers are the next two). Without an index, its field may name another
 * register: the one that holds the return address (UNWIND_RA_LINK on x86), or the one from which fp counts.
 */
#define UNWIND_WIDE_DEREF	   1
#define UNWIND_WIDE_INDEX	   2
#define UNWIND_WIDE_FP_AT_REGISTER 4 /* fp counts from the register `index`; 0 is a place, too */
#define UNWIND_WIDE_WORDS	   3
#define UNWIND_WIDE_BASE(rule)	   ((rule) >> 6 & 31)
#define UNWIND_WIDE_IX(rule)	   ((rule) >> 11 & 31)
#define UNWIND_WIDE_FLAGS(rule)	   ((rule) >> 16 & 7)
/* Second word: the offset, signed bytes. Third: add, signed bytes, in the low half; ra_words, signed, in the
 * high. */
#define UNWIND_WIDE_ADD(word) ((__s32)((word) << 16) >> 16)
#define UNWIND_WIDE_RA(word)  ((__s32)(word) >> 16)

/* --- blobs */

struct unwind_header {
	__u16 group[16];
	__u8 count[256];
};

struct unwind_row {
	__u8 address, rule;
};

#define UNWIND_RULES_MAX 256 /* words of rules in a blob */

/* Bytes of a blob before its header: rules, then the header in the middle of a line. */
static inline __u32 unwind__before_header(__u32 rule_words)
{
	return ((rule_words * 4 + 32 + UNWIND_LINE - 1) & ~(UNWIND_LINE - 1u)) - 32;
}

/* Where the blob of a chunk is: kind:2 | line of the blob's header in its shard:12 | shard:12. 0: not built.
 */
enum unwind_chunk_kind {
	UNWIND_CHUNK_UNBUILT,
	UNWIND_CHUNK_TABLE,
	UNWIND_CHUNK_GAP,    /* no function of it is described */
	UNWIND_CHUNK_FAILED, /* its file or its tables are broken */
};
static inline __u32 unwind_chunk__make(__u32 kind, __u32 shard, __u32 header_offset)
{
	return kind | header_offset / UNWIND_LINE << 2 | shard << 14;
}
#define UNWIND_CHUNK_KIND(chunk)   ((chunk)&3)
#define UNWIND_CHUNK_OFFSET(chunk) (((chunk) >> 2 & 0xfff) * UNWIND_LINE + 32)
#define UNWIND_CHUNK_SHARD(chunk)  ((chunk) >> 14 & 0xfff)

/* --- processes */

/* Which program of which process: no PID is used twice in it. */
struct unwind_process_key {
	__u64 start_boot_ns;
	__u32 tgid; /* in sonde's PID namespace */
	__u32 exec_id;
};

struct unwind_process {
	__u32 first, count; /* segments */
	__u64 mark;	    /* of the process, as it was when its mappings were read */
	__u64 generation;   /* how often a file was gone since: the same addresses may be other code */
};

/*
 * Marks tell whether a process's mappings are still those that user space read: a count of changes (24 bits),
 * two flags, and a number of executable pages (mm->exec_vm). What is known of a process holds while its mark
 * is the one that it was published with and the kernel's number is the mark's.
 *
 * The number alone would miss a library in the place of one with as many pages. But that place was empty in
 * between, and the number a smaller one at the moment when the kernel chose the place for the new one. So a
 * program looks whenever the kernel chooses an address (tracepoint vm_unmapped_area): if the number is not
 * the one that user space has settled, the mark changes, and from then on with every choice.
 *
 * User space writes 0 for flags and number before it reads mappings. The first choice after that sets the
 * flag SAME and its number; it stays as long as the others see that number, too. After the reading user space
 * settles the mark with what it has read, if there was no choice, or all saw the same; otherwise what was
 * read is published with a mark that is not the process's, and has to be read again. Nothing slips through: a
 * choice after the removal of something that was read comes after the 0 was written, by mmap_lock or, where
 * mappings are read without it, because the 0 is written before the reading and the removal seen after.
 *
 * Processes may share a mark: a change of one then makes the other's mappings be read once more.
 */
#define UNWIND_MARKS	     (1u << 14)
#define UNWIND_MARK_CHANGE   (1ULL << 40)
#define UNWIND_MARK_SAME     (1ULL << 39)
#define UNWIND_MARK_SETTLED  (1ULL << 38)
#define UNWIND_MARK_PAGES(m) ((m) & (UNWIND_MARK_SETTLED - 1))
#define UNWIND_MARK_STALE    (~0ULL) /* of a stack that was walked although the mark had changed */
#define UNWIND_MARK_NEXT(m)  (((m) & ~(UNWIND_MARK_CHANGE - 1)) + UNWIND_MARK_CHANGE) /* the rest is 0 */

/* The mark after the kernel has chosen an address, when it had so many pages. */
static inline __u64 unwind_mark__choice(__u64 mark, __u64 pages)
{
	int is_same = UNWIND_MARK_PAGES(mark) == pages;
	__u64 next = UNWIND_MARK_NEXT(mark);

	if (is_same && (mark & UNWIND_MARK_SETTLED))
		return mark;
	if ((is_same && (mark & UNWIND_MARK_SAME)) || mark + UNWIND_MARK_CHANGE == next)
		next |= UNWIND_MARK_SAME;
	return next | pages;
}

static inline __u32 unwind_mark__index(__u64 start_boot_ns)
{
	return (__u32)(start_boot_ns * 0x9e3779b97f4a7c15ULL >> 50);
}

enum unwind_segment_kind {
	UNWIND_SEGMENT_TABLE,
	UNWIND_SEGMENT_GAP,	/* memory without a file: frame pointers */
	UNWIND_SEGMENT_UNKNOWN, /* its file has not been looked at */
	UNWIND_SEGMENT_FAILED,	/* its file could not be had */
};

struct unwind_segment {
	__u64 begin; /* | kind << 4 | bits 12..15 of the virtual address in the file */
	__u32 pages; /* of 4096 bytes */
	__u32 chunk; /* of its first byte */
};
#define UNWIND_SEGMENT_KIND(begin)  ((__u32)(begin) >> 4 & 3)
#define UNWIND_SEGMENT_BEGIN(begin) ((begin) & ~0xfffULL)
#define UNWIND_SEGMENT_LOW(begin)   (((begin)&15) << 12)

/* --- where a walk begins */

#define UNWIND_REGISTERS 16 /* x86: by DWARF number */
#define UNWIND_RETURNS	 8  /* return addresses that uretprobes have replaced */

struct unwind_registers {
	__u64 ip, sp, fp, link;
	__u64 other[UNWIND_REGISTERS]; /* of the innermost frame; valid with UNWIND_HAS_OTHERS, rbx always */
	__u64 trampoline;	       /* where uretprobes let functions return to; 0: none */
	struct {
		__u64 at, address; /* where on the stack; the address that was there */
	} returns[UNWIND_RETURNS];
	__u32 return_count;
	__u32 flags;
};
#define UNWIND_EXACT	  1 /* ip is the next instruction, not a return address: interrupts, signals */
#define UNWIND_HAS_OTHERS 2
#define UNWIND_SP_LEAST	  4 /* during a walk: the stack pointer may be higher */

#endif
