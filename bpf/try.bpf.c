// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One small program for each thing that `sonde check` tries. Each does what it is about, counts that it did,
 * and ignores everybody but sonde's own process; user/probe/try_program.c loads one at a time, attaches it
 * and makes it run. Nothing here depends on RAW_TP: both ways to hook are themselves on trial.
 */
#include "base.h"
#include "sched.h"
#include "bpf.h"
#include <bpf/bpf_helpers.h>
#include "sonde/try.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct trial trial;

struct bpf_pidns_info {
	u32 pid, tgid;
};

static __always_inline bool is_self(void)
{
	struct bpf_pidns_info who = {};

	return !bpf_get_ns_current_pid_tgid(trial.namespace_device, trial.namespace_inode, &who,
					    sizeof(who)) &&
	       who.tgid == trial.pid;
}

static __always_inline int fired(u64 value)
{
	trial.value = value;
	__sync_fetch_and_add(&trial.fired, 1);
	return 0;
}

SEC("?tp_btf/sched_switch")
int try_tp_btf(u64 *ctx)
{
	struct task_struct *prev = (struct task_struct *)ctx[1];

	return is_self() && prev->start_time ? fired(prev->pid) : 0;
}

SEC("?raw_tp/sched_switch")
int try_raw_tp(void *ctx)
{
	return is_self() ? fired(0) : 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} storage SEC(".maps");

SEC("?tp_btf/sched_switch")
int try_task_storage(void *ctx)
{
	u64 *mine;

	if (!is_self())
		return 0;
	mine = bpf_task_storage_get(&storage, bpf_get_current_task_btf(), NULL,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
	return mine ? fired(++*mine) : 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

/* User space finds TRY_MAGIC in the ring, or it did not work. */
SEC("?raw_tp/sched_switch")
int try_ring(void *ctx)
{
	u64 *record;

	if (trial.fired || !is_self())
		return 0;
	record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	if (!record)
		return 0;
	*record = TRY_MAGIC;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return fired(0);
}

SEC("?raw_tp/sched_switch")
int try_stacks(void *ctx)
{
	u64 frames[16];
	long kernel, user;

	if (!is_self())
		return 0;
	kernel = bpf_get_stack(ctx, frames, sizeof(frames), 0);
	user = bpf_get_stack(ctx, frames, sizeof(frames), BPF_F_USER_STACK);
	return kernel > 0 && user > 0 ? fired((kernel + user) / 8) : 0;
}

/*
 * What walks by unwind tables are made of: a function that is called again and again, which reads user
 * memory, and copies of kernel memory (lockdown=confidentiality has none). It counts in memory: the verifier
 * would follow a counter on the stack from each number to the next.
 */
static __always_inline long read_word(void)
{
	u64 word = 0, copy = 0;

	if (bpf_probe_read_user(&word, sizeof(word), (void *)trial.address) ||
	    bpf_probe_read_kernel(&copy, sizeof(copy), &word) || copy != TRY_MAGIC)
		return 1;
	trial.value++;
	return 0;
}

static long loop_step(u32 index, void *nothing)
{
	return read_word();
}

SEC("?raw_tp/sched_switch")
int try_bpf_loop(void *ctx)
{
	if (!is_self())
		return 0;
	trial.value = 0;
	bpf_loop(TRY_STEPS, loop_step, NULL, 0);
	return trial.value == TRY_STEPS ? fired(TRY_STEPS) : 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRY_STEPS);
	__type(key, u32);
	__type(value, u32);
} steps SEC(".maps");

struct bpf_map;

static long each_step(struct bpf_map *map, u32 *index, u32 *value, void *nothing)
{
	return read_word();
}

SEC("?raw_tp/sched_switch")
int try_for_each(void *ctx)
{
	if (!is_self())
		return 0;
	trial.value = 0;
	bpf_for_each_map_elem(&steps, each_step, NULL, 0);
	return trial.value == TRY_STEPS ? fired(TRY_STEPS) : 0;
}

SEC("?raw_tp/sched_switch")
int try_cgroup(void *ctx)
{
	return is_self() ? fired(bpf_get_current_cgroup_id()) : 0;
}

SEC("?perf_event")
int try_perf_event(void *ctx)
{
	return fired(0);
}

/* The reader of an iterator is its current task. */
static __always_inline bool is_reader(struct task_struct *task)
{
	return task && task->tgid == (u32)(bpf_get_current_pid_tgid() >> 32);
}

SEC("?iter/task")
int try_iter(struct bpf_iter__task *ctx)
{
	return is_reader(ctx->task) ? fired(0) : 0;
}

SEC("?iter.s/task")
int try_iter_sleepable(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	u64 word = 0;

	if (!is_reader(task) || bpf_copy_from_user_task(&word, sizeof(word), (void *)trial.address, task, 0))
		return 0;
	return word == TRY_MAGIC ? fired(0) : 0;
}

/* hrtimer_nanosleep() is what nanosleep(2) and clock_nanosleep(2) call, on every kernel of the matrix. */
SEC("?kprobe/hrtimer_nanosleep")
int try_kprobe(void *ctx)
{
	return is_self() ? fired(0) : 0;
}

SEC("?fentry/hrtimer_nanosleep")
int try_fentry(void *ctx)
{
	return is_self() ? fired(0) : 0;
}

SEC("?uprobe")
int try_uprobe(void *ctx)
{
	return is_self() ? fired(0) : 0;
}
