/* SPDX-License-Identifier: Apache-2.0 */
/* Unwind tables of files that this process maps: what builders answer, how memory runs out, what stays on
 * disk. */
#include "tables_fixture.h"

#include <dirent.h>
#include <sys/stat.h>

#define FILES	   6
#define FILE_BYTES (256u << 16) /* 256 chunks, nothing written */

struct files {
	char *dir;
	char *at[FILES]; /* mapped as code */
};

static int open_file(const struct files *f, int i)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/code%d.so", f->dir, i);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
}

static struct files map_files(void)
{
	struct files f = {.dir = fixture__new()};
	int fd;

	for (int i = 0; i < FILES; i++) {
		fd = open_file(&f, i);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
		f.at[i] = mmap(NULL, FILE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
		assert_true(f.at[i] != MAP_FAILED);
		close(fd);
	}
	return f;
}

static void unmap_files(struct files *f)
{
	for (int i = 0; i < FILES; i++)
		munmap(f->at[i], FILE_BYTES);
	fixture__remove(f->dir);
}

static uint64_t address_in(const struct files *f, int file, uint64_t offset)
{
	return (uint64_t)(uintptr_t)f->at[file] + offset;
}

/* As if all of it had been put in long ago. */
static void age(struct world *w)
{
	for (size_t i = 0; i < EXECUTABLES_MAX; i++)
		if (w->tables->executables[i])
			w->tables->executables[i]->filled_ns = w->tables->executables[i]->dropped_ns = 0;
}

static void want(struct world *w, const struct process *p, uint64_t address)
{
	assert_int_equal(tables__want(w->tables, p, address), 0);
	world__work(w);
}

static int open_descriptors(void)
{
	DIR *list = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(list))
		count++;
	closedir(list);
	return count;
}

/* --- where code lies */

static const struct table_load two_loads[] = {
	{0x1000, 0x401000, 0x12345}, /* ends in the middle of a page */
	{0x14800, 0x80f800, 0x5000}, /* begins in one, in the last page of a chunk */
};

static uint64_t expected_address(uint64_t offset)
{
	if (offset >= 0x1000 && offset < 0x14000)
		return 0x400000 + offset;
	return offset >= 0x14000 && offset < 0x1a000 ? 0x80f000 + offset - 0x14000 : 0;
}

static void answer_two_loads(struct world *w, struct table_answer *a)
{
	a->load_count = 2;
	memcpy(a->loads, two_loads, sizeof(two_loads));
	a->chunk = expected_address(w->question.offset) >> UNWIND_CHUNK_SHIFT;
	buf__clear(&w->blob);
	blob__make(&w->blob, world__tag(&w->question.key, a->chunk), ROWS);
	a->blob = w->blob.data;
}

/* One mapping over everything: each part leads to its own chunks, and what lies between is a gap. */
static void loads(void **state)
{
	struct world *w = world__new(0, NULL);
	struct files f = map_files();
	struct process self = process__self(w);
	struct file_key key = {.inode = process__find(&self, address_in(&f, 0, 0))->inode};
	uint64_t offset, address;

	(void)state;
	w->spoil = answer_two_loads;
	assert_int_equal(tables__set_process(w->tables, &self, 0), 0);
	for (offset = 0x1000; offset < 0x1a000; offset += 0x1000)
		want(w, &self, address_in(&f, 0, offset + 0x10));
	for (offset = 0; offset < 0x40000; offset += 0x400) {
		address = expected_address(offset);
		if (!address) {
			assert_int_equal(world__kind(w, &self, address_in(&f, 0, offset)),
					 UNWIND_SEGMENT_GAP);
			continue;
		}
		assert_int_equal(world__rule(w, &self, address_in(&f, 0, offset)),
				 blob__rule(world__tag(&key, address >> UNWIND_CHUNK_SHIFT)));
	}
	/* A mapping of a part of it. */
	munmap(f.at[0], 0x15000);
	process__free_mappings(&self);
	self = process__self(w);
	assert_int_equal(tables__set_process(w->tables, &self, 0), 0);
	assert_int_equal(world__kind(w, &self, address_in(&f, 0, 0x14fff)), NOWHERE);
	assert_int_equal(world__rule(w, &self, address_in(&f, 0, 0x15000)),
			 blob__rule(world__tag(&key, expected_address(0x15000) >> UNWIND_CHUNK_SHIFT)));
	process__free_mappings(&self);
	unmap_files(&f);
	world__free(w);
}

