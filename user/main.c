// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include "command/command.h"

int main(int argc, char **argv)
{
	signal(SIGPIPE,
	       SIG_IGN); /* a reader that goes away is an error of write(), and the run ends in order */
	return commands__main(argc, argv);
}
