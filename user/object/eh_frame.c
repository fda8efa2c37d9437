/* SPDX-License-Identifier: Apache-2.0 */
#include "object/eh_frame.h"

#include <errno.h>
#include <stdlib.h>

#include "object/cfa.h"
#include "object/safefile.h"

#define WINDOW_BYTES  (64u << 10) /* a larger record is not read: real ones reach some thousand bytes */
#define AHEAD_BYTES   (16u << 10) /* read at once when functions are looked at one by one */
#define CIE_BYTES     1024	  /* looked at; they have about 20 */
#define FDE_BYTES     64	  /* enough to know where its function is */
#define FUNCTIONS_MAX (4u << 20)  /* 48 MB of index; the largest browsers have a fifth */
#define PADDING_MAX   15
#define COMMONS_MAX   8

/* A function, its start relative to the code's. */
struct function {
	uint32_t start, size;
	uint32_t record; /* offset of its FDE in the section */
};

/* Part of the section. */
struct window {
	uint64_t at;
	size_t len;
	unsigned char *bytes; /* WINDOW_BYTES */
};

/* A CIE that was read. */
struct common {
	uint64_t offset; /* UINT64_MAX: none */
	bool usable, has_augmentation;
	struct cfa_common cfa;
};

struct eh_frame {
	const struct elf_file *f;
	const struct cfa_machine *machine;
	struct elf_section section;
	bool ends_by_zero;  /* the section's size is not known, a length of 0 is its end */
	uint64_t code, end; /* lowest and highest address of executable segments */
	struct function *functions;
	size_t count, room;
	/* Two, because the order of records need not be that of addresses: cold parts have their own place.
	 */
	struct window windows[2];
	unsigned int recent;
	unsigned char *cie_bytes;
	struct common commons[COMMONS_MAX];
	unsigned int next_common;
};

/* --- bytes of the section */

/* `size` bytes at an offset, valid until the next call; reads `ahead` at once. NULL: not there. */
static const unsigned char *bytes_at(struct eh_frame *e, uint64_t offset, size_t size, size_t ahead)
{
	uint64_t left = offset <= e->section.size ? e->section.size - offset : 0;
	struct window *w = &e->windows[e->recent];
	ssize_t n;

	if (size > left || size > WINDOW_BYTES)
		return NULL;
	if (offset < w->at || offset + size > w->at + w->len) {
		e->recent ^= 1;
		w = &e->windows[e->recent];
	}
	if (offset < w->at || offset + size > w->at + w->len) {
		if (ahead < size)
			ahead = size;
		w->at = offset;
		n = safefile__read_at(e->f->fd, w->bytes, ahead < left ? ahead : (size_t)left,
				      e->section.offset + offset);
		w->len = n > 0 ? (size_t)n : 0;
		if (size > w->len)
			return NULL;
	}
	return w->bytes + (offset - w->at);
}

/* A record: a length, then as many bytes, which begin with an id. */
struct record {
	uint64_t at, size; /* of what follows the length */
};

/* False: the end. A length of 64 bits is only there to be stepped over: no compiler writes it. */
static bool find_record(struct eh_frame *e, uint64_t offset, size_t ahead, struct record *r)
{
	const unsigned char *at = bytes_at(e, offset, 4, ahead);
	uint32_t length;

	if (!at)
		return false;
	memcpy(&length, at, sizeof(length));
	r->at = offset + 4;
	r->size = length;
	if (length != UINT32_MAX)
		return true;
	at = bytes_at(e, offset + 4, 8, ahead);
	if (!at)
		return false;
	memcpy(&r->size, at, sizeof(r->size));
	r->at = offset + 12;
	return r->size <= e->section.size;
}

/* --- CIEs */

