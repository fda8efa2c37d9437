// SPDX-License-Identifier: Apache-2.0
#include "model/frame.h"

#include <string.h>

const char *const frame__suffixes[FRAME_KINDS] = {
	[FRAME_USER] = "",    [FRAME_LIBRARY] = "_[l]", [FRAME_KERNEL] = "_[k]",
	[FRAME_JIT] = "_[j]", [FRAME_INLINED] = "_[i]", [FRAME_MARK] = "",
};

const char *frame__label(const struct frame *frame, struct buf *scratch)
{
	const char *base;

	if (!frame->file || !frame->line)
		return frame->name;
	base = strrchr(frame->file, '/');
	buf__clear(scratch);
	buf__printf(scratch, "%s (%s:%u)", frame->name, base ? base + 1 : frame->file, frame->line);
	return scratch->failed ? frame->name : buf__text(scratch);
}
