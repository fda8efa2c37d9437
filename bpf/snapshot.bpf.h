/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The user part of a stack by unwind tables; and, where a table is not there yet, a snapshot: the registers
 * and the innermost part of the stack's memory, which user space unwinds. So the first samples of a process
 * are whole, and its tables come to be by being asked for.
 */
#ifndef SONDE_SNAPSHOT_BPF_H
#define SONDE_SNAPSHOT_BPF_H

#include "stack_record.bpf.h"

#ifdef NO_UNWIND_TABLES
#define stack__by_table(which, p, task, sampled, count) STACK_BY_KERNEL
#define stack__compare(which, how)			((void)(how))
#define UNWIND_MISSING					STACK_NO_FRAME_PTR
#else
#define UNWIND_MISSING	 (unwind_loop ? STACK_NO_TABLE : STACK_NO_FRAME_PTR)

/* Read-only: 0: this kernel or the session has no tables. */
const volatile u32 unwind_loop;
#define UNWIND_LOOP_BPF	 1 /* bpf_loop() */
#define UNWIND_LOOP_EACH 2 /* bpf_for_each_map_elem(): since 69c087ba6225 (5.13) */

/* Tests: a snapshot also of what was walked, so that user space can walk it, too. */
const volatile bool unwind_compare;

/* One element per frame, for kernels whose only loop is one over a map. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STACK_DEPTH_MAX);
	__type(key, u32);
	__type(value, u32);
} unwind_steps SEC(".maps");

struct unwind_loop {
	struct stack_place *place;
	struct task_struct *other;
	u32 at; /* of the first user frame */
};

inline_always long unwind__frame(UNWIND_READER r, u32 index, struct unwind_loop *loop)
{
	struct stack_place *p = loop->place;
	u64 address = unwind__frame_address(&p->walk);
	u32 slot = loop->at + index;

	opaque(slot);
	p->scratch.record.frames[slot & FRAMES_MASK] = address;
	hash__mix(&p->hash, address);
	p->scratch.record.user_frames = index + 1;
	return unwind__step(r, &p->walk);
}

static long unwind__frame_here(u32 index, struct unwind_loop *loop)
{
	return unwind__frame(NULL, index, loop);
}

struct bpf_map;

static long unwind__frame_each(struct bpf_map *map, u32 *index, u32 *value, struct unwind_loop *loop)
{
	return unwind__frame(NULL, *index, loop);
}

/* Global: verified once. */
GLOBAL int unwind__walk(u32 which, u32 at)
{
	struct stack_place *p = place__get(which);
	struct unwind_loop loop = {.at = at};

	if (!p)
		return 0;
	loop.place = p;
	if (unwind_loop == UNWIND_LOOP_BPF)
		bpf_loop(STACK_DEPTH_MAX, unwind__frame_here, &loop, 0);
	else if (unwind_loop == UNWIND_LOOP_EACH)
		bpf_for_each_map_elem(&unwind_steps, unwind__frame_each, &loop, 0);
	p->scratch.record.end = p->walk.end;
	return 0;
}

/* --- where a walk begins */

inline_always void registers__from_sample(struct unwind_registers *to, const struct sampled_regs *regs)
{
	to->ip = SAMPLED(regs, REGS_IP);
	to->sp = SAMPLED(regs, REGS_SP);
	to->fp = SAMPLED(regs, REGS_FP);
	to->link = REGS_LINK(regs, SAMPLED);
	to->flags = UNWIND_EXACT | UNWIND_HAS_OTHERS;
	REGS_OTHERS(to->other, regs, SAMPLED);
}

/* False: 32-bit code. */
inline_always bool registers__from_task(struct unwind_registers *to, struct task_struct *task,
					enum user_access access)
{
	struct pt_regs *regs = registers__at(task, access);

	to->ip = READ(regs, REGS_IP);
	to->sp = READ(regs, REGS_SP);
	to->fp = READ(regs, REGS_FP);
	to->link = REGS_LINK(regs, READ);
	/* Who made a system call may have its return address in the link register alone. */
	to->flags = UNWIND_HAS_LINK ? UNWIND_EXACT : 0;
	if (REGS_INTERRUPTED(READ(regs, REGS_SYSCALL)))
		to->flags = UNWIND_EXACT | UNWIND_HAS_OTHERS;
	else if (REGS_HOLD_RETURN(READ(regs, REGS_SYSCALL)))
		to->flags = UNWIND_HAS_OTHERS;
	if (to->flags)
		REGS_OTHERS(to->other, regs, READ);
	else
		REGS_KEPT(to->other, regs, READ);
	return !REGS_COMPAT(regs);
}

