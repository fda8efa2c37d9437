// SPDX-License-Identifier: Apache-2.0
/*
 * chain MS [ACT...]: burns MS of CPU time in each ACT (default all), in turns of 1 ms of CPU time. Whatever
 * it does, its stack is
 *
 *     _start (start of libc) main a1 a2 ... a12 leaf do_ACT (functions of libc, of ACT)
 *
 * or, rarely, the beginning of it. No function has a frame pointer. The acts:
 *   compute   nothing but arithmetic           qsort     with qsort_compare, called by libc
 *   memcpy    memcpy and strlen, hand-written   snprintf  of text and numbers
 *   malloc    malloc and free                  syscall   getppid, read of /dev/zero
 *   vdso      clock_gettime                    plt       a short function behind the PLT
 *   variadic  variadic_sum                     align     align_inner, whose stack is realigned for AVX
 *   sized    sized_inner, an array of any size  longjmp   from longjmp_deep, three times longjmp_down below
 *   pointer   pointer_callee, by call *         small     small_callee, all prologue and epilogue
 *   lazy      a short function behind the PLT, bound anew at each call, where it is bound that late
 * Prints: act NAME CPU_NS, for each.
 */
#include "unwind.h"
#include <ctype.h>
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdalign.h>

#define TURN_NS NSEC_PER_MS

static volatile uint64_t sink;
static char text_a[1 << 16], text_b[1 << 16];

TRUTH_FN static uint64_t do_compute(uint64_t end_ns)
{
	uint64_t x = end_ns | 1;

	do
		for (int i = 0; i < 20000; i++)
			x = (x ^ x >> 7) * 0x9e3779b97f4a7c15ULL;
	while (unwind__cpu_ns() < end_ns);
	return x;
}

TRUTH_FN static int qsort_compare(const void *a, const void *b)
{
	unwind__spin(20);
	return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

TRUTH_FN static uint64_t do_qsort(uint64_t end_ns)
{
	static int numbers[512];

	do {
		for (int i = 0; i < 512; i++)
			numbers[i] = (i * 7919) % 1009;
		qsort(numbers, 512, sizeof(*numbers), qsort_compare);
	} while (unwind__cpu_ns() < end_ns);
	return numbers[0];
}

TRUTH_FN static uint64_t do_memcpy(uint64_t end_ns)
{
	uint64_t sum = 0;

	do {
		for (size_t bytes = 1; bytes < sizeof(text_a); bytes = bytes * 3 + 1) {
			memset(text_a, 'a', bytes);
			text_a[bytes] = 0;
			memcpy(text_b, text_a, bytes + 1);
			__asm__ volatile("" : : "r"(text_b) : "memory");
			sum += strlen(text_b);
		}
	} while (unwind__cpu_ns() < end_ns);
	return sum;
}

TRUTH_FN static uint64_t do_snprintf(uint64_t end_ns)
{
	char line[200];

	do
		for (int i = 0; i < 20; i++)
			sink += snprintf(line, sizeof(line), "%s %d %f %lx", "name", i, i / 7.0,
					 (long)end_ns);
	while (unwind__cpu_ns() < end_ns);
	return line[0];
}

TRUTH_FN static uint64_t do_malloc(uint64_t end_ns)
{
	void *kept[64] = {NULL};

	do
		for (unsigned i = 0; i < 640; i++) {
			free(kept[i % 64]);
			kept[i % 64] = malloc(1 + i * 97 % 5000);
			sink += (uintptr_t)kept[i % 64];
		}
	while (unwind__cpu_ns() < end_ns);
	for (int i = 0; i < 64; i++)
		free(kept[i]);
	return sink;
}

TRUTH_FN static uint64_t do_syscall(uint64_t end_ns)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	do
		for (int i = 0; i < 20; i++)
			sink += getppid() + read(zero, text_b, 4096);
	while (unwind__cpu_ns() < end_ns);
	close(zero);
	return sink;
}

TRUTH_FN static uint64_t do_vdso(uint64_t end_ns)
{
	struct timespec t;

	do
		for (int i = 0; i < 500; i++) {
			clock_gettime(CLOCK_MONOTONIC, &t);
			sink += t.tv_nsec;
		}
	while (unwind__cpu_ns() < end_ns);
	return sink;
}

TRUTH_FN static uint64_t do_plt(uint64_t end_ns)
{
	uint64_t sum = 0;

	do
		for (int i = 0; i < 5000; i++)
			sum += (toupper)('a' + i % 26);
	while (unwind__cpu_ns() < end_ns);
	return sum;
}

