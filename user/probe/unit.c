// SPDX-License-Identifier: Apache-2.0
/* One BPF object: chosen among alternatives, loaded, attached, drained, measured. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/units.h"
#include "probe/unit_private.h"

int unit__set(struct unit *u, const char *variable, const void *value, size_t size)
{
	struct bpf_map *map = bpf_object__find_map_by_name(u->object, ".rodata");
	struct btf *btf = bpf_object__btf(u->object);
	int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *section = id > 0 ? btf__type_by_id(btf, id) : NULL;
	const struct btf_var_secinfo *row;
	size_t total;
	char *data;

	if (!map || !section)
		return -ENOENT;
	data = (char *)bpf_map__initial_value(map, &total);
	row = btf_var_secinfos(section);
	for (int i = 0; i < btf_vlen(section); i++, row++) {
		const struct btf_type *var = btf__type_by_id(btf, row->type);

		if (strcmp(btf__name_by_offset(btf, var->name_off), variable))
			continue;
		if (row->size != size || row->offset + size > total)
			return -EINVAL;
		memcpy(data + row->offset, value, size);
		return 0;
	}
	return -ENOENT;
}

int unit__autoload(struct unit *u, const char *program, bool on)
{
	struct bpf_program *p = bpf_object__find_program_by_name(u->object, program);

	return p ? bpf_program__set_autoload(p, on) : -ENOENT;
}

void unit__without_tables(struct unit *u)
{
	const unsigned none = 0;

	unit__set(u, "unwind_loop", &none, sizeof(none));
	unit__autoload(u, "on_mapping", false);
}

int unit__resize(struct unit *u, const char *map, unsigned entries)
{
	struct bpf_map *m = bpf_object__find_map_by_name(u->object, map);

	return m ? bpf_map__set_max_entries(m, entries) : -ENOENT;
}

/* The maps of the unwind tables, and where the loader keeps them. */
static const struct shared_table {
	const char *name;
	size_t fd; /* offset in struct unwind_maps */
} shared_tables[] = {
	{"unwind_shards", offsetof(struct unwind_maps, shards_fd)},
	{"unwind_chunks", offsetof(struct unwind_maps, chunks_fd)},
	{"unwind_segments", offsetof(struct unwind_maps, segments_fd)},
	{"unwind_processes", offsetof(struct unwind_maps, processes_fd)},
	{"unwind_marks", offsetof(struct unwind_maps, marks_fd)},
};
#define SHARED_TABLES (sizeof(shared_tables) / sizeof(shared_tables[0]))

static bool is_shared_table(const char *name)
{
	for (size_t i = 0; i < SHARED_TABLES; i++)
		if (!strcmp(name, shared_tables[i].name))
			return true;
	return false;
}

/* Without tables nothing refers to their maps. */
static int unit__share_tables(struct unit *u)
{
	const struct loader *l = u->loader;
	int err = 0;

	for (size_t i = 0; !err && i < SHARED_TABLES; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(u->object, shared_tables[i].name);
		const char *fd = (const char *)&l->unwind + shared_tables[i].fd;

		if (map && l->unwind_loop)
			err = bpf_map__reuse_fd(map, *(const int *)fd);
		else if (map)
			err = bpf_map__set_autocreate(map, false);
	}
	return err;
}

/* The maps of each session that exist once, whatever the number of objects. */
static int unit__share_maps(struct unit *u)
{
	struct loader *l = u->loader;
	int marks = u->image->raw ? l->raw_marks_fd : l->marks_fd;
	struct bpf_map *map;
	int err;

	u->shares_maps = l->marks_fd >= 0 || l->raw_marks_fd >= 0;
	u->shares_marks = marks >= 0;
	err = unit__share_tables(u);
	if (!err)
		err = bpf_map__reuse_fd(bpf_object__find_map_by_name(u->object, "ring"), l->ring_fd);
	map = bpf_object__find_map_by_name(u->object, "known_stacks");
	if (!err && map)
		err = bpf_map__reuse_fd(map, l->known_stacks_fd);
	map = bpf_object__find_map_by_name(u->object, "marks");
	if (!err && map && marks >= 0)
		err = bpf_map__reuse_fd(map, marks);
	return err;
}

