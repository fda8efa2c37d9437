// SPDX-License-Identifier: Apache-2.0
/*
 * jit MS: code in anonymous memory, made here, with frame pointers, as compilers at run time make it:
 *   _start (libc) main jit_caller (three functions of no file) jit_burn
 * burns MS of CPU time; the innermost of the three spends some of it itself. What lies below and above of
 * them has no frame pointers; on arm64 their caller has: what is found by a frame pointer there tells where
 * its record is, and not where its frame ends.
 */
#include "unwind.h"
#include <sys/mman.h>

static uint64_t end_ns;

TRUTH_FN static uint64_t jit_burn(void)
{
	UNWIND__FRAME(40);
	UNWIND__TRASH();
	unwind__spin(20000);
	return frame[0];
}

#if defined(__x86_64__)
static unsigned char *put(unsigned char *at, const void *code, size_t bytes)
{
	memcpy(at, code, bytes);
	return at + bytes;
}

/* push %rbp; mov %rsp,%rbp; sub $bytes,%rsp; (a loop;) call; leave; ret */
static unsigned char *make(unsigned char *at, unsigned char bytes, const unsigned char *callee)
{
	static const unsigned char head[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec};
	static const unsigned char loop[] = {0xb9, 0x00, 0x10, 0x00, 0x00, 0xff, 0xc9, 0x75, 0xfc};
	static const unsigned char tail[] = {0xc9, 0xc3};
	uint64_t burn = (uintptr_t)jit_burn;
	int32_t distance;

	at = put(put(at, head, sizeof(head)), &bytes, 1);
	if (callee) {
		distance = (int32_t)(callee - (at + 5));
		at = put(put(at, "\xe8", 1), &distance, 4);
	} else {
		at = put(at, loop, sizeof(loop));
		at = put(put(put(at, "\x48\xb8", 2), &burn, 8), "\xff\xd0", 2);
	}
	return put(at, tail, sizeof(tail));
}

static void *make_all(unsigned char *area)
{
	unsigned char *inner = area + 64, *middle = make(inner, 0x40, NULL),
		      *outer = make(middle, 0x10, inner);

	make(outer, 0x70, middle);
	return outer;
}
#elif defined(__aarch64__)
/* stp x29,x30,[sp,-64]!; mov x29,sp; blr or bl; ldp x29,x30,[sp],64; ret */
static uint32_t *make(uint32_t *at, const uint32_t *callee)
{
	uint64_t burn = (uintptr_t)jit_burn;

	*at++ = 0xa9bc7bfd;
	*at++ = 0x910003fd;
	for (int i = 0; !callee && i < 4; i++) /* movz, movk x9 */
		*at++ = (i ? 0xf2800009 : 0xd2800009) | (uint32_t)i << 21 |
			(uint32_t)(burn >> 16 * i & 0xffff) << 5;
	*at = callee ? 0x94000000 | ((uint32_t)(callee - at) & 0x3ffffff) : 0xd63f0120;
	at++;
	*at++ = 0xa8c47bfd;
	*at++ = 0xd65f03c0;
	return at;
}

static void *make_all(unsigned char *area)
{
	uint32_t *inner = (uint32_t *)area, *middle = make(inner, NULL), *outer = make(middle, inner);

	make(outer, middle);
	__builtin___clear_cache((char *)area, (char *)area + 4096);
	return outer;
}
#endif

#ifdef __aarch64__
__attribute__((optimize("no-omit-frame-pointer")))
#endif
TRUTH_FN static uint64_t
jit_caller(uint64_t (*code)(void))
{
	UNWIND__FRAME(104);
	UNWIND__TRASH();
	return code() + frame[0];
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	uint64_t ms = work__number(argv[1]), sum = 0, (*code)(void);
	unsigned char *area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		work__fail("mmap");
	code = (uint64_t(*)(void))make_all(area);
	if (mprotect(area, 4096, PROT_READ | PROT_EXEC))
		work__fail("mprotect");
	work__ready(now);
	end_ns = unwind__cpu_ns() + ms * NSEC_PER_MS;
	while (unwind__cpu_ns() < end_ns)
		for (int i = 0; i < 100; i++)
			sum += jit_caller(code);
	return sum == 1;
}
