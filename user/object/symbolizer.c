/* SPDX-License-Identifier: Apache-2.0 */
#include "object/symbolizer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/table.h"
#include "object/debugfile.h"
#include "object/demangle.h"
#include "object/eh_frame.h"
#include "object/kallsyms.h"
#include "object/lookup.h"
#include "object/minidebug.h"
#include "object/perfmap.h"
#include "object/safefile.h"
#include "object/source_line.h"
#include "object/symtab.h"
#include "object/threadstart.h"

struct symbolizer {
	struct name_taker taker; /* first: what the scanners see of the symbolizer */
	struct strings names;
	struct table failed;	    /* struct file_key -> int: the -errno it failed with */
	struct buf plain, readable; /* the name at hand */
	struct inlined **inlined;   /* what was handed out */
	size_t inlined_count;
};

/* Versions ("read@@GLIBC_2.2.5") are no part of a name. */
static size_t unversioned_length(const char *name)
{
	const char *at = *name ? strchr(name + 1, '@') : NULL;

	return at ? (size_t)(at - name) : strlen(name);
}

/* The readable form, or the name itself. NULL: no memory. */
static const char *add_readable(struct symbolizer *s, const char *name, size_t len)
{
	struct buf *b = &s->readable;

	buf__clear(b);
	if (!demangle__add(b, name))
		return strings__add(&s->names, name, len);
	return b->failed ? NULL : strings__add(&s->names, b->data, b->len);
}

static int take(struct name_taker *taker, struct lookup *l, const char *name, const char *module)
{
	struct symbolizer *s = (struct symbolizer *)taker;
	struct buf *b = &s->plain;

	buf__clear(b);
	buf__add(b, name, unversioned_length(name));
	buf__putc(b, 0);
	if (b->failed)
		return -ENOMEM;
	l->start = threadstart__by_name(b->data);
	l->text = add_readable(s, b->data, b->len - 1);
	if (module)
		l->module = strings__add(&s->names, module, strlen(module));
	return l->text && (!module || l->module) ? 0 : -ENOMEM;
}

static const char *keep(struct name_taker *taker, const char *text, bool mangled)
{
	struct symbolizer *s = (struct symbolizer *)taker;
	size_t len = strlen(text);

	return mangled ? add_readable(s, text, len) : strings__add(&s->names, text, len);
}

static const struct inlined *keep_inlined(struct name_taker *taker, const struct inlined *from, size_t count)
{
	struct symbolizer *s = (struct symbolizer *)taker;
	struct inlined **grown = s->inlined, *kept = reallocarray(NULL, count, sizeof(*kept));

	/* Doubles whenever the count is a power of two. */
	if (kept && !(s->inlined_count & (s->inlined_count - 1)))
		grown = reallocarray(grown, s->inlined_count ? 2 * s->inlined_count : 1, sizeof(*grown));
	if (!kept || !grown) {
		free(kept);
		return NULL;
	}
	memcpy(kept, from, count * sizeof(*kept));
	s->inlined = grown;
	s->inlined[s->inlined_count++] = kept;
	return kept;
}

struct symbolizer *symbolizer__new(void)
{
	struct symbolizer *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->taker = (struct name_taker){take, keep, keep_inlined};
	strings__init(&s->names);
	table__init(&s->failed, sizeof(struct file_key), sizeof(int));
	return s;
}

void symbolizer__free(struct symbolizer *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->inlined_count; i++)
		free(s->inlined[i]);
	free(s->inlined);
	strings__free(&s->names);
	table__free(&s->failed);
	buf__free(&s->plain);
	buf__free(&s->readable);
	free(s);
}

static void look_in(struct symbolizer *s, const struct elf_file *f, uint32_t type,
		    const struct symbol_request *r, struct lookup *l)
{
	struct elf_section table;

	/* A broken table costs its own names; the next source may be sound. */
	if (lookup__missing(l, r->count) && elf__section_by_type(f, type, &table))
		symtab__scan(f, &table, r->source == SYMBOLS_DATA, l, r->count, &s->taker);
}

