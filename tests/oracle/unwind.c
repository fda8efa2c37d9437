/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind tables against libdw: build/oracle/unwind FILE... compares every row that libdw sees, and every byte
 * of code of it, with what a look-up in the blobs says. Both sides are evaluated over the same invented
 * registers and memory, so that only meanings count. --bench: time, memory and bytes per row instead.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "object/eh_frame.h"
#include "object/unwind_table.h"

#define STACK	32
#define PADDING 15
#define SHOWN	5 /* mismatches of a file that are printed */

/* --- the tables of a file, and a look-up of our own */

struct tables {
	const struct elf_file *f;
	int machine, sp, fp, rbx; /* -1: it has none */
	uint64_t first;		  /* chunk */
	size_t count;
	struct unwind_chunk *chunks;
	size_t *blobs; /* where each begins in `bytes` */
	struct buf bytes;
	uint64_t blob_bytes; /* in shards, where they begin at lines */
};

static void find_chunks(struct tables *t)
{
	GElf_Phdr p;
	uint64_t last = 0;

	t->first = UINT64_MAX;
	for (size_t i = 0; i < t->f->segments; i++) {
		if (!gelf_getphdr(t->f->elf, (int)i, &p) || p.p_type != PT_LOAD || !(p.p_flags & PF_X))
			continue;
		if (p.p_vaddr >> UNWIND_CHUNK_SHIFT < t->first)
			t->first = p.p_vaddr >> UNWIND_CHUNK_SHIFT;
		if ((p.p_vaddr + p.p_memsz) >> UNWIND_CHUNK_SHIFT > last)
			last = (p.p_vaddr + p.p_memsz) >> UNWIND_CHUNK_SHIFT;
	}
	t->count = last - t->first + 1;
}

static int build(struct tables *t)
{
	struct unwind_table *table = unwind_table__open(t->f);
	int err = 0;

	if (!table)
		return -errno;
	find_chunks(t);
	t->chunks = calloc(t->count, sizeof(*t->chunks));
	t->blobs = calloc(t->count, sizeof(*t->blobs));
	for (size_t i = 0; !err && i < t->count; i++) {
		t->blobs[i] = t->bytes.len;
		err = unwind_table__build(table, t->first + i, &t->bytes, &t->chunks[i]);
		t->blob_bytes += (t->bytes.len - t->blobs[i] + UNWIND_LINE - 1) & ~(UNWIND_LINE - 1ull);
	}
	unwind_table__close(table);
	return err;
}

static void look_up(const struct tables *t, uint64_t address, uint32_t words[UNWIND_WIDE_WORDS])
{
	uint64_t i = (address >> UNWIND_CHUNK_SHIFT) - t->first;
	struct unwind_header h;
	const unsigned char *header, *rows;
	size_t row, end;
	unsigned int bucket = address >> 8 & 255, number;

	memset(words, 0, UNWIND_WIDE_WORDS * sizeof(*words));
	if (i >= t->count || t->chunks[i].kind == UNWIND_CHUNK_GAP)
		return;
	words[0] = UINT32_MAX;
	if (t->chunks[i].kind != UNWIND_CHUNK_TABLE)
		return;
	header = (unsigned char *)t->bytes.data + t->blobs[i] + t->chunks[i].header;
	memcpy(&h, header, sizeof(h));
	rows = header + sizeof(h);
	row = h.group[bucket / 16];
	for (unsigned int b = bucket & ~15u; b < bucket; b++)
		row += h.count[b];
	end = row + h.count[bucket];
	while (row < end && rows[2 * row] <= (address & 255))
		row++;
	number = rows[2 * (row - 1) + 1];
	memcpy(&words[0], header - 4 * (number + 1), 4);
	if (UNWIND_KIND(words[0]) == UNWIND_WIDE) {
		memcpy(&words[1], header - 4 * (number + 2), 4);
		memcpy(&words[2], header - 4 * (number + 3), 4);
	}
}

/* --- one frame over invented registers and memory */

struct frame {
	uint64_t cfa, fp, ra, rbx; /* rbx of ours: 0: not told */
};

static uint64_t scramble(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
	return (x ^ x >> 32) & 0x7ffffffffff8u;
}

static uint64_t memory(uint64_t address)
{
	return scramble(address + 0x5851f42d4c957f2du);
}

static uint64_t reg(const struct tables *t, unsigned int number, uint64_t ip)
{
	return number == 16 && t->machine == EM_X86_64 ? ip : scramble(number + 1);
}

