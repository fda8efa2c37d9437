/* SPDX-License-Identifier: Apache-2.0 */
#include "object/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>

#define MANGLED_MAX   4096 /* libiberty's stack use grows with the input: about 100 bytes for each */
#define DEMANGLED_MAX 8192

struct writer {
	struct buf *out;
	size_t start;
	jmp_buf too_long;
};

/*
 * libiberty bounds its recursion but not its output, and back references double it every few bytes. Its
 * callback cannot refuse, so it leaves. The demanglers behind the callback interface live on the stack:
 * nothing is lost.
 */
static void write_part(const char *part, size_t len, void *opaque)
{
	struct writer *w = opaque;

	if (w->out->len - w->start + len > DEMANGLED_MAX)
		longjmp(w->too_long, 1);
	buf__add(w->out, part, len);
}

static bool is_cxx(const char *symbol)
{
	return !strncmp(symbol, "_Z", 2) || !strncmp(symbol, "_GLOBAL_", 8);
}

static bool is_rust(const char *symbol)
{
	return !strncmp(symbol, "_R", 2) || !strncmp(symbol, "_ZN", 3);
}

static bool demangle(struct writer *w, const char *symbol)
{
	if (setjmp(w->too_long))
		return false;
	/* Rust first: its older scheme looks like C++ and would keep its hash. */
	if (is_rust(symbol) && rust_demangle_callback(symbol, DMGL_AUTO, write_part, w))
		return true;
	w->out->len = w->start;
	return is_cxx(symbol) && cplus_demangle_v3_callback(symbol, DMGL_AUTO, write_part, w);
}

bool demangle__add(struct buf *out, const char *symbol)
{
	struct writer w = {.out = out, .start = out->len};

	if (!is_cxx(symbol) && !is_rust(symbol))
		return false;
	if (strlen(symbol) > MANGLED_MAX)
		return false;
	if (demangle(&w, symbol) && out->len > w.start)
		return true;
	out->len = w.start;
	if (out->data)
		out->data[w.start] = 0;
	return false;
}
