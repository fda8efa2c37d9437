// SPDX-License-Identifier: Apache-2.0
/*
 * reload MS TURN_MS A.so B.so: loads A, burns TURN_MS of CPU time called back by it, unloads it, loads B,
 * which comes to lie at the same address, and so on, until MS are burnt. The stack is always that of one of
 * them:
 *   _start (libc) main reload_turn plug_entry plug_a_1 plug_a_2 plug_a_3 reload_burn, or with b
 * No frame pointers. Prints: loads N, same N: how many lay where the one before lay.
 */
#include "unwind.h"
#include <dlfcn.h>

TRUTH_FN static uint64_t reload_burn(uint64_t ns)
{
	uint64_t end_ns = unwind__cpu_ns() + ns;

	do
		unwind__spin(5000);
	while (unwind__cpu_ns() < end_ns);
	return end_ns;
}

TRUTH_FN static uintptr_t reload_turn(const char *path, uint64_t ns)
{
	void *plug = dlopen(path, RTLD_LAZY);
	uint64_t (*entry)(uint64_t(*)(uint64_t), uint64_t) = plug ? dlsym(plug, "plug_entry") : NULL;
	Dl_info info = {0};

	if (!entry || !dladdr(entry, &info)) {
		fprintf(stderr, "reload: %s\n", dlerror());
		exit(1);
	}
	entry(reload_burn, ns);
	dlclose(plug);
	return (uintptr_t)info.dli_fbase;
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now");
	uint64_t turn_ms = work__number(argv[2]), turns = work__number(argv[1]) / turn_ms;
	uintptr_t base = 0, last = 0;
	long same = 0;

	work__ready(now);
	for (uint64_t turn = 0; turn < turns; turn++, last = base) {
		base = reload_turn(argv[3 + turn % 2], turn_ms * NSEC_PER_MS);
		same += base == last;
	}
	printf("loads %llu\nsame %ld\n", (unsigned long long)turns, same);
	return 0;
}