#if UNWIND_HAS_LINK
#define TRAMPOLINE_BYTES 4 /* a breakpoint */
#else
#define TRAMPOLINE_BYTES 32 /* x86: 17 at most */
#endif

/* In the trampoline: a function has returned. Where to, the kernel knows, until it puts that on the stack, in
 * place of the first of three registers that are saved there (x86, since ff474a78cef5 (6.11)). */
inline_always void registers__after_return(struct unwind_registers *to)
{
#if UNWIND_HAS_LINK
	if (to->return_count)
		to->ip = to->returns[0].address;
#else
	u64 cfa = to->returns[0].at + 8, offset = to->ip - to->trampoline, at = to->sp + 16;

	if (to->return_count && cfa - to->sp <= 24) {
		to->ip = to->returns[0].address;
		to->sp = cfa;
		return;
	}
	at -= offset > 13 ? 8 : 0; /* behind the first pop */
	at -= offset > 15 ? 8 : 0;
	if (!bpf_probe_read_user(&to->ip, sizeof(to->ip), (void *)at))
		to->sp = at + 8;
#endif
}

/* Where the instruction pointer would be if uprobes had changed nothing: a breakpoint replaces an
 * instruction, which then runs elsewhere as a copy; a uretprobe's trampoline stands where a call returns to.
 */
inline_always void registers__without_probes(struct unwind_registers *to, struct uprobe_task *utask,
					     bool interrupted)
{
	u8 opcode = 0;

	if (to->trampoline && to->ip - to->trampoline < TRAMPOLINE_BYTES) {
		registers__after_return(to);
		return;
	}
	if (to->trampoline && to->ip >> 12 == to->trampoline >> 12) {
		to->ip = BPF_CORE_READ(utask, vaddr);
		return;
	}
	if (UNWIND_BREAKPOINT_SIZE && interrupted && (to->flags & UNWIND_EXACT) &&
	    !bpf_probe_read_user(&opcode, 1, (void *)(to->ip - UNWIND_BREAKPOINT_SIZE)) && opcode == 0xcc)
		to->ip -= UNWIND_BREAKPOINT_SIZE;
}

#define RETURNS_LOOK	  16

/* Return addresses that uretprobes have replaced: the walk finds their trampoline on the stack. Global: the
 * loop would multiply the paths of whoever calls it, and so the load time. */
GLOBAL int registers__add_returns(u32 which, u32 interrupted)
{
	struct stack_place *p = place__get(which);
	struct unwind_registers *to;
	struct return_instance *call;
	struct uprobe_task *utask;
	struct task_struct *task;

	if (!p)
		return 0;
	to = &p->walk.start;
	task = (struct task_struct *)p->task;
	utask = BPF_CORE_READ(task, utask);
	to->trampoline = to->return_count = 0;
	if (!utask)
		return 0;
	to->trampoline = BPF_CORE_READ(task, mm, uprobes_state.xol_area, vaddr);
	call = BPF_CORE_READ(utask, return_instances);
	for (u32 i = 0; i < RETURNS_LOOK && call; i++) {
		/* counted in memory: the verifier would follow each number by itself */
		u32 count = *(volatile u32 *)&to->return_count;

		if (!BPF_CORE_READ(call, chained) && count < UNWIND_RETURNS) {
			to->returns[count].at = BPF_CORE_READ(call, stack);
			to->returns[count].address = BPF_CORE_READ(call, orig_ret_vaddr);
			to->return_count = count + 1;
		}
		call = BPF_CORE_READ(call, next);
	}
	registers__without_probes(to, utask, interrupted);
	return 0;
}

inline_always void registers__returns(u32 which, struct stack_place *p, struct task_struct *task,
				      bool interrupted)
{
	p->task = (u64)task; /* global functions take no pointers to tasks before 6.9 */
	registers__add_returns(which, interrupted);
}

/* --- snapshots */

