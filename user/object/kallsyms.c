/* SPDX-License-Identifier: Apache-2.0 */
#include "object/kallsyms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "object/lines.h"

#define KALLSYMS_BYTES_MAX (256ULL << 20)
#define MODULE_NAME_MAX	   64
/* BPF programs, ftrace and kprobe trampolines stand in no list of modules; none is larger. */
#define PSEUDO_MODULE_BYTES (64u << 10)

/*
 * The symbols between two neighbouring lookups: the highest one, which names the upper lookup (and those
 * above it, as long as the gaps between are empty), and where the lowest one starts, which bounds those
 * below.
 */
struct gap {
	bool used, code;
	uint8_t rank;
	uint64_t highest, lowest;
	struct buf name;
	char module[MODULE_NAME_MAX], lowest_module[MODULE_NAME_MAX];
};

/* The text of the scheduler, [start, end); 0: the kernel does not show where it is. */
struct sched_text {
	uint64_t start, end;
};

struct kernel_symbol {
	uint64_t address;
	char type;
	const char *name;
	size_t len;
	const char *module; /* without brackets; "" for the kernel itself */
};

static bool parse(const char *line, struct kernel_symbol *s)
{
	const char *end;

	if (!lines__hex(&line, &s->address) || line[0] != ' ' || !line[1] || line[2] != ' ')
		return false;
	s->type = line[1];
	s->name = line + 3;
	end = strchr(s->name, '\t');
	s->len = end ? (size_t)(end - s->name) : strlen(s->name);
	s->module = end && end[1] == '[' ? end + 2 : "";
	return s->len > 0;
}

/* These say where code ends; nothing behind them is theirs. */
static bool is_end_mark(const struct kernel_symbol *s)
{
	return (s->len == 6 && !memcmp(s->name, "_etext", 6)) ||
	       (s->len == 10 && !memcmp(s->name, "_einittext", 10));
}

static void take_mark(struct sched_text *t, const struct kernel_symbol *s)
{
	if (s->len == 18 && !memcmp(s->name, "__sched_text_start", 18))
		t->start = s->address;
	else if (s->len == 16 && !memcmp(s->name, "__sched_text_end", 16))
		t->end = s->address;
}

/* Of symbols at one place: code before data, global before weak before local, then fewer underscores. */
static uint8_t rank(const struct kernel_symbol *s)
{
	static const char order[] = "twWT";
	const char *place = strchr(order, s->type);
	size_t underscores = strspn(s->name, "_");

	if (!place || is_end_mark(s))
		return 0;
	return (uint8_t)(8 * (place - order + 1) + (underscores < 7 ? 7 - underscores : 0));
}

static void copy_module(char out[MODULE_NAME_MAX], const char *module)
{
	size_t len = strcspn(module, "]");

	if (len >= MODULE_NAME_MAX)
		len = MODULE_NAME_MAX - 1;
	memcpy(out, module, len);
	out[len] = 0;
}

static void put(struct gap *g, const struct kernel_symbol *s)
{
	uint8_t r = rank(s);

	if (!g->used || s->address < g->lowest) {
		g->lowest = s->address;
		copy_module(g->lowest_module, s->module);
	}
	if (g->used && (s->address < g->highest || (s->address == g->highest && r <= g->rank)))
		return;
	g->used = true;
	g->highest = s->address;
	g->rank = r;
	g->code = r > 0;
	copy_module(g->module, s->module);
	buf__clear(&g->name);
	buf__add(&g->name, s->name, s->len);
}

/* The gap of a symbol. Most stand in ascending order, so the last one's gap is tried first. */
static size_t gap_of(const struct lookup *l, size_t count, uint64_t address, size_t last)
{
	if ((!last || l[last - 1].address < address) && (last == count || address <= l[last].address))
		return last;
	return lookup__first(l, count, address);
}

/* Fills the gaps; gaps[count] is the one above the last lookup. -EPERM if no symbol shows where it is. */
static int read_symbols(int fd, const struct lookup *l, size_t count, struct gap *gaps,
			struct sched_text *sched_text)
{
	struct lines r;
	struct kernel_symbol s;
	const char *line;
	size_t len, seen = 0, shown = 0, gap = 0;
	int err = lines__open(&r, fd, KALLSYMS_BYTES_MAX);

	if (err)
		return err;
	while ((line = lines__next(&r, &len))) {
		if (!parse(line, &s))
			continue;
		seen++;
		if (!s.address)
			continue;
		shown++;
		take_mark(sched_text, &s);
		gap = gap_of(l, count, s.address, gap);
		put(&gaps[gap], &s);
	}
	err = r.err;
	lines__close(&r);
	if (err)
		return err;
	return seen && !shown ? -EPERM : 0;
}

/* The first field of "name size uses by state address" is `module`: does the address lie in it? */
static bool module_line_holds(const char *line, const char *module, uint64_t address, bool *listed)
{
	size_t len = strlen(module);
	const char *last = strstr(line, " 0x");
	uint64_t start, size;

	if (strncmp(line, module, len) || line[len] != ' ' || !last)
		return false;
	size = strtoull(line + len, NULL, 10);
	last++;
	*listed = lines__hex(&last, &start);
	return *listed && address - start < size;
}

static bool in_module(int modules_fd, const char *module, uint64_t symbol, uint64_t address)
{
	struct lines r;
	const char *line;
	size_t len;
	bool listed = false, found = false;

	/* A kernel without modules has BPF programs and trampolines all the same. */
	if (modules_fd < 0)
		return address - symbol < PSEUDO_MODULE_BYTES;
	if (lseek(modules_fd, 0, SEEK_SET) < 0 || lines__open(&r, modules_fd, 1 << 20))
		return false;
	while (!listed && (line = lines__next(&r, &len)))
		found = module_line_holds(line, module, address, &listed);
	lines__close(&r);
	return listed ? found : address - symbol < PSEUDO_MODULE_BYTES;
}

/* Is the symbol below still the owner of the address? `above`: the next gap with symbols, or NULL. */
static bool is_owner(const struct gap *below, const struct gap *above, uint64_t address, int modules_fd)
{
	if (!below->code)
		return false;
	if (above && !strcmp(above->lowest_module, below->module))
		return true;
	return *below->module && in_module(modules_fd, below->module, below->highest, address);
}

static int take_names(struct lookup *l, size_t count, const struct gap *gaps, int modules_fd,
		      struct name_taker *names)
{
	const struct gap *below = NULL;
	size_t above = 0;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		if (gaps[i].used)
			below = &gaps[i];
		if (above <= i)
			for (above = i + 1; above <= count && !gaps[above].used; above++)
				;
		if (!below || below->name.failed ||
		    !is_owner(below, above <= count ? &gaps[above] : NULL, l[i].address, modules_fd))
			continue;
		l[i].value = below->highest;
		err = names->take(names, &l[i], buf__text(&below->name),
				  *below->module ? below->module : NULL);
	}
	return err;
}

int kallsyms__scan(int fd, int modules_fd, struct lookup *l, size_t count, struct name_taker *names)
{
	struct gap *gaps = calloc(count + 1, sizeof(*gaps));
	struct sched_text sched_text = {0};
	int err;

	if (!gaps)
		return -ENOMEM;
	err = read_symbols(fd, l, count, gaps, &sched_text);
	for (size_t i = 0; i < count && sched_text.start && !err; i++)
		l[i].scheduler = l[i].address >= sched_text.start && l[i].address < sched_text.end;
	if (!err)
		err = take_names(l, count, gaps, modules_fd, names);
	for (size_t i = 0; i <= count; i++)
		buf__free(&gaps[i].name);
	free(gaps);
	return err;
}
