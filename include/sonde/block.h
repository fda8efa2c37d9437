/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What both sides know of block I/O: its cells, its events, what is done. */
#ifndef SONDE_BLOCK_H
#define SONDE_BLOCK_H

/*
 * Cells: `a`, `b` are whose (enum key_by), `tgid` is the device (major << 20 | minor), `state` what is done.
 * One request is one in each of SIZE and DEVICE, and in QUEUE if the device has a queue of requests.
 */
enum block_cell {
	BLOCK_SIZE = 1,	  /* slot: of the bytes (hist__slot_unit), ns: their sum */
	BLOCK_SEQUENTIAL, /* began where the last one of this process on this device ended */
	BLOCK_QUEUE,	  /* slot, ns: of the time before the device had it */
	BLOCK_DEVICE,	  /* of the time in the device */
	BLOCK_ERROR,	  /* slot: as in BLOCK_VALUE_ERROR */
};

/* What is done: an operation and its nature. */
enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,
	BLOCK_DISCARD,
	BLOCK_ERASE,
	BLOCK_ZEROES,
	BLOCK_ZONE,
	BLOCK_OPS,
};
#define BLOCK_OP_MASK 7
#define BLOCK_SYNC    8	 /* somebody waits for this write */
#define BLOCK_META    16 /* metadata of a file system */
#define BLOCK_AHEAD   32 /* a read that nobody has asked for yet */

/* Values of an event: a slow request. Its duration is queue and device together. */
enum block_value {
	BLOCK_VALUE_DEVICE,
	BLOCK_VALUE_WHAT,
	BLOCK_VALUE_SECTOR, /* of 512 bytes */
	BLOCK_VALUE_BYTES,
	BLOCK_VALUE_QUEUE_NS,
	BLOCK_VALUE_DEVICE_NS,
	BLOCK_VALUE_ERROR, /* 0, a blk_status_t, or BLOCK_ERRNO + an error number (before 5.16) */
};
#define BLOCK_ERRNO 256

#endif
