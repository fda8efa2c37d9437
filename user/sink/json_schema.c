// SPDX-License-Identifier: Apache-2.0
/* The schema is one file for people, tests and the binary: the assembler takes it in as it is. */
#include "sink/json.h"

extern const char sonde_schema_begin[] __attribute__((visibility("hidden")));
extern const char sonde_schema_end[] __attribute__((visibility("hidden")));

__asm__(".pushsection .rodata\n"
	".global sonde_schema_begin\n"
	".hidden sonde_schema_begin\n"
	"sonde_schema_begin:\n"
	".incbin \"user/sink/schema.json\"\n"
	".global sonde_schema_end\n"
	".hidden sonde_schema_end\n"
	"sonde_schema_end:\n"
	".byte 0\n"
	".popsection\n");

const char *json_sink__schema(size_t *len)
{
	*len = (size_t)(sonde_schema_end - sonde_schema_begin);
	return sonde_schema_begin;
}
