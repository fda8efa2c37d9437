// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Block I/O, from the bio that somebody submits to the end of the request that it became.
 *
 * block_bio_queue comes once for each bio, in the context of whoever submits it and before there is a
 * request: a wait for a free request counts as waiting in the queue. The bio's address is the key. What was
 * merged becomes known when the request is issued, for then it has its bios at hand: the oldest one's entry
 * stands for all under the address of the last one, which does not change until the request is done. A
 * device without requests (dm, brd, md) completes bios only.
 *
 * Completions come in interrupts, between any two instructions of the others: counts are atomic.
 */
#define PREEMPTIBLE
#define USES_CASTS
#include "cells.bpf.h"
#include "event.bpf.h"
#include "watched.bpf.h"
#include "block.h"
#include "sonde/block.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile u64 slow_ns; /* requests that take so long are told one by one; 0: none */

/* A bio on its way, or the request that it stands for. */
struct io {
	u64 queued, issued, done;
	u64 a, b; /* whose: of a cell's key */
	u64 sector;
	u32 bytes, device;
	u32 what;  /* enum block_op, BLOCK_SYNC ... */
	u32 error; /* as in BLOCK_VALUE_ERROR */
	u32 sequential, reserved;
	/* for events */
	u64 cgroup, start_boot_ns;
	u32 tgid, tid;
	char comm[COMM_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u64); /* a bio's address */
	__type(value, struct io);
} ios SEC(".maps");

/* Where the last bio of a process ended. Threads of a process read one file in turns, so it is no thread's.
 */
struct stream {
	u32 tgid, device, write, reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct stream);
	__type(value, u64); /* the sector behind it */
} streams SEC(".maps");

/* When a queue's last flush was issued. It is a request without a bio, which all that wait for it share. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, u64); /* the queue's address */
	__type(value, u64);
} flushes SEC(".maps");

__noinline int slot__of_bytes(u64 bytes)
{
	return hist__slot_unit(bytes);
}

/* Read through, as tasks are: task__cast(). */
inline_always struct bio *bio__cast(struct bio *bio)
{
	return casts ? bpf_rdonly_cast(bio, bpf_core_type_id_kernel(struct bio)) : bio;
}

inline_always struct request *request__cast(struct request *rq)
{
	return casts ? bpf_rdonly_cast(rq, bpf_core_type_id_kernel(struct request)) : rq;
}

/* --- what it is */

inline_always u32 disk__number(struct gendisk *disk)
{
	return disk ? (u32)READ(disk, major) << 20 | (u32)READ(disk, first_minor) : 0;
}

/* The whole disk's, also for a partition: sectors are the disk's by then. */
inline_always u32 bio__device(struct bio *bio)
{
	struct bio___bi_disk *old = (void *)bio;

	if (bpf_core_field_exists(bio->bi_bdev))
		return disk__number(READ(bio, bi_bdev, bd_disk));
	return disk__number(READ(old, bi_disk));
}

inline_always u32 request__device(struct request *rq)
{
	struct request___rq_disk *old = (void *)rq;
	struct request_queue *q = READ(rq, q);

	if (bpf_core_field_exists(q->disk))
		return disk__number(READ(q, disk));
	return disk__number(READ(old, rq_disk));
}

inline_always u32 what__of(u32 flags, u32 bytes)
{
	u32 op = flags & REQ_OP_MASK, what;

	if (op == REQ_OP_FLUSH || ((flags & REQ_PREFLUSH) && !bytes))
		return BLOCK_FLUSH;
	if (op == REQ_OP_DISCARD)
		return BLOCK_DISCARD;
	if (op == REQ_OP_SECURE_ERASE)
		return BLOCK_ERASE;
	if (op == REQ_OP_WRITE_ZEROES)
		return BLOCK_ZEROES;
	if (op >= REQ_OP_ZONE_FIRST && op <= REQ_OP_ZONE_LAST)
		return BLOCK_ZONE;
	what = op & 1 ? BLOCK_WRITE : BLOCK_READ;
	if (what == BLOCK_WRITE && (flags & (REQ_SYNC | REQ_FUA | REQ_PREFLUSH)))
		what |= BLOCK_SYNC;
	if (flags & REQ_META)
		what |= BLOCK_META;
	if (flags & REQ_RAHEAD)
		what |= BLOCK_AHEAD;
	return what;
}

/* The cgroup that the kernel charges; NULL: it does not tell. In version 1 it knows the submitter only, by a
 * number of another hierarchy. */