/* Variables that every object with stacks has; absent ones are no error. */
static void unit__set_common(struct unit *u)
{
	const struct loader_options *o = &u->loader->options;
	bool kernel = !o->user_only, user = !o->kernel_only;
	/* of a stack's: see include/sonde/arch_arm64.h */
	unsigned address_bits = 64 - (unsigned)__builtin_clzl((unsigned long)__builtin_frame_address(0));

	unit__set(u, "pid_namespace", &u->loader->pid_namespace, sizeof(u->loader->pid_namespace));
	unit__set(u, "target", &u->loader->target->filter, sizeof(struct target_filter));
	unit__set(u, "stack_salt", &u->loader->salt, sizeof(u->loader->salt));
	unit__set(u, "stack_kernel", &kernel, sizeof(kernel));
	unit__set(u, "stack_user", &user, sizeof(user));
	unit__set(u, "unwind_loop", &u->loader->unwind_loop, sizeof(u->loader->unwind_loop));
	unit__autoload(u, "on_mapping", u->loader->wants_mappings);
	unit__set(u, "unwind_address_bits", &address_bits, sizeof(address_bits));
	unit__set(u, "unwind_compare", &o->compare, sizeof(o->compare));
	unit__set(u, "stack_per_thread", &o->per_thread_stacks, sizeof(o->per_thread_stacks));
}

static int unit__map_control(struct unit *u)
{
	struct bpf_map *map = bpf_object__find_map_by_name(u->object, ".bss");

	if (!map)
		return 0;
	u->control_size = bpf_map__value_size(map);
	u->control = mmap(NULL, u->control_size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	if (u->control == MAP_FAILED) {
		u->control = NULL;
		return -errno;
	}
	return 0;
}

static int unit__marks(struct unit *u)
{
	struct loader *l = u->loader;
	struct bpf_map *map = bpf_object__find_map_by_name(u->object, "marks");
	int *fd = u->image->raw ? &l->raw_marks_fd : &l->marks_fd;

	if (map && *fd < 0)
		*fd = dup(bpf_map__fd(map));
	return *fd < 0 && map ? -errno : 0;
}

static int unit__try_once(struct unit *u, const struct loader_image *image, int attempt,
			  int (*prepare)(void *, struct unit *, int), void *context)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = image->name);
	int err;

	u->image = image;
	u->object = bpf_object__open_mem(image->bytes, (const char *)image->end - (const char *)image->bytes,
					 &opts);
	if (!u->object)
		return -errno;
	unit__set_common(u);
	err = unit__share_maps(u);
	if (!err)
		err = prepare(context, u, attempt);
	if (!err)
		err = bpf_object__load(u->object);
	if (!err)
		err = unit__map_control(u);
	if (!err)
		err = unit__marks(u);
	if (err) {
		bpf_object__close(u->object);
		u->object = NULL;
		return err;
	}
	u->cells[0] = unit__map_fd(u, "cells_a");
	u->cells[1] = unit__map_fd(u, "cells_b");
	u->cells_outer = unit__map_fd(u, "cells");
	return 0;
}

/* Without the hook of mappings, tables are as good as the number of executable pages. */
static int unit__try(struct unit *u, const struct loader_image *image, int attempt,
		     int (*prepare)(void *, struct unit *, int), void *context)
{
	struct loader *l = u->loader;
	int err = unit__try_once(u, image, attempt, prepare, context);

	if (err == -ESRCH && l->wants_mappings) {
		l->wants_mappings = false;
		err = unit__try_once(u, image, attempt, prepare, context);
	}
	if (!err && l->wants_mappings)
		l->wants_mappings = unit__attach(u, "on_mapping");
	return err;
}

/* The ways to compile an object, best first. */
static const struct variant {
	const char *suffix, *words;
} variants[] = {
	{"", "tp_btf"},
	{"_raw", "raw_tp"},
	{"_plain", "raw_tp without unwind tables"},
};
#define VARIANTS (int)(sizeof(variants) / sizeof(variants[0]))