/* --- builders that were taken over */

static void far_chunk(struct world *w, struct table_answer *a)
{
	(void)w;
	a->chunk += 1 << 20;
}

static void near_chunk(struct world *w, struct table_answer *a)
{
	(void)w;
	a->chunk = a->loads[0].address / 65536 - 1;
}

static void bad_header(struct world *w, struct table_answer *a)
{
	(void)w;
	a->what.header = 0xfffff020;
}

static void bad_rows(struct world *w, struct table_answer *a)
{
	(void)w;
	a->blob_bytes -= 1;
}

static void bad_kind(struct world *w, struct table_answer *a)
{
	(void)w;
	a->what.kind = 77;
}

static void no_kind(struct world *w, struct table_answer *a)
{
	(void)w;
	a->what.kind = UNWIND_CHUNK_UNBUILT;
}

static void huge_blob(struct world *w, struct table_answer *a)
{
	(void)w;
	a->blob_bytes = SIZE_MAX;
}

static void bad_counts(struct world *w, struct table_answer *a)
{
	w->blob.data[BLOB_HEADER + 32 + 7] ^= 0x40;
	(void)a;
}

static void no_loads(struct world *w, struct table_answer *a)
{
	(void)w;
	a->load_count = 0;
}

static void many_loads(struct world *w, struct table_answer *a)
{
	(void)w;
	a->load_count = 0xffffff;
}

static void wide_load(struct world *w, struct table_answer *a)
{
	(void)w;
	a->loads[0].bytes = 1ULL << 55;
}

static void wrapped_load(struct world *w, struct table_answer *a)
{
	(void)w;
	a->loads[0].bytes = UINT64_MAX;
}

static void high_load(struct world *w, struct table_answer *a)
{
	(void)w;
	a->loads[0].address = UINT64_MAX - 4096;
}

static void odd_loads(struct world *w, struct table_answer *a)
{
	(void)w;
	a->load_count = TABLE_LOADS_MAX;
	for (uint64_t i = 0; i < TABLE_LOADS_MAX; i++)
		a->loads[i] = (struct table_load){i * 1000, w->load_shift + i * 77777, 5000 + i};
}

static void hostile_answers(void **state)
{
	static const struct {
		void (*spoil)(struct world *, struct table_answer *);
		uint32_t kind, chunk;
	} rows[] = {
		{far_chunk, UNWIND_SEGMENT_TABLE, UNWIND_CHUNK_FAILED},
		{near_chunk, UNWIND_SEGMENT_TABLE, UNWIND_CHUNK_FAILED},
		{bad_header, UNWIND_SEGMENT_TABLE, UNWIND_CHUNK_FAILED},
		{bad_rows, UNWIND_SEGMENT_TABLE, UNWIND_CHUNK_FAILED},
		{bad_kind, UNWIND_SEGMENT_TABLE, UNWIND_CHUNK_FAILED},
		{no_kind, UNWIND_SEGMENT_TABLE, UNWIND_CHUNK_FAILED},
		{huge_blob, UNWIND_SEGMENT_TABLE, UNWIND_CHUNK_FAILED},
		{bad_counts, UNWIND_SEGMENT_TABLE, UNWIND_CHUNK_FAILED},
		{no_loads, UNWIND_SEGMENT_FAILED, 0},
		{many_loads, UNWIND_SEGMENT_FAILED, 0},
		{wide_load, UNWIND_SEGMENT_FAILED, 0},
		{wrapped_load, UNWIND_SEGMENT_FAILED, 0},
		{high_load, UNWIND_SEGMENT_FAILED, 0},
		{odd_loads, UNWIND_SEGMENT_TABLE, UNWIND_CHUNK_TABLE},
	};
	struct files f = map_files();
	size_t used;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct world *w = world__new(0, NULL);
		struct process self = process__self(w);

		w->spoil = rows[i].spoil;
		assert_int_equal(tables__set_process(w->tables, &self, 0), 0);
		want(w, &self, address_in(&f, 0, 0));
		assert_int_equal(world__kind(w, &self, address_in(&f, 0, 0)), rows[i].kind);
		if (rows[i].kind == UNWIND_SEGMENT_TABLE)
			assert_int_equal(UNWIND_CHUNK_KIND(world__chunk(w, &self, address_in(&f, 0, 0))),
					 rows[i].chunk);
		assert_int_equal(tables__want(w->tables, &self, address_in(&f, 0, 0)),
				 0); /* no second time */
		assert_int_equal(world__work(w), 0);
		used = 0;
		for (size_t j = 0; j < UNWIND_CHUNKS_MAX; j++)
			used += w->chunks[j] != 0;
		/* The odd ones have few chunks: all were asked for. */
		assert_int_equal(used, rows[i].spoil == odd_loads ? 9 : rows[i].kind == UNWIND_SEGMENT_TABLE);
		assert_int_equal(w->chunks[0], 0);
		process__free_mappings(&self);
		world__free(w);
	}
	unmap_files(&f);
}

