// SPDX-License-Identifier: Apache-2.0
/* The schema is one file for people, tests and the binary: the assembler takes it in as it is. */
#include "sink/json.h"

extern const char sonde_schema[] __attribute__((visibility("hidden")));
extern const uint64_t sonde_schema_bytes __attribute__((visibility("hidden")));

__asm__(".pushsection .rodata\n"
	".global sonde_schema, sonde_schema_bytes\n"
	".hidden sonde_schema, sonde_schema_bytes\n"
	"sonde_schema:\n"
	".incbin \"user/sink/schema.json\"\n"
	"0:\n"
	".balign 8\n"
	"sonde_schema_bytes:\n"
	".quad 0b - sonde_schema\n"
	".popsection\n");

const char *json_sink__schema(size_t *len)
{
	*len = sonde_schema_bytes;
	return sonde_schema;
}
