/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One step of a stack walk: from a frame to its caller. The same code runs in BPF on live stacks and in user
 * space on snapshots. Whoever includes it has defined before:
 *
 *     UNWIND_READER                      the type of `r`: whose memory and tables these are
 *     unwind__read(r, to, bytes, from)   copies user memory; 0 or an error
 *     unwind__segment(r, i, segment)     the segment number i; 0 or an error
 *     unwind__chunk(r, i)                the chunk number i (u32), UNWIND_CHUNK_UNBUILT if there is none
 *     unwind__shard(r, i)                the memory of shard i, or NULL
 *     opaque(x)                          hides a value from the compiler, so that a mask stays where it is
 * used
 */
#ifndef SONDE_WALK_H
#define SONDE_WALK_H

#include "sonde/abi.h"
#include "sonde/unwind.h"
#if defined(__TARGET_ARCH_arm64) || (defined(__aarch64__) && !defined(__TARGET_ARCH_x86))
#include "sonde/arch_arm64.h"
#else
#include "sonde/arch_x86.h"
#endif

#ifndef UNWIND_READER /* the header by itself */
#define UNWIND_READER void *
#define opaque(x)     ((void)(x))
int unwind__read(UNWIND_READER r, void *to, __u32 bytes, __u64 from);
int unwind__segment(UNWIND_READER r, __u32 index, struct unwind_segment *segment);
__u32 unwind__chunk(UNWIND_READER r, __u32 index);
const __u8 *unwind__shard(UNWIND_READER r, __u32 index);
#endif

#define unwind_inline static inline __attribute__((always_inline))

/* User memory is read in pieces of this size: a frame's words lie close to those of its neighbours. */
#define UNWIND_WINDOW	   1024
#define UNWIND_NO_WINDOW   (1ULL << 63)
#define UNWIND_SEARCH_MAX  14	      /* halvings: 16,384 executable mappings in a process */
#define UNWIND_FRAME_MAX   (1u << 20) /* bytes between two frame pointers */
#define UNWIND_RBX_NOWHERE 1	      /* cannot be read: nobody knows its value */

struct unwind_cached_segment {
	__u64 begin, bytes, low;
	__u32 chunk, kind;
};

/* The state of a walk: the registers as they were in the frame that is looked at. */
struct unwind_walk {
	__u64 ip, sp, fp, link;
	__u64 window_at;
	struct unwind_cached_segment now, before; /* calls go back and forth between two files */
	__u32 first, count;			  /* segments of the process */
	__u32 flags;				  /* UNWIND_EXACT ... of this frame */
	__u32 end;				  /* enum stack_end, once a step has returned 1 */
	__u64 missing;				  /* the address that ended it, for NO_TABLE and NO_MAPPING */
	__u32 rule[UNWIND_WIDE_WORDS], reserved;
	__u64 rbx_at; /* where this frame's is saved; 0: nowhere, it is that of the start */
	struct unwind_registers start;
	__u8 window[UNWIND_WINDOW + 8];
};

unwind_inline void unwind__begin(struct unwind_walk *w, const struct unwind_process *process)
{
	w->ip = w->start.ip;
	w->sp = w->start.sp;
	w->fp = w->start.fp;
	w->link = w->start.link;
	w->rbx_at = 0;
	w->flags = w->start.flags;
	w->window_at = UNWIND_NO_WINDOW;
	w->now.bytes = w->before.bytes = 0;
	w->first = process->first;
	w->count = process->count;
	w->end = STACK_DEPTH_LIMIT;
	w->missing = 0;
}

unwind_inline int unwind__stop(struct unwind_walk *w, __u32 end)
{
	w->end = end;
	return 1;
}

/* This frame, as records have it. */
unwind_inline __u64 unwind__frame_address(const struct unwind_walk *w)
{
	return w->ip | (w->flags & UNWIND_EXACT ? STACK_FRAME_EXACT : 0);
}

