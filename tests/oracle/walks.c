// SPDX-License-Identifier: Apache-2.0
/*
 * walks DIRECTORY: unwinds each snapshot that `sonde --compare-walks DIRECTORY` left there with libdwfl, and
 * compares the frames with those that the BPF program saw at that moment. The process must still live. Prints
 * "N walks, N compared, N differ"; exit status 1 if one differs or none was compared.
 */
#include <dirent.h>
#include <elfutils/libdwfl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/compare.h"

struct walk {
	struct compared_walk header;
	unsigned char memory[SNAPSHOT_BYTES];
	uint64_t frames[STACK_DEPTH_MAX];
	uint64_t theirs[STACK_DEPTH_MAX + 1];
	size_t count;
};

static bool load(const char *path, struct walk *w)
{
	FILE *f = fopen(path, "re");
	bool whole;

	if (!f)
		return false;
	whole = fread(&w->header, sizeof(w->header), 1, f) == 1 && w->header.bytes <= sizeof(w->memory) &&
		w->header.frames <= STACK_DEPTH_MAX &&
		fread(w->memory, 1, w->header.bytes, f) == w->header.bytes &&
		fread(w->frames, sizeof(uint64_t), w->header.frames, f) == w->header.frames;
	fclose(f);
	w->count = 0;
	return whole;
}

/* --- libdwfl's view of the thread: registers and memory of the snapshot */

static pid_t next_thread(Dwfl *dwfl, void *context, void **thread)
{
	struct walk *w = context;

	(void)dwfl;
	if (*thread)
		return 0;
	*thread = w;
	return (pid_t)w->header.tgid;
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *result, void *context)
{
	const struct walk *w = context;
	uint64_t offset = address - w->header.registers.sp;

	(void)dwfl;
	if (w->header.bytes < 8 || offset > w->header.bytes - 8)
		return false;
	memcpy(result, w->memory + offset, 8);
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *context)
{
	const struct unwind_registers *r = &((const struct walk *)context)->header.registers;
	Dwarf_Word values[17];

	for (int i = 0; i < 16; i++)
		values[i] = r->other[i];
	values[6] = r->fp;
	values[7] = r->sp;
	values[16] = r->ip;
	return dwfl_thread_state_registers(thread, 0, 17, values);
}

static int on_frame(Dwfl_Frame *frame, void *context)
{
	struct walk *w = context;
	Dwarf_Addr pc;

	if (w->count > STACK_DEPTH_MAX || !dwfl_frame_pc(frame, &pc, NULL))
		return DWARF_CB_ABORT;
	w->theirs[w->count++] = pc;
	return DWARF_CB_OK;
}

static const Dwfl_Thread_Callbacks threads = {
	.next_thread = next_thread,
	.memory_read = read_memory,
	.set_initial_registers = set_registers,
};

/* A session is made anew for each walk: it can be attached to once. */
static bool unwind(struct walk *w)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_linux_proc_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
	};
	Dwfl *dwfl = dwfl_begin(&callbacks);
	bool done;

	done = dwfl && !dwfl_linux_proc_report(dwfl, (pid_t)w->header.tgid) &&
	       !dwfl_report_end(dwfl, NULL, NULL) &&
	       dwfl_attach_state(dwfl, NULL, (pid_t)w->header.tgid, &threads, w);
	if (done)
		dwfl_getthread_frames(dwfl, (pid_t)w->header.tgid, on_frame, w);
	if (dwfl)
		dwfl_end(dwfl);
	return done && w->count;
}

/* What both saw must be the same; where we say that a stack is complete, they must not have seen more. That
 * they see less is their affair: entries of the linkage table, for one. */
static bool differs(const struct walk *w)
{
	size_t both = w->count < w->header.frames ? w->count : w->header.frames;

	if (memcmp(w->frames, w->theirs, both * sizeof(uint64_t)))
		return true;
	return w->header.end == STACK_COMPLETE && w->count > w->header.frames;
}

static void show(const char *name, const struct walk *w)
{
	size_t most = w->count > w->header.frames ? w->count : w->header.frames;

	printf("%s: end %u\n", name, w->header.end);
	for (size_t i = 0; i < most; i++)
		printf("  %2zu  %12" PRIx64 "  %12" PRIx64 "\n", i, i < w->header.frames ? w->frames[i] : 0,
		       i < w->count ? w->theirs[i] : 0);
}

int main(int argc, char **argv)
{
	unsigned all = 0, compared = 0, different = 0, as_long = 0;
	struct walk *w = calloc(1, sizeof(*w));
	DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
	const struct dirent *e;
	char path[4096];

	if (!w || !d) {
		fprintf(stderr, "usage: walks DIRECTORY\n");
		return 2;
	}
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
		if (*e->d_name == '.' || !load(path, w))
			continue;
		all++;
		if (!unwind(w))
			continue;
		compared++;
		as_long += w->count == w->header.frames;
		if (differs(w) && different++ < 5)
			show(e->d_name, w);
	}
	closedir(d);
	free(w);
	printf("%u walks, %u compared, %u of the same length, %u differ\n", all, compared, as_long,
	       different);
	return different || !compared;
}