static const struct loader_image *image__find(const char *name, const char *suffix)
{
	size_t len = strlen(name);

	for (const struct loader_image *i = loader__images; i->name; i++)
		if (!strncmp(i->name, name, len) && !strcmp(i->name + len, suffix))
			return i;
	return NULL;
}

int unit__load(struct unit *u, struct loader *l, const char *name, int attempts,
	       int (*prepare)(void *, struct unit *, int), void *context)
{
	int err = -ENOENT;

	*u = (struct unit){.loader = l};
	for (int v = l->options.force_raw; v < VARIANTS; v++) {
		for (int attempt = 0; attempt < attempts; attempt++) {
			size_t used = strlen(u->why_not);

			err = unit__try(u, image__find(name, variants[v].suffix), attempt, prepare, context);
			if (!err)
				return 0;
			if (!attempt) /* what the best attempt met says most */
				snprintf(u->why_not + used, sizeof(u->why_not) - used, "%s%s: %s",
					 used ? "; " : "", variants[v].words, strerror(-err));
			if (err == -ENOMEM)
				return err;
		}
		if (err == -EPERM) /* with the least, too; what is only refused on functions says this */
			return err;
	}
	return err;
}

int unit__keep(struct unit *u, struct bpf_link *link)
{
	if (!link)
		return -errno;
	if (u->link_count == (int)(sizeof(u->links) / sizeof(u->links[0]))) {
		bpf_link__destroy(link);
		return -ENOSPC;
	}
	u->links[u->link_count++] = link;
	return 0;
}

int unit__attach(struct unit *u, const char *program)
{
	struct bpf_program *p = bpf_object__find_program_by_name(u->object, program);

	return p ? unit__keep(u, bpf_program__attach(p)) : -ENOENT;
}

/* Some kernels load such programs and refuse to attach them. They are only ever beside something that does
 * without. */
static bool traces_function(const struct bpf_program *p)
{
	enum bpf_attach_type type = bpf_program__expected_attach_type(p);

	return type == BPF_TRACE_FENTRY || type == BPF_TRACE_FEXIT;
}

int unit__attach_all(struct unit *u, const char **program)
{
	struct bpf_program *p;
	int err = 0;

	bpf_object__for_each_program(p, u->object)
	{
		if (!bpf_program__autoload(p) || !bpf_program__autoattach(p) ||
		    bpf_program__expected_attach_type(p) == BPF_TRACE_ITER ||
		    !strcmp(bpf_program__name(p), "on_mapping")) /* attached when it was loaded */
			continue;
		err = unit__keep(u, bpf_program__attach(p));
		if (err == -EOPNOTSUPP || traces_function(p)) /* only its probe knows where; an extra */
			err = 0;
		*program = bpf_program__name(p);
		if (err)
			break;
	}
	return err;
}

int unit__map_fd(const struct unit *u, const char *map)
{
	struct bpf_map *m = bpf_object__find_map_by_name(u->object, map);

	return m ? bpf_map__fd(m) : -ENOENT;
}

/* Sums the CPUs' parts of `batch` entries and appends them to the rows. */
static void cells__append(struct cell_row *rows, const struct cell_key *keys, const struct cell *values,
			  unsigned batch, int cpus)
{
	memset(rows, 0, batch * sizeof(*rows));
	for (unsigned i = 0; i < batch; i++) {
		rows[i].key = keys[i];
		for (int cpu = 0; cpu < cpus; cpu++) {
			rows[i].count += values[(size_t)i * cpus + cpu].count;
			rows[i].ns += values[(size_t)i * cpus + cpu].ns;
		}
	}
}

#define CELL_BATCH 1024

/* Empties one map of cells in batches. A batch that does not hold a whole hash bucket is answered by ENOSPC:
 * larger ones then. */