static bool ours_wide(const struct tables *t, const uint32_t *words, uint64_t ip, struct frame *out)
{
	uint32_t flags = UNWIND_WIDE_FLAGS(words[0]), ra = UNWIND_RA(words[0]);
	uint64_t base = reg(t, UNWIND_WIDE_BASE(words[0]), ip), saved;
	uint64_t index = reg(t, UNWIND_WIDE_IX(words[0]), ip);

	out->cfa = base + (uint64_t)(int64_t)(int32_t)words[1];
	if (flags & UNWIND_WIDE_INDEX)
		out->cfa += 8 * index;
	if (flags & UNWIND_WIDE_DEREF)
		out->cfa = memory(out->cfa) + (uint64_t)(int64_t)UNWIND_WIDE_ADD(words[2]);
	saved = (flags & UNWIND_WIDE_FP_AT_REGISTER ? index : out->cfa) +
		(uint64_t)(int64_t)UNWIND_FP(words[0]);
	out->fp = flags & UNWIND_WIDE_FP_AT_REGISTER || UNWIND_FP(words[0]) != 0
			  ? memory(saved)
			  : reg(t, (unsigned int)t->fp, ip);
	out->ra = ra == UNWIND_RA_CALL	 ? memory(out->cfa - 8)
		  : ra == UNWIND_RA_LINK ? (t->machine == EM_AARCH64 ? reg(t, 30, ip) : index)
		  : ra == UNWIND_RA_AFTER_FP
			  ? memory(saved + 8)
			  : memory(out->cfa + (uint64_t)(8 * (int64_t)UNWIND_WIDE_RA(words[2])));
	return true;
}

static uint64_t ours_rbx(const struct tables *t, uint32_t rule, uint64_t cfa, uint64_t ip)
{
	if (UNWIND_RBX(rule) == UNWIND_RBX_SAME)
		return reg(t, (unsigned int)t->rbx, ip);
	if (UNWIND_RBX(rule) == UNWIND_RBX_LOST)
		return 0;
	return memory(cfa + (uint64_t)(int64_t)(UNWIND_FP(rule) != 0 ? UNWIND_FP(rule) : -8) - 8);
}

static bool ours(const struct tables *t, const uint32_t *words, uint64_t ip, struct frame *out)
{
	uint32_t kind = UNWIND_KIND(words[0]), ra = UNWIND_RA(words[0]);
	uint64_t saved;

	if (kind == UNWIND_WIDE)
		return ours_wide(t, words, ip, out);
	out->cfa = reg(t, (unsigned int)(kind == UNWIND_FRAME ? t->fp : t->sp), ip) +
		   (uint64_t)(int64_t)UNWIND_CFA(words[0]);
	if (kind == UNWIND_PLT11 || kind == UNWIND_PLT10)
		out->cfa += (ip & 15) >= (kind == UNWIND_PLT11 ? 11 : 10) ? 8 : 0;
	else if (kind != UNWIND_SP && kind != UNWIND_FRAME)
		return false;
	saved = out->cfa + (uint64_t)(int64_t)UNWIND_FP(words[0]);
	out->fp = UNWIND_FP(words[0]) != 0 ? memory(saved) : reg(t, (unsigned int)t->fp, ip);
	if (t->rbx >= 0) {
		out->rbx = ours_rbx(t, words[0], out->cfa, ip);
		ra = UNWIND_RA_CALL;
	}
	out->ra = ra == UNWIND_RA_CALL	 ? memory(out->cfa - 8)
		  : ra == UNWIND_RA_LINK ? reg(t, 30, ip)
					 : memory(saved + 8);
	return ra != UNWIND_RA_AT;
}

/* Arithmetic of the stack machine. */
static bool reckon(uint8_t op, uint64_t *a, uint64_t b)
{
	switch (op) {
	case DW_OP_plus:
		*a += b;
		return true;
	case DW_OP_minus:
		*a -= b;
		return true;
	case DW_OP_mul:
		*a *= b;
		return true;
	case DW_OP_and:
		*a &= b;
		return true;
	case DW_OP_shl:
		*a <<= b;
		return true;
	case DW_OP_ge:
		*a = (int64_t)*a >= (int64_t)b;
		return true;
	}
	return false;
}