/* The augmentation's letters say what its data are. False: one is unknown. */
static bool read_augmentation(struct common *c, struct cursor *data, const char *letters)
{
	for (; *letters; letters++) {
		switch (*letters) {
		case 'R':
			c->cfa.pointer_encoding = cursor__byte(data);
			break;
		case 'P': /* its value does not matter: no base, no failure */
			cursor__pointer(data, cursor__byte(data) & POINTER_FORMAT, 0, c->cfa.pointer_bytes);
			break;
		case 'L':
			cursor__byte(data);
			break;
		case 'S':
			c->cfa.is_signal = true;
			break;
		case 'B': /* arm64: the second key signs return addresses */
		case 'G': /* arm64: memory tags */
			break;
		default:
			return false;
		}
	}
	return !data->failed;
}

/* c: behind the id. */
static bool read_common(struct common *common, struct cursor *c)
{
	uint8_t version = cursor__byte(c);
	const unsigned char *end = c->at < c->end ? memchr(c->at, 0, (size_t)(c->end - c->at)) : NULL;
	const char *letters = (const char *)c->at;
	struct cursor data;
	uint64_t len;

	if (!end || (version != 1 && version != 3) || (*letters && *letters != 'z'))
		return false;
	c->at = end + 1;
	common->cfa.code_align = cursor__uleb(c);
	common->cfa.data_align = cursor__sleb(c);
	common->cfa.ra = version == 1 ? cursor__byte(c) : cursor__uleb(c);
	common->has_augmentation = *letters == 'z';
	if (common->has_augmentation) {
		len = cursor__uleb(c);
		data.failed = false;
		data.at = cursor__skip(c, len);
		data.end = c->at;
		if (!data.at || !read_augmentation(common, &data, letters + 1))
			return false;
	}
	return !c->failed && cfa__run_initial(&common->cfa, c);
}

/* A CIE by its offset, the last few are remembered. NULL: it is of no use. */
static const struct common *find_common(struct eh_frame *e, uint64_t offset)
{
	struct common *common;
	struct cursor c;
	uint32_t length;
	ssize_t n;

	for (size_t i = 0; i < COMMONS_MAX; i++)
		if (e->commons[i].offset == offset)
			return e->commons[i].usable ? &e->commons[i] : NULL;
	common = &e->commons[e->next_common++ % COMMONS_MAX];
	*common = (struct common){
		.offset = offset,
		.cfa = {.machine = e->machine, .pointer_bytes = e->f->class == ELFCLASS64 ? 8 : 4},
	};
	n = safefile__read_at(e->f->fd, e->cie_bytes, CIE_BYTES, e->section.offset + offset);
	c = (struct cursor){.at = e->cie_bytes, .end = e->cie_bytes + (n > 0 ? n : 0)};
	length = (uint32_t)cursor__fixed(&c, 4);
	if (length < (uint64_t)(c.end - c.at))
		c.end = c.at + length;
	else if (length > (uint64_t)(c.end - c.at))
		c.failed = true;
	common->usable = !cursor__fixed(&c, 4) && !c.failed && read_common(common, &c);
	return common->usable ? common : NULL;
}

/* --- FDEs */

/*
 * Reads what an FDE says of its function: c begins behind the length, is at the instructions afterwards.
 * NULL: no FDE, or none that can be read.
 */
static const struct common *read_fde(struct eh_frame *e, const struct record *r, struct cursor *c,
				     uint64_t *start, uint64_t *size)
{
	const unsigned char *begin = c->at;
	const struct common *common;
	uint32_t back = (uint32_t)cursor__fixed(c, 4); /* to its CIE; 0: this is one */
	uint64_t here;

	common = back && back <= r->at ? find_common(e, r->at - back) : NULL;
	if (!common)
		return NULL;
	here = e->section.address + r->at + (uint64_t)(c->at - begin);
	*start = cursor__pointer(c, common->cfa.pointer_encoding, here, common->cfa.pointer_bytes);
	*size = cursor__pointer(c, common->cfa.pointer_encoding & POINTER_FORMAT, 0,
				common->cfa.pointer_bytes);
	if (e->f->class == ELFCLASS32)
		*start &= UINT32_MAX;
	return c->failed ? NULL : common;
}

