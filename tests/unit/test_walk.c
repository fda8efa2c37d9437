// SPDX-License-Identifier: Apache-2.0
/*
 * The step from a frame to its caller, over stacks and tables made by hand. One chunk of code, in which every
 * 256 bytes are a function with one rule; the stack is an array of words.
 */
#include "fixture.h"

#include "sonde/unwind.h"

#define CODE	0x7f0000400000ULL
#define STACK	0x7ffe00001000ULL
#define WORDS	4096
#define FUNC(n) (CODE + (n)*256ULL)

struct world {
	unsigned char shard[UNWIND_SHARD_BYTES + UNWIND_SHARD_SLACK];
	struct unwind_segment segments[4];
	uint32_t chunk, rules; /* words used */
	uint64_t stack[WORDS];
	uint64_t called[8]; /* return addresses that stand behind a call */
};

#define UNWIND_READER struct world *
#define opaque(x)     ((void)(x))

static int unwind__read(UNWIND_READER r, void *to, uint32_t bytes, uint64_t from)
{
	uint64_t call = 0xe8ULL << 24;

	if (from >= STACK && from + bytes <= STACK + sizeof(r->stack)) {
		memcpy(to, (char *)r->stack + (from - STACK), bytes);
		return 0;
	}
	if (from - CODE >= 65536 || bytes != 8)
		return -1;
	memset(to, 0x90, bytes);
	for (size_t i = 0; i < 8; i++)
		if (r->called[i] && r->called[i] == from + 8)
			memcpy(to, &call, bytes);
	return 0;
}

static int unwind__segment(UNWIND_READER r, uint32_t index, struct unwind_segment *segment)
{
	*segment = r->segments[index];
	return 0;
}

static uint32_t unwind__chunk(UNWIND_READER r, uint32_t index)
{
	return index == 7 ? r->chunk : UNWIND_CHUNK_UNBUILT;
}

static const uint8_t *unwind__shard(UNWIND_READER r, uint32_t index)
{
	return index ? NULL : r->shard;
}

#include "sonde/walk.h"

#define HEADER 4128u /* in the middle of a line, room for rules before it */

static void put_rule(struct world *w, unsigned function, const uint32_t *words, unsigned count)
{
	struct unwind_row *rows = (struct unwind_row *)(w->shard + HEADER + sizeof(struct unwind_header));

	for (unsigned i = 0; i < count; i++)
		memcpy(w->shard + HEADER - 4 * (w->rules + i + 1), &words[i], 4);
	rows[function].rule = (uint8_t)w->rules;
	w->rules += count;
}

static void rule_rbx(struct world *w, unsigned function, uint32_t kind, int cfa, int fp, enum unwind_rbx rbx)
{
	uint32_t word = unwind_rule__make(kind, rbx, cfa / 8, fp / 8);

	put_rule(w, function, &word, 1);
}

static void rule(struct world *w, unsigned function, uint32_t kind, int cfa, int fp)
{
	rule_rbx(w, function, kind, cfa, fp, UNWIND_RBX_SAME);
}

static void wide(struct world *w, unsigned function, unsigned base, unsigned flags, int offset, int add,
		 int fp)
{
	const uint32_t words[UNWIND_WIDE_WORDS] = {
		unwind_rule__make(UNWIND_WIDE, UNWIND_RA_CALL, (int)(base | flags << 10), fp / 8),
		(uint32_t)offset, (uint32_t)add & 0xffff};

	put_rule(w, function, words, UNWIND_WIDE_WORDS);
}