/*
 * What snapshots may cost. The tables of a process are there 1 to 3 ms after its first sample if its
 * libraries are known, 20 to 35 ms if all its files are read for the first time, 100 ms where sonde waits for
 * its turn on busy CPUs. Until then each of its samples needs one: for a second it may have all that the CPU
 * may take, which is one a sample at 997 Hz. Afterwards only what is new in it needs any.
 */
#define SNAPSHOTS_CPU	  1000 /* a second */
#define SNAPSHOTS_PROCESS 100  /* the same, on all CPUs, from its second second on */
#define SNAPSHOT_FIRST_NS 1000000000ULL

struct snapshot_budget {
	u64 image, first_ns;
	u64 second;
	u32 taken;
	u32 doubts, segments; /* since these segments were made */
};

/* By a number of the process: where two share a slot and take turns, both begin anew each time, and the CPU's
 * limit holds. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, struct snapshot_budget);
} snapshot_budgets SEC(".maps");

inline_always struct snapshot_budget *snapshot__budget(const struct stack_record *r, u64 now)
{
	u32 key = r->tgid & 1023;
	u64 image = r->start_boot_ns + r->exec_id, second = now >> 30;
	struct snapshot_budget *b = bpf_map_lookup_elem(&snapshot_budgets, &key);

	if (b && b->image != image) {
		b->image = image;
		b->first_ns = now;
	}
	if (b && (b->second != second || b->first_ns == now)) {
		b->second = second;
		b->taken = b->doubts = 0;
	}
	return b;
}

/* Other records must find room in the ring. */
inline_always bool snapshot__has_room(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) <
	       bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE) / 8 * 5;
}

inline_always bool snapshot__allowed(struct stack_place *p)
{
	u64 now = bpf_ktime_get_ns(), second = now >> 30;
	struct snapshot_budget *b = snapshot__budget(&p->scratch.record, now);

	if (p->budget_second != second) {
		p->budget_second = second;
		p->snapshots = 0;
	}
	if (!b || p->snapshots >= SNAPSHOTS_CPU ||
	    (b->taken >= SNAPSHOTS_PROCESS && now - b->first_ns >= SNAPSHOT_FIRST_NS) ||
	    !snapshot__has_room())
		return false;
	p->snapshots++;
	b->taken++;
	return true;
}

#define SNAPSHOT_PAGE  4096
#define SNAPSHOT_PAGES (SNAPSHOT_BYTES / SNAPSHOT_PAGE)
#define SNAPSHOT_SLOTS 4

/* Where snapshots are put together: too large for one per CPU, so they are claimed. */
struct snapshot_slot {
	u64 busy;
	/* struct snapshot_record, frames, memory */
	u8 bytes[sizeof(struct snapshot_record) + (FRAMES_MASK + 1) * sizeof(u64) + SNAPSHOT_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SNAPSHOT_SLOTS);
	__type(key, u32);
	__type(value, struct snapshot_slot);
} snapshot_slots SEC(".maps");

inline_always struct snapshot_slot *snapshot__claim(void)
{
	u32 first = bpf_get_smp_processor_id();

	for (u32 i = 0; i < SNAPSHOT_SLOTS; i++) {
		u32 key = (first + i) & (SNAPSHOT_SLOTS - 1);
		struct snapshot_slot *slot = bpf_map_lookup_elem(&snapshot_slots, &key);

		if (slot && !__sync_val_compare_and_swap(&slot->busy, 0, 1))
			return slot;
	}
	return NULL;
}

/* The stack's memory from the stack pointer on: by pages, because what lies behind its end cannot be read,
 * and not beyond where the program's own begins, `start`: arguments and environment. */
inline_always u32 snapshot__memory(UNWIND_READER r, u8 *to, u64 sp, u64 start)
{
	u32 first = SNAPSHOT_PAGE - (sp & (SNAPSHOT_PAGE - 1)), at = 0;

	if (unwind__read(r, to, first, sp))
		return 0;
	for (u32 i = 0; i < SNAPSHOT_PAGES - 1; i++) {
		at = i * SNAPSHOT_PAGE;
		opaque(at); /* or it is merged with `first` into what the verifier cannot bound */
		if (sp < start && sp + first + at >= start)
			return first + at;
		if (unwind__read(r, to + first + at, SNAPSHOT_PAGE, sp + first + at))
			return first + at;
	}
	return first + at + SNAPSHOT_PAGE;
}

