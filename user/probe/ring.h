/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader's side of a BPF ring buffer. libbpf's gives each record's place back by itself: the line with
 * the reader's position then moves between two CPUs with every record, which costs both of them more than the
 * record.
 */
#ifndef SONDE_PROBE_RING_H
#define SONDE_PROBE_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
	uint64_t *read;	   /* positions, in bytes, by the reader ... */
	uint64_t *written; /* ... and the kernel; the records follow a page behind, twice in a row */
	uint64_t size;
};

/* Maps the ring of that many bytes. 0 or -errno; close it in any case. */
int ring__open(struct ring *r, int fd, uint64_t size);
void ring__close(struct ring *r);
/* Hands over the records that were there when it was called. Their number. */
int ring__drain(struct ring *r, int (*on_record)(void *context, void *record, size_t size), void *context);

#endif
