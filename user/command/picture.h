/* SPDX-License-Identifier: Apache-2.0 */
/* What convert and diff share: profiles from files, profiles and pictures to files, and their options. */
#ifndef SONDE_COMMAND_PICTURE_H
#define SONDE_COMMAND_PICTURE_H

#include <stdbool.h>

#include "base/cli.h"
#include "sink/flamegraph.h"
#include "sink/profile.h"

enum picture_format {
	PICTURE_TABLE,
	PICTURE_FOLDED,
	PICTURE_SVG,
	PICTURE_HTML,
	PICTURE_PPROF,
	PICTURE_SPEEDSCOPE,
	PICTURE_JSON,
	PICTURE_UNKNOWN
};

/* Embedded in the commands' option structs; the rows below lie at PICTURE_ROWS(struct options, member). */
struct picture_options {
	const char *min_width; /* as typed */
	const char *title;
	const char *unit;
	const char *value; /* which of a profile's values; NULL: the one that the file prefers */
	long long width;
	bool inverted, facts;
};

/* clang-format off */
#define PICTURE_ROWS(type, member)                                                                                     \
	{"title", 0, CLI_STRING, offsetof(type, member.title), "TEXT", "title of the picture"},                        \
	{"minwidth", 0, CLI_STRING, offsetof(type, member.min_width), "PIXELS",                                        \
	 "leave out narrower boxes", .fallback = "0.1"},                                                               \
	{"width", 0, CLI_INT, offsetof(type, member.width), "PIXELS", "width of the SVG", 300, 20000,                  \
	 .fallback = "1200"},                                                                                          \
	{"inverted", 0, CLI_FLAG, offsetof(type, member.inverted), NULL, "root at the top (icicle)"},                  \
	{"unit", 0, CLI_STRING, offsetof(type, member.unit), "UNIT",                                                   \
	 "of the numbers in plain folded input: samples, us, bytes", .fallback = "samples"},                           \
	{"value", 0, CLI_STRING, offsetof(type, member.value), "NAME",                                                 \
	 "which value of pprof and speedscope input: cpu, samples, ...", .fallback = "as the file says"},              \
	{"facts", 0, CLI_FLAG, offsetof(type, member.facts), NULL,                                                     \
	 "begin folded output with what is known about it, as `# key: value` lines"}
/* clang-format on */

void picture_options__defaults(struct picture_options *o);
/* The style; an exit code other than EXIT_DONE after a message if an option makes no sense. */
int picture_options__style(const struct picture_options *o, struct flamegraph_style *style);

/* From the extension; PICTURE_UNKNOWN: none of these. */
enum picture_format picture__format(const char *path);
/* Reads a file of any format ("-": standard input) into an initialised graph. EXIT_DONE, or an exit
 * code after one message. */
int picture__read(struct flamegraph *g, const char *path, const struct picture_options *o);
/* The same, into the profile or the tree, whichever the file is. */
int picture__read_profile(struct profile *p, struct flamegraph *g, bool *is_tree, const char *path,
			  const struct picture_options *o);
/* The picture of a profile that came from `path`. */
int picture__fold(const struct profile *p, struct flamegraph *g, const char *path,
		  const struct picture_options *o);
/* As for the commands that measure, a place that cannot be written is wrong usage, and said before anything
 * is done: EXIT_DONE, or EXIT_USAGE after a message. */
int picture__check_output(const char *path);
/* Writes the file whole or not at all ("-": standard output). As above. */
int picture__write(struct flamegraph *g, const char *path, enum picture_format format,
		   const struct picture_options *o);
/* The same for what is no picture: PICTURE_PPROF, PICTURE_SPEEDSCOPE, PICTURE_JSON, PICTURE_TABLE. */
int picture__write_profile(const struct profile *p, struct flamegraph *facts, const char *path,
			   enum picture_format format, const struct picture_options *o);

#endif
