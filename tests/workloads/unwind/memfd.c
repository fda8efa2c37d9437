// SPDX-License-Identifier: Apache-2.0
/* memfd PROGRAM [ARG...]: becomes PROGRAM, out of a copy of its file that has no name: a memfd. */
#include "../workload.h"
#include <sys/mman.h>
#include <sys/sendfile.h>

extern char **environ;

int main(int argc, char **argv)
{
	int from = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1,
	    to = memfd_create("truth", MFD_CLOEXEC);
	ssize_t copied = 1;

	while (from >= 0 && to >= 0 && copied > 0)
		copied = sendfile(to, from, NULL, 1 << 20);
	if (copied == 0)
		fexecve(to, argv + 1, environ);
	work__fail("memfd");
	return 1;
}
