/* SPDX-License-Identifier: Apache-2.0 */
/* C++ and Rust names as people write them. */
#ifndef SONDE_OBJECT_DEMANGLE_H
#define SONDE_OBJECT_DEMANGLE_H

#include <stdbool.h>

#include "base/buf.h"

/*
 * Appends the readable form of a symbol to `out`. False, and nothing appended, if it is no mangled name, or
 * one whose readable form is out of all proportion (a few hundred bytes can stand for gigabytes): the symbol
 * is then its own name. `symbol` must not lie in `out`, which moves as it grows.
 */
bool demangle__add(struct buf *out, const char *symbol);

#endif