static int cells__take(int fd, int cpus, struct cell_row **rows, size_t *count)
{
	unsigned capacity = CELL_BATCH, got;
	struct cell_key *keys = NULL, *grown;
	struct cell *values = NULL, *grown_values;
	struct cell_row *more;
	uint32_t cursor;
	bool first = true;
	int err = 0;

	for (;;) {
		grown = realloc(keys, capacity * sizeof(*keys));
		keys = grown ? grown : keys;
		grown_values = realloc(values, (size_t)capacity * cpus * sizeof(*values));
		values = grown_values ? grown_values : values;
		more = realloc(*rows, (*count + capacity) * sizeof(**rows));
		*rows = more ? more : *rows;
		if (!grown || !grown_values || !more) {
			err = -ENOMEM;
			break;
		}
		got = capacity;
		err = bpf_map_lookup_and_delete_batch(fd, first ? NULL : &cursor, &cursor, keys, values, &got,
						      NULL);
		if (err == -ENOSPC && !got) {
			capacity *= 2;
			err = 0;
			continue;
		}
		if (err && err != -ENOENT)
			break;
		cells__append(*rows + *count, keys, values, got, cpus);
		*count += got;
		first = false;
		if (err)
			break;
	}
	free(keys);
	free(values);
	return err == -ENOENT ? 0 : err;
}

static int take_cells(struct unit *u, struct cell_row **rows, size_t *count)
{
	int full = u->cells[u->cells_active], next = u->cells[!u->cells_active];
	uint32_t slot = 0;

	if (bpf_map_update_elem(u->cells_outer, &slot, &next, BPF_ANY))
		return -errno;
	u->cells_active = !u->cells_active;
	loader__drain(u->loader); /* whatever was counted until then has its stack's record in the ring */
	return cells__take(full, u->loader->cpus, rows, count);
}

int unit__take_cells(struct unit *u, struct cell_row **rows, size_t *count)
{
	struct urgency urgency;
	int err;

	*rows = NULL;
	*count = 0;
	urgency__begin(&urgency, u);
	err = take_cells(u, rows, count);
	urgency__end(&urgency);
	return err;
}

/* Runs that the kernel left out since another of the same program was on that CPU: each is an event of which
 * the program's own account knows nothing. */
static uint64_t unit__recursions(const struct unit *u)
{
	struct bpf_program *p;
	uint64_t misses = 0;

	bpf_object__for_each_program(p, u->object)
	{
		struct bpf_prog_info info = {};
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(p);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size))
			misses += info.recursion_misses;
	}
	return misses - u->recursions_before;
}

void unit__forget_recursions(struct unit *u)
{
	u->recursions_before += unit__recursions(u);
}

void unit__losses(const struct unit *u, struct loss *sum)
{
	int cpus = u ? u->loader->cpus : 0;
	struct loss *per_cpu = cpus ? calloc(cpus, sizeof(*per_cpu)) : NULL;
	uint64_t recursions = u ? unit__recursions(u) : 0;
	struct urgency urgency;
	uint32_t key = 0;
	int err = -ENOMEM;

	if (per_cpu) {
		urgency__begin(&urgency, u);
		err = bpf_map_lookup_elem(unit__map_fd(u, "losses"), &key, per_cpu);
		urgency__end(&urgency);
	}
	if (!err)
		for (int cpu = 0; cpu < cpus; cpu++) {
			sum->runs += per_cpu[cpu].runs;
			for (int part = 0; part < PART_COUNT; part++)
				for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
					sum->count[part][outcome] += per_cpu[cpu].count[part][outcome];
		}
	sum->count[PART_PROGRAM][OUTCOME_HITS] += recursions;
	sum->count[PART_PROGRAM][OUTCOME_RECURSION] += recursions;
	free(per_cpu);
}

void unit__cost(const struct unit *u, uint64_t *run_ns, uint64_t *runs)
{
	struct bpf_program *p;

	if (!u)
		return;
	bpf_object__for_each_program(p, u->object)
	{
		struct bpf_prog_info info = {};
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(p);

		if (bpf_program__expected_attach_type(p) == BPF_TRACE_ITER)
			continue;
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size))
			continue;
		*run_ns += info.run_time_ns;
		*runs += info.run_cnt;
	}
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Shared, and counted with the object that came first. */
static bool is_made_before(const struct unit *u, const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	if (!strcmp(name, "ring") || !strcmp(name, "known_stacks") || is_shared_table(name))
		return u->shares_maps;
	return !strcmp(name, "marks") && u->shares_marks;
}

