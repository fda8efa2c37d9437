/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said between sonde and its helper: fixed-size structs and bytes. Both sides come from one binary,
 * so that layouts agree; what they hold is believed by neither. Everything here is a pure function.
 */
#ifndef SONDE_HELPER_PROTOCOL_H
#define SONDE_HELPER_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/table.h"
#include "helper/helper.h"
#include "object/debugfile.h"

enum message_type {
	MESSAGE_READY = 1, /* helper: its walls stand; i32: 0 or -errno */
	MESSAGE_RESOLVE,   /* struct names_question, addresses, path; the file, /proc/modules */
	MESSAGE_COVERAGE,  /* the same without addresses */
	MESSAGE_TABLE,	   /* struct table_wish; the file */
	MESSAGE_FUNCTION,  /* as MESSAGE_COVERAGE; the path is a function's name */
	MESSAGE_FILE,	   /* answers MESSAGE_WANT: i32, 0 or -errno; the file */
	MESSAGE_WANT,	   /* helper: struct debug_wanted */
	MESSAGE_NAMES,	   /* helper: struct names_answer and what follows it */
	MESSAGE_COVERED,   /* helper: struct coverage_answer */
	MESSAGE_FOUND,	   /* helper: struct function_answer */
	MESSAGE_BUILT,	   /* helper: struct built, a blob */
};

#define NAMES_MAX 16384 /* addresses of one question */

/* --- questions */

struct names_question {
	uint32_t source, count;
	uint8_t lines, has_path, has_debug_files;
	uint8_t reserved[5];
};

/* Appends the question of request->addresses[from, from + count). */
void protocol__put_question(struct buf *b, const struct symbol_request *r, size_t from, size_t count);
/* The request points into the bytes. False: not a sound question. */
bool protocol__get_question(const char *bytes, size_t len, struct symbol_request *r, bool *has_debug_files);

struct table_wish {
	uint64_t ticket, offset;
	struct file_key key;
	uint64_t whole; /* or the chunk at the offset alone */
};

/* --- names */

/* Followed by `count` struct named, `inlined` struct named_inlined, and `strings` strings, each with its NUL.
 */
struct names_answer {
	int32_t err;
	uint32_t count, inlined, strings;
};

/* Strings are meant by their number, from 1; 0: NULL. */
struct named {
	uint64_t offset, address;
	uint32_t name, module, file, line;
	uint32_t inlined, inlined_count; /* the first one */
	uint8_t start, scheduler;
	uint8_t reserved[2];
	uint32_t build_id;
};
struct named_inlined {
	uint32_t name, call_file, call_line, reserved;
};

/* Appends the answer. 0, -ENOMEM or -E2BIG (it does not fit a message): then it is to be cleared. */
int protocol__put_names(struct buf *b, int err, const struct symbol *symbols, size_t count);
/*
 * Fills symbols[count]; their strings go to `strings`, their inlined functions to an array (*inlined, for the
 * caller to free when no symbol is needed any more; NULL: there are none). The file's error, or -EPROTO or
 * -ENOMEM: then nothing was filled.
 */
int protocol__get_names(const char *bytes, size_t len, struct strings *strings, struct symbol *symbols,
			size_t count, struct inlined **inlined);

/* --- coverage */

struct coverage_answer {
	int32_t err, reserved;
	struct symbol_coverage coverage;
};
/* The file's error, or -EPROTO. */
int protocol__get_coverage(const char *bytes, size_t len, struct symbol_coverage *c);

/* --- functions */

struct function_answer {
	int32_t err, reserved;
	struct function_place place;
};
/* The file's error, or -EPROTO. */
int protocol__get_function(const char *bytes, size_t len, struct function_place *place);

/* --- tables: the blob follows */

struct built {
	uint64_t ticket, chunk;
	int32_t error;
	uint32_t last, kind, header, rows, load_count;
	struct table_load loads[TABLE_LOADS_MAX];
	char build_id[2 * BUILD_ID_MAX + 1];
	uint8_t reserved[7];
};

void protocol__put_built(struct buf *b, const struct table_answer *a);
/* The answer points into the bytes. False: it is not sound; whoever walks by a sound one stays inside of it.
 */
bool protocol__get_built(const char *bytes, size_t len, struct table_answer *a);

/* Is it -errno or 0? */
bool protocol__is_error(int32_t err);

#endif
