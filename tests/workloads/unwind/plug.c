// SPDX-License-Identifier: Apache-2.0
/*
 * Two shared objects, plug-a.so and plug-b.so, for reload: plug_entry calls plug_X_1, that plug_X_2, that
 * plug_X_3, and that whatever it was given. Both are as large, but no function of the one begins where one of
 * the other does, and their frames have other sizes.
 */
#include "unwind.h"

#define JOIN_(a, b, c) a##b##c
#define JOIN(a, b, c)  JOIN_(a, b, c)
#define PLUG(n)	       JOIN(plug_, PLUG_LETTER, _##n)

uint64_t plug_entry(uint64_t (*burn)(uint64_t), uint64_t ns);

#if PLUG_SHIFT
TRUTH_FN static uint64_t filler(uint64_t x)
{
	__asm__ volatile(".fill 36, 1, 0x90");
	return x + 1;
}
#endif

#define PLUG_FN(name, next, bytes, call)                                            \
	TRUTH_FN static uint64_t PLUG(name)(uint64_t(*burn)(uint64_t), uint64_t ns) \
	{                                                                           \
		UNWIND__FRAME(bytes);                                               \
		UNWIND__TRASH();                                                    \
		return next call + frame[0];                                        \
	}
PLUG_FN(3, burn, 40 + 800 * PLUG_SHIFT, (ns))
PLUG_FN(2, PLUG(3), 200 - 64 * PLUG_SHIFT, (burn, ns))
PLUG_FN(1, PLUG(2), 1000 - 960 * PLUG_SHIFT, (burn, ns))

TRUTH_FN uint64_t plug_entry(uint64_t (*burn)(uint64_t), uint64_t ns)
{
	UNWIND__FRAME(72);
	return PLUG(1)(burn, ns) + frame[0];
}
