// SPDX-License-Identifier: Apache-2.0
#include "probe/features.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

/* Arguments of a raw tracepoint: its btf_trace_NAME typedef points to a prototype with one more, the probe's
 * data. -1: no such tracepoint. */
static int tracepoint_arguments(const struct btf *btf, const char *typedef_name)
{
	int id = btf__find_by_name_kind(btf, typedef_name, BTF_KIND_TYPEDEF);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;

	if (t)
		t = btf__type_by_id(btf, t->type); /* pointer */
	if (t)
		t = btf__type_by_id(btf, t->type); /* prototype */
	return t && btf_is_func_proto(t) ? btf_vlen(t) - 1 : -1;
}

static bool has_helper(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, "bpf_func_id", BTF_KIND_ENUM);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;

	if (!t)
		return false;
	for (int i = 0; i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_enum(t)[i].name_off), name))
			return true;
	return false;
}

static bool has_member(const struct btf *btf, const char *structure, const char *name)
{
	int id = btf__find_by_name_kind(btf, structure, BTF_KIND_STRUCT);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;

	if (!t)
		return false;
	for (int i = 0; i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), name))
			return true;
	return false;
}

int features__ask(struct features *f)
{
	struct btf *btf = btf__load_vmlinux_btf();

	memset(f, 0, sizeof(*f));
	if (!btf)
		return -errno;
	f->switch_state = tracepoint_arguments(btf, "btf_trace_sched_switch") >= 4;
	f->copy_user_task = has_helper(btf, "BPF_FUNC_copy_from_user_task");
	f->preempt_guard = btf__find_by_name_kind(btf, "bpf_preempt_disable", BTF_KIND_FUNC) > 0;
	f->stack_per_cpu = has_member(btf, "bpf_prog_aux", "priv_stack_ptr");
	btf__free(btf);
	return 0;
}

int features__tracepoints(const char *const *names, int *arguments, size_t count)
{
	struct btf *btf = btf__load_vmlinux_btf();
	char name[128];

	if (!btf)
		return -errno;
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "btf_trace_%s", names[i]);
		arguments[i] = tracepoint_arguments(btf, name);
	}
	btf__free(btf);
	return 0;
}

bool features__function_text(const char *function, uint64_t range[2])
{
	FILE *f = fopen("/proc/kallsyms", "re");
	size_t len = strlen(function);
	char line[512];

	range[0] = range[1] = 0;
	/* Sorted by address, but for modules. "ADDRESS T NAME"; parsed by hand, since they are many. */
	while (f && !range[1] && fgets(line, sizeof(line), f)) {
		const char *name = strchr(line, ' ');

		if (range[0] && strtoull(line, NULL, 16) > range[0])
			range[1] = strtoull(line, NULL, 16);
		else if (name && !strncmp(name + 3, function, len) && name[3 + len] == '\n')
			range[0] = strtoull(line, NULL, 16);
	}
	if (f)
		fclose(f);
	return range[0] && range[1];
}

bool features__irq_text(uint64_t range[2])
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], name[256];
	unsigned long long address;

	range[0] = range[1] = 0;
	while (f && !(range[0] && range[1]) && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx %*c %255s", &address, name) != 2)
			continue;
		if (!strcmp(name, "__irqentry_text_start"))
			range[0] = address;
		else if (!strcmp(name, "__irqentry_text_end"))
			range[1] = address;
	}
	if (f)
		fclose(f);
	return range[0] && range[1];
}