inline_always struct cgroup *bio__cgroup(struct bio *bio)
{
	struct blkcg_gq *group = NULL;
	struct cgroup *cgroup;

	if (bpf_core_field_exists(bio->bi_blkg))
		group = READ(bio, bi_blkg);
	if (!group)
		return NULL;
	cgroup = READ(group, blkcg, css.cgroup);
	return cgroup && !READ(cgroup, root, hierarchy_id) ? cgroup : NULL;
}

inline_always bool is_sequential(const struct io *io, u32 tgid)
{
	struct stream stream = {
		.tgid = tgid, .device = io->device, .write = (io->what & BLOCK_OP_MASK) == BLOCK_WRITE};
	u64 end = io->sector + (io->bytes >> 9), *last = bpf_map_lookup_elem(&streams, &stream);
	bool follows = last && *last == io->sector;

	if (last)
		*last = end;
	else
		bpf_map_update_elem(&streams, &stream, &end, BPF_ANY);
	return follows;
}

/* --- whose it is */

/* Written back from the page cache: by a worker that nobody waits for, so it has no name of its own. */
inline_always bool is_writeback(const struct io *io, u32 task_flags)
{
	return (task_flags & PF_WQ_WORKER) && io->what == BLOCK_WRITE;
}

inline_always void io__name(struct io *io, struct task_struct *task, bool writeback)
{
	struct pids pids = pids__of(task);

	io->tgid = pids.tgid;
	io->tid = pids.tid;
	io->start_boot_ns = READ(task__cast(task), group_leader, start_boottime);
	if (!writeback)
		task__comm(io->comm, task);
	else
		copy(io->comm, "writeback\0\0\0\0\0\0", COMM_LEN);
}

/* Kernel threads act for others: what counts is the cgroup that the kernel charges. False: not wanted. */
static __noinline bool io__whose(struct io *io, struct bio *bio, struct task_struct *task, struct loss *l)
{
	u32 flags = READ(task, flags);
	struct cgroup *charged = flags & PF_KTHREAD ? bio__cgroup(bio) : NULL;
	bool writeback = is_writeback(io, flags);
	struct watched *w;

	if (charged && (target.conditions & TARGET_CGROUP)) {
		if (!target__wants_anywhere(task) || !target__has_cgroup(charged))
			return false;
		key__of(task, &io->a, &io->b);
	} else {
		w = watched__get(task, l);
		if (!w)
			return false;
		io->a = w->a;
		io->b = w->b;
	}
	if (writeback && key_by == BY_PID)
		io->a = io->b = 0;
	if (writeback && key_by == BY_COMM)
		copy(&io->a, "writeback\0\0\0\0\0\0", COMM_LEN);
	if (charged && key_by == BY_CGROUP)
		io->a = READ(charged, kn, id);
	if (slow_ns) {
		io__name(io, task, writeback);
		io->cgroup = charged ? READ(charged, kn, id) : task__cgroup(task);
	}
	return true;
}

/* --- on its way */

inline_always int queue_bio(struct bio *trusted)
{
	struct task_struct *task = task__current();
	struct bio *bio = bio__cast(trusted);
	struct loss *l = loss__here();
	u64 key = (u64)trusted;
	struct io io = {};

	if (!l)
		return 0;
	count__add(&l->runs, 1);
	io.queued = bpf_ktime_get_ns();
	if (!control__running(io.queued))
		return 0;
	io.bytes = READ(bio, bi_iter.bi_size);
	io.what = what__of(READ(bio, bi_opf), io.bytes);
	if (!io__whose(&io, bio, task, l))
		return 0;
	io.device = bio__device(bio);
	io.sector = READ(bio, bi_iter.bi_sector);
	if ((io.what & BLOCK_OP_MASK) <= BLOCK_WRITE)
		io.sequential = is_sequential(&io, READ(task, tgid));
	if (bpf_map_update_elem(&ios, &key, &io, BPF_ANY)) {
		loss__count(l, BLOCK, HITS);
		loss__count(l, BLOCK, MAP_FULL);
	}
	return 0;
}

HOOK("block_bio_queue")
int on_bio_queue(u64 *ctx)
{
	return queue_bio((struct bio *)ctx[0]);
}

/* Before 5.11 the queue was the first argument. */
HOOK("block_bio_queue")
int on_bio_queue_second(u64 *ctx)
{
	return queue_bio((struct bio *)ctx[1]);
}