/* Where the walk stands: the frame for which there was no table was put down already. */
inline_always void snapshot__from_walk(UNWIND_READER r, struct unwind_registers *to,
				       const struct unwind_walk *w)
{
	to->ip = w->ip;
	to->sp = w->sp;
	to->fp = w->fp;
	to->link = w->link;
	to->flags = w->flags;
	if (!UNWIND_HAS_LINK && w->rbx_at)
		unwind__read(r, &to->other[UNWIND_DWARF_RBX], sizeof(u64), w->rbx_at); /* or it is 0 */
}

/* Puts frames and memory behind the record. Its size. */
inline_always u64 snapshot__fill(UNWIND_READER reader, struct snapshot_slot *slot, struct stack_place *p,
				 u64 start, bool walked)
{
	struct snapshot_record *s = (struct snapshot_record *)slot->bytes;
	struct stack_record *r = &p->scratch.record;
	u64 frames;

	copy(&s->registers, &p->walk.start, sizeof(s->registers));
	copy(&s->stack, r, sizeof(s->stack));
	s->stack.user_frames = 0;
	if (walked && r->user_frames) {
		snapshot__from_walk(reader, &s->registers, &p->walk);
		s->stack.user_frames = r->user_frames - 1;
	}
	frames = (s->stack.kernel_frames + s->stack.user_frames) * sizeof(u64);
	opaque(frames);
	frames &= FRAMES_MASK * sizeof(u64);
	bpf_probe_read_kernel(slot->bytes + sizeof(*s), frames, r->frames);
	s->bytes = snapshot__memory(reader, slot->bytes + sizeof(*s) + frames, s->registers.sp, start);
	return sizeof(*s) + frames + s->bytes;
}

/* Sends a snapshot for the record in the scratch. `walked`: from where the walk stands on, else from its
 * beginning. */
inline_always bool snapshot__emit(UNWIND_READER reader, struct stack_place *p, struct task_struct *task,
				  bool walked, u32 flags)
{
	struct snapshot_slot *slot = snapshot__claim();
	u64 *mark = unwind__mark(p->scratch.record.start_boot_ns), size;
	struct snapshot_record *s;
	bool sent;

	if (!slot)
		return false;
	s = (struct snapshot_record *)slot->bytes;
	s->type = RECORD_SNAPSHOT;
	s->mark = mark ? *(volatile u64 *)mark : 0;
	s->exec_pages = READ(task__cast(task), mm, exec_vm);
	size = snapshot__fill(reader, slot, p, READ(task__cast(task), mm, start_stack), walked);
	s->stack.flags |= flags;
	sent = size <= sizeof(slot->bytes) && !bpf_ringbuf_output(&ring, s, size, BPF_RB_FORCE_WAKEUP);
	*(volatile u64 *)&slot->busy = 0;
	return sent;
}

