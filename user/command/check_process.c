// SPDX-License-Identifier: Apache-2.0
/* sonde check -p: which files of a process unwind and have names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/text.h"
#include "base/units.h"
#include "command/check.h"
#include "helper/helper.h"
#include "object/debugfile.h"
#include "object/maps.h"
#include "stack/process.h"
#include "object/safefile.h"

#define FRAME_POINTERS_PERCENT 15 /* object/eh_frame.h */

/* Where the names of a file come from, best first. */
enum names { NAMES_SYMTAB, NAMES_DEBUG_FILE, NAMES_EXPORTS, NAMES_NONE };
static const struct {
	const char *text, *key;
} names_words[] = {
	[NAMES_SYMTAB] = {"symtab", "symtab"},
	[NAMES_DEBUG_FILE] = {"debug file", "debug_file"},
	[NAMES_EXPORTS] = {"exports only", "exports"},
	[NAMES_NONE] = {"nothing", "none"},
};

/* How a walk gets from a function of the file to its caller. */
enum unwinds { BY_TABLES, BY_FRAME_POINTERS, BY_TABLES_ALONE, BY_CHANCE, BY_UNKNOWN };
static const struct {
	const char *text, *key; /* key: NULL where stacks may end */
} unwinds_words[] = {
	[BY_TABLES] = {"tables", "tables"},
	[BY_FRAME_POINTERS] = {"frame pointers", "frame_pointers"},
	[BY_TABLES_ALONE] = {"no (tables only)", NULL},
	[BY_CHANCE] = {"no tables", NULL},
	[BY_UNKNOWN] = {"unknown", NULL},
};

struct file {
	const struct mapping *mapping;
	struct buf path, base; /* fit for printing */
	int err;	       /* why nothing is known of it */
	bool replaced;	       /* on disk, since it was mapped */
	bool is_go;	       /* Go's compiler keeps frame pointers, and writes no unwind tables */
	struct symbol_coverage coverage;
	enum names names;
	enum unwinds unwinds;
	const struct check_owner *owner;
};

struct check_process {
	struct process process;
	struct strings strings;
	int dir; /* /proc/PID */
	struct buf name, advice;
	struct file *files;
	struct check_owner *owners; /* beside the files */
	size_t count, generated;    /* regions of generated code */
	uint64_t generated_bytes;
	bool perf_map;
	bool by_tables; /* stacks are walked by unwind tables; else by frame pointers */
	bool is_32bit;
};

/* --- looking */

static bool status_number(const struct check_process *p, const char *field, int *value)
{
	int fd = openat(p->dir, "status", O_RDONLY | O_CLOEXEC);
	struct buf text = {0};
	const char *at;
	bool found;

	if (fd < 0)
		return false;
	(void)buf__read_fd(&text, fd, 1 << 16);
	close(fd);
	at = strstr(buf__text(&text), field);
	found = at && sscanf(at + strlen(field), "%d", value) == 1;
	buf__free(&text);
	return found;
}

/* Of its command, and when it began: what process.h wants to know to tell an old perf map from its own. */
static void read_stat(struct check_process *p)
{
	int fd = openat(p->dir, "stat", O_RDONLY | O_CLOEXEC);
	unsigned long long ticks = 0;
	struct buf text = {0};
	const char *from, *to;

	if (fd < 0)
		return;
	(void)buf__read_fd(&text, fd, 1 << 16);
	close(fd);
	from = strchr(buf__text(&text), '(');
	to = strrchr(buf__text(&text), ')');
	if (from && to) {
		text__add(&p->name, from + 1, to - from - 1, TEXT_TERMINAL);
		for (int field = 2; to && field < 22; field++)
			to = strchr(to + 1, ' ');
		if (to && sscanf(to, " %llu", &ticks) == 1)
			p->process.key.start_boot_ns = ticks * (1000000000ULL / sysconf(_SC_CLK_TCK));
	}
	buf__free(&text);
}