/* The front of a bio that is too large for the device becomes one of its own, chained to what is left. */
inline_always int split_bio(struct bio *trusted)
{
	struct bio *front = bio__cast(trusted);
	u64 parent = (u64)READ(front, bi_private), key = (u64)trusted;
	struct io *rest = bpf_map_lookup_elem(&ios, &parent), io;
	struct loss *l = loss__here();

	if (!l)
		return 0;
	count__add(&l->runs, 1);
	if (!rest)
		return 0;
	io = *rest;
	io.bytes = READ(front, bi_iter.bi_size);
	rest->bytes -= io.bytes;
	rest->sector += io.bytes >> 9;
	rest->sequential = true;
	if (bpf_map_update_elem(&ios, &key, &io, BPF_ANY)) {
		loss__count(l, BLOCK, HITS);
		loss__count(l, BLOCK, MAP_FULL);
	}
	return 0;
}

HOOK("block_split")
int on_split(u64 *ctx)
{
	return split_bio((struct bio *)ctx[0]);
}

HOOK("block_split")
int on_split_second(u64 *ctx)
{
	return split_bio((struct bio *)ctx[1]);
}

/* Takes one of a request's bios out, in favour of the last one. */
static __noinline void merge(u64 key, u64 last)
{
	struct io *io = bpf_map_lookup_elem(&ios, &key), *into, copied;

	if (!io)
		return;
	copied = *io;
	into = bpf_map_lookup_elem(&ios, &last);
	if (!into || copied.queued <= into->queued)
		bpf_map_update_elem(&ios, &last, &copied, BPF_ANY);
	bpf_map_delete_elem(&ios, &key);
}

#define BIOS_MAX 256 /* of a request, at most: what is beyond stays until its address is used again */

inline_always void merge_all(struct request *rq, u64 last)
{
	struct bio *bio = READ(rq, bio);

	for (int i = 0; i < BIOS_MAX; i++) {
		if (!bio || (u64)bio == last)
			break;
		merge((u64)bio, last);
		bio = READ(bio, bi_next);
	}
}

/* Given to the device; perhaps again, after the device gave it back. */
inline_always int issue(struct request *trusted)
{
	struct request *rq = request__cast(trusted);
	u64 now = bpf_ktime_get_ns(), last = (u64)READ(rq, biotail), queue = (u64)READ(rq, q);
	struct loss *l = loss__here();
	struct io *io;

	if (!l)
		return 0;
	count__add(&l->runs, 1);
	if (!last) {
		if ((READ(rq, cmd_flags) & REQ_OP_MASK) == REQ_OP_FLUSH)
			bpf_map_update_elem(&flushes, &queue, &now, BPF_ANY);
		return 0;
	}
	if ((u64)READ(rq, bio) != last)
		merge_all(rq, last);
	io = bpf_map_lookup_elem(&ios, &last);
	if (!io)
		return 0;
	if (!io->issued) {
		io->bytes = READ(rq, __data_len);
		io->sector = READ(rq, __sector);
		io->device = request__device(rq);
	}
	io->issued = now;
	return 0;
}

HOOK("block_rq_issue")
int on_rq_issue(u64 *ctx)
{
	return issue((struct request *)ctx[0]);
}

HOOK("block_rq_issue")
int on_rq_issue_second(u64 *ctx)
{
	return issue((struct request *)ctx[1]);
}

/* --- at its end */

inline_always u64 span(u64 from, u64 to)
{
	return to > from ? to - from : 0;
}

struct times {
	u64 queue, device;
};

static __noinline bool io__count(const struct io *io, const struct times *t, bool has_queue)
{
	struct cell_key key = {.a = io->a, .b = io->b, .state = io->what, .tgid = io->device};
	bool ok;

	key.kind = BLOCK_SIZE;
	key.slot = slot__of_bytes(io->bytes);
	ok = cell__add(&key, 1, io->bytes);
	key.kind = BLOCK_DEVICE;
	key.slot = slot__of_ns(t->device);
	ok &= cell__add(&key, 1, t->device);
	if (has_queue) {
		key.kind = BLOCK_QUEUE;
		key.slot = slot__of_ns(t->queue);
		ok &= cell__add(&key, 1, t->queue);
	}
	key.slot = 0;
	if (io->sequential) {
		key.kind = BLOCK_SEQUENTIAL;
		ok &= cell__add(&key, 1, 0);
	}
	if (io->error) {
		key.kind = BLOCK_ERROR;
		key.slot = io->error;
		ok &= cell__add(&key, 1, 0);
	}
	return ok;
}

