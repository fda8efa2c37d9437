/* SPDX-License-Identifier: Apache-2.0 */
#include "object/unwind_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "object/eh_frame.h"

#define CHUNK_BYTES    (1u << UNWIND_CHUNK_SHIFT)
#define BLOB_BYTES_MAX (64u << 10) /* the largest of 1,371 real files' has 17 KB */
#define BUCKET_ROWS    UINT8_MAX
#define RULES_MAX      4096 /* different ones of a chunk that are told apart; real ones have 255 at most */
#define SLOTS	       (2 * RULES_MAX)
#define NO_RULE	       UINT16_MAX

struct rule {
	uint32_t words[UNWIND_WIDE_WORDS];
	uint32_t uses;
	uint16_t number; /* in the blob; NO_RULE: there was no room */
};

struct row {
	uint16_t address, rule; /* from the chunk's begin; index in rules */
};

struct unwind_table {
	struct eh_frame *frames;
	/* The chunk that is being built. */
	uint64_t begin;
	struct row *rows; /* they ascend strictly, so that there are CHUNK_BYTES at most */
	size_t count, room;
	struct rule rules[RULES_MAX];
	size_t rule_count;
	uint16_t slots[SLOTS]; /* rules by hash, open addressing; index + 1 */
	uint16_t order[RULES_MAX];
};

struct unwind_table *unwind_table__open(const struct elf_file *f)
{
	struct unwind_table *t;
	GElf_Ehdr header;

