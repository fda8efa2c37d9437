// SPDX-License-Identifier: Apache-2.0
#include "model/frame.h"

const char *const frame__suffixes[FRAME_KINDS] = {
	[FRAME_USER] = "",    [FRAME_LIBRARY] = "_[l]", [FRAME_KERNEL] = "_[k]",
	[FRAME_JIT] = "_[j]", [FRAME_INLINED] = "_[i]", [FRAME_MARK] = "",
};