static void other_ticket(struct world *w, struct table_answer *a)
{
	static const struct table_answer lie = {.error = -EIO, .last = true};

	if (w->waits++)
		return;
	*a = lie;
	a->ticket = w->question.ticket + 1;
	a->last = false;
}

/* What nobody asked for is passed over; what was asked for still comes. */
static void stray_answers(void **state)
{
	struct world *w = world__new(0, NULL);
	struct files f = map_files();
	struct process self = process__self(w);

	(void)state;
	w->spoil = other_ticket;
	want(w, &self, address_in(&f, 0, 70000));
	assert_int_equal(world__rule(w, &self, address_in(&f, 0, 70000)),
			 world__expected(w, &self, address_in(&f, 0, 70000)));
	process__free_mappings(&self);
	unmap_files(&f);
	world__free(w);
}

/* All chunks of a file that cannot be kept: the next question is answered all the same. */
static void many_answers_in_vain(void **state)
{
	struct world *w = world__new(0, NULL);
	struct files f = map_files();
	struct process self = process__self(w);

	(void)state;
	w->all_chunks = true;
	w->load_bytes = 10 << 16;
	w->spoil = no_loads;
	assert_int_equal(tables__want(w->tables, &self, address_in(&f, 0, 0)), 0);
	assert_int_equal(tables__want(w->tables, &self, address_in(&f, 1, 0)), 0);
	assert_int_equal(tables__work(w->tables, 0), 1);
	w->spoil = NULL;
	world__work(w);
	assert_int_equal(world__kind(w, &self, address_in(&f, 0, 0)), UNWIND_SEGMENT_FAILED);
	assert_int_equal(w->tables->want_count, 0);
	process__free_mappings(&self);
	unmap_files(&f);
	world__free(w);
}

/* --- many questions */

static void queue(void **state)
{
	struct world *w = world__new(0, NULL);
	struct files f = map_files();
	struct process self = process__self(w);
	int before = open_descriptors(), err = 0, asked = 0;

	(void)state;
	want(w, &self, address_in(&f, 0, 0));
	w->is_busy = true; /* with names */
	for (uint64_t i = 1; i < 256 && !err; i++, asked++) {
		err = tables__want(w->tables, &self, address_in(&f, 0, i << 16));
		assert_int_equal(tables__want(w->tables, &self, address_in(&f, 0, 1 << 16)), 0);
	}
	assert_int_equal(err, -EBUSY);
	assert_int_equal(asked - 1, WANTS_MAX);
	assert_int_equal(tables__work(w->tables, 0), 0);
	w->is_busy = false;
	assert_int_equal(world__work(w), WANTS_MAX);
	assert_int_equal(open_descriptors(), before + 1); /* the file, while the process is known */
	for (uint64_t i = 0; i <= WANTS_MAX; i++)
		assert_int_equal(world__rule(w, &self, address_in(&f, 0, i << 16)),
				 world__expected(w, &self, address_in(&f, 0, i << 16)));
	/* Those that still wait at the end are closed. */
	w->is_busy = true;
	for (uint64_t i = 200; i < 220; i++)
		assert_int_equal(tables__want(w->tables, &self, address_in(&f, 0, i << 16)), 0);
	process__free_mappings(&self);
	world__close_tables(w);
	assert_int_equal(open_descriptors(), before);
	unmap_files(&f);
	world__free(w);
}

