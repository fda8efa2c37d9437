/* SPDX-License-Identifier: Apache-2.0 */
/* A pass of a BPF iterator. */
#ifndef SONDE_PROBE_ITERATOR_H
#define SONDE_PROBE_ITERATOR_H

#include <stddef.h>

struct bpf_link;

/* Hands each record that the program writes to `each`, until that returns an error. record_size 0: the
 * program writes none, `each` is not called. 0, the error of `each`, or -errno. */
int iterator__run(const struct bpf_link *link, size_t record_size,
		  int (*each)(void *context, const void *record), void *context);

#endif