/* --- memory */

unwind_inline int unwind__word(UNWIND_READER r, struct unwind_walk *w, __u64 address, __u64 *value)
{
	__u64 offset = address - w->window_at;

	if (address & 7)
		return unwind__read(r, value, sizeof(*value), address);
	if (offset > UNWIND_WINDOW - 8) {
		if (unwind__read(r, w->window, UNWIND_WINDOW, address)) {
			w->window_at = UNWIND_NO_WINDOW;
			return unwind__read(r, value, sizeof(*value), address);
		}
		w->window_at = address;
		offset = 0;
	}
	opaque(offset);
	offset &= UNWIND_WINDOW - 8;
	*value = *(__u64 *)(w->window + offset);
	return 0;
}

/* --- what holds at an address */

unwind_inline int unwind__find_segment(UNWIND_READER r, struct unwind_walk *w, __u64 address)
{
	__u32 low = w->first, high = w->first + w->count, middle;
	struct unwind_segment s;

	if (address - w->now.begin < w->now.bytes)
		return 0;
	if (address - w->before.begin < w->before.bytes) {
		struct unwind_cached_segment found = w->before;

		w->before = w->now;
		w->now = found;
		return 0;
	}
	for (int i = 0; i < UNWIND_SEARCH_MAX; i++) {
		if (low >= high)
			break;
		middle = low + (high - low) / 2;
		if (unwind__segment(r, middle, &s))
			break;
		if (address < UNWIND_SEGMENT_BEGIN(s.begin)) {
			high = middle;
		} else if (address - UNWIND_SEGMENT_BEGIN(s.begin) >= (__u64)s.pages << 12) {
			low = middle + 1;
		} else {
			w->before = w->now;
			w->now.begin = UNWIND_SEGMENT_BEGIN(s.begin);
			w->now.bytes = (__u64)s.pages << 12;
			w->now.low = UNWIND_SEGMENT_LOW(s.begin);
			w->now.kind = UNWIND_SEGMENT_KIND(s.begin);
			w->now.chunk = s.chunk;
			return 0;
		}
	}
	return -1;
}

/* Sum of the first n (0..16) of sixteen bytes. */
unwind_inline __u32 unwind__sum(const __u8 *counts, __u32 n)
{
	__u64 a = *(const __u64 *)counts, b = *(const __u64 *)(counts + 8);

	if (n < 8) {
		a &= (1ULL << (n * 8)) - 1;
		b = 0;
	} else {
		b &= n == 8 ? 0 : ~0ULL >> ((16 - n) * 8);
	}
	a = (a & 0x00ff00ff00ff00ffULL) + (a >> 8 & 0x00ff00ff00ff00ffULL);
	b = (b & 0x00ff00ff00ff00ffULL) + (b >> 8 & 0x00ff00ff00ff00ffULL);
	return ((a + b) * 0x0001000100010001ULL) >> 48;
}

/* An offset into a shard, in a form that the verifier takes. */
#define UNWIND_IN_SHARD(offset, align)                    \
	({                                                \
		__u64 in_shard = (offset);                \
		opaque(in_shard);                         \
		in_shard &(UNWIND_SHARD_BYTES - (align)); \
	})

/* The last row that begins at or before `low` (0..65535) of the chunk whose header is at `header`. */
unwind_inline __u32 unwind__find_row(const __u8 *shard, __u64 header, __u32 low)
{
	__u32 bucket = low >> 8 & 255, group = bucket >> 4;
	__u64 counts = UNWIND_IN_SHARD(header + 32 + group * 16, 16);
	__u64 start = *(const __u16 *)(shard + UNWIND_IN_SHARD(header + group * 2, 2));
	__u64 rows = header + sizeof(struct unwind_header), left, half, after;

	start += unwind__sum(shard + counts, bucket & 15);
	left = shard[UNWIND_IN_SHARD(header + 32 + bucket, 1)];
	/* Without a branch: the verifier would follow each way to a row by itself. */
	for (int i = 0; i < 8; i++) {
		half = (left + 1) >> 1;
		after = (__s64)((low & 255) -
				(__u64)shard[UNWIND_IN_SHARD(rows + 2 * (start + half - 1), 2)]) >>
			63;
		opaque(after);
		start += half & ~after;
		left -= half;
	}
	return start - 1;
}