static int no_such_process(pid_t pid)
{
	msg__error("no process %d (in this PID namespace); it may have ended", pid);
	return EXIT_NO_TARGET;
}

/* If its first thread has ended, its own directory shows no memory: a living thread's does. */
static void enter_living_thread(struct check_process *p)
{
	int dir = process__open(&p->process);

	if (dir < 0)
		return;
	close(p->dir);
	p->dir = dir;
}

static int open_process(struct check_process *p, pid_t pid)
{
	char path[32];
	int tgid, maps;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	p->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0 || !status_number(p, "\nTgid:", &tgid))
		return no_such_process(pid);
	if (tgid != pid) {
		msg__error("%d is a thread of process %d: `-p %d`?", pid, tgid, tgid);
		return EXIT_USAGE;
	}
	p->process.key.tgid = (uint32_t)pid;
	read_stat(p);
	enter_living_thread(p);
	maps = openat(p->dir, "maps", O_RDONLY | O_CLOEXEC);
	if (maps < 0 && (errno == EACCES || errno == EPERM)) {
		msg__error("cannot read the memory map of process %d: needs CAP_SYS_PTRACE", pid);
		return EXIT_IMPOSSIBLE;
	}
	if (maps < 0)
		return no_such_process(pid);
	close(maps);
	if (process__read(&p->process, p->dir, &p->strings)) {
		msg__error("process %d maps no code: a kernel thread, or it has ended", pid);
		return EXIT_NO_TARGET;
	}
	return 0;
}

static bool is_known(const struct check_process *p, const struct mapping *m)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct mapping *other = p->files[i].mapping;

		if (other->inode == m->inode && other->major == m->major && other->minor == m->minor)
			return true;
	}
	return false;
}

static enum names names_of(const struct symbol_coverage *c)
{
	if (c->has_symtab)
		return NAMES_SYMTAB;
	if (c->has_debug_file)
		return NAMES_DEBUG_FILE;
	return c->has_dynsym ? NAMES_EXPORTS : NAMES_NONE;
}

static int cover(const struct check_process *p, struct helper *helper, struct file *f)
{
	char root[48];
	struct debug_places places = {.root = root, .directory = "/usr/lib/debug", .path = f->mapping->path};
	struct symbol_request request = {.source = SYMBOLS_ELF,
					 .modules_fd = -1,
					 .path = f->mapping->path,
					 .debug_file = debugfile__locate,
					 .context = &places};
	struct stat st;
	int located = process__locate(f->mapping, p->dir, &st), err;

	if (located < 0)
		return located;
	request.fd = safefile__reopen(located);
	close(located);
	if (request.fd < 0)
		return request.fd;
	snprintf(root, sizeof(root), "/proc/self/fd/%d/root", p->dir);
	err = helper__coverage(helper, &request, &f->coverage);
	f->is_go = !err && f->coverage.has_go_id;
	close(request.fd);
	f->names = names_of(&f->coverage);
	return err;
}

static void add_generated(struct check_process *p, const struct mapping *m)
{
	p->generated++;
	p->generated_bytes += m->end - m->start;
}

