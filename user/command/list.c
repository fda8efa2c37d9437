// SPDX-License-Identifier: Apache-2.0
/* `sonde list`: what this binary has, from the tables of probes, metrics, sinks and commands. */
#include <json-c/json.h>
#include <string.h>

#include "base/msg.h"
#include "base/text.h"
#include "command/command.h"
#include "probe/probe.h"
#include "sink/sink.h"

struct options {
	bool json;
};

static const struct cli_option rows[] = {
	{"json", 0, CLI_FLAG, offsetof(struct options, json), .help = "as a JSON array, with all fields"},
	{0},
};

static const struct cli_group groups[] = {{"Output", rows}, {0}};

static void add_text(struct json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, json_object_new_string(text ? text : ""));
}

/* Appends one entry to the list; every list has these two fields. */
static struct json_object *entry(struct json_object *list, const char *name, const char *summary)
{
	struct json_object *object = json_object_new_object();

	add_text(object, "name", name);
	add_text(object, "summary", summary);
	json_object_array_add(list, object);
	return object;
}

static void add_hooks(struct json_object *to, const struct hook *hook)
{
	struct json_object *hooks = json_object_new_array();

	for (; hook && hook->what; hook++) {
		struct json_object *object = json_object_new_object();

		add_text(object, "hook", hook->what);
		add_text(object, "alternatives", hook->alternatives);
		add_text(object, "without", hook->without);
		json_object_array_add(hooks, object);
	}
	json_object_object_add(to, "hooks", hooks);
}

static void list_probes(struct json_object *list)
{
	for (const struct probe_type *const *probe = probe__types; *probe; probe++) {
		struct json_object *object = entry(list, (*probe)->name, (*probe)->summary);
		struct json_object *metrics = json_object_new_array();

		for (const struct metric *const *m = (*probe)->metrics; m && *m; m++)
			json_object_array_add(metrics, json_object_new_string((*m)->name));
		json_object_object_add(object, "metrics", metrics);
		add_hooks(object, (*probe)->hooks);
	}
}

static void add_metric(struct json_object *list, const char *probe, const struct metric *m)
{
	static const char *const kinds[] = {
		[POINT_COUNTER] = "counter", [POINT_GAUGE] = "gauge", [POINT_HIST] = "histogram",
		[POINT_STACK] = "stack",     [POINT_EVENT] = "event",
	};
	struct json_object *object = entry(list, m->name, m->help), *labels = json_object_new_array();

	add_text(object, "unit", m->unit);
	add_text(object, "kind", kinds[m->kind]);
	add_text(object, "probe", probe);
	for (size_t i = 0; i < sizeof(m->labels) / sizeof(m->labels[0]) && m->labels[i]; i++)
		json_object_array_add(labels, json_object_new_string(m->labels[i]));
	json_object_object_add(object, "labels", labels);
}

static void list_metrics(struct json_object *list)
{
	for (const struct probe_type *const *probe = probe__types; *probe; probe++) {
		for (const struct metric *const *m = (*probe)->metrics; m && *m; m++)
			add_metric(list, (*probe)->name, *m);
	}
}

static void list_sinks(struct json_object *list)
{
	for (const struct sink_type *const *sink = sink__types; *sink; sink++)
		add_text(entry(list, (*sink)->name, (*sink)->summary), "extensions", (*sink)->extensions);
}

static void list_commands(struct json_object *list)
{
	for (const struct cli_command *const *c = commands__all; *c; c++) {
		if ((*c)->summary)
			entry(list, (*c)->name, (*c)->summary);
	}
}

static const struct {
	const char *word;
	void (*fill)(struct json_object *list);
} kinds[] = {
	{"probes", list_probes},
	{"metrics", list_metrics},
	{"sinks", list_sinks},
	{"commands", list_commands},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *text_of(struct json_object *object, const char *key)
{
	return json_object_get_string(json_object_object_get(object, key));
}

static void add_table(struct buf *out, struct json_object *list)
{
	size_t count = json_object_array_length(list), width = 0, len;

	for (size_t i = 0; i < count; i++) {
		len = strlen(text_of(json_object_array_get_idx(list, i), "name"));
		width = len > width ? len : width;
	}
	for (size_t i = 0; i < count; i++) {
		struct json_object *object = json_object_array_get_idx(list, i);

		buf__printf(out, "%-*s  %s\n", (int)width, text_of(object, "name"),
			    text_of(object, "summary"));
	}
}

static int refuse(const char *word)
{
	const char *words[KINDS + 1] = {NULL}, *near;

	for (size_t i = 0; i < KINDS; i++)
		words[i] = kinds[i].word;
	near = text__nearest(word, words);
	if (near)
		msg__usage("list", "no list of %s; did you mean %s?", word, near);
	else
		msg__usage("list", "no list of %s; there are probes, metrics, sinks and commands", word);
	return EXIT_USAGE;
}

static int run(void *options, const struct cli_rest *rest)
{
	const int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
	const struct options *o = options;
	struct json_object *list;
	struct buf text = {0};
	size_t kind = 0;

	while (kind < KINDS && strcmp(kinds[kind].word, rest->argv[0]))
		kind++;
	if (kind == KINDS)
		return refuse(rest->argv[0]);
	list = json_object_new_array();
	kinds[kind].fill(list);
	if (o->json)
		buf__printf(&text, "%s\n", json_object_to_json_string_ext(list, flags));
	else
		add_table(&text, list);
	json_object_put(list);
	return cli__print(&text) ? EXIT_RUN_FAILED : EXIT_DONE;
}

const struct cli_command command_list = {
	.name = "list",
	.summary = "the probes, metrics, sinks or commands of this binary",
	.positionals = "probes|metrics|sinks|commands",
	.description = "Prints one line each: the name and what it is. With `--json` all fields: the metrics "
		       "and hooks of a "
		       "probe, the unit, kind and labels of a metric, the file extensions of a sink.",
	.examples = "sonde list metrics\nsonde list probes --json",
	.groups = groups,
	.options_size = sizeof(struct options),
	.run = run,
};