unwind_inline void unwind__load_rule(struct unwind_walk *w, const __u8 *shard, __u64 header, __u32 row)
{
	__u64 at = UNWIND_IN_SHARD(header + sizeof(struct unwind_header) + 2 * (__u64)row, 2);
	__u64 rule = header - 4 * (shard[at + 1] + 1ULL);

	w->rule[0] = *(const __u32 *)(shard + UNWIND_IN_SHARD(rule, 4));
	if (UNWIND_KIND(w->rule[0]) == UNWIND_WIDE) {
		w->rule[1] = *(const __u32 *)(shard + UNWIND_IN_SHARD(rule - 4, 4));
		w->rule[2] = *(const __u32 *)(shard + UNWIND_IN_SHARD(rule - 8, 4));
	}
}

/* Loads the rule for an address. 0; 1: the walk ends here. */
unwind_inline int unwind__look_up(UNWIND_READER r, struct unwind_walk *w, __u64 address)
{
	const __u8 *shard;
	__u64 offset;
	__u32 chunk;

	w->rule[0] = UNWIND_GAP;
	w->missing = address;
	if (unwind__find_segment(r, w, address))
		return unwind__stop(w, STACK_NO_MAPPING);
	if (w->now.kind == UNWIND_SEGMENT_UNKNOWN)
		return unwind__stop(w, STACK_NO_TABLE);
	if (w->now.kind != UNWIND_SEGMENT_TABLE)
		return 0;
	offset = address - w->now.begin + w->now.low;
	chunk = unwind__chunk(r, w->now.chunk + (__u32)(offset >> UNWIND_CHUNK_SHIFT));
	if (UNWIND_CHUNK_KIND(chunk) == UNWIND_CHUNK_UNBUILT)
		return unwind__stop(w, STACK_NO_TABLE);
	if (UNWIND_CHUNK_KIND(chunk) != UNWIND_CHUNK_TABLE)
		return 0;
	shard = unwind__shard(r, UNWIND_CHUNK_SHARD(chunk));
	if (!shard)
		return unwind__stop(w, STACK_NO_TABLE);
	unwind__load_rule(w, shard, UNWIND_CHUNK_OFFSET(chunk),
			  unwind__find_row(shard, UNWIND_CHUNK_OFFSET(chunk), offset & 0xffff));
	return 0;
}

/* --- the step */

unwind_inline int unwind__is_address(__u64 address)
{
	return address >= 4096 && !(address >> UNWIND_ADDRESS_BITS);
}

/* Whether it is the address behind a call. */
unwind_inline int unwind__is_return(UNWIND_READER r, __u64 address)
{
	__u64 code;

	return unwind__is_address(address) && !unwind__read(r, &code, sizeof(code), address - 8) &&
	       unwind__ends_with_call(code);
}

/* The caller's frame is found: its address, the return address and the frame pointer. */
unwind_inline int unwind__enter(struct unwind_walk *w, __u64 cfa, __u64 ip, __u64 fp)
{
	ip = unwind__address(ip);
	if (w->start.trampoline && ip == w->start.trampoline)
		for (__u32 i = 0; i < UNWIND_RETURNS && i < w->start.return_count; i++)
			if (ip == w->start.trampoline && w->start.returns[i].at == UNWIND_RETURN_AT(cfa))
				ip = w->start.returns[i].address; /* the newest of a place */
	if (!unwind__is_address(ip))
		return unwind__stop(w, ip ? STACK_NO_FRAME_PTR : STACK_COMPLETE);
	w->ip = ip;
	w->sp = cfa;
	w->fp = fp;
	w->flags = 0;
	return 0;
}