static __noinline void io__tell(const struct io *io, const struct times *t, struct loss *l)
{
	struct event_record *e = event__begin(PART_BLOCK, 0, io->done, l);

	if (!e)
		return;
	e->duration_ns = t->queue + t->device;
	e->tgid = io->tgid;
	e->tid = io->tid;
	e->start_boot_ns = io->start_boot_ns;
	e->cgroup = io->cgroup;
	copy(e->comm, io->comm, COMM_LEN);
	e->value[BLOCK_VALUE_DEVICE] = io->device;
	e->value[BLOCK_VALUE_WHAT] = io->what;
	e->value[BLOCK_VALUE_SECTOR] = io->sector;
	e->value[BLOCK_VALUE_BYTES] = io->bytes;
	e->value[BLOCK_VALUE_QUEUE_NS] = t->queue;
	e->value[BLOCK_VALUE_DEVICE_NS] = t->device;
	e->value[BLOCK_VALUE_ERROR] = io->error;
	event__send(e, l);
}

/* What never reached the device has waited all its time. */
inline_always void end(struct io *io, bool has_queue, struct loss *l)
{
	struct times t;

	t.queue = span(io->queued, io->issued ? io->issued : io->done);
	t.device = io->issued ? span(io->issued, io->done) : 0;
	if (io__count(io, &t, has_queue))
		loss__count(l, BLOCK, AGGREGATED);
	else
		loss__count(l, BLOCK, MAP_FULL);
	if (slow_ns && t.queue + t.device >= slow_ns)
		io__tell(io, &t, l);
}

/* A write that has to be flushed, before or after, or a flush of its own: a step of it. */
inline_always bool is_step(struct request *rq)
{
	u32 bit = 4;

	if (bpf_core_enum_value_exists(enum rqf_flags, __RQF_FLUSH_SEQ))
		bit = bpf_core_enum_value(enum rqf_flags, __RQF_FLUSH_SEQ);
	return READ(rq, rq_flags) >> (bit & 31) & 1;
}

/* Waiting for a flush begins with the flush that all who wait share, unless that one is over. */
inline_always void find_flush(struct io *io, struct request *rq)
{
	u64 queue = (u64)READ(rq, q), *issued = bpf_map_lookup_elem(&flushes, &queue);

	io->issued = issued && *issued > io->queued ? *issued : io->queued;
}

HOOK("block_rq_complete")
int BPF_PROG(on_rq_complete, struct request *trusted, int error, unsigned int bytes)
{
	struct request *rq = request__cast(trusted);
	u64 last = (u64)READ(rq, biotail), now = bpf_ktime_get_ns();
	struct loss *l = loss__here();
	struct io *io;

	if (!l)
		return 0;
	count__add(&l->runs, 1);
	if (!last || !control__running(now) || bytes < READ(rq, __data_len) || is_step(rq))
		return 0;
	loss__count(l, BLOCK, HITS);
	io = bpf_map_lookup_elem(&ios, &last);
	if (!io) {
		loss__count(l, BLOCK, FILTERED);
		return 0;
	}
	io->done = now;
	if (error)
		io->error = error < 0 ? BLOCK_ERRNO - error : (u8)error;
	if (!io->issued && io->what == BLOCK_FLUSH)
		find_flush(io, rq);
	end(io, true, l);
	bpf_map_delete_elem(&ios, &last);
	return 0;
}

/* Of a device with requests: one that was refused before it became part of one. */
HOOK("block_bio_complete")
int BPF_PROG(on_bio_complete, struct request_queue *q, struct bio *bio)
{
	struct request_queue *cast = casts ? bpf_rdonly_cast(q, bpf_core_type_id_kernel(*q)) : q;
	u64 key = (u64)bio, now = bpf_ktime_get_ns();
	bool has_queue = READ(cast, mq_ops);
	struct loss *l = loss__here();
	struct io *io;

	if (!l)
		return 0;
	count__add(&l->runs, 1);
	if (!control__running(now))
		return 0;
	loss__count(l, BLOCK, HITS);
	io = bpf_map_lookup_elem(&ios, &key);
	if (!io) {
		loss__count(l, BLOCK, FILTERED);
		return 0;
	}
	io->done = now;
	io->error = READ(bio, bi_status);
	if (!has_queue)
		io->issued = io->queued;
	end(io, has_queue, l);
	bpf_map_delete_elem(&ios, &key);
	return 0;
}
