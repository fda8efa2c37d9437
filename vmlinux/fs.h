/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Open files: from a descriptor to the kind of its file. */
#ifndef VMLINUX_FS_H
#define VMLINUX_FS_H

#include "base.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct qstr d_name;
};

struct path {
	struct dentry *dentry;
};

struct inode {
	u16 i_mode;
	u32 i_rdev;
};

struct file {
	struct inode *f_inode;
	struct path f_path;
	void *private_data; /* of a socket: struct socket */
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

/* Stands for "a pointer somewhere" where a typed load through an untyped address is needed. */
struct list_head {
	struct list_head *next;
};

/* Likewise for a number of eight bytes, and (struct pollfd) for one of four. */
struct timespec64 {
	s64 tv_sec;
};

#pragma clang attribute pop

#define S_IFMT	 0170000
#define S_IFSOCK 0140000
#define S_IFCHR	 0020000
#define S_IFIFO	 0010000

struct pollfd { /* include/uapi/asm-generic/poll.h */
	int fd;
	short events, revents;
};

#endif
