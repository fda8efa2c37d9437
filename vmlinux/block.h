/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Block I/O: bios, requests and the disks that they are for. */
#ifndef VMLINUX_BLOCK_H
#define VMLINUX_BLOCK_H

#include "base.h"
#include "cgroup.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct blk_mq_ops;

struct gendisk {
	int major, first_minor;
};

struct request_queue {
	const struct blk_mq_ops *mq_ops; /* NULL: bios are all that the device gets */
	struct gendisk *disk;		 /* since d152c682f03c (5.15) */
};

struct block_device {
	struct gendisk *bd_disk;
};

/* CONFIG_BLK_CGROUP */
struct blkcg {
	struct cgroup_subsys_state css;
};

/* CONFIG_BLK_CGROUP */
struct blkcg_gq {
	struct blkcg *blkcg;
};

struct bvec_iter {
	u64 bi_sector;
	unsigned bi_size;
};

struct bio {
	struct bio *bi_next;
	struct block_device *bi_bdev; /* since 309dca309fc3 (5.12) */
	unsigned bi_opf;
	u8 bi_status;
	struct bvec_iter bi_iter;
	void *bi_private;
	struct blkcg_gq *bi_blkg; /* CONFIG_BLK_CGROUP */
};

struct bio___bi_disk { /* before 309dca309fc3 (5.12) */
	struct gendisk *bi_disk;
};

struct request {
	struct request_queue *q;
	unsigned cmd_flags, rq_flags;
	unsigned __data_len;
	u64 __sector;
	struct bio *bio, *biotail;
};

struct request___rq_disk { /* before f3fa33acca9f (5.17) */
	struct gendisk *rq_disk;
};

#pragma clang attribute pop

enum rqf_flags { /* bit numbers, since 5f89154e8e9e (6.11); before, the flush's was 4 */
		 __RQF_FLUSH_SEQ = 1,
};

/* include/linux/blk_types.h: unchanged over the whole matrix. Odd operations write. */
#define REQ_OP_MASK	    0xff
#define REQ_OP_READ	    0
#define REQ_OP_FLUSH	    2
#define REQ_OP_DISCARD	    3
#define REQ_OP_SECURE_ERASE 5
#define REQ_OP_WRITE_ZEROES 9
#define REQ_OP_ZONE_FIRST   11 /* what opens, closes and resets zones */
#define REQ_OP_ZONE_LAST    19
#define REQ_SYNC	    (1 << 11)
#define REQ_META	    (1 << 12)
#define REQ_FUA		    (1 << 17)
#define REQ_PREFLUSH	    (1 << 18)
#define REQ_RAHEAD	    (1 << 19)

#endif