/* Evaluates libdw's operations. False: one is not known. location: the result is an address of memory. */
static bool evaluate(const struct tables *t, const Dwarf_Op *ops, size_t n, uint64_t cfa, uint64_t ip,
		     bool *location, uint64_t *result)
{
	uint64_t stack[STACK];
	size_t depth = 0;

	*location = true;
	for (size_t i = 0; i < n && depth < STACK; i++) {
		uint8_t op = ops[i].atom;

		if (op >= DW_OP_breg0 && op <= DW_OP_breg31)
			stack[depth++] = reg(t, op - DW_OP_breg0, ip) + ops[i].number;
		else if (op == DW_OP_bregx)
			stack[depth++] = reg(t, (unsigned int)ops[i].number, ip) + ops[i].number2;
		else if (op == DW_OP_regx || (op >= DW_OP_reg0 && op <= DW_OP_reg31)) {
			*location = false;
			stack[depth++] = reg(t,
					     op == DW_OP_regx ? (unsigned int)ops[i].number
							      : op - (unsigned int)DW_OP_reg0,
					     ip);
		} else if (op == DW_OP_call_frame_cfa)
			stack[depth++] = cfa;
		else if (op >= DW_OP_lit0 && op <= DW_OP_lit31)
			stack[depth++] = op - DW_OP_lit0;
		else if (op >= DW_OP_const1u && op <= DW_OP_consts)
			stack[depth++] = ops[i].number;
		else if (op == DW_OP_stack_value)
			*location = false;
		else if (op == DW_OP_plus_uconst && depth)
			stack[depth - 1] += ops[i].number;
		else if (op == DW_OP_deref && depth)
			stack[depth - 1] = memory(stack[depth - 1]);
		else if (depth < 2 || !reckon(op, &stack[depth - 2], stack[depth - 1]))
			return false;
		else
			depth--;
	}
	*result = depth ? stack[depth - 1] : 0;
	return depth;
}

enum verdict { FINE, SIGNAL, STOP, ODD };

/* The caller's value of a register. */
static enum verdict theirs_register(const struct tables *t, Dwarf_Frame *frame, int number, uint64_t cfa,
				    uint64_t ip, uint64_t *value)
{
	Dwarf_Op memory_of_ops[3], *ops;
	bool location;
	size_t n;

	if (dwarf_frame_register(frame, number, memory_of_ops, &ops, &n))
		return ODD;
	*value = reg(t, (unsigned int)number, ip);
	if (!n)
		return ops == memory_of_ops ? STOP : FINE; /* undefined, or the same */
	if (!evaluate(t, ops, n, cfa, ip, &location, value))
		return ODD;
	if (location)
		*value = memory(*value);
	return FINE;
}

static enum verdict theirs(const struct tables *t, Dwarf_Frame *frame, uint64_t ip, struct frame *out)
{
	Dwarf_Addr start, end;
	Dwarf_Op *ops;
	bool signal, location;
	enum verdict v;
	size_t n;
	int ra = dwarf_frame_info(frame, &start, &end, &signal);

	if (ra < 0)
		return ODD;
	if (signal)
		return SIGNAL;
	if (dwarf_frame_cfa(frame, &ops, &n) || !evaluate(t, ops, n, 0, ip, &location, &out->cfa))
		out->cfa = 0;
	v = theirs_register(t, frame, ra, out->cfa, ip, &out->ra);
	if (v != FINE)
		return v;
	if (t->rbx >= 0) /* to libdw it is undefined where nobody speaks of it */
		theirs_register(t, frame, t->rbx, out->cfa, ip, &out->rbx);
	/* x86 has no register to leave a return address in: the same one is none. */
	return theirs_register(t, frame, t->fp, out->cfa, ip, &out->fp) == ODD || !out->cfa ? ODD : FINE;
}

/* --- comparison */

struct tally {
	const char *path;
	uint64_t rows, bytes, mismatches, unsupported, gaps, wide, odd;
};

static void mismatch(struct tally *y, const char *what, uint64_t address, const uint32_t *words)
{
	if (y->mismatches++ < SHOWN)
		printf("# %s: %s at 0x%jx: rule %08x %08x %08x\n", y->path, what, (uintmax_t)address,
		       words[0], words[1], words[2]);
}

static void compare(const struct tables *t, Dwarf_Frame *frame, uint64_t address, struct tally *y)
{
	uint32_t words[UNWIND_WIDE_WORDS], kind;
	struct frame a = {0}, b = {0};
	enum verdict v = theirs(t, frame, address, &b);

	look_up(t, address, words);
	kind = UNWIND_KIND(words[0]);
	if (kind == UNWIND_UNSUPPORTED) {
		y->unsupported++;
		y->odd += v == ODD;
		return;
	}
	y->wide += kind == UNWIND_WIDE;
	if (v == ODD)
		mismatch(y, "libdw has no rule", address, words);
	else if ((v == SIGNAL) != (kind == UNWIND_SIGNAL))
		mismatch(y, "signal frame", address, words);
	else if ((v == STOP) != (kind == UNWIND_STOP))
		mismatch(y, "outermost frame", address, words);
	else if (v == FINE && (!ours(t, words, address, &a) || a.cfa != b.cfa || a.fp != b.fp ||
			       a.ra != b.ra || (a.rbx && a.rbx != b.rbx)))
		mismatch(y,
			 a.cfa != b.cfa ? "CFA"
			 : a.fp != b.fp ? "frame pointer"
			 : a.ra != b.ra ? "return address"
					: "rbx",
			 address, words);
}

