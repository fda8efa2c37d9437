/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a descriptor of a thread to what its file is. For objects that define USES_CASTS, or read by copy. */
#ifndef SONDE_DESCRIPTORS_BPF_H
#define SONDE_DESCRIPTORS_BPF_H

#include "common.bpf.h"
#include "fs.h"

/* A pointer read from anywhere: by the exception-table load of a cast pointer where the kernel has that, else
 * by copy. */
inline_always void *pointer_at(void *address)
{
	void *value = NULL;

	if (casts) {
		struct list_head *l = bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct list_head));

		return l->next;
	}
	bpf_probe_read_kernel(&value, sizeof(value), address);
	return value;
}

/* Four bytes from anywhere, likewise: as the first member of a kernel type that begins with an int. */
inline_always u32 word_at(void *address)
{
	struct pollfd *p = bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct pollfd));

	return p->fd;
}

/* Eight bytes that are a pointer, as a number: newer verifiers keep track of what a typed load returns (6.17:
 * f2362a57aeff), and a global function takes numbers only. */
inline_always u64 number_at(void *address)
{
	struct timespec64 *t = bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct timespec64));

	return t->tv_sec;
}

struct file_kind {
	u32 mode, device;
	u32 name; /* first four bytes of the dentry's name, for anonymous inodes */
};

inline_always void file__kind(void *address, struct file_kind *kind)
{
	if (casts) {
		struct file *file = bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct file));
		struct inode *inode = file->f_inode;

		kind->mode = inode->i_mode;
		kind->device = inode->i_rdev;
		if (!(kind->mode & S_IFMT))
			kind->name = word_at((void *)file->f_path.dentry->d_name.name);
	} else {
		struct file *file = address;
		const unsigned char *name;

		kind->mode = BPF_CORE_READ(file, f_inode, i_mode);
		kind->device = BPF_CORE_READ(file, f_inode, i_rdev);
		name = BPF_CORE_READ(file, f_path.dentry, d_name.name);
		bpf_probe_read_kernel(&kind->name, sizeof(kind->name), name);
	}
}

struct descriptors {
	u64 table;
	u32 size;
};

inline_always void descriptors__of(struct task_struct *task, struct descriptors *d)
{
	struct files_struct *files = READ(task__cast(task), files);
	struct fdtable *fdt;

	d->size = 0;
	d->table = 0;
	if (!files)
		return;
	fdt = READ(files, fdt);
	if (casts)
		d->table = number_at((void *)fdt + bpf_core_field_offset(fdt->fd));
	else
		d->table = (u64)READ(fdt, fd);
	d->size = READ(fdt, max_fds);
}

#endif