/* The kernel's own structures, as its map_mem_usage functions add them up (64 bits). */
#define MAP_HEAD     1024 /* struct bpf_htab, the largest of the heads, and then some */
#define HASH_BUCKET  16	  /* struct bucket; there are as many as entries, up to a power of two */
#define HASH_ELEMENT 48	  /* struct htab_elem, before the key */
#define HASH_PER_CPU 40	  /* a pointer to a spare element; in some kernels locks */
#define POINTER	     8
#define RING_PAGES   3 /* head, consumer's and producer's position */

/* An entry of each CPU's own is behind a pointer; other entries have one to spare for each CPU. */
static uint64_t hash_bytes(uint64_t key, uint64_t value, uint64_t entries, uint64_t cpus, bool per_cpu)
{
	uint64_t buckets = 1;

	while (buckets < entries)
		buckets *= 2;
	key = HASH_ELEMENT + round_up(key, 8);
	if (per_cpu)
		entries *= key + POINTER + value * cpus;
	else
		entries = (entries + cpus) * (key + value);
	return buckets * HASH_BUCKET + entries + cpus * HASH_PER_CPU;
}

/* The pages' pointers stand twice, as the data are mapped twice. */
static uint64_t ring_bytes(uint64_t bytes, uint64_t page)
{
	return bytes + RING_PAGES * page + (RING_PAGES + 2 * (bytes / page)) * POINTER;
}

/* What one map takes at most. */
static uint64_t map_bytes(const struct unit *u, const struct bpf_map *map)
{
	uint64_t value = round_up(bpf_map__value_size(map), 8), entries = bpf_map__max_entries(map);
	uint64_t key = bpf_map__key_size(map), cpus = u->loader->cpus, page = sysconf(_SC_PAGESIZE);
	enum bpf_map_type type = bpf_map__type(map);

	if (!bpf_map__autocreate(map) || is_made_before(u, map))
		return 0;
	switch (type) {
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
		return MAP_HEAD + hash_bytes(key, value, entries, cpus, type == BPF_MAP_TYPE_PERCPU_HASH);
	case BPF_MAP_TYPE_RINGBUF:
		return MAP_HEAD + ring_bytes(entries, page);
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return MAP_HEAD + (POINTER + value * cpus) * entries;
	case BPF_MAP_TYPE_TASK_STORAGE: /* nothing before there are threads */
		return 0;
	default: /* arrays; those that user space maps begin on a page of their own */
		if (bpf_map__map_flags(map) & BPF_F_MMAPABLE)
			return page + round_up(value * entries, page);
		return MAP_HEAD + value * entries;
	}
}

uint64_t unit__map_bytes(const struct unit *u)
{
	struct bpf_map *map;
	uint64_t total = 0;

	bpf_object__for_each_map(map, u->object) total += map_bytes(u, map);
	return total;
}

void unit__describe(const struct unit *u, struct buf *out)
{
	struct bpf_program *p;
	struct bpf_map *map;

	bpf_object__for_each_program(p, u->object)
	{
		if (bpf_program__fd(p) >= 0)
			buf__printf(out, "  program  %-18s %s\n", bpf_program__name(p),
				    bpf_program__section_name(p) + (bpf_program__section_name(p)[0] == '?'));
	}
	bpf_object__for_each_map(map, u->object)
	{
		if (!map_bytes(u, map))
			continue;
		buf__printf(out, "  map      %-18s ", bpf_map__name(map));
		units__bytes(out, map_bytes(u, map));
		buf__putc(out, '\n');
	}
}

void unit__detach(struct unit *u)
{
	for (int i = 0; i < u->link_count; i++)
		bpf_link__destroy(u->links[i]);
	if (u->link_fd > 0)
		close(u->link_fd);
	u->link_count = u->link_fd = 0;
}

void unit__close(struct unit *u)
{
	if (!u->object)
		return;
	unit__detach(u);
	if (u->control)
		munmap(u->control, u->control_size);
	bpf_object__close(u->object);
	*u = (struct unit){0};
}