unwind_inline int unwind__signal(UNWIND_READER r, struct unwind_walk *w)
{
	__u64 saved[UNWIND_SIGNAL_WORDS], at = w->sp + UNWIND_SIGNAL_OFFSET;

	if (unwind__read(r, saved, sizeof(saved), at))
		return unwind__stop(w, STACK_FAULT);
	if (!unwind__is_address(saved[UNWIND_SIGNAL_IP]))
		return unwind__stop(w, STACK_NO_FRAME_PTR);
	w->ip = saved[UNWIND_SIGNAL_IP];
	w->sp = saved[UNWIND_SIGNAL_SP];
	w->fp = saved[UNWIND_SIGNAL_FP];
#if UNWIND_HAS_LINK
	w->link = saved[UNWIND_SIGNAL_LINK];
#else
	w->rbx_at = at + UNWIND_SIGNAL_RBX * 8;
#endif
	w->flags = UNWIND_EXACT;
	return 0;
}

#if UNWIND_HAS_LINK
/* Whether the two instructions that end a signal handler are about to run, or did just now. */
unwind_inline int unwind__ends_handler(UNWIND_READER r, struct unwind_walk *w)
{
	__u32 code[4];

	if (unwind__read(r, code, sizeof(code), w->ip - 8))
		return 0;
	for (int i = 0; i < 3; i++)
		if (code[i] == (__u32)UNWIND_SIGRETURN && code[i + 1] == UNWIND_SIGRETURN >> 32)
			return 1;
	return 0;
}

/*
 * The innermost frame, in code that nobody describes: a function without a frame has its return address in
 * the link register, and by the frame pointer alone its caller would be skipped. One with a frame may have
 * its last call's there instead, which leads to itself. It is the caller's if it leads to described code, or
 * to another mapping. Lazy binding saves it (PLT0) before it leaves for the dynamic linker.
 */
unwind_inline int unwind__gap_exact(UNWIND_READER r, struct unwind_walk *w)
{
	__u64 link = unwind__address(w->link), begin = w->now.begin, bytes = w->now.bytes;
	__u64 cfa = w->sp, code = 0, saved;
	/* Of a process that has ended meanwhile its tables still stand, but not its code. */
	int readable = unwind__is_address(link) && !unwind__read(r, &code, sizeof(code), link - 8);

	if (unwind__ends_handler(r, w))
		return unwind__signal(r, w);
	if (!unwind__is_address(link) || (readable && !unwind__ends_with_call(code)))
		return -1;
	if (!(w->fp & 7) && !unwind__word(r, w, w->fp + 8, &saved) && unwind__address(saved) == link)
		return -1;
	if (unwind__look_up(r, w, link - 1))
		return readable ? 1 : -1;
	if (UNWIND_KIND(w->rule[0]) == UNWIND_GAP && (!readable || link - begin < bytes))
		return -1;
	if (!unwind__word(r, w, w->sp + 8, &saved) && saved == w->link)
		cfa += UNWIND_LAZY_BYTES;
	return unwind__enter(w, cfa, link, w->fp);
}
#else
/* The innermost frame, in code that nobody describes: a function that has not touched the stack yet, or has
 * just pushed the frame pointer, would be skipped by the frame pointer alone. */
unwind_inline int unwind__gap_exact(UNWIND_READER r, struct unwind_walk *w)
{
	__u64 top, next;

	if (unwind__word(r, w, w->sp, &top))
		return -1;
	if (unwind__is_return(r, top))
		return unwind__enter(w, w->sp + 8, top, w->fp);
	if (top != w->fp || unwind__word(r, w, w->sp + 8, &next) || !unwind__is_return(r, next))
		return -1;
	return unwind__enter(w, w->sp + 16, next, top);
}
#endif