TRUTH_FN static double variadic_sum(int n, ...)
{
	double sum = 0;
	va_list list;

	va_start(list, n);
	for (int i = 0; i < n; i++)
		sum += i & 1 ? va_arg(list, int) : va_arg(list, double);
	va_end(list);
	unwind__spin(100);
	return sum;
}

TRUTH_FN static uint64_t do_variadic(uint64_t end_ns)
{
	double sum = 0;

	do
		for (int i = 0; i < 50; i++)
			sum += variadic_sum(10, 1.0, i, 2.0, i, 3.0, i, 4.0, i, 5.0, i);
	while (unwind__cpu_ns() < end_ns);
	return sum;
}

/* With arguments on the stack, which makes the compiler keep their address in a register while it realigns.
 */
#ifdef __x86_64__
__attribute__((target("avx"))) TRUTH_FN static uint64_t align_inner(int n, bool avx, int c, int d, int e,
								    int f, int g, int h)
{
	alignas(32) volatile double numbers[16 + 4] = {0};
	double sum = c + d + e + f + g + h;

	/* where there is no AVX, this is the only instruction that would need it */
	if (avx)
		__asm__ volatile("vpxor %%xmm0, %%xmm0, %%xmm0; vmovapd %%ymm0, %0"
				 : "=m"(*(double(*)[4])numbers)
				 :
				 : "xmm0");
	for (int i = 0; i < 100; i++) {
		numbers[i % 16] += n;
		sum += numbers[(i + 5) % 16];
	}
	if ((uintptr_t)numbers & 31)
		abort();
	return sum;
}
#else
TRUTH_FN static uint64_t align_inner(int n, bool avx, int c, int d, int e, int f, int g, int h)
{
	alignas(64) volatile double numbers[16] = {0};

	(void)avx;
	for (int i = 0; i < 100; i++)
		numbers[i % 16] += n + c + d + e + f + g + h;
	return numbers[3];
}
#endif

/* Its own frame is realigned, too, so that whoever lies below it is found by the frame pointer only. */
TRUTH_FN static uint64_t do_align(uint64_t end_ns)
{
	alignas(128) volatile unsigned char area[256];
	uint64_t sum = 0;
	bool avx = false;

#ifdef __x86_64__
	avx = __builtin_cpu_supports("avx");
#endif
	if ((uintptr_t)area & 127)
		abort();
	area[17] = 1;
	do
		for (int i = 0; i < 50; i++)
			sum += align_inner(i, avx, 3, 4, 5, 6, 7, 8);
	while (unwind__cpu_ns() < end_ns);
	return sum + area[17];
}

TRUTH_FN static uint64_t sized_inner(size_t bytes)
{
	volatile char area[bytes];

	area[0] = area[bytes - 1] = 1;
	unwind__spin(50);
	return (uintptr_t)area;
}

TRUTH_FN static uint64_t do_sized(uint64_t end_ns)
{
	do
		for (size_t i = 1; i < 50; i++)
			sink += sized_inner(i * i);
	while (unwind__cpu_ns() < end_ns);
	return sink;
}

TRUTH_FN static void longjmp_deep(jmp_buf *back)
{
	unwind__spin(200);
	longjmp(*back, 1);
}

TRUTH_FN static void longjmp_down(jmp_buf *back, int depth)
{
	UNWIND__FRAME(80);
	if (depth > 1)
		longjmp_down(back, depth - 1);
	else
		longjmp_deep(back);
	sink += frame[0];
}

TRUTH_FN static uint64_t do_longjmp(uint64_t end_ns)
{
	jmp_buf back;

	do
		if (!setjmp(back))
			longjmp_down(&back, 3);
		else
			unwind__spin(200);
	while (unwind__cpu_ns() < end_ns);
	return sink;
}

TRUTH_FN static uint64_t pointer_callee(uint64_t n)
{
	unwind__spin(50);
	return n;
}

/* Calls through memory, through a table with an index, and through a high register. */
TRUTH_FN static uint64_t do_pointer(uint64_t end_ns)
{
	static uint64_t (*volatile callees[3])(uint64_t) = {pointer_callee, pointer_callee, pointer_callee};

	do
		for (unsigned i = 0; i < 50; i++) {
			sink += callees[0](i) + callees[i % 3](i);
#ifdef __x86_64__
			uint64_t ret = i;
			/* the red zone must be left alone */
			__asm__ volatile("add $-128, %%rsp\n\t"
					 ".cfi_adjust_cfa_offset 128\n\t"
					 "call *%1\n\t"
					 "sub $-128, %%rsp\n\t"
					 ".cfi_adjust_cfa_offset -128"
					 : "+D"(ret)
					 : "r"(callees[1])
					 : "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory",
					   "cc");
#endif
		}
	while (unwind__cpu_ns() < end_ns);
	return sink;
}