/* Another file by now under the same inode: its tables are its own. */
static void changed_file(void **state)
{
	struct world *w = world__new(0, NULL);
	struct files f = map_files();
	struct process self = process__self(w);
	const struct timespec times[2] = {{1, 0}, {1, 0}};
	struct tables_counts before, after;
	int fd = open_file(&f, 0);

	(void)state;
	assert_int_equal(tables__set_process(w->tables, &self, 0), 0);
	tables__counts(w->tables, &before);
	assert_int_equal(futimens(fd, times), 0);
	want(w, &self, address_in(&f, 0, 0));
	assert_int_equal(w->question.key.mtime_ns, 1000000000);
	assert_int_equal(world__rule(w, &self, address_in(&f, 0, 0)),
			 world__expected(w, &self, address_in(&f, 0, 0)));
	tables__counts(w->tables, &after);
	assert_int_equal(after.files, before.files + 1);
	close(fd);
	process__free_mappings(&self);
	unmap_files(&f);
	world__free(w);
}

/* --- memory */

/* Each file takes more than one shard's half. */
static void eviction(void **state)
{
	struct world *w = world__new(2 * UNWIND_SHARD_BYTES, NULL);
	struct files f = map_files();
	struct process self = process__self(w);
	struct tables_counts c;

	(void)state;
	w->rows = 4000;
	w->all_chunks = true;
	w->load_shift = 0x12340000;
	w->load_bytes = 24 << 16;
	want(w, &self, address_in(&f, 0, 0));
	want(w, &self, address_in(&f, 1, 0));
	tables__counts(w->tables, &c);
	assert_int_equal(c.chunks, 48);
	assert_int_equal(c.chunks_dropped, 0);
	/* All that is there has just come: the new one has to go without. */
	want(w, &self, address_in(&f, 2, 0));
	tables__counts(w->tables, &c);
	assert_true(c.chunks_dropped > 0 && !c.chunks_evicted);
	assert_int_equal(tables__want(w->tables, &self, address_in(&f, 2, 20 << 16)), 0);
	assert_int_equal(world__work(w), 0); /* not now */
	assert_int_equal(UNWIND_CHUNK_KIND(world__chunk(w, &self, address_in(&f, 2, 20 << 16))),
			 UNWIND_CHUNK_UNBUILT);
	/* Later it gets the place of the one that was asked for first. */
	age(w);
	want(w, &self, address_in(&f, 2, 20 << 16));
	assert_true(w->waits > 0);
	for (uint64_t i = 0; i < 24; i++) {
		assert_int_equal(world__rule(w, &self, address_in(&f, 0, i << 16)), 0);
		assert_int_equal(world__rule(w, &self, address_in(&f, 1, i << 16)),
				 world__expected(w, &self, address_in(&f, 1, i << 16)));
		assert_int_equal(world__rule(w, &self, address_in(&f, 2, i << 16)),
				 world__expected(w, &self, address_in(&f, 2, i << 16)));
	}
	tables__counts(w->tables, &c);
	assert_int_equal(c.chunks_evicted, 24);
	assert_true(c.shard_bytes == 2 * UNWIND_SHARD_BYTES && c.table_bytes <= c.shard_bytes);
	/* What was let go is built again when it is asked for. */
	age(w);
	want(w, &self, address_in(&f, 0, 0));
	assert_int_equal(world__rule(w, &self, address_in(&f, 0, 0)),
			 world__expected(w, &self, address_in(&f, 0, 0)));
	process__free_mappings(&self);
	unmap_files(&f);
	world__free(w);
}

/* A blob that the kernel may be reading: unlinked or not, it stays as it is until the next wait. */
static void check_blobs(struct world *w, char *copies[])
{
	for (int i = 0; i < w->shards; i++) {
		if (copies[i])
			assert_memory_equal(copies[i], w->tables->shards[i], UNWIND_SHARD_BYTES);
		free(copies[i]);
		copies[i] = NULL;
	}
}

/* Nothing is written over while nobody waits: all lines that were in use are as they were. */
static void no_write_before_the_wait(void **state)
{
	struct world *w = world__new(2 * UNWIND_SHARD_BYTES, NULL);
	struct files f = map_files();
	struct process self = process__self(w);
	char *copies[2] = {NULL};
	int waits;

	(void)state;
	w->rows = 4000;
	w->all_chunks = true;
	w->load_shift = 0x12340000;
	w->load_bytes = 24 << 16;
	want(w, &self, address_in(&f, 0, 0));
	want(w, &self, address_in(&f, 1, 0));
	age(w);
	waits = w->waits;
	for (int i = 0; i < 2; i++) {
		copies[i] = malloc(UNWIND_SHARD_BYTES);
		memcpy(copies[i], w->tables->shards[i], UNWIND_SHARD_BYTES);
	}
	memory__evict(w->tables, 0);
	memory__evict(w->tables, 1);
	for (uint32_t i = 2; i < 10; i++)
		if (w->tables->executables[i])
			memory__evict(w->tables, i);
	assert_int_equal(w->waits, waits);
	check_blobs(w, copies);
	process__free_mappings(&self);
	unmap_files(&f);
	world__free(w);
}