/* What ends a signal handler: nobody has called it. */
unwind_inline int unwind__is_sigreturn(UNWIND_READER r, __u64 address)
{
	__u64 code;

	return !unwind__read(r, &code, sizeof(code), address) && code == UNWIND_SIGRETURN;
}

/*
 * Whether a frame found by the frame pointer may return there. The outermost function of a stack, whose
 * caller's frame pointer is zero, may do so to where nobody called from: Go's runtime.goexit.
 */
unwind_inline int unwind__may_return(UNWIND_READER r, struct unwind_walk *w, __u64 address, __u64 fp)
{
	if (address == w->start.trampoline || unwind__is_return(r, address))
		return 1;
	return fp ? unwind__is_sigreturn(r, address) : !unwind__find_segment(r, w, address);
}

/* By the frame pointer, believed only where a call leads to. */
unwind_inline int unwind__gap(UNWIND_READER r, struct unwind_walk *w)
{
	__u64 frame[2];

	w->rbx_at = UNWIND_RBX_NOWHERE;
	if (w->flags & UNWIND_EXACT) {
		int done = unwind__gap_exact(r, w);

		if (done >= 0)
			return done;
	} else if (unwind__is_sigreturn(r, w->ip)) {
		return unwind__signal(r, w);
	}
	/* It may lead to another stack: Go's system stack is called from a goroutine's. */
	if ((w->fp & 7) || !unwind__is_address(w->fp))
		return unwind__stop(w, STACK_NO_FRAME_PTR);
	if (unwind__word(r, w, w->fp, &frame[0]) || unwind__word(r, w, w->fp + 8, &frame[1]))
		return unwind__stop(w, STACK_FAULT);
	frame[1] = unwind__address(frame[1]);
	if (!unwind__may_return(r, w, frame[1], frame[0]))
		return unwind__stop(w, STACK_NO_FRAME_PTR);
	if (unwind__enter(w, w->fp + 16, frame[1], frame[0]))
		return 1;
#if UNWIND_HAS_LINK
	w->flags = UNWIND_SP_LEAST;
#endif
	return 0;
}

/* A register of this frame, by its DWARF number. Others than these two are known innermost only. */
unwind_inline int unwind__register(struct unwind_walk *w, __u32 number, __u64 *value)
{
	if (number == UNWIND_DWARF_SP) {
		*value = w->sp;
	} else if (number == UNWIND_DWARF_FP) {
		*value = w->fp;
	} else if ((w->flags & UNWIND_HAS_OTHERS) && number < UNWIND_REGISTERS) {
		opaque(number);
		*value = w->start.other[number & (UNWIND_REGISTERS - 1)];
	} else {
		return 1;
	}
	return 0;
}

/* The register from which a wide rule counts. */
unwind_inline int unwind__base(UNWIND_READER r, struct unwind_walk *w, __u64 *value)
{
	__u32 number = UNWIND_WIDE_BASE(w->rule[0]);

	if (number != UNWIND_DWARF_RBX)
		return unwind__register(w, number, value);
	*value = w->start.other[UNWIND_DWARF_RBX];
	return w->rbx_at && unwind__word(r, w, w->rbx_at, value);
}

/* Only where it is: hardly a walk wants it. */
unwind_inline void unwind__keep_rbx(struct unwind_walk *w, __u64 cfa, __u64 saved_fp)
{
	__u32 rule = w->rule[0], where = UNWIND_RBX(rule);

	if (UNWIND_KIND(rule) == UNWIND_WIDE || where == UNWIND_RBX_LOST)
		w->rbx_at = UNWIND_RBX_NOWHERE;
	else if (where == UNWIND_RBX_BELOW_FP)
		w->rbx_at = (saved_fp ? saved_fp : cfa - 8) - 8;
}