/* Every byte of a row must find what its first byte finds. Of lazy binding each byte has its own meaning. */
static void compare_row(const struct tables *t, Dwarf_Frame *frame, uint64_t start, uint64_t end,
			struct tally *y)
{
	uint32_t first[UNWIND_WIDE_WORDS], words[UNWIND_WIDE_WORDS];

	y->rows++;
	compare(t, frame, start, y);
	look_up(t, start, first);
	for (uint64_t at = start + 1; at < end; at++) {
		look_up(t, at, words);
		if (memcmp(words, first, sizeof(words)))
			mismatch(y, "row ends early", at, words);
		else if (UNWIND_KIND(first[0]) == UNWIND_PLT11 || UNWIND_KIND(first[0]) == UNWIND_PLT10)
			compare(t, frame, at, y);
	}
	y->bytes += end - start;
}

struct range {
	uint64_t start, end;
};

static void compare_function(const struct tables *t, Dwarf_CFI *cfi, struct range r, struct tally *y)
{
	uint32_t words[UNWIND_WIDE_WORDS];
	Dwarf_Addr start, end;
	Dwarf_Frame *frame;
	bool signal;

	for (uint64_t at = r.start; at < r.end; at = end) {
		look_up(t, at, words);
		if (dwarf_cfi_addrframe(cfi, at, &frame)) {
			if (UNWIND_KIND(words[0]) != UNWIND_UNSUPPORTED)
				mismatch(y, "libdw cannot read it", at, words);
			y->odd++;
			return;
		}
		if (dwarf_frame_info(frame, &start, &end, &signal) < 0 || end <= at)
			end = r.end;
		if (end > r.end)
			end = r.end;
		compare_row(t, frame, at, end, y);
		free(frame);
	}
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* All FDEs of .eh_frame by libdw's reader; pointers are as linkers make them: 4 bytes, relative. */
static struct range *list_functions(Elf *elf, size_t *count)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr h;
	Elf_Data *data = NULL;
	struct range *list = NULL;
	Dwarf_CFI_Entry entry;
	Dwarf_Off at = 0, next;
	size_t names, n = 0;
	const char *name;
	int32_t relative;
	uint32_t size;
	int end;

	elf_getshdrstrndx(elf, &names);
	while ((scn = elf_nextscn(elf, scn))) {
		name = gelf_getshdr(scn, &h) ? elf_strptr(elf, names, h.sh_name) : NULL;
		if (name && !strcmp(name, ".eh_frame"))
			break;
	}
	data = scn ? elf_rawdata(scn, NULL) : NULL;
	for (; data && (end = dwarf_next_cfi((unsigned char *)elf_getident(elf, NULL), data, true, at, &next,
					     &entry)) != 1;
	     at = next) {
		if (end || dwarf_cfi_cie_p(&entry) || entry.fde.end - entry.fde.start < 8)
			continue;
		memcpy(&relative, entry.fde.start, 4);
		memcpy(&size, entry.fde.start + 4, 4);
		if (n % 4096 == 0)
			list = realloc(list, (n + 4096) * sizeof(*list));
		list[n].start = h.sh_addr + (uint64_t)(entry.fde.start - (unsigned char *)data->d_buf) +
				(uint64_t)(int64_t)relative;
		list[n].end = list[n].start + size;
		n++;
	}
	qsort(list, n, sizeof(*list), by_start);
	*count = n;
	return list;
}

static void expect_gap(const struct tables *t, uint64_t address, struct tally *y)
{
	uint32_t words[UNWIND_WIDE_WORDS];

	look_up(t, address, words);
	y->gaps++;
	if (words[0] != UNWIND_GAP)
		mismatch(y, "no gap", address, words);
}

