/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What both sides of the bench of the ring know. */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#define RECORD_SMALL 0x5151

struct ring_config {
	__u64 mask;   /* calls whose number has none of these bits send a record */
	__u32 number; /* of the system call */
	__u32 event;  /* struct event_record; else small_record */
};

struct small_record {
	__u32 type, reserved;
	__u64 time_ns;
	__u64 value[4];
};

#endif
