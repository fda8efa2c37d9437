// SPDX-License-Identifier: Apache-2.0
#include "probe/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#define GIVE_BACK (64u << 10) /* bytes: so much may be read before the kernel can use it again */
#define AHEAD	  2048	      /* bytes: what comes next is still in another CPU's cache */

static uint64_t page_bytes(void)
{
	return sysconf(_SC_PAGESIZE);
}

int ring__open(struct ring *r, int fd, uint64_t size)
{
	uint64_t page = page_bytes();

	*r = (struct ring){.size = size};
	r->read = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->read == MAP_FAILED) {
		r->read = NULL;
		return -errno;
	}
	r->written = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, fd, page);
	if (r->written == MAP_FAILED) {
		r->written = NULL;
		return -errno;
	}
	return 0;
}

void ring__close(struct ring *r)
{
	if (r->written)
		munmap(r->written, page_bytes() + 2 * r->size);
	if (r->read)
		munmap(r->read, page_bytes());
	*r = (struct ring){0};
}

/* A record that is still being written stops the reading: those behind it wait for it. */
int ring__drain(struct ring *r, int (*on_record)(void *, void *, size_t), void *context)
{
	uint64_t end = __atomic_load_n(r->written, __ATOMIC_ACQUIRE), at = *r->read, given_back = at;
	char *records = (char *)r->written + page_bytes();
	int count = 0;

	while (at < end) {
		uint32_t *head = (uint32_t *)(records + (at & (r->size - 1)));
		uint32_t word = __atomic_load_n(head, __ATOMIC_ACQUIRE);
		__builtin_prefetch((char *)head + AHEAD);
		uint32_t size = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (word & BPF_RINGBUF_BUSY_BIT)
			break;
		at += (size + BPF_RINGBUF_HDR_SZ + 7) & ~7ULL;
		if (!(word & BPF_RINGBUF_DISCARD_BIT)) {
			on_record(context, (char *)head + BPF_RINGBUF_HDR_SZ, size);
			count++;
		}
		if (at - given_back >= GIVE_BACK) {
			__atomic_store_n(r->read, at, __ATOMIC_RELEASE);
			given_back = at;
		}
	}
	__atomic_store_n(r->read, at, __ATOMIC_RELEASE);
	return count;
}
