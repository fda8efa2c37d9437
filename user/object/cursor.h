/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the primitives of DWARF from bytes that somebody else wrote. A cursor cannot leave them: past the end
 * it yields zeros and says so.
 */
#ifndef SONDE_OBJECT_CURSOR_H
#define SONDE_OBJECT_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const unsigned char *at, *end;
	bool failed;
};

static inline const unsigned char *cursor__skip(struct cursor *c, uint64_t n)
{
	const unsigned char *at = c->at;

	if (n > (uint64_t)(c->end - at)) {
		c->failed = true;
		c->at = c->end;
		return NULL;
	}
	c->at += n;
	return at;
}

static inline uint8_t cursor__byte(struct cursor *c)
{
	if (c->at == c->end) {
		c->failed = true;
		return 0;
	}
	return *c->at++;
}

/* An unsigned number of 1, 2, 4 or 8 bytes, in the byte order of this machine. */
static inline uint64_t cursor__fixed(struct cursor *c, size_t bytes)
{
	const unsigned char *at = cursor__skip(c, bytes);
	uint64_t value = 0;

	if (!at)
		return 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	memcpy(&value, at, bytes);
#else
	memcpy((char *)&value + sizeof(value) - bytes, at, bytes);
#endif
	return value;
}

/* Bits beyond the 64th are lost. */
static inline uint64_t cursor__uleb(struct cursor *c)
{
	uint64_t value = 0;
	uint8_t b;

	for (unsigned int shift = 0;; shift += 7) {
		b = cursor__byte(c);
		if (shift < 64)
			value |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return value;
	}
}

static inline int64_t cursor__sleb(struct cursor *c)
{
	uint64_t value = 0;
	unsigned int shift = 0;
	uint8_t b;

	do {
		b = cursor__byte(c);
		if (shift < 64)
			value |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	if (shift < 64 && (b & 0x40))
		value |= UINT64_MAX << shift;
	return (int64_t)value;
}

/* How a pointer is written (DW_EH_PE): its format in the low half, from where it counts in the high one. */
enum {
	POINTER_FORMAT = 0x0f,
	POINTER_ULEB = 1,
	POINTER_SLEB = 9,
	POINTER_SIGNED = 8, /* with 2, 3, 4: 2, 4, 8 bytes */
	POINTER_RELATIVE = 0x10,
	POINTER_BASE = 0xf0,
	POINTER_OMITTED = 0xff,
};

/*
 * A pointer whose field lies at the virtual address `here`; native ones have `native` bytes. What counts from
 * elsewhere than zero or its own place fails: nobody writes such in .eh_frame.
 */
static inline uint64_t cursor__pointer(struct cursor *c, uint8_t encoding, uint64_t here, size_t native)
{
	uint8_t format = encoding & POINTER_FORMAT;
	uint64_t value;
	size_t bytes;

	if (encoding == POINTER_OMITTED)
		return 0;
	if (format == POINTER_ULEB) {
		value = cursor__uleb(c);
	} else if (format == POINTER_SLEB) {
		value = (uint64_t)cursor__sleb(c);
	} else {
		bytes = (format & 7) ? 1u << ((format & 7) - 1) : native;
		if (bytes > 8 || (format & 7) == 1) {
			c->failed = true;
			return 0;
		}
		value = cursor__fixed(c, bytes);
		if ((format & POINTER_SIGNED) && bytes < 8)
			value = (uint64_t)((int64_t)(value << (64 - 8 * bytes)) >> (64 - 8 * bytes));
	}
	if ((encoding & POINTER_BASE) == POINTER_RELATIVE)
		value += here;
	else if (encoding & POINTER_BASE)
		c->failed = true;
	return value;
}

#endif