static int add_function(struct eh_frame *e, uint64_t start, uint64_t size, uint64_t record)
{
	struct function *grown;
	size_t room;

	if (!start || !size || start < e->code || start >= e->end || size > e->end - start ||
	    record > UINT32_MAX || e->count == FUNCTIONS_MAX)
		return 0;
	if (e->count == e->room) {
		room = e->room ? e->room + e->room / 2 : 1024;
		grown = realloc(e->functions, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		e->functions = grown;
		e->room = room;
	}
	e->functions[e->count++] = (struct function){
		.start = (uint32_t)(start - e->code), .size = (uint32_t)size, .record = (uint32_t)record};
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->record < y->record ? -1 : x->record > y->record;
}

/* Sorts, and leaves out those that begin inside an earlier one. */
static void order_functions(struct eh_frame *e)
{
	struct function *f = e->functions;
	size_t kept = 0, sorted = 1;

	while (sorted < e->count && by_start(&f[sorted - 1], &f[sorted]) <= 0)
		sorted++;
	if (sorted < e->count)
		qsort(f, e->count, sizeof(*f), by_start);
	for (size_t i = 0; i < e->count; i++)
		if (!kept || f[i].start >= (uint64_t)f[kept - 1].start + f[kept - 1].size)
			f[kept++] = f[i];
	e->count = kept;
}

static int make_index(struct eh_frame *e)
{
	uint64_t start, size;
	const unsigned char *bytes;
	struct record r;
	struct cursor c;
	size_t len;
	int err = 0;

	for (uint64_t at = 0; !err && find_record(e, at, WINDOW_BYTES, &r); at = r.at + r.size) {
		if (!r.size && e->ends_by_zero)
			break;
		len = r.size < FDE_BYTES ? (size_t)r.size : FDE_BYTES;
		bytes = len ? bytes_at(e, r.at, len, WINDOW_BYTES) : NULL;
		if (!bytes)
			continue;
		c = (struct cursor){.at = bytes, .end = bytes + len};
		if (read_fde(e, &r, &c, &start, &size))
			err = add_function(e, start, size, at);
	}
	order_functions(e);
	return err;
}

/* --- opening */

/* The file's bytes at a virtual address, up to the end of what is mapped there. */
static bool segment_at(const struct elf_file *f, uint64_t address, struct elf_section *out)
{
	GElf_Phdr p;

	for (size_t i = 0; i < f->segments; i++) {
		if (!gelf_getphdr(f->elf, (int)i, &p) || p.p_type != PT_LOAD || address < p.p_vaddr ||
		    address - p.p_vaddr >= p.p_filesz || p.p_offset > f->size_bytes ||
		    p.p_filesz > f->size_bytes - p.p_offset)
			continue;
		out->address = address;
		out->offset = p.p_offset + (address - p.p_vaddr);
		out->size = p.p_filesz - (address - p.p_vaddr);
		return true;
	}
	return false;
}

/* The header of .eh_frame_hdr says where .eh_frame is. */
static bool find_by_segment(struct eh_frame *e)
{
	unsigned char bytes[16];
	struct elf_section header;
	struct cursor c;
	GElf_Phdr p;
	uint64_t address;
	uint8_t encoding;
	ssize_t n;

	for (size_t i = 0; i < e->f->segments; i++) {
		if (!gelf_getphdr(e->f->elf, (int)i, &p) || p.p_type != PT_GNU_EH_FRAME ||
		    !segment_at(e->f, p.p_vaddr, &header))
			continue;
		n = safefile__read_at(e->f->fd, bytes, sizeof(bytes), header.offset);
		c = (struct cursor){.at = bytes, .end = bytes + (n > 0 ? n : 0)};
		if (cursor__byte(&c) != 1)
			continue;
		encoding = cursor__byte(&c);
		cursor__skip(&c, 2);
		address = cursor__pointer(&c, encoding, p.p_vaddr + 4, e->f->class == ELFCLASS64 ? 8 : 4);
		e->ends_by_zero = true;
		return !c.failed && segment_at(e->f, address, &e->section);
	}
	return false;
}

static bool find_code(struct eh_frame *e)
{
	GElf_Phdr p;
	uint64_t end;

	e->code = UINT64_MAX;
	for (size_t i = 0; i < e->f->segments; i++) {
		if (!gelf_getphdr(e->f->elf, (int)i, &p) || p.p_type != PT_LOAD || !(p.p_flags & PF_X) ||
		    __builtin_add_overflow(p.p_vaddr, p.p_memsz, &end))
			continue;
		if (p.p_vaddr < e->code)
			e->code = p.p_vaddr;
		if (end > e->end)
			e->end = end;
	}
	return e->code < e->end && e->end - e->code <= UINT32_MAX;
}

static int open_file(struct eh_frame *e)
{
	GElf_Ehdr header;
	int err;

	if (!gelf_getehdr(e->f->elf, &header))
		return -ENOEXEC;
	e->machine = cfa_machine__of(header.e_machine);
	if (!e->machine)
		return -ENOEXEC;
	if (!find_code(e) || (!elf__section_by_name(e->f, ".eh_frame", &e->section) && !find_by_segment(e)))
		return -ENOENT;
	for (size_t i = 0; i < COMMONS_MAX; i++)
		e->commons[i].offset = UINT64_MAX;
	e->cie_bytes = malloc(CIE_BYTES);
	e->windows[0].bytes = malloc(WINDOW_BYTES);
	e->windows[1].bytes = malloc(WINDOW_BYTES);
	if (!e->cie_bytes || !e->windows[0].bytes || !e->windows[1].bytes)
		return -ENOMEM;
	err = make_index(e);
	return err ? err : e->count ? 0 : -ENOENT;
}

struct eh_frame *eh_frame__open(const struct elf_file *f)
{
	struct eh_frame *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return NULL;
	e->f = f;
	err = open_file(e);
	if (err) {
		eh_frame__close(e);
		errno = -err;
		return NULL;
	}
	return e;
}

void eh_frame__close(struct eh_frame *e)
{
	if (!e)
		return;
	free(e->functions);
	free(e->cie_bytes);
	free(e->windows[0].bytes);
	free(e->windows[1].bytes);
	free(e);
}

/* --- rows */

struct rows {
	const struct cfa_common *common; /* of the function at hand */
	uint64_t from, to;
	eh_frame_row *row;
	void *context;
	uint32_t last[UNWIND_WIDE_WORDS];
	bool any;
};

static int put(struct rows *o, uint64_t address, const uint32_t words[UNWIND_WIDE_WORDS])
{
	if (address < o->from)
		address = o->from;
	if (o->any && !memcmp(words, o->last, sizeof(o->last)))
		return 0;
	memcpy(o->last, words, sizeof(o->last));
	o->any = true;
	return o->row(o->context, address, words);
}

static int put_kind(struct rows *o, uint64_t address, enum unwind_kind kind)
{
	const uint32_t words[UNWIND_WIDE_WORDS] = {kind};

	return put(o, address, words);
}

static int take_row(void *context, uint64_t from, uint64_t to, const struct cfa_state *s)
{
	struct rows *o = context;
	uint32_t words[UNWIND_WIDE_WORDS];

	if (to <= o->from || from >= o->to)
		return 0;
	cfa__rule(o->common, s, words);
	return put(o, from, words);
}

static int function_rows(struct eh_frame *e, const struct function *f, struct rows *o)
{
	const unsigned char *bytes;
	const struct common *common;
	uint64_t start, size, begin = e->code + f->start, end;
	struct record r;
	struct cursor c;

	if (!find_record(e, f->record, AHEAD_BYTES, &r))
		return put_kind(o, begin, UNWIND_UNSUPPORTED);
	bytes = bytes_at(e, r.at, (size_t)r.size, AHEAD_BYTES);
	c = (struct cursor){.at = bytes, .end = bytes ? bytes + r.size : NULL};
	common = bytes ? read_fde(e, &r, &c, &start, &size) : NULL;
	if (common && common->has_augmentation)
		cursor__skip(&c, cursor__uleb(&c));
	/* The file may have been changed since the index was made. */
	if (!common || c.failed || start != begin || size != f->size)
		return put_kind(o, begin, UNWIND_UNSUPPORTED);
	o->common = &common->cfa;
	end = start + size < o->to ? start + size : o->to;
	return cfa__run(o->common, &c, e->section.address + r.at + (uint64_t)(c.at - bytes), start, end,
			take_row, o);
}

/* The first function that ends behind an address. */
static size_t first_behind(const struct eh_frame *e, uint64_t address)
{
	size_t low = 0, high = e->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (e->code + e->functions[middle].start + e->functions[middle].size <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool eh_frame__describes(const struct eh_frame *e, uint64_t from, uint64_t to)
{
	size_t i = first_behind(e, from);

	return i < e->count && e->code + e->functions[i].start < to;
}

int eh_frame__rows(struct eh_frame *e, uint64_t from, uint64_t to, eh_frame_row *row, void *context)
{
	struct rows o = {.from = from, .to = to, .row = row, .context = context};
	size_t i = first_behind(e, from);
	uint64_t at = from, start;
	int ret = 0;

	if (i && from - (e->code + e->functions[i - 1].start) - e->functions[i - 1].size <= PADDING_MAX)
		at = e->code + e->functions[i - 1].start + e->functions[i - 1].size;
	for (; !ret && i < e->count; i++) {
		start = e->code + e->functions[i].start;
		if (start >= to)
			break;
		if (start > at && (start - at > PADDING_MAX || (!o.any && start > from)))
			ret = put_kind(&o, at, UNWIND_GAP);
		if (!ret)
			ret = function_rows(e, &e->functions[i], &o);
		at = start + e->functions[i].size;
	}
	if (!ret && at < to &&
	    (i == e->count || e->code + e->functions[i].start - at > PADDING_MAX || !o.any))
		ret = put_kind(&o, at, UNWIND_GAP);
	return ret;
}

size_t eh_frame__functions(const struct eh_frame *e)
{
	return e->count;
}

uint64_t eh_frame__end(const struct eh_frame *e)
{
	const struct function *last = &e->functions[e->count - 1];

	return e->code + last->start + last->size;
}

/* --- the share of frame pointers */

struct share {
	const struct cfa_machine *machine;
	uint64_t rows, frame_pointer;
};

static int count_row(void *context, uint64_t address, const uint32_t words[UNWIND_WIDE_WORDS])
{
	struct share *s = context;
	uint32_t kind = UNWIND_KIND(words[0]);

	(void)address;
	s->rows += kind != UNWIND_GAP;
	s->frame_pointer += kind == UNWIND_FRAME ||
			    (kind == UNWIND_WIDE && UNWIND_WIDE_BASE(words[0]) == s->machine->fp &&
			     !(UNWIND_WIDE_FLAGS(words[0]) & UNWIND_WIDE_DEREF));
	return 0;
}

int eh_frame__frame_pointer_percent(const struct elf_file *f)
{
	struct eh_frame *e = eh_frame__open(f);
	struct share s = {0};

	if (!e)
		return -errno;
	s.machine = e->machine;
	eh_frame__rows(e, e->code, e->end, count_row, &s);
	eh_frame__close(e);
	return s.rows ? (int)((s.frame_pointer * 100 + s.rows / 2) / s.rows) : -ENOENT;
}