/* Sends what user space needs to unwind it, under a hash of its own. */
inline_always bool snapshot__send(UNWIND_READER reader, struct stack_place *p, struct task_struct *task,
				  bool walked, struct loss *l)
{
	struct stack_record *r = &p->scratch.record;

	loss__count(l, SNAPSHOT, HITS);
	if (!snapshot__allowed(p)) {
		loss__count(l, SNAPSHOT, FILTERED);
		return false;
	}
	stack__details(r, task);
	r->hash = ((u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32()) ^ bpf_ktime_get_ns();
	if (!snapshot__emit(reader, p, task, walked, 0)) {
		loss__count(l, SNAPSHOT, POSTPONED);
		return false;
	}
	loss__count(l, SNAPSHOT, EMITTED);
	return true;
}

#define SNAPSHOT_WALKED	 1 /* from where the walk stands on */
#define SNAPSHOT_COMPARE 2 /* beside a stack that was walked */

/* Of the current task. Global: its copying loop is verified once, not once per path that leads to it. */
GLOBAL int snapshot__here(u32 which, u32 what)
{
	struct stack_place *p = place__get(which);
	struct task_struct *task = task__current();
	struct loss *l = loss__here();

	if (!p || !l)
		return 0;
	if (what & SNAPSHOT_COMPARE)
		return snapshot__emit(NULL, p, task, false, STACK_FLAG_COMPARE);
	return snapshot__send(NULL, p, task, what & SNAPSHOT_WALKED, l);
}

/* --- all of it */

/*
 * Since fba1a1c6c912 (6.1) an element that is deleted or replaced is used again at once, while programs still
 * read it: what was found may be another process's a moment later. So it is asked for twice, and holds if it
 * was the same: both times the key was compared. Segments and tables that it leads to are not used again
 * before programs have ended (memory__flush_limbo()).
 */
inline_always bool unwind__begin_for(struct stack_place *p, struct task_struct *task, bool *stale)
{
	struct stack_record *r = &p->scratch.record;
	struct unwind_process_key key = {
		.start_boot_ns = r->start_boot_ns, .tgid = r->tgid, .exec_id = r->exec_id};
	struct unwind_process *process = bpf_map_lookup_elem(&unwind_processes, &key);
	u64 *mark = unwind__mark(r->start_boot_ns);

	*stale = true;
	if (!process || !mark)
		return false;
	unwind__begin(&p->walk, process);
	process = bpf_map_lookup_elem(&unwind_processes, &key);
	if (!process || process->first != p->walk.first || process->count != p->walk.count)
		return false;
	*stale = process->mark != *(volatile u64 *)mark ||
		 UNWIND_MARK_PAGES(process->mark) != READ(task__cast(task), mm, exec_vm);
	r->mark = *stale ? UNWIND_MARK_STALE : process->mark;
	hash__mix(&p->hash, process->generation << 1 | *stale);
	return true;
}

#define DOUBTS_MAX 20 /* a second and process, unless they led to something: many end so always */

/* A file may have been unmapped and another one of that size mapped in its place, which the number of pages
 * does not show: who goes by the wrong tables ends nowhere. User space looks at the mappings again, and walks
 * from the beginning. */
inline_always bool unwind__is_doubtful(const struct stack_place *p)
{
	struct snapshot_budget *b;

	if (p->walk.end == STACK_NO_MAPPING)
		return true;
	/* What could not be read here cannot be read for a snapshot either. */
	if (p->walk.end == STACK_DEPTH_LIMIT || p->walk.end == STACK_FAULT || unwind__has_stopped(&p->walk))
		return false;
	b = snapshot__budget(&p->scratch.record, bpf_ktime_get_ns());
	if (b && b->segments != p->walk.first) {
		b->segments = p->walk.first;
		b->doubts = 0;
	}
	return b && b->doubts++ < DOUBTS_MAX;
}

inline_always bool unwind__wants_snapshot(const struct stack_place *p)
{
	return p->walk.end == STACK_NO_TABLE || unwind__is_doubtful(p);
}

inline_always enum stack_how stack__by_table(u32 which, struct stack_place *p, struct task_struct *task,
					     const struct sampled_regs *sampled, u32 count)
{
	bool stale, known, is_64bit = true;

	if (!unwind_loop)
		return STACK_BY_KERNEL;
	if (sampled) {
		registers__from_sample(&p->walk.start, sampled);
		is_64bit = !SAMPLED_COMPAT(sampled);
	} else {
		is_64bit = registers__from_task(&p->walk.start, task, USER_CURRENT);
	}
	if (!is_64bit)
		return STACK_BY_KERNEL;
	registers__returns(which, p, task, !sampled);
	known = unwind__begin_for(p, task, &stale);
	if (stale && snapshot__here(which, 0))
		return STACK_BY_SNAPSHOT;
	if (!known) {
		p->scratch.record.flags |= STACK_FLAG_STAND_IN;
		hash__mix(&p->hash, STACK_FLAG_STAND_IN);
		return STACK_BY_KERNEL;
	}
	unwind__walk(which, count);
	if (!stale && unwind__wants_snapshot(p) &&
	    snapshot__here(which, p->walk.end == STACK_NO_TABLE ? SNAPSHOT_WALKED : 0))
		return STACK_BY_SNAPSHOT;
	return STACK_BY_TABLE;
}

inline_always void stack__compare(u32 which, enum stack_how how)
{
	if (unwind_compare && how == STACK_BY_TABLE)
		snapshot__here(which, SNAPSHOT_COMPARE);
}

#endif
#endif