static void compare_file(const struct tables *t, struct tally *y)
{
	Elf *elf = elf_begin(t->f->fd, ELF_C_READ, NULL);
	Dwarf_CFI *cfi = dwarf_getcfi_elf(elf);
	size_t count;
	struct range *list = list_functions(elf, &count);

	for (size_t i = 0; i < count; i++) {
		compare_function(t, cfi, list[i], y);
		if (i + 1 < count && list[i + 1].start - list[i].end <= PADDING)
			continue;
		expect_gap(t, list[i].end, y);
		expect_gap(t, i + 1 < count ? list[i + 1].start - 1 : list[i].end + (1u << 20), y);
	}
	if (!count)
		y->mismatches++;
	free(list);
	dwarf_cfi_end(cfi);
	elf_end(elf);
}

static void close_tables(struct tables *t)
{
	free(t->chunks);
	free(t->blobs);
	buf__free(&t->bytes);
	*t = (struct tables){.f = t->f, .machine = t->machine, .sp = t->sp, .fp = t->fp, .rbx = t->rbx};
}

/* The format cannot say everything: longjmp's and the prologues of realigned frames, some dozen rows. */
static bool is_good(const struct tally *y)
{
	return !y->mismatches && y->rows && y->unsupported <= 8 + y->rows / 2000;
}

static bool oracle(struct tables *t, const char *path)
{
	struct tally y = {.path = path};
	int err = build(t);

	if (err) {
		printf("not ok unwind tables of %s: %s\n", path, strerror(-err));
		return false;
	}
	compare_file(t, &y);
	close_tables(t);
	printf("%s unwind tables of %s: %ju rows, %ju bytes of code, %ju gaps, %ju mismatches, %ju wide, %ju "
	       "unsupported\n",
	       is_good(&y) ? "ok" : "not ok", path, (uintmax_t)y.rows, (uintmax_t)y.bytes, (uintmax_t)y.gaps,
	       (uintmax_t)y.mismatches, (uintmax_t)y.wide, (uintmax_t)y.unsupported);
	return is_good(&y);
}

/* --- measurement */

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int count_row(void *context, uint64_t address, const uint32_t *words)
{
	(void)address;
	(void)words;
	++*(uint64_t *)context;
	return 0;
}

/* Peak memory of a process that builds all chunks and keeps none, KiB. */
static long peak_kib(const struct tables *t, bool builds)
{
	struct rusage usage = {0};
	pid_t child = fork();
	int status;

	if (!child) {
		struct unwind_table *table = builds ? unwind_table__open(t->f) : NULL;
		struct buf blob = {0};
		struct unwind_chunk chunk;

		for (size_t i = 0; table && i < t->count; i++) {
			buf__clear(&blob);
			unwind_table__build(table, t->first + i, &blob, &chunk);
		}
		_exit(0);
	}
	wait4(child, &status, 0, &usage);
	return usage.ru_maxrss;
}

static bool bench(struct tables *t, const char *path)
{
	double best = 1e9, index = 1e9, start;
	struct unwind_table *table;
	uint64_t rows = 0;
	long peak;

	find_chunks(t);
	malloc_trim(0);
	peak = peak_kib(t, true) - peak_kib(t, false);
	for (int i = 0; i < 5; i++) {
		close_tables(t);
		start = now_ms();
		if (build(t))
			return false;
		best = now_ms() - start < best ? now_ms() - start : best;
		start = now_ms();
		table = unwind_table__open(t->f);
		index = now_ms() - start < index ? now_ms() - start : index;
		if (i == 0)
			unwind_table__rows(table, 0, UINT64_MAX, count_row, &rows);
		unwind_table__close(table);
	}
	printf("%s: index %.1f ms, index and all chunks %.1f ms, +%ld KiB peak, %ju rows, %ju bytes, %.2f "
	       "bytes a row\n",
	       path, index, best, peak, (uintmax_t)rows, (uintmax_t)t->blob_bytes,
	       (double)t->blob_bytes / (double)rows);
	close_tables(t);
	return true;
}

int main(int argc, char **argv)
{
	bool measure = argc > 1 && !strcmp(argv[1], "--bench"), good = true;
	struct elf_file f;
	struct tables t;
	GElf_Ehdr header;
	int fd;

	for (int i = 1 + measure; i < argc; i++) {
		fd = open(argv[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0 || elf__open(&f, fd) || !gelf_getehdr(f.elf, &header)) {
			printf("not ok unwind tables of %s: not there\n", argv[i]);
			good = false;
			continue;
		}
		t = header.e_machine == EM_AARCH64 ? (struct tables){.sp = 31, .fp = 29, .rbx = -1}
						   : (struct tables){.sp = 7, .fp = 6, .rbx = 3};
		t.f = &f;
		t.machine = header.e_machine;
		good &= (measure ? bench : oracle)(&t, argv[i]);
		elf__close(&f);
		close(fd);
	}
	return good ? 0 : 1;
}
