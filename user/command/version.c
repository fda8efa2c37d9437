// SPDX-License-Identifier: Apache-2.0
/* `sonde version`: what this binary is and what it is linked with. */
#include <elfutils/version.h>
#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>
#include <zlib.h>

#include "base/msg.h"
#include "command/command.h"

/* Of libbpf, whose headers are the loader's alone. */
const char *libbpf_version_string(void);

struct options {
	bool verbose;
};

static const struct cli_option rows[] = {
	{"verbose", 'v', CLI_FLAG, offsetof(struct options, verbose),
	 .help = "libraries and build options too"},
	{0},
};

static const struct cli_group groups[] = {{"Output", rows}, {0}};

#if defined(__x86_64__)
#define ARCHITECTURE "x86-64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#define ARCHITECTURE "unknown"
#endif

#ifdef __OPTIMIZE__
#define OPTIMIZED "optimized"
#else
#define OPTIMIZED "not optimized"
#endif

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED ", address sanitizer"
#else
#define SANITIZED ""
#endif

static void add_details(struct buf *text)
{
	buf__printf(text, "libbpf        %s\n", libbpf_version_string());
	/* libelf does not tell which one is loaded */
	buf__printf(text, "libelf        0.%d (headers)\n", _ELFUTILS_VERSION);
	buf__printf(text, "json-c        %s\n", json_c_version());
	buf__printf(text, "protobuf-c    %s\n", protobuf_c_version());
	buf__printf(text, "zlib          %s\n", zlibVersion());
	buf__printf(text, "architecture  %s\n", ARCHITECTURE);
	buf__printf(text, "compiler      %s, %s%s\n", COMPILER, OPTIMIZED, SANITIZED);
}

static int run(void *options, const struct cli_rest *rest)
{
	const struct options *o = options;
	struct buf text = {0};

	(void)rest;
	buf__printf(&text, "sonde %s\n", SONDE_VERSION);
	if (o->verbose)
		add_details(&text);
	return cli__print(&text) ? EXIT_RUN_FAILED : EXIT_DONE;
}

const struct cli_command command_version = {
	.name = "version",
	.summary = "the version of sonde and, with -v, of its libraries",
	.description =
		"Prints the version. With `-v` also the versions of the libraries that are linked, the "
		"architecture and how it was built.",
	.examples = "sonde version -v",
	.groups = groups,
	.options_size = sizeof(struct options),
	.run = run,
};