	if (f->class != ELFCLASS64 || !gelf_getehdr(f->elf, &header) ||
	    (header.e_machine != EM_X86_64 && header.e_machine != EM_AARCH64)) {
		errno = ENOEXEC;
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->frames = eh_frame__open(f);
	if (!t->frames) {
		free(t);
		return NULL;
	}
	return t;
}

void unwind_table__close(struct unwind_table *t)
{
	if (!t)
		return;
	eh_frame__close(t->frames);
	free(t->rows);
	free(t);
}

int unwind_table__rows(struct unwind_table *t, uint64_t from, uint64_t to,
		       int (*row)(void *context, uint64_t address, const uint32_t *words), void *context)
{
	return eh_frame__rows(t->frames, from, to, row, context);
}

/* --- the rows of a chunk and its different rules */

static size_t slot_of(const uint32_t *words)
{
	uint64_t h = words[0] * 0x9e3779b97f4a7c15u;

	h = (h ^ words[1]) * 0x9e3779b97f4a7c15u;
	h = (h ^ words[2]) * 0x9e3779b97f4a7c15u;
	return (size_t)(h >> 32) % SLOTS;
}

/* Its index. Beyond RULES_MAX all are the first one, UNWIND_UNSUPPORTED. */
static uint16_t find_rule(struct unwind_table *t, const uint32_t *words)
{
	size_t slot = slot_of(words);
	struct rule *r;

	for (; t->slots[slot]; slot = (slot + 1) % SLOTS) {
		r = &t->rules[t->slots[slot] - 1];
		if (!memcmp(r->words, words, sizeof(r->words)))
			return (uint16_t)(r - t->rules);
	}
	if (t->rule_count == RULES_MAX)
		return 0;
	r = &t->rules[t->rule_count++];
	*r = (struct rule){.words = {words[0], words[1], words[2]}};
	t->slots[slot] = (uint16_t)t->rule_count;
	return (uint16_t)(r - t->rules);
}

static int add_row(void *context, uint64_t address, const uint32_t *words)
{
	struct unwind_table *t = context;
	struct row *grown;
	uint16_t rule;

	if (t->count == t->room) {
		grown = realloc(t->rows, (t->room ? 2 * t->room : 1024) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		t->rows = grown;
		t->room = t->room ? 2 * t->room : 1024;
	}
	rule = find_rule(t, words);
	t->rules[rule].uses++;
	t->rows[t->count++] = (struct row){.address = (uint16_t)(address - t->begin), .rule = rule};
	return 0;
}

/* --- the blob */

static uint32_t words_of(const struct rule *r)
{
	return UNWIND_KIND(r->words[0]) == UNWIND_WIDE ? UNWIND_WIDE_WORDS : 1;
}

static int by_uses(const void *a, const void *b, void *rules)
{
	const struct rule *x = (struct rule *)rules + *(const uint16_t *)a;
	const struct rule *y = (struct rule *)rules + *(const uint16_t *)b;

	if (x->uses != y->uses)
		return x->uses > y->uses ? -1 : 1;
	return x < y ? -1 : x > y;
}

/*
 * Numbers the rules by falling frequency and returns their words. Where the numbers do not suffice the rare
 * rules become the first one, UNWIND_UNSUPPORTED: walks that need them stop there and say why.
 */
static uint32_t number_rules(struct unwind_table *t)
{
	uint32_t total = 0, words = 0, room = UNWIND_RULES_MAX;
	struct rule *r;

	for (size_t i = 0; i < t->rule_count; i++) {
		t->order[i] = (uint16_t)i;
		t->rules[i].number = NO_RULE;
		total += t->rules[i].uses ? words_of(&t->rules[i]) : 0;
	}
	qsort_r(t->order, t->rule_count, sizeof(*t->order), by_uses, t->rules);
	if (total > room)
		room--;
	for (size_t i = 0; i < t->rule_count; i++) {
		r = &t->rules[t->order[i]];
		if (!r->uses || words + words_of(r) > room || (r == t->rules && total > room))
			continue;
		r->number = (uint16_t)words;
		words += words_of(r);
	}
	if (total > room)
		t->rules[0].number = (uint16_t)words++;
	return words;
}

static void put_rules(const struct unwind_table *t, unsigned char *header)
{
	const struct rule *r;

	for (size_t i = 0; i < t->rule_count; i++) {
		r = &t->rules[i];
		for (uint32_t k = 0; r->number != NO_RULE && k < words_of(r); k++)
			memcpy(header - 4 * (r->number + k + 1), &r->words[k], 4);
	}
}

/* Rows that say the same after rules were given up are one. False: a bucket has too many. */
static bool put_rows(struct unwind_table *t, struct unwind_header *h, struct buf *out)
{
	struct unwind_row row;
	uint16_t number;
	uint32_t last = UINT32_MAX;

	for (size_t i = 0; i < t->count; i++) {
		number = t->rules[t->rows[i].rule].number;
		if (number == NO_RULE)
			number = t->rules[0].number;
		if (number == last)
			continue;
		if (h->count[t->rows[i].address >> 8]++ == BUCKET_ROWS)
			return false;
		row = (struct unwind_row){.address = (uint8_t)t->rows[i].address, .rule = (uint8_t)number};
		buf__add(out, &row, sizeof(row));
		last = number;
	}
	return true;
}

static void sum_groups(struct unwind_header *h)
{
	unsigned int rows = 0;

	for (size_t bucket = 0; bucket < sizeof(h->count); bucket++) {
		if (bucket % 16 == 0)
			h->group[bucket / 16] = (uint16_t)rows;
		rows += h->count[bucket];
	}
}

/*
 * More than a blob can say is no code that was ever compiled: a row for each byte of a bucket, or so many
 * that the blob had more than BLOB_BYTES_MAX.
 */
static int put_blob(struct unwind_table *t, struct buf *blob, struct unwind_chunk *out)
{
	unsigned char before[UNWIND_RULES_MAX * 4 + UNWIND_LINE] = {0};
	uint32_t header = unwind__before_header(number_rules(t));
	struct unwind_header h = {0};
	size_t begin = blob->len, rows;
	bool fits;

	put_rules(t, before + header);
	buf__add(blob, before, header);
	buf__add(blob, &h, sizeof(h));
	rows = blob->len;
	fits = put_rows(t, &h, blob) && blob->len - begin <= BLOB_BYTES_MAX;
	if (blob->failed)
		return -ENOMEM;
	if (!fits) {
		blob->len = begin;
		return 0;
	}
	sum_groups(&h);
	memcpy(blob->data + begin + header, &h, sizeof(h));
	*out = (struct unwind_chunk){.kind = UNWIND_CHUNK_TABLE,
				     .header = header,
				     .rows = (uint32_t)((blob->len - rows) / sizeof(struct unwind_row))};
	return 0;
}

int unwind_table__build(struct unwind_table *t, uint64_t chunk, struct buf *blob, struct unwind_chunk *out)
{
	static const uint32_t unsupported[UNWIND_WIDE_WORDS] = {UNWIND_UNSUPPORTED};
	static const uint32_t gap[UNWIND_WIDE_WORDS] = {UNWIND_GAP};
	uint64_t end;
	int err;

	*out = (struct unwind_chunk){.kind = UNWIND_CHUNK_GAP};
	if (chunk >= UINT64_MAX >> UNWIND_CHUNK_SHIFT)
		return 0;
	t->begin = chunk << UNWIND_CHUNK_SHIFT;
	end = t->begin + CHUNK_BYTES;
	if (!eh_frame__describes(t->frames, t->begin, end))
		return 0;
	t->count = 0;
	t->rule_count = 0;
	memset(t->slots, 0, sizeof(t->slots));
	/* Of rules that are equally frequent the first ones keep their numbers: these two, which often cover
	 * much. */
	find_rule(t, unsupported);
	find_rule(t, gap);
	err = eh_frame__rows(t->frames, t->begin, end, add_row, t);
	if (err)
		return err;
	out->kind = UNWIND_CHUNK_FAILED;
	return put_blob(t, blob, out);
}