/* Function 255 is the outermost one; functions without a rule are gaps. */
static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct unwind_header *h = (struct unwind_header *)(w->shard + HEADER);

	for (unsigned i = 0; i < 256; i++)
		h->count[i] = 1;
	for (unsigned i = 0; i < 16; i++)
		h->group[i] = (uint16_t)(16 * i);
	w->chunk = unwind_chunk__make(UNWIND_CHUNK_TABLE, 0, HEADER);
	w->segments[0] = (struct unwind_segment){.begin = CODE, .pages = 16, .chunk = 7};
	w->segments[1] =
		(struct unwind_segment){.begin = (CODE + 0x100000) | UNWIND_SEGMENT_GAP << 4, .pages = 16};
	w->segments[2] = (struct unwind_segment){.begin = (CODE + 0x200000) | UNWIND_SEGMENT_UNKNOWN << 4,
						 .pages = 16};
	w->segments[3] = (struct unwind_segment){.begin = CODE + 0x300000, .pages = 16, .chunk = 9};
	rule(w, 0, UNWIND_GAP, 0, 0); /* rule 0: of functions that get none */
	rule(w, 255, UNWIND_STOP, 0, 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

struct walk {
	uint64_t frames[STACK_DEPTH_MAX];
	size_t count;
	struct unwind_walk w;
};

/* From function n, 16 bytes in, with the stack pointer at the stack's word `sp`. */
static struct walk *go_from(struct world *world, uint64_t ip, unsigned sp, uint64_t fp, uint32_t flags)
{
	static struct unwind_process process = {.first = 0, .count = 4};
	struct walk *walk = calloc(1, sizeof(*walk));

	walk->w.start.ip = ip;
	walk->w.start.sp = STACK + 8 * sp;
	walk->w.start.fp = fp;
	walk->w.start.flags = flags;
	walk->w.start.other[10] = STACK + 8 * 20;
	walk->w.start.other[UNWIND_DWARF_RBX] = STACK + 8 * 30;
	walk->w.start.trampoline = 0x7fffffffe000;
	walk->w.start.returns[2].at = STACK + 8 * 3;
	walk->w.start.returns[2].address = FUNC(2) + 5;
	walk->w.start.returns[3].at = STACK + 8 * 3; /* an older call, and what an earlier walk has left */
	walk->w.start.returns[3].address = FUNC(9) + 5;
	walk->w.start.return_count = 4;
	walk->w.start.returns[4].at = STACK + 8 * 7;
	walk->w.start.returns[4].address = FUNC(9) + 5;
	unwind__begin(&walk->w, &process);
	while (walk->count < STACK_DEPTH_MAX) {
		walk->frames[walk->count++] = walk->w.ip;
		if (unwind__step(world, &walk->w))
			break;
	}
	return walk;
}

static void expect(struct walk *walk, enum stack_end end, size_t count, ...)
{
	va_list args;

	va_start(args, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(walk->frames[i], va_arg(args, uint64_t));
	va_end(args);
	assert_int_equal(walk->w.end, end);
	assert_int_equal(walk->count, count);
	free(walk);
}

static void chain_by_stack_pointer(void **state)
{
	struct world *w = *state;

	rule(w, 1, UNWIND_SP, 32, 0);
	rule(w, 2, UNWIND_SP, 8, 0);
	w->stack[3] = FUNC(2) + 5;
	w->stack[4] = FUNC(255) + 9;
	expect(go_from(w, FUNC(1) + 16, 0, 0, UNWIND_EXACT), STACK_COMPLETE, 3, FUNC(1) + 16, FUNC(2) + 5,
	       FUNC(255) + 9);
}

/* The address behind a call that is the last instruction of its function belongs to that function. */
static void return_address_of_the_next_function(void **state)
{
	struct world *w = *state;

	rule(w, 1, UNWIND_SP, 8, 0);
	rule(w, 2, UNWIND_SP, 16, 0);
	w->stack[0] = FUNC(3);
	w->stack[2] = FUNC(255) + 1;
	expect(go_from(w, FUNC(1), 0, 0, UNWIND_EXACT), STACK_COMPLETE, 3, FUNC(1), FUNC(3), FUNC(255) + 1);
}

static void frame_pointer_is_restored(void **state)
{
	struct world *w = *state;

	rule(w, 1, UNWIND_SP, 24, -16); /* saves it */
	rule(w, 2, UNWIND_FRAME, 16, -16);
	w->stack[1] = STACK + 8 * 10;
	w->stack[2] = FUNC(2) + 8;
	w->stack[11] = FUNC(255) + 3;
	expect(go_from(w, FUNC(1) + 4, 0, 1, UNWIND_EXACT), STACK_COMPLETE, 3, FUNC(1) + 4, FUNC(2) + 8,
	       FUNC(255) + 3);
}

static void lazy_binding(void **state)
{
	struct world *w = *state;

	rule(w, 1, UNWIND_PLT11, 0, 0);
	w->stack[0] = FUNC(255) + 1;
	w->stack[1] = FUNC(255) + 2;
	expect(go_from(w, FUNC(1) + 6, 0, 0, UNWIND_EXACT), STACK_COMPLETE, 2, FUNC(1) + 6, FUNC(255) + 1);
	expect(go_from(w, FUNC(1) + 11, 0, 0, UNWIND_EXACT), STACK_COMPLETE, 2, FUNC(1) + 11, FUNC(255) + 2);
}

static void realigned_stack(void **state)
{
	struct world *w = *state;

	wide(w, 1, UNWIND_DWARF_FP, UNWIND_WIDE_DEREF, -8, 0, -16);
	w->stack[9] = STACK + 8 * 20; /* where the CFA was kept */
	w->stack[19] = FUNC(255) + 7;
	expect(go_from(w, FUNC(1) + 4, 0, STACK + 8 * 10, UNWIND_EXACT), STACK_COMPLETE, 2, FUNC(1) + 4,
	       FUNC(255) + 7);
}

static void other_registers_are_known_innermost_only(void **state)
{
	struct world *w = *state;

	wide(w, 1, 10, 0, 0, 0, 0);
	w->stack[19] = FUNC(255) + 7;
	expect(go_from(w, FUNC(1) + 4, 0, 0, UNWIND_EXACT | UNWIND_HAS_OTHERS), STACK_COMPLETE, 2,
	       FUNC(1) + 4, FUNC(255) + 7);
	expect(go_from(w, FUNC(1) + 4, 0, 0, 0), STACK_UNSUPPORTED, 1, FUNC(1) + 4);
}

/* The dynamic linker's function 4 finds its caller by rbx, which functions above it save, or leave alone. */
static void rbx_is_followed(void **state)
{
	struct world *w = *state;
	const uint64_t ip = FUNC(1) + 4;

	wide(w, 4, UNWIND_DWARF_RBX, 0, 16, 0, 0);
	w->stack[31] = w->stack[41] = FUNC(255) + 7;
	w->stack[0] = FUNC(2) + 5;
	w->stack[3] = FUNC(4) + 5;
	rule(w, 1, UNWIND_SP, 8, 0);
	rule(w, 2, UNWIND_SP, 24, 0);
	expect(go_from(w, ip, 0, 0, 0), STACK_COMPLETE, 4, ip, FUNC(2) + 5, FUNC(4) + 5, FUNC(255) + 7);
	w->stack[2] = w->stack[1] = STACK + 8 * 40; /* the first that saves it */
	rule_rbx(w, 2, UNWIND_SP, 24, 0, UNWIND_RBX_BELOW_FP);
	expect(go_from(w, ip, 0, 0, 0), STACK_COMPLETE, 4, ip, FUNC(2) + 5, FUNC(4) + 5, FUNC(255) + 7);
	w->stack[2] = 1;
	rule_rbx(w, 2, UNWIND_SP, 24, -16, UNWIND_RBX_BELOW_FP);
	expect(go_from(w, ip, 0, 0, 0), STACK_COMPLETE, 4, ip, FUNC(2) + 5, FUNC(4) + 5, FUNC(255) + 7);
	rule_rbx(w, 1, UNWIND_SP, 8, 0, UNWIND_RBX_LOST);
	expect(go_from(w, ip, 0, 0, 0), STACK_COMPLETE, 4, ip, FUNC(2) + 5, FUNC(4) + 5, FUNC(255) + 7);
	rule(w, 2, UNWIND_SP, 24, 0);
	expect(go_from(w, ip, 0, 0, 0), STACK_UNSUPPORTED, 3, ip, FUNC(2) + 5, FUNC(4) + 5);
}

/* A signal's frame has all registers, whatever its handler has done. */
static void rbx_behind_a_signal(void **state)
{
	struct world *w = *state;
	unsigned saved = 1 + UNWIND_SIGNAL_OFFSET / 8;

	rule_rbx(w, 1, UNWIND_SP, 8, 0, UNWIND_RBX_LOST);
	rule(w, 2, UNWIND_SIGNAL, 0, 0);
	wide(w, 4, UNWIND_DWARF_RBX, 0, 16, 0, 0);
	w->stack[0] = FUNC(2) + 1;
	w->stack[saved + UNWIND_SIGNAL_SP] = STACK + 8 * 100;
	w->stack[saved + UNWIND_SIGNAL_IP] = FUNC(4) + 4;
	w->stack[saved + UNWIND_SIGNAL_RBX] = STACK + 8 * 110;
	w->stack[111] = FUNC(255) + 7;
	expect(go_from(w, FUNC(1) + 4, 0, 0, UNWIND_EXACT), STACK_COMPLETE, 4, FUNC(1) + 4, FUNC(2) + 1,
	       FUNC(4) + 4, FUNC(255) + 7);
}

static void signal_frame(void **state)
{
	struct world *w = *state;
	unsigned saved = 1 + UNWIND_SIGNAL_OFFSET / 8;

	rule(w, 1, UNWIND_SP, 8, 0); /* the handler */
	rule(w, 2, UNWIND_SIGNAL, 0, 0);
	rule(w, 3, UNWIND_SP, 16, 0); /* was interrupted at its first instruction */
	w->stack[0] = FUNC(2) + 1;
	w->stack[saved + UNWIND_SIGNAL_SP] = STACK + 8 * 100;
	w->stack[saved + UNWIND_SIGNAL_IP] = FUNC(3);
	w->stack[101] = FUNC(255) + 7;
	expect(go_from(w, FUNC(1) + 4, 0, 0, UNWIND_EXACT), STACK_COMPLETE, 4, FUNC(1) + 4, FUNC(2) + 1,
	       FUNC(3), FUNC(255) + 7);
}

static void gap_by_frame_pointer(void **state)
{
	struct world *w = *state;

	w->stack[10] = STACK + 8 * 20;
	w->stack[11] = w->called[0] = FUNC(9) + 5;
	w->stack[20] = 0;
	w->stack[21] = w->called[1] = FUNC(255) + 5;
	expect(go_from(w, FUNC(8) + 4, 0, STACK + 8 * 10, UNWIND_EXACT), STACK_COMPLETE, 3, FUNC(8) + 4,
	       FUNC(9) + 5, FUNC(255) + 5);
	w->called[1] = 0; /* the outermost function returns to where nobody called from: Go's */
	expect(go_from(w, FUNC(8) + 4, 0, STACK + 8 * 10, UNWIND_EXACT), STACK_COMPLETE, 3, FUNC(8) + 4,
	       FUNC(9) + 5, FUNC(255) + 5);
	w->stack[20] = STACK + 8 * 30; /* no call stands there: the frame pointer was something else */
	expect(go_from(w, FUNC(8) + 4, 0, STACK + 8 * 10, UNWIND_EXACT), STACK_NO_FRAME_PTR, 2, FUNC(8) + 4,
	       FUNC(9) + 5);
	expect(go_from(w, FUNC(8) + 4, 0, 12345, UNWIND_EXACT), STACK_NO_FRAME_PTR, 1, FUNC(8) + 4);
}

/* At the entry of a function, and behind its push: the frame pointer is still the caller's. */
static void gap_at_the_entry(void **state)
{
	struct world *w = *state;

	w->called[0] = FUNC(255) + 5;
	w->stack[2] = FUNC(255) + 5;
	w->stack[1] = STACK + 8 * 10;
	expect(go_from(w, FUNC(8), 2, STACK + 8 * 10, UNWIND_EXACT), STACK_COMPLETE, 2, FUNC(8),
	       FUNC(255) + 5);
	expect(go_from(w, FUNC(8) + 1, 1, STACK + 8 * 10, UNWIND_EXACT), STACK_COMPLETE, 2, FUNC(8) + 1,
	       FUNC(255) + 5);
}

static void uretprobe(void **state)
{
	struct world *w = *state;

	rule(w, 1, UNWIND_SP, 32, 0);
	rule(w, 2, UNWIND_SP, 8, 0);
	w->stack[3] = 0x7fffffffe000;
	w->stack[4] = FUNC(255) + 9;
	expect(go_from(w, FUNC(1) + 16, 0, 0, UNWIND_EXACT), STACK_COMPLETE, 3, FUNC(1) + 16, FUNC(2) + 5,
	       FUNC(255) + 9);
}

static void uretprobe_of_nobody(void **state)
{
	struct world *w = *state;

	rule(w, 1, UNWIND_SP, 64, 0);
	w->stack[7] = 0x7fffffffe000;
	expect(go_from(w, FUNC(1) + 16, 0, 0, UNWIND_EXACT), STACK_NO_MAPPING, 2, FUNC(1) + 16,
	       0x7fffffffe000ULL);
}

static void what_is_not_there_is_named(void **state)
{
	struct world *w = *state;
	struct walk *walk;

	rule(w, 1, UNWIND_SP, 8, 0);
	w->stack[0] = CODE + 0x200010;
	walk = go_from(w, FUNC(1), 0, 0, UNWIND_EXACT);
	assert_int_equal(walk->w.missing, CODE + 0x20000f);
	expect(walk, STACK_NO_TABLE, 2, FUNC(1), CODE + 0x200010);
	w->stack[0] = CODE + 0x300010; /* a chunk that is not built */
	expect(go_from(w, FUNC(1), 0, 0, UNWIND_EXACT), STACK_NO_TABLE, 2, FUNC(1), CODE + 0x300010);
	w->stack[0] = CODE + 0x900010;
	expect(go_from(w, FUNC(1), 0, 0, UNWIND_EXACT), STACK_NO_MAPPING, 2, FUNC(1), CODE + 0x900010);
	expect(go_from(w, FUNC(1), WORDS, 0, UNWIND_EXACT), STACK_FAULT, 1, FUNC(1));
}

static void recursion_ends_at_the_limit(void **state)
{
	struct world *w = *state;
	struct walk *walk;

	rule(w, 1, UNWIND_SP, 16, 0);
	for (size_t i = 0; i < WORDS; i++)
		w->stack[i] = FUNC(1) + 7;
	walk = go_from(w, FUNC(1) + 7, 0, 0, UNWIND_EXACT);
	assert_int_equal(walk->count, STACK_DEPTH_MAX);
	assert_int_equal(walk->w.end, STACK_DEPTH_LIMIT);
	free(walk);
}

/* A caller's address of 0 ends coroutines; or it was read where no caller's address is. */
static void nobody_or_nothing(void **state)
{
	struct world *w = *state;
	struct walk *walk;

	rule(w, 1, UNWIND_SP, 8, 0);
	w->stack[0] = 0;
	walk = go_from(w, FUNC(1), 0, 0, UNWIND_EXACT);
	assert_false(unwind__has_stopped(&walk->w));
	expect(walk, STACK_COMPLETE, 1, FUNC(1));
	w->stack[0] = FUNC(255) + 1;
	walk = go_from(w, FUNC(1), 0, 0, UNWIND_EXACT);
	assert_true(unwind__has_stopped(&walk->w));
	expect(walk, STACK_COMPLETE, 2, FUNC(1), FUNC(255) + 1);
}

/* A rule that leads nowhere must not be followed for ever. */
static void frames_go_up(void **state)
{
	struct world *w = *state;

	rule(w, 1, UNWIND_SP, 0, 0);
	rule(w, 2, UNWIND_SP, -64, 0);
	w->stack[9] = FUNC(1) + 7;
	expect(go_from(w, FUNC(1) + 7, 10, 0, 0), STACK_NO_FRAME_PTR, 1, FUNC(1) + 7);
	expect(go_from(w, FUNC(2) + 7, 10, 0, UNWIND_EXACT), STACK_NO_FRAME_PTR, 1, FUNC(2) + 7);
}

static void sums(void **state)
{
	uint8_t counts[16];
	uint32_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		counts[i] = (uint8_t)(255 - i * 13);
	for (unsigned n = 0; n < 16; n++) {
		assert_int_equal(unwind__sum(counts, n), sum);
		sum += counts[n];
	}
}

static void calls(void **state)
{
	static const struct {
		unsigned char code[8];
		bool is_call;
	} cases[] = {
		{{0, 0, 0, 0xe8, 1, 2, 3, 4}, true},			   /* call rel32 */
		{{0, 0, 0, 0, 0, 0, 0xff, 0xd0}, true},			   /* call *%rax */
		{{0, 0, 0, 0, 0, 0x41, 0xff, 0xd4}, true},		   /* call *%r12 */
		{{0, 0, 0, 0, 0, 0xff, 0x50, 0x18}, true},		   /* call *24(%rax) */
		{{0, 0, 0, 0, 0xff, 0x54, 0x24, 8}, true},		   /* call *8(%rsp) */
		{{0, 0, 0xff, 0x15, 1, 2, 3, 4}, true},			   /* call *name(%rip) */
		{{0, 0xff, 0x94, 0x24, 1, 2, 3, 4}, true},		   /* call *disp32(%rsp) */
		{{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0}, false}, /* jmp *%rax */
		{{0x90, 0x90, 0x90, 0xe9, 1, 2, 3, 4}, false},		   /* jmp rel32 */
		{{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xc3}, false},
	};
	uint64_t code;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(&code, cases[i].code, 8);
		assert_int_equal(!!unwind__ends_with_call(code), cases[i].is_call);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(chain_by_stack_pointer),
		TEST(return_address_of_the_next_function),
		TEST(frame_pointer_is_restored),
		TEST(lazy_binding),
		TEST(realigned_stack),
		TEST(other_registers_are_known_innermost_only),
		TEST(rbx_is_followed),
		TEST(rbx_behind_a_signal),
		TEST(signal_frame),
		TEST(gap_by_frame_pointer),
		TEST(gap_at_the_entry),
		TEST(uretprobe),
		TEST(uretprobe_of_nobody),
		TEST(what_is_not_there_is_named),
		TEST(nobody_or_nothing),
		TEST(recursion_ends_at_the_limit),
		TEST(frames_go_up),
		TEST(sums),
		TEST(calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