unwind_inline int unwind__wide_cfa(UNWIND_READER r, struct unwind_walk *w, __u64 *cfa)
{
	__u32 flags = UNWIND_WIDE_FLAGS(w->rule[0]);
	__u64 at, index = 0;

	if (unwind__base(r, w, &at) ||
	    ((flags & UNWIND_WIDE_INDEX) && unwind__register(w, UNWIND_WIDE_IX(w->rule[0]), &index)))
		return unwind__stop(w, STACK_UNSUPPORTED);
	at += (__s64)(__s32)w->rule[1] + 8 * index;
	if ((flags & UNWIND_WIDE_DEREF)) {
		if (unwind__word(r, w, at, &at))
			return unwind__stop(w, STACK_FAULT);
		at += (__s64)UNWIND_WIDE_ADD(w->rule[2]);
	}
	*cfa = at;
	return 0;
}

unwind_inline int unwind__cfa(UNWIND_READER r, struct unwind_walk *w, __u64 *cfa)
{
	__u32 rule = w->rule[0];

	switch (UNWIND_KIND(rule)) {
	case UNWIND_SP:
		*cfa = w->sp + (__s64)UNWIND_CFA(rule);
		return 0;
	case UNWIND_FRAME:
		*cfa = w->fp + (__s64)UNWIND_CFA(rule);
		return 0;
	case UNWIND_PLT11:
		*cfa = w->sp + 8 + (((w->ip & 15) >= 11) << 3);
		return 0;
	case UNWIND_PLT10:
		*cfa = w->sp + 8 + (((w->ip & 15) >= 10) << 3);
		return 0;
	case UNWIND_STOP:
		return unwind__stop(w, STACK_COMPLETE);
	case UNWIND_WIDE:
		return unwind__wide_cfa(r, w, cfa);
	default:
		return unwind__stop(w, STACK_UNSUPPORTED);
	}
}

/* Where the caller's frame pointer was saved; 0: nowhere. */
unwind_inline int unwind__saved_fp(struct unwind_walk *w, __u64 cfa, __u64 *saved)
{
	__u32 rule = w->rule[0];

	*saved = UNWIND_FP(rule) != 0 ? cfa + (__s64)UNWIND_FP(rule) : 0;
	if (UNWIND_KIND(rule) != UNWIND_WIDE || !(UNWIND_WIDE_FLAGS(rule) & UNWIND_WIDE_FP_AT_REGISTER))
		return 0;
	if (unwind__register(w, UNWIND_WIDE_IX(rule), saved))
		return unwind__stop(w, STACK_UNSUPPORTED);
	*saved += (__s64)UNWIND_FP(rule);
	return 0;
}

unwind_inline int unwind__return_address(UNWIND_READER r, struct unwind_walk *w, __u64 cfa, __u64 saved_fp,
					 __u64 *ip)
{
	__u32 rule = w->rule[0];
	__u64 at = cfa - 8;

#if UNWIND_HAS_LINK
	switch (UNWIND_RA(rule)) {
	case UNWIND_RA_LINK: /* saved by nobody: true of the innermost frame only */
		if (!(w->flags & UNWIND_EXACT))
			return unwind__stop(w, STACK_NO_FRAME_PTR);
		*ip = w->link;
		return 0;
	case UNWIND_RA_AFTER_FP:
		at = saved_fp + 8;
		break;
	case UNWIND_RA_AT:
		at = cfa + (__s64)UNWIND_WIDE_RA(w->rule[2]) * 8;
		break;
	}
#else
	(void)saved_fp;
	if (UNWIND_KIND(rule) == UNWIND_WIDE) {
		if (UNWIND_RA(rule) == UNWIND_RA_LINK) /* vfork keeps it in a register */
			return unwind__register(w, UNWIND_WIDE_IX(rule), ip)
				       ? unwind__stop(w, STACK_UNSUPPORTED)
				       : 0;
		if (UNWIND_RA(rule) == UNWIND_RA_AT)
			at = cfa + (__s64)UNWIND_WIDE_RA(w->rule[2]) * 8;
	}
#endif
	return unwind__word(r, w, at, ip) ? unwind__stop(w, STACK_FAULT) : 0;
}