/* Whatever happens in whatever order: an address has its own rule, or none. */
static void storm(void **state)
{
	enum { CHILDREN = 3, STEPS = 1500 };
	struct world *w = world__new(UNWIND_SHARD_BYTES, NULL);
	struct files f = map_files();
	struct process p[CHILDREN];
	pid_t pids[CHILDREN];
	uint64_t seed = 7, address;
	uint32_t found;

	(void)state;
	w->load_bytes = FILE_BYTES;
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fixture__child();
		p[i] = process__read_pid(w, pids[i]);
	}
	for (int step = 0; step < STEPS; step++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		struct process *one = &p[(seed >> 60) % CHILDREN];

		address = address_in(&f, (seed >> 20) % FILES, (seed >> 30) % FILE_BYTES);
		w->rows = 20 + (seed >> 40) % 4000;
		if (step % 7 == 0)
			assert_int_equal(tables__set_process(w->tables, one, 0), 0);
		else if (step % 31 == 0)
			tables__remove_process(w->tables, &one->key);
		else if (step % 13 == 0)
			age(w);
		else
			want(w, one, address);
		for (int i = 0; i < CHILDREN; i++) {
			if (world__kind(w, &p[i], address) != UNWIND_SEGMENT_TABLE)
				continue;
			found = world__rule(w, &p[i], address);
			assert_true(!found || found == world__expected(w, &p[i], address));
		}
	}
	assert_true(w->waits > 0 && w->tables->counts.chunks_evicted > 100);
	for (int i = 0; i < CHILDREN; i++) {
		fixture__end(pids[i]);
		process__free_mappings(&p[i]);
	}
	unmap_files(&f);
	world__free(w);
}

/* --- disk */

static void cache(void **state)
{
	struct world *w = world__new(0, NULL);
	struct files f = map_files();
	struct process self = process__self(w);
	struct tables_counts c;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/cache", f.dir);
	w->build_id = "00112233445566778899aabbccddeeff00112233";
	for (int run = 0; run < 3; run++) {
		world__close_tables(w);
		world__open(w, 0, path);
		if (run == 2)
			w->load_shift += 1 << 20; /* linked otherwise: not the same file */
		for (uint64_t i = 0; i < 5; i++)
			want(w, &self, address_in(&f, 0, i << 16));
		tables__counts(w->tables, &c);
		assert_int_equal(c.chunks, 5);
		assert_int_equal(c.chunks_cached, run == 1 ? 5 : 0);
		for (uint64_t i = 0; i < 5; i++)
			assert_int_equal(world__rule(w, &self, address_in(&f, 0, i << 16)),
					 world__expected(w, &self, address_in(&f, 0, i << 16)));
	}
	/* Others may write to the file: it could claim any build id. */
	world__close_tables(w);
	world__open(w, 0, path);
	assert_int_equal(fixture__run(f.dir, "chmod 0666 code1.so", NULL), 0);
	w->build_id = "ffeeddccbbaa99887766554433221100";
	want(w, &self, address_in(&f, 1, 0));
	world__close_tables(w);
	assert_int_equal(fixture__run(path, "ls | grep -q ^0011 && ! ls | grep -q ^ffee", NULL), 0);
	process__free_mappings(&self);
	unmap_files(&f);
	world__free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads),	 cmocka_unit_test(hostile_answers),
		cmocka_unit_test(stray_answers), cmocka_unit_test(many_answers_in_vain),
		cmocka_unit_test(queue),	 cmocka_unit_test(changed_file),
		cmocka_unit_test(eviction),	 cmocka_unit_test(no_write_before_the_wait),
		cmocka_unit_test(storm),	 cmocka_unit_test(cache),
	};

	return cmocka_run_group_tests_name("tables_files", tests, NULL, NULL);
}