/* A debug file is looked for where the file says, by what it lacks or by its link, that there is one. */
static bool wants_debug_file(const struct elf_file *f, const struct symbol_request *r, const struct lookup *l)
{
	struct elf_section section;

	if (r->lines && !elf__section_by_name(f, ".debug_info", &section))
		return true;
	return lookup__missing(l, r->count) && (!elf__section_by_type(f, SHT_SYMTAB, &section) ||
						elf__section_by_name(f, ".gnu_debuglink", &section));
}

/* The debug file, open and to be closed; false: there is none, or no need of it. */
static bool open_debug_file(const struct elf_file *f, const struct symbol_request *r, const struct lookup *l,
			    struct elf_file *debug)
{
	const struct debug_asker asker = {r->debug_file, r->context};
	int fd = wants_debug_file(f, r, l) ? debugfile__open(f, &asker) : -ENOENT;

	if (fd >= 0 && !elf__open(debug, fd))
		return true;
	if (fd >= 0)
		close(fd);
	return false;
}

/* In the file or in its debug file. Without DWARF, or when it is broken, frames have no lines: no error. */
static void look_for_lines(struct symbolizer *s, const struct elf_file *f, const struct elf_file *debug,
			   const struct symbol_request *r, struct lookup *l)
{
	struct elf_section section;
	const struct debug_asker asker = {r->debug_file, r->context};
	struct elf_file supplement = {.fd = -1};
	bool has_supplement;
	int fd;

	if (debug && !elf__section_by_name(f, ".debug_info", &section))
		f = debug;
	fd = debugfile__open_supplement(f, &asker);
	has_supplement = fd >= 0 && !elf__open(&supplement, fd);
	source_line__scan(f, has_supplement ? &supplement : NULL, l, r->count, &s->taker);
	elf__close(&supplement);
	if (fd >= 0)
		close(fd);
}

static void look_in_minidebug(struct symbolizer *s, const struct elf_file *f, const struct symbol_request *r,
			      struct lookup *l)
{
	struct minidebug m;

	if (!lookup__missing(l, r->count) || minidebug__open(&m, f))
		return;
	look_in(s, &m.file, SHT_SYMTAB, r, l);
	minidebug__close(&m);
}

static int resolve_elf(struct symbolizer *s, const struct symbol_request *r, struct lookup *l)
{
	char hex[2 * BUILD_ID_MAX + 1];
	const char *build_id;
	struct elf_file f, debug;
	bool has_debug;
	int err = elf__open(&f, r->fd);

	if (err)
		return err;
	elf__build_id_hex(&f, hex);
	build_id = *hex ? strings__add(&s->names, hex, strlen(hex)) : NULL;
	for (size_t i = 0; i < r->count; i++) {
		l[i].nowhere = r->source == SYMBOLS_DATA
				       ? !elf__data_address(&f, r->addresses[i], &l[i].address)
				       : !elf__address(&f, r->addresses[i], &l[i].address);
		l[i].build_id = build_id;
	}
	lookup__sort(l, r->count);
	look_in(s, &f, SHT_SYMTAB, r, l);
	has_debug = open_debug_file(&f, r, l, &debug);
	if (has_debug)
		look_in(s, &debug, SHT_SYMTAB, r, l);
	look_in_minidebug(s, &f, r, l);
	look_in(s, &f, SHT_DYNSYM, r, l);
	if (r->source != SYMBOLS_DATA)
		threadstart__mark(&f, r->path, l, r->count);
	if (r->lines)
		look_for_lines(s, &f, has_debug ? &debug : NULL, r, l);
	if (has_debug) {
		elf__close(&debug);
		close(debug.fd);
	}
	elf__close(&f);
	return 0;
}

static int resolve_perf_map(struct symbolizer *s, const struct symbol_request *r, struct lookup *l)
{
	lookup__sort(l, r->count);
	return perfmap__scan(r->fd, l, r->count, &s->taker);
}

static int resolve_kernel(struct symbolizer *s, const struct symbol_request *r, struct lookup *l)
{
	lookup__sort(l, r->count);
	return kallsyms__scan(r->fd, r->modules_fd, l, r->count, &s->taker);
}

