/* SPDX-License-Identifier: Apache-2.0 */
/* Stack records by hand, as the kernel side would write them, and captures of this process. */
#ifndef SONDE_TESTS_RECORD_H
#define SONDE_TESTS_RECORD_H

#include "fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdbool.h>

#include "base/units.h"
#include "stack/store.h"

#define FRAMES_MAX 200
struct record {
	struct stack_record r;
	uint64_t frames[FRAMES_MAX];
};

static inline uint64_t stat_number(pid_t pid, int number)
{
	char path[64];
	struct buf text = {0};
	const char *p;
	uint64_t value;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	assert_int_equal(buf__read_file(&text, path, 4096), 0);
	p = strrchr(text.data, ')');
	for (int i = 2; i < number; i++)
		p = strchr(p + 1, ' ');
	value = strtoull(p, NULL, 10);
	buf__free(&text);
	return value;
}

/* A record of a living process as the kernel side would write it, with user frames. */
static inline struct record describe(pid_t pid, uint64_t hash, const uint64_t *user, size_t count)
{
	struct record record = {.r = {
					.type = RECORD_STACK,
					.tgid = (uint32_t)pid,
					.tid = (uint32_t)pid,
					.hash = hash,
					.user_frames = (uint16_t)count,
					.end = STACK_NO_FRAME_PTR,
					.cgroup = 77,
					.comm = "thread",
					.leader_comm = "leader",
				}};

	assert_true(count <= FRAMES_MAX);
	record.r.start_boot_ns =
		stat_number(pid, 22) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK)) + 12345;
	record.r.stack_start = stat_number(pid, 28);
	memcpy(record.frames, user, count * sizeof(*user));
	return record;
}

static inline int add(struct stacks *s, const struct record *record)
{
	return stacks__add(s, &record->r,
			   sizeof(record->r) +
				   8u * (record->r.kernel_frames + (size_t)record->r.user_frames));
}

static inline struct stack_view resolve(struct stacks *s, uint64_t hash)
{
	struct stack_view view;

	assert_int_equal(stacks__resolve(s), 0);
	assert_int_equal(stacks__get(s, hash, &view), 0);
	return view;
}

static inline struct stack_view add_and_resolve(struct stacks *s, const struct record *record)
{
	assert_int_equal(add(s, record), 0);
	return resolve(s, record->r.hash);
}

static inline struct stacks *new_store(void)
{
	const struct stacks_options options = {.debug_directory = "/usr/lib/debug"};

	return stacks__new(&options);
}

static inline void check_frame(const struct stack_view *v, size_t i, const char *name, const char *object,
			       enum frame_kind kind)
{
	assert_true(i < v->count);
	assert_string_equal(v->frames[i].name, name);
	assert_string_equal(v->frames[i].object, object);
	assert_int_equal(v->frames[i].kind, kind);
}

static inline uint64_t address(const void *function)
{
	return (uint64_t)(uintptr_t)function;
}

struct captured {
	void *frames[64];
	int count;
};

/* Not static, so that no clone of it gets another name. */
__attribute__((noinline, noipa)) void capture(struct captured *c);
__attribute__((noinline, noipa)) void capture(struct captured *c)
{
	int skip = 0;

	c->count = backtrace(c->frames, 64);
	/* The sanitizer's own wrapper comes first. */
	while (skip < c->count && address(c->frames[skip]) - address((void *)capture) > 400)
		skip++;
	c->count -= skip;
	memmove(c->frames, c->frames + skip, (size_t)c->count * sizeof(*c->frames));
	__asm__ volatile("" ::: "memory");
}

static inline struct record describe_own(uint64_t hash, const struct captured *c)
{
	uint64_t frames[64];

	for (int i = 0; i < c->count; i++)
		frames[i] = address(c->frames[i]);
	return describe(getpid(), hash, frames, (size_t)c->count);
}

#endif
