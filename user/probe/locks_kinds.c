// SPDX-License-Identifier: Apache-2.0
/* What a wait is for: by the functions that wait, else by the system call. */
#include <string.h>

#include "probe/locks.h"

const char *lock_kind__word(enum lock_kind kind)
{
	static const char *const words[] = {
#define X(name, word) word,
		LOCK_KINDS(X)
#undef X
	};

	return words[kind < LOCK_KIND_COUNT ? kind : LOCK_OTHER];
}

const char *kernel_lock__word(enum kernel_lock type)
{
	static const char *const words[] = {
#define X(name, word) word,
		KERNEL_LOCKS(X)
#undef X
	};

	return words[type < KERNEL_LOCK_COUNT ? type : KERNEL_LOCK_SPIN];
}

#define FRAMES_LOOK 8 /* of the user's, from the leaf on */

/* A futex word does not say what it is: glibc waits in the same way for a condition variable, a semaphore and
 * a lock for reading and writing. Its functions do, and those of musl, Rust and C++ are called alike. */
static const struct {
	const char *part;
	enum lock_kind kind;
} functions[] = {
	{"mutex_lock", LOCK_MUTEX},
	{"mutex_timedlock", LOCK_MUTEX},
	{"mutex_clocklock", LOCK_MUTEX},
	{"lll_lock", LOCK_MUTEX},
	{"rwlock", LOCK_RWLOCK},
	{"RwLock", LOCK_RWLOCK},
	{"pthread_cond_", LOCK_CONDITION},
	{"g_cond_", LOCK_CONDITION},
	{"cnd_wait", LOCK_CONDITION},
	{"cnd_timedwait", LOCK_CONDITION},
	{"condition_variable", LOCK_CONDITION},
	{"condvar", LOCK_CONDITION},
	{"Condvar", LOCK_CONDITION},
	{"sem_wait", LOCK_SEMAPHORE},
	{"sem_timedwait", LOCK_SEMAPHORE},
	{"sem_clockwait", LOCK_SEMAPHORE},
	{"new_sem_wait", LOCK_SEMAPHORE},
	{"barrier_wait", LOCK_BARRIER},
	{"pthread_join", LOCK_JOIN},
	{"clockjoin", LOCK_JOIN},
	{"timedjoin", LOCK_JOIN},
	{"thrd_join", LOCK_JOIN},
	{"pthread_once", LOCK_ONCE},
	{"call_once", LOCK_ONCE},
	{"::park", LOCK_PARK},
};

static enum lock_kind kind_of_function(const char *name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (strstr(name, functions[i].part))
			return functions[i].kind;
	return LOCK_KIND_COUNT;
}

enum lock_kind lock_kind__of(enum lock_call call, const struct stack_view *view, bool held)
{
	static const enum lock_kind kinds[LOCK_CALL_COUNT] = {
		[LOCK_CALL_PLAIN] = LOCK_OTHER,	  [LOCK_CALL_CONTENDED] = LOCK_MUTEX,
		[LOCK_CALL_PI] = LOCK_PI,	  [LOCK_CALL_REQUEUE_PI] = LOCK_CONDITION,
		[LOCK_CALL_SEVERAL] = LOCK_OTHER,
	};
	enum lock_kind kind;

	if (call == LOCK_CALL_PI || call == LOCK_CALL_REQUEUE_PI)
		return kinds[call];
	for (size_t i = view->kernel_count; i < view->count && i < view->kernel_count + FRAMES_LOOK; i++) {
		kind = kind_of_function(view->frames[i].name);
		if (kind != LOCK_KIND_COUNT)
			return kind;
	}
	/* What a condition variable counts may be the value that marks a lock: without its stack, who knows
	 */
	if (call >= LOCK_CALL_COUNT || (call == LOCK_CALL_CONTENDED && view->incomplete && !held))
		return LOCK_OTHER;
	return kinds[call];
}

/* How locks are waited for, whoever wants them. */
static bool is_lock(const char *name)
{
	static const char *const beginnings[] = {
		"__mutex_",
		"mutex_",
		"__down",
		"down_",
		"down",
		"rwsem_",
		"_raw_",
		"__raw_",
		"native_queued_",
		"__pv_",
		"queued_",
		"do_raw_",
		"rt_mutex_",
		"__rt_mutex_",
		"rt_spin_",
		"rtlock_",
		"percpu_",
		"__percpu_",
		"rwbase_",
		"rt_read_",
		"rt_write_",
		"trace_",
		"__traceiter",
		"__bpf_trace",
		"bpf_",
		"resilient_",
		"schedule",
		"__schedule",
		"ww_mutex_",
		"__ww_mutex_",
		"lock_mm_and_",
		"mmap_read_lock",
		"mmap_write_lock",
		"__mmap_lock",
		"mmap_lock_",
		"__pte_offset_map_",
		"pte_offset_map_",
	};

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (!strncmp(name, beginnings[i], strlen(beginnings[i])))
			return true;
	return false;
}

const char *kernel_lock__caller(const struct stack_view *view)
{
	for (size_t i = 0; i < view->kernel_count; i++)
		if (view->frames[i].kind == FRAME_KERNEL && !is_lock(view->frames[i].name))
			return view->frames[i].name;
	return "";
}