/* Its path ends so in maps, too, if that is its name, and if it never had a place on disk. */
static bool was_replaced(const struct check_process *p, const struct mapping *m)
{
	static const char deleted[] = " (deleted)", memfd[] = "/memfd:";
	size_t len = strlen(m->path);
	struct stat st;
	int root, fd;

	if (len < sizeof(deleted) || strcmp(m->path + len - sizeof(deleted) + 1, deleted) ||
	    !strncmp(m->path, memfd, sizeof(memfd) - 1))
		return false;
	root = openat(p->dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return true;
	fd = safefile__locate_in_root(root, m->path, true, &st);
	close(root);
	if (fd < 0)
		return true;
	close(fd);
	return st.st_ino != m->inode;
}

/* A mapped file that is no ELF file holds generated code, too (memfd). */
static void add_file(struct check_process *p, struct helper *helper, const struct mapping *m)
{
	struct file f = {.mapping = m, .names = NAMES_NONE};
	const char *base;
	size_t len;

	f.err = cover(p, helper, &f);
	if (f.err == -ENOEXEC) {
		add_generated(p, m);
		return;
	}
	f.replaced = was_replaced(p, m);
	base = maps__base_name(m->path, &len);
	text__add(&f.base, base, len, TEXT_TERMINAL);
	text__puts(&f.path, m->path, TEXT_TERMINAL);
	p->owners[p->count].path = m->path;
	f.owner = &p->owners[p->count];
	p->files[p->count++] = f;
}

static void read_perf_map(struct check_process *p)
{
	struct perf_map_owner owner;
	int fd = -1;

	if (!perf_map_owner__read(&owner, &p->process, p->dir))
		fd = perf_map_owner__open(&owner, p->dir);
	p->perf_map = fd >= 0;
	if (fd >= 0)
		close(fd);
}

static int look(struct check_process *p)
{
	const struct helper_options options = {0};
	struct helper *helper = helper__start(&options);
	const char **names = calloc(p->process.count, sizeof(*names));
	int root = openat(p->dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC), err = 0;

	p->files = calloc(p->process.count, sizeof(*p->files));
	p->owners = calloc(p->process.count, sizeof(*p->owners));
	if (!helper || !names || !p->files || !p->owners)
		err = -ENOMEM;
	for (size_t i = 0; !err && i < p->process.count; i++) {
		const struct mapping *m = &p->process.mappings[i];

		if (m->kind == MAPPED_ANON)
			add_generated(p, m);
		else if (m->kind == MAPPED_FILE && !is_known(p, m))
			add_file(p, helper, m);
	}
	if (!err && root >= 0)
		err = check_package__find(root, p->owners, p->count);
	if (!err) {
		read_perf_map(p);
		for (size_t i = 0; i < p->count; i++)
			names[i] = buf__text(&p->files[i].base);
		check_runtime__advise(p->dir, names, p->count, p->perf_map, &p->advice);
	}
	if (root >= 0)
		close(root);
	free(names);
	helper__stop(helper);
	return err;
}

struct check_process *check_process__new(pid_t pid, int *code)
{
	struct check_process *p = calloc(1, sizeof(*p));

	*code = EXIT_RUN_FAILED;
	if (p) {
		p->dir = -1;
		strings__init(&p->strings);
		*code = open_process(p, pid);
	}
	if (!*code && look(p))
		*code = EXIT_RUN_FAILED;
	if (*code == EXIT_RUN_FAILED)
		msg__error("out of memory");
	if (!*code)
		return p;
	check_process__free(p);
	return NULL;
}

void check_process__free(struct check_process *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++) {
		buf__free(&p->files[i].path);
		buf__free(&p->files[i].base);
	}
	free(p->files);
	free(p->owners);
	process__free_mappings(&p->process);
	strings__free(&p->strings);
	buf__free(&p->name);
	buf__free(&p->advice);
	if (p->dir >= 0)
		close(p->dir);
	free(p);
}

/* --- judging */

static bool keeps_frame_pointers(const struct file *f)
{
	return f->is_go || f->coverage.frame_pointer_percent >= FRAME_POINTERS_PERCENT;
}

/* By frame pointers alone a file that has nothing but tables ends the walk. */
static enum unwinds unwinds_of(const struct check_process *p, const struct file *f)
{
	if (f->err)
		return BY_UNKNOWN;
	if (p->by_tables && f->coverage.has_eh_frame)
		return BY_TABLES;
	if (keeps_frame_pointers(f))
		return BY_FRAME_POINTERS;
	return f->coverage.has_eh_frame ? BY_TABLES_ALONE : BY_CHANCE;
}

/* The vdso of 64-bit programs, if nothing else, lies far above 4 GB. */
static bool is_32bit(const struct process *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->mappings[i].end > 1ULL << 32)
			return false;
	return true;
}