static const struct {
	int (*resolve)(struct symbolizer *, const struct symbol_request *, struct lookup *);
	bool remember_failure; /* a perf map grows, the kernel's symbols may become visible */
} sources[] = {
	[SYMBOLS_ELF] = {resolve_elf, true},	    [SYMBOLS_PERF_MAP] = {resolve_perf_map, false},
	[SYMBOLS_KERNEL] = {resolve_kernel, false}, [SYMBOLS_VDSO] = {resolve_elf, false},
	[SYMBOLS_DATA] = {resolve_elf, true},
};

static void fill(const struct symbol_request *r, const struct lookup *l, bool named, struct symbol *symbols)
{
	for (size_t i = 0; i < r->count; i++)
		symbols[l[i].index] = (struct symbol){
			.name = named ? l[i].text : NULL,
			.module = named ? l[i].module : NULL,
			.build_id = named ? l[i].build_id : NULL,
			.offset = named && l[i].text ? l[i].address - l[i].value : 0,
			.address = l[i].address,
			.start = named ? (enum symbol_start)l[i].start : SYMBOL_NO_START,
			.scheduler = named && l[i].scheduler,
			.file = named ? l[i].file : NULL,
			.line = l[i].line,
			.inlined_count = named ? l[i].inlined_count : 0,
			.inlined = l[i].inlined,
		};
}

/* Errors that say something about us, not about the file. */
static bool is_ours(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE || err == -EINTR;
}

static int resolve_file(struct symbolizer *s, const struct symbol_request *r, struct lookup *l)
{
	struct file_key key;
	struct stat st;
	int err, *known;

	if (fstat(r->fd, &st))
		return -errno;
	file_key__from_stat(&key, &st);
	known = table__find(&s->failed, &key);
	if (known)
		return *known;
	err = sources[r->source].resolve(s, r, l);
	if (err && !is_ours(err)) {
		known = table__add(&s->failed, &key, NULL);
		if (known)
			*known = err;
	}
	return err;
}

int symbolizer__resolve(struct symbolizer *s, const struct symbol_request *r, struct symbol *symbols)
{
	struct lookup *l;
	int err;

	if (!r->count)
		return 0;
	if ((unsigned)r->source >= sizeof(sources) / sizeof(*sources) || r->count > UINT32_MAX)
		return -EINVAL;
	memset(symbols, 0, r->count * sizeof(*symbols));
	l = calloc(r->count, sizeof(*l));
	if (!l)
		return -ENOMEM;
	for (size_t i = 0; i < r->count; i++) {
		l[i].address = r->addresses[i];
		l[i].index = (uint32_t)i;
	}
	if (sources[r->source].remember_failure)
		err = resolve_file(s, r, l);
	else
		err = sources[r->source].resolve(s, r, l);
	fill(r, l, !err, symbols);
	free(l);
	return err;
}

int symbolizer__coverage(struct symbolizer *s, const struct symbol_request *r, struct symbol_coverage *c)
{
	const struct debug_asker asker = {r->debug_file, r->context};
	struct elf_section section;
	struct elf_file f;
	int err, fd, percent;

	(void)s;
	memset(c, 0, sizeof(*c));
	err = elf__open(&f, r->fd);
	if (err)
		return err;
	c->has_symtab = elf__section_by_type(&f, SHT_SYMTAB, &section);
	c->has_dynsym = elf__section_by_type(&f, SHT_DYNSYM, &section);
	c->has_eh_frame = elf__section_by_name(&f, ".eh_frame", &section);
	c->has_go_id = f.class == ELFCLASS64 && elf__section_by_name(&f, ".note.go.buildid", &section);
	fd = debugfile__open(&f, &asker);
	c->has_debug_file = fd >= 0;
	if (fd >= 0)
		close(fd);
	elf__build_id_hex(&f, c->build_id);
	percent = eh_frame__frame_pointer_percent(&f);
	c->frame_pointer_percent = percent > 0 ? (uint32_t)percent : 0;
	elf__close(&f);
	return 0;
}