/* Where the caller's stack pointer was. What the PLT has pushed lies above the frame that glibc describes for
 * lazy binding on arm64. */
unwind_inline __u64 unwind__above(struct unwind_walk *w, __u64 cfa)
{
	if (UNWIND_LAZY_BYTES && UNWIND_KIND(w->rule[0]) == UNWIND_WIDE &&
	    UNWIND_RA(w->rule[0]) == UNWIND_RA_AT && UNWIND_WIDE_RA(w->rule[2]) == 1)
		cfa += UNWIND_LAZY_BYTES;
	return cfa;
}

/*
 * On arm64, below a frame found by its frame pointer alone: that tells where its record is, but not how much
 * of the frame lies above, and so where the caller's begins. A caller that has a record of its own is found
 * by that.
 */
unwind_inline void unwind__settle(UNWIND_READER r, struct unwind_walk *w)
{
	__u32 rule = w->rule[0];
	__u64 sp = w->fp - (__s64)UNWIND_FP(rule) - (__s64)UNWIND_CFA(rule), address;

	if (UNWIND_KIND(rule) != UNWIND_SP || UNWIND_RA(rule) != UNWIND_RA_AFTER_FP || (w->fp & 7) ||
	    sp - w->sp >= UNWIND_FRAME_MAX || unwind__word(r, w, w->fp + 8, &address) ||
	    !unwind__is_return(r, unwind__address(address)))
		return;
	w->sp = sp;
	w->flags = 0;
}

/* Whether the walk has ended where the code says that nobody called it; else, if it is complete, the caller's
 * address was 0: so end coroutines, but also those that went by wrong tables. */
unwind_inline int unwind__has_stopped(const struct unwind_walk *w)
{
	return w->end == STACK_COMPLETE && UNWIND_KIND(w->rule[0]) == UNWIND_STOP;
}

/* From the frame in `w` to its caller. 0; 1: there is none, or it cannot be found: w->end says which. */
unwind_inline int unwind__step(UNWIND_READER r, struct unwind_walk *w)
{
	__u64 cfa = 0, ip = 0, fp = w->fp, saved_fp, saved;

	if (unwind__look_up(r, w, w->ip - !(w->flags & UNWIND_EXACT)))
		return 1;
	if (UNWIND_KIND(w->rule[0]) == UNWIND_GAP)
		return unwind__gap(r, w);
	if (UNWIND_KIND(w->rule[0]) == UNWIND_SIGNAL)
		return unwind__signal(r, w);
	if (UNWIND_HAS_LINK && (w->flags & UNWIND_SP_LEAST))
		unwind__settle(r, w);
	if (unwind__cfa(r, w, &cfa))
		return 1;
	/* Only the innermost frame may be empty. */
	if (cfa < w->sp || (cfa == w->sp && !w->flags))
		return unwind__stop(w, STACK_NO_FRAME_PTR);
	if (unwind__saved_fp(w, cfa, &saved_fp) || unwind__return_address(r, w, cfa, saved_fp, &ip))
		return 1;
	/* Below the stack pointer lies what the function has restored already; a snapshot does not have it.
	 */
	if (saved_fp && !unwind__word(r, w, saved_fp, &saved))
		fp = saved;
	else if (saved_fp && saved_fp >= w->sp)
		return unwind__stop(w, STACK_FAULT);
	if (UNWIND_HAS_LINK && (w->flags & UNWIND_SP_LEAST) && !unwind__is_return(r, unwind__address(ip)))
		return unwind__stop(w, STACK_NO_FRAME_PTR);
	if (!UNWIND_HAS_LINK)
		unwind__keep_rbx(w, cfa, saved_fp);
	return unwind__enter(w, unwind__above(w, cfa), ip, fp);
}

#endif
