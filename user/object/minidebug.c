/* SPDX-License-Identifier: Apache-2.0 */
#include "object/minidebug.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

#define PACKED_BYTES_MAX   (32u << 20)
#define UNPACKED_BYTES_MAX (64u << 20) /* Fedora's largest are a few MB */
#define DECODER_BYTES_MAX  (80u << 20) /* `xz -9` wants 65 MB */
#define CHUNK_BYTES	   (64u << 10)

struct unpacking {
	lzma_stream stream;
	const struct elf_file *f;
	uint64_t at, left; /* of the section */
	char *out;
	size_t size; /* of `out`; stream.avail_out of them are free */
	unsigned char chunk[CHUNK_BYTES];
};

static int read_more(struct unpacking *u)
{
	size_t want = u->left < CHUNK_BYTES ? u->left : CHUNK_BYTES;
	ssize_t n = elf__read(u->f, u->chunk, want, u->at);

	if (n < 0)
		return (int)n;
	u->stream.next_in = u->chunk;
	u->stream.avail_in = (size_t)n;
	u->at += (size_t)n;
	u->left -= (size_t)n;
	if (!n)
		u->left = 0;
	return 0;
}

static int make_room(struct unpacking *u)
{
	size_t size = u->size ? 2 * u->size : 4 * CHUNK_BYTES;
	char *grown;

	if (size > UNPACKED_BYTES_MAX)
		return -EFBIG;
	grown = realloc(u->out, size);
	if (!grown)
		return -ENOMEM;
	u->out = grown;
	u->stream.next_out = (uint8_t *)grown + u->size;
	u->stream.avail_out = size - u->size;
	u->size = size;
	return 0;
}

static int error_of(lzma_ret ret)
{
	switch (ret) {
	case LZMA_OK:
	case LZMA_STREAM_END:
		return 0;
	case LZMA_MEM_ERROR:
		return -ENOMEM;
	case LZMA_MEMLIMIT_ERROR:
		return -EFBIG;
	default:
		return -EBADMSG;
	}
}

static int unpack(struct unpacking *u)
{
	lzma_ret ret = lzma_stream_decoder(&u->stream, DECODER_BYTES_MAX, 0);
	int err = error_of(ret);

	while (!err && ret != LZMA_STREAM_END) {
		if (!u->stream.avail_in && u->left)
			err = read_more(u);
		if (!err && !u->stream.avail_out)
			err = make_room(u);
		if (err)
			break;
		ret = lzma_code(&u->stream, u->left ? LZMA_RUN : LZMA_FINISH);
		err = error_of(ret);
	}
	lzma_end(&u->stream);
	return err;
}

int minidebug__unpack(struct minidebug *m, const struct elf_file *f, const struct elf_section *packed)
{
	struct unpacking *u;
	int err;

	memset(m, 0, sizeof(*m));
	if (packed->size > PACKED_BYTES_MAX)
		return -EFBIG;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->stream = (lzma_stream)LZMA_STREAM_INIT;
	u->f = f;
	u->at = packed->offset;
	u->left = packed->size;
	err = unpack(u);
	m->bytes = u->out;
	if (!err)
		err = elf__open_memory(&m->file, m->bytes, u->size - u->stream.avail_out);
	if (err)
		minidebug__close(m);
	free(u);
	return err;
}

int minidebug__open(struct minidebug *m, const struct elf_file *f)
{
	struct elf_section packed;

	memset(m, 0, sizeof(*m));
	if (!elf__section_by_name(f, ".gnu_debugdata", &packed))
		return -ENOENT;
	return minidebug__unpack(m, f, &packed);
}

void minidebug__close(struct minidebug *m)
{
	elf__close(&m->file);
	free(m->bytes);
	m->bytes = NULL;
}