void check_process__judge(struct check_process *p, bool kernel_walks_tables)
{
	p->is_32bit = is_32bit(&p->process);
	p->by_tables = kernel_walks_tables && !p->is_32bit;
	for (size_t i = 0; i < p->count; i++)
		p->files[i].unwinds = unwinds_of(p, &p->files[i]);
	if (p->is_32bit)
		buf__puts(&p->advice,
			  "32-bit: its stacks are walked by frame pointers, not by unwind tables\n");
	else if (!p->by_tables)
		buf__puts(&p->advice, "no unwind tables here, so stacks are walked by frame pointers: "
				      "`sonde check bpf_loop for_each_map_elem`\n");
}

static bool unwinds(const struct file *f)
{
	return unwinds_words[f->unwinds].key;
}

static bool is_named(const struct file *f)
{
	return f->names <= NAMES_DEBUG_FILE;
}

static bool is_forbidden(const struct file *f)
{
	return f->err == -EACCES || f->err == -EPERM;
}

/* The package that brings names, or NULL. */
static const char *mender(const struct file *f)
{
	return !f->err && !is_named(f) && !f->replaced && *f->owner->debug ? f->owner->debug : NULL;
}

/* What stands where no package mends. */
static const char *remark(const struct file *f)
{
	if (is_forbidden(f))
		return "may not be read: needs CAP_DAC_READ_SEARCH or CAP_SYS_PTRACE";
	if (f->err)
		return strerror(-f->err);
	if (f->replaced)
		return "was replaced on disk: restart it";
	return is_named(f) ? "" : "a build with symbols";
}

/* --- the words */

static void print_row(struct buf *out, int width, const char *file, const char *unwound, const char *named,
		      const char *mend)
{
	buf__printf(out, "%-*s  %-16s  %-12s  %s", width, file, unwound, named, mend);
	while (out->data && out->data[out->len - 1] == ' ')
		out->data[--out->len] = 0;
	buf__putc(out, '\n');
}

static void print_files(const struct check_process *p, struct buf *out)
{
	int width = 4;

	for (size_t i = 0; i < p->count; i++) {
		int len = text__width(buf__text(&p->files[i].base));

		width = len > width ? len : width;
	}
	print_row(out, width, "file", "unwinds by", "names from", "mended by");
	for (size_t i = 0; i < p->count; i++) {
		const struct file *f = &p->files[i];
		const char *mend = mender(f);

		print_row(out, width, buf__text(&f->base), unwinds_words[f->unwinds].text,
			  f->err ? "unknown" : names_words[f->names].text, mend ? mend : remark(f));
	}
}

/* Each package once: several files may come from one. */
static void print_menders(const struct check_process *p, struct buf *out)
{
	bool from_debug_archive = false;
	struct buf list = {0}; /* " a b ": spaces on both sides, to be searched */

	buf__putc(&list, ' ');
	for (size_t i = 0; i < p->count; i++) {
		const char *mend = mender(&p->files[i]);
		char word[160];

		if (!mend)
			continue;
		from_debug_archive |= text__glob("*-dbgsym", mend);
		snprintf(word, sizeof(word), " %s ", mend);
		if (!strstr(buf__text(&list), word))
			buf__printf(&list, "%s ", mend);
	}
	if (list.len > 1)
		buf__printf(out, "  apt install%.*s\n", (int)list.len - 1, buf__text(&list));
	if (from_debug_archive)
		buf__puts(out,
			  "  (-dbgsym: in the distribution's archive of debug symbols; apt must know it)\n");
	buf__free(&list);
}

static size_t count_files(const struct check_process *p, bool (*has)(const struct file *))
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		n += has(&p->files[i]);
	return n;
}

/* What may not be read is not judged. */
static void print_share(const struct check_process *p, struct buf *out, const char *what,
			bool (*has)(const struct file *), const char *others)
{
	size_t good = count_files(p, has), forbidden = count_files(p, is_forbidden);

	buf__printf(out, "%s: %zu of %zu files", what, good, p->count);
	if (good + forbidden < p->count)
		buf__printf(out, "; %s", others);
	if (forbidden)
		buf__printf(out, "; unknown of %zu that may not be read", forbidden);
	buf__putc(out, '\n');
}