TRUTH_FN static uint64_t small_callee(uint64_t a, uint64_t b, uint64_t c)
{
	/* all that a callee has to save, saved and restored around nothing */
#ifdef __x86_64__
	__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c) : : "rbx", "rbp", "r12", "r13", "r14", "r15");
#endif
	return a + b + c;
}

TRUTH_FN static uint64_t do_small(uint64_t end_ns)
{
	uint64_t sum = 0;

	do
		for (int i = 0; i < 5000; i++)
			sum += small_callee(i, sum, end_ns);
	while (unwind__cpu_ns() < end_ns);
	return sum;
}

static unsigned seed;
extern Elf64_Dyn _DYNAMIC[] __attribute__((weak, visibility("hidden")));
extern const char __ehdr_start[];

static uintptr_t dynamic(Elf64_Sxword tag)
{
	for (const Elf64_Dyn *d = _DYNAMIC; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == tag)
			return d->d_un.d_val;
	return 0;
}

/* Where the PLT finds rand_r(), which nobody else calls. NULL: it is not bound by being called. */
static uintptr_t *lazy_slot(uintptr_t *unbound)
{
	uintptr_t *got = (uintptr_t *)dynamic(DT_PLTGOT), before[100];
	size_t count = dynamic(DT_PLTRELSZ) / sizeof(Elf64_Rela);

	if (got && (uintptr_t)got < (uintptr_t)__ehdr_start)
		got = (uintptr_t *)(__ehdr_start + (uintptr_t)got);
	if (!got || !got[2] || count > sizeof(before) / sizeof(*before))
		return NULL;
	memcpy(before, got + 3, count * sizeof(*before));
	sink += rand_r(&seed);
	for (size_t i = 0; i < count; i++) {
		*unbound = before[i];
		if (got[3 + i] != before[i])
			return &got[3 + i];
	}
	return NULL;
}

TRUTH_FN static uint64_t do_lazy(uint64_t end_ns)
{
	static uintptr_t unbound, none, *volatile slot;

	if (!slot) {
		slot = lazy_slot(&unbound);
		slot = slot ?: &none;
	}
	do
		for (int i = 0; i < 200; i++) {
			*slot = unbound;
			sink += rand_r(&seed);
		}
	while (unwind__cpu_ns() < end_ns);
	return sink;
}

static const struct act {
	const char *name;
	uint64_t (*run)(uint64_t end_ns);
} acts[] = {
	{"compute", do_compute}, {"qsort", do_qsort},	    {"memcpy", do_memcpy}, {"snprintf", do_snprintf},
	{"malloc", do_malloc},	 {"syscall", do_syscall},   {"vdso", do_vdso},	   {"plt", do_plt},
	{"align", do_align},	 {"variadic", do_variadic}, {"sized", do_sized},   {"longjmp", do_longjmp},
	{"pointer", do_pointer}, {"small", do_small},	    {"lazy", do_lazy},
};
#define ACTS (sizeof(acts) / sizeof(*acts))

TRUTH_FN static uint64_t leaf(unsigned what, uint64_t end_ns)
{
	UNWIND__FRAME(24);
	UNWIND__TRASH();
	return acts[what].run(end_ns) + frame[0];
}

UNWIND__CHAIN(leaf)

static bool is_wanted(char **names, const char *name)
{
	bool any = false;

	for (; *names; names++, any = true)
		if (!strcmp(*names, name))
			return true;
	return !any;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now"), wanted[ACTS];
	uint64_t turns = work__number(argv[1]), spent[ACTS] = {0};

	for (unsigned i = 0; i < ACTS; i++)
		wanted[i] = is_wanted(argv + 2, acts[i].name);
	work__ready(now);
	uint64_t last = unwind__cpu_ns(), due = last;
	for (uint64_t turn = 0; turn < turns; turn++)
		for (unsigned i = 0; i < ACTS; i++) {
			if (!wanted[i])
				continue;
			due += TURN_NS;
			sink += a1(i, due);
			uint64_t t = unwind__cpu_ns();
			spent[i] += t - last;
			last = t;
		}
	for (unsigned i = 0; i < ACTS; i++)
		if (wanted[i])
			printf("act %s %llu\n", acts[i].name, (unsigned long long)spent[i]);
	return 0;
}
