// SPDX-License-Identifier: Apache-2.0
/*
 * hostile SECONDS [COMM_HEX]: sets its comm to the bytes given in hex (at most 15; by default an escape
 * sequence, a quote, a newline, a semicolon, a less-than sign and a byte that is not UTF-8) and burns SECONDS
 * of CPU time in a function whose symbol is evil;name"<script>ESC[31m\377 (ESC and \377 are single bytes):
 * quote, separator, markup, escape sequence, invalid UTF-8.
 */
#include "workload.h"
#include <sys/prctl.h>

void evil(uint64_t end_ns) __asm__("\"evil;name\\\"<script>\033[31m\377\"");

WORK_FN void evil(uint64_t end_ns)
{
	work__burn_until(CLOCK_THREAD_CPUTIME_ID, end_ns);
}

/* The assembler accepts such a name in data, not as the operand of a call. */
static void (*const volatile call_evil)(uint64_t) = evil;

static int nibble(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? at - digits : -1;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	const char *hex = argc > 2 ? argv[2] : "1b5d303b68690722270a3b3cff";
	uint64_t seconds = work__number(argv[1]);
	char comm[16] = {0};

	for (int i = 0; i < 15 && *hex; i++, hex += 2) {
		int high = nibble(hex[0]), low = nibble(hex[1]);
		if (high < 0 || low < 0)
			return 2;
		comm[i] = high << 4 | low;
	}
	prctl(PR_SET_NAME, comm);
	work__ready(now);
	call_evil(work__clock_ns(CLOCK_THREAD_CPUTIME_ID) + seconds * NSEC_PER_SEC);
	return 0;
}