void check_process__print(const struct check_process *p, struct buf *out)
{
	buf__printf(out, "\n%s[%d]\n", buf__text(&p->name), (int)p->process.key.tgid);
	print_files(p, out);
	print_share(p, out, "unwinding", unwinds,
		    p->by_tables ? "through the others by frame pointers, if their code keeps them"
				 : "user stacks end in the others: no frame pointers");
	print_share(p, out, "names", is_named, "of the others at most exported functions");
	print_menders(p, out);
	if (p->generated) {
		buf__printf(out, "generated code: ");
		units__bytes(out, p->generated_bytes);
		buf__printf(out, " in %zu regions, unwound by frame pointers if it keeps them, %s\n",
			    p->generated, p->perf_map ? "names from its perf map" : "no perf map");
	}
	buf__add(out, p->advice.data, p->advice.len);
}

static struct json_object *text_or_null(const char *text)
{
	return text && *text ? json_object_new_string(text) : NULL;
}

static struct json_object *file__json(const struct file *f)
{
	struct json_object *o = json_object_new_object();
	bool known = !f->err && (f->is_go || f->coverage.has_eh_frame);

	json_object_object_add(o, "path", json_object_new_string(buf__text(&f->path)));
	json_object_object_add(o, "build_id", text_or_null(f->coverage.build_id));
	json_object_object_add(o, "frame_pointers",
			       known ? json_object_new_boolean(keeps_frame_pointers(f)) : NULL);
	json_object_object_add(o, "unwind_tables",
			       f->err ? NULL : json_object_new_boolean(f->coverage.has_eh_frame));
	json_object_object_add(o, "unwinds_by", text_or_null(unwinds_words[f->unwinds].key));
	json_object_object_add(o, "names", f->err ? NULL : json_object_new_string(names_words[f->names].key));
	json_object_object_add(o, "package", text_or_null(f->owner->package));
	json_object_object_add(o, "install", text_or_null(mender(f)));
	json_object_object_add(o, "remark", mender(f) ? NULL : text_or_null(remark(f)));
	return o;
}

static struct json_object *share__json(const struct check_process *p, bool (*has)(const struct file *))
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "files", json_object_new_int64(p->count));
	json_object_object_add(o, "good", json_object_new_int64(count_files(p, has)));
	return o;
}

static struct json_object *lines__json(const struct buf *lines)
{
	struct json_object *list = json_object_new_array();

	for (const char *at = buf__text(lines); *at; at += strcspn(at, "\n") + 1)
		json_object_array_add(list, json_object_new_string_len(at, strcspn(at, "\n")));
	return list;
}

struct json_object *check_process__json(const struct check_process *p)
{
	struct json_object *o = json_object_new_object(), *files = json_object_new_array(),
			   *generated = json_object_new_object();

	for (size_t i = 0; i < p->count; i++)
		json_object_array_add(files, file__json(&p->files[i]));
	json_object_object_add(generated, "regions", json_object_new_int64(p->generated));
	json_object_object_add(generated, "bytes", json_object_new_int64(p->generated_bytes));
	json_object_object_add(generated, "perf_map", json_object_new_boolean(p->perf_map));
	json_object_object_add(o, "pid", json_object_new_int((int32_t)p->process.key.tgid));
	json_object_object_add(o, "name", json_object_new_string(buf__text(&p->name)));
	json_object_object_add(o, "bits", json_object_new_int(p->is_32bit ? 32 : 64));
	json_object_object_add(o, "files", files);
	json_object_object_add(o, "unwinding", share__json(p, unwinds));
	json_object_object_add(o, "names", share__json(p, is_named));
	json_object_object_add(o, "generated_code", generated);
	json_object_object_add(o, "advice", lines__json(&p->advice));
	return o;
}
