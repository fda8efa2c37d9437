/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "object/kallsyms.h"
#include "object/symbolizer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

/* Keeps "name" or "name module" of each lookup. */
struct keeper {
	struct name_taker taker;
	char text[32][64];
	size_t count;
};

static int keep(struct name_taker *taker, struct lookup *l, const char *name, const char *module)
{
	struct keeper *k = (struct keeper *)taker;

	assert_true(k->count < 32);
	snprintf(k->text[k->count], sizeof(*k->text), "%s%s%s", name, module ? " " : "",
		 module ? module : "");
	l->text = k->text[k->count++];
	return 0;
}

struct row {
	uint64_t address;
	const char *name;
	uint64_t offset;
};

static int scan(const char *symbols, const char *modules, const struct row *rows, size_t count)
{
	struct keeper k = {.taker.take = keep};
	struct lookup l[32] = {0};
	int fd = fixture__file(symbols, strlen(symbols));
	int modules_fd = modules ? fixture__file(modules, strlen(modules)) : -1, err;

	for (size_t i = 0; i < count; i++) {
		l[i].address = rows[i].address;
		l[i].index = (uint32_t)i;
	}
	lookup__sort(l, count);
	err = kallsyms__scan(fd, modules_fd, l, count, &k.taker);
	for (size_t i = 0; i < count && !err; i++) {
		const struct row *row = &rows[l[i].index];

		if (!row->name) {
			assert_null(l[i].text);
			continue;
		}
		assert_non_null(l[i].text);
		assert_string_equal(l[i].text, row->name);
		assert_true(l[i].address - l[i].value == row->offset);
	}
	close(fd);
	if (modules)
		close(modules_fd);
	return err;
}
#define SCAN(symbols, modules, rows) scan(symbols, modules, rows, sizeof(rows) / sizeof(*(rows)))

static const char core[] = "0000000000000000 A fixed_percpu_data\n"
			   "ffffffff81000000 t __hidden_alias\n"
			   "ffffffff81000000 T _stext\n"
			   "ffffffff81000000 T startup\n"
			   "ffffffff81000100 T do_work\n"
			   "ffffffff81000180 t helper\n"
			   "ffffffff81000200 D some_data\n"
			   "ffffffff81000300 W weak_one\n"
			   "ffffffff81000300 T __strong_one\n"
			   "ffffffff81000400 T last\n"
			   "ffffffff81000500 T _etext\n"
			   "ffffffff81000900 B _end\n";

static void nearest_text(void **state)
{
	static const struct row rows[] = {
		{0xffffffff81000000, "startup", 0},
		{0xffffffff810000ff, "startup", 0xff},
		{0xffffffff81000100, "do_work", 0},
		{0xffffffff8100017f, "do_work", 0x7f},
		{0xffffffff81000181, "helper", 1},
		{0xffffffff810001ff, "helper", 0x7f},
		{0xffffffff81000200, NULL, 0}, /* data */
		{0xffffffff810002ff, NULL, 0},
		{0xffffffff81000310, "__strong_one", 0x10},
		{0xffffffff810004ff, "last", 0xff},
		{0xffffffff81000500, NULL, 0}, /* behind the text */
		{0xffffffff81000600, NULL, 0},
		{0xffffffff81001000, NULL, 0}, /* behind everything */
		{0xffffffffffffffff, NULL, 0},
		{0xffffffff80ffffff, NULL, 0}, /* before everything */
		{0x1234, NULL, 0},
		{0, NULL, 0},
	};

	(void)state;
	assert_int_equal(SCAN(core, NULL, rows), 0);
}

/* Modules list their symbols in no order; the last one is bounded by the module's end. */
static void modules(void **state)
{
	static const char text[] = "ffffffff81000000 T core\n"
				   "ffffffff81000900 B _end\n"
				   "ffffffffc0002200 t second\t[nf_tables]\n"
				   "ffffffffc0002800 t last\t[nf_tables]\n"
				   "ffffffffc0002000 t first\t[nf_tables]\n"
				   "ffffffffc0002600 d data\t[nf_tables]\n"
				   "ffffffffc0100000 t bpf_prog_6deef7357e7b4530_sd_devices\t[bpf]\n"
				   "ffffffffc0100400 t bpf_prog_1234_other\t[bpf]\n";
	static const char list[] = "nf 4096 0 - Live 0xffffffffc0002000\n"
				   "nf_tables 4096 1 nft_compat,nf, Live 0xffffffffc0002000\n";
	static const struct row rows[] = {
		{0xffffffffc0002001, "first nf_tables", 1},
		{0xffffffffc00021ff, "first nf_tables", 0x1ff},
		{0xffffffffc0002201, "second nf_tables", 1},
		{0xffffffffc0002601, NULL, 0},
		{0xffffffffc0002801, "last nf_tables", 1},
		{0xffffffffc0002fff, "last nf_tables", 0x7ff},
		{0xffffffffc0003000, NULL, 0}, /* behind the module */
		{0xffffffffc0001fff, NULL, 0},
		{0xffffffffc01000ff, "bpf_prog_6deef7357e7b4530_sd_devices bpf", 0xff},
		{0xffffffffc0100401, "bpf_prog_1234_other bpf", 1},
		{0xffffffffc0110400, NULL, 0}, /* larger than any program */
	};

	(void)state;
	assert_int_equal(SCAN(text, list, rows), 0);
}

/* Without a list of modules, the highest program still has a name, up to what a program can be. */
static void no_modules(void **state)
{
	static const char text[] = "ffffffff81000000 T core\n"
				   "ffffffff81000900 B _end\n"
				   "ffffffffc0001000 t bpf_prog_6deef7357e7b4530_first\t[bpf]\n"
				   "ffffffffc0000000 t ftrace_trampoline\t[__builtin__ftrace]\n"
				   "ffffffffc0002000 t bpf_prog_1234_last\t[bpf]\n";
	static const struct row rows[] = {
		{0xffffffffc0000001, "ftrace_trampoline __builtin__ftrace", 1},
		{0xffffffffc0001001, "bpf_prog_6deef7357e7b4530_first bpf", 1},
		{0xffffffffc0002001, "bpf_prog_1234_last bpf", 1},
		{0xffffffffc0011fff, "bpf_prog_1234_last bpf", 0xffff},
		{0xffffffffc0012000, NULL, 0},
		{0xffffffff81000901, NULL, 0},
	};

	(void)state;
	assert_int_equal(SCAN(text, NULL, rows), 0);
}

static void scheduler_text(void **state)
{
	static const char start[] = "ffffffff81000100 T __sched_text_start\n",
			  end[] = "ffffffff81000200 T __sched_text_end\n";
	static const struct {
		const char *first, *second;
		bool marked;
	} rows[] = {{start, end, true}, {end, start, true}, {start, "", false}, {end, "", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct keeper k = {.taker.take = keep};
		struct lookup l[] = {{.address = 0xffffffff810000ff},
				     {.address = 0xffffffff81000100},
				     {.address = 0xffffffff810001ff},
				     {.address = 0xffffffff81000200}};
		struct buf text = {0};
		int fd;

		buf__puts(&text, rows[i].first);
		buf__puts(&text, rows[i].second);
		fd = fixture__file(text.data, text.len);
		assert_int_equal(kallsyms__scan(fd, -1, l, 4, &k.taker), 0);
		assert_false(l[0].scheduler || l[3].scheduler);
		assert_int_equal(l[1].scheduler, rows[i].marked);
		assert_int_equal(l[2].scheduler, rows[i].marked);
		buf__free(&text);
		close(fd);
	}
}

static void hidden_addresses(void **state)
{
	static const struct row rows[] = {{0xffffffff81000000, NULL, 0}};

	(void)state;
	assert_int_equal(SCAN("0000000000000000 T startup\n0000000000000000 T do_work\n", NULL, rows),
			 -EPERM);
	assert_int_equal(SCAN("", NULL, rows), 0);
}

static void junk(void **state)
{
	static const struct row rows[] = {{0xffffffff81000001, "good", 1}, {0x10, NULL, 0}};
	struct buf b = {0};

	(void)state;
	buf__puts(&b,
		  "\n\nzzz\nffffffff81000000\nffffffff81000000 \nffffffff81000000 T\nffffffff81000000 T \n"
		  "ffffffff81000000 TT x\nffffffff81000000 T \t[m]\nffffffff81000000 T "
		  "good\nffffffff81000005 T ");
	for (int i = 0; i < 4000; i++)
		buf__puts(&b, "very_long_symbol_name_");
	buf__puts(&b, "\nffffffff81000005 t next\tno bracket\n");
	buf__puts(&b, "ffffffff81000009 T end\n");
	assert_int_equal(scan(buf__text(&b), NULL, rows, 2), 0);
	buf__free(&b);
}

/* Does a line "address type name" stand among those that start at `needle`? */
static bool is_listed(const char *text, const char *needle, const char *name)
{
	size_t len = strlen(name);
	const char *line = strstr(text, needle);

	for (; line && !strncmp(line, needle, 17); line = strchr(line, '\n') + 1)
		if (!strncmp(line + 19, name, len) && strchr("\n\t", line[19 + len]))
			return true;
	return false;
}

/* On the running kernel: each text symbol of a sample is named by one of the names that stand there. */
static void running_kernel(void **state)
{
	struct symbolizer *s = symbolizer__new();
	struct buf text = {0};
	uint64_t at[400], value;
	struct symbol symbols[400];
	struct symbol_request r = {.source = SYMBOLS_KERNEL, .addresses = at};
	size_t number = 0, named = 0;
	char type, needle[32];

	(void)state;
	assert_int_equal(buf__read_file(&text, "/proc/kallsyms", 256u << 20), 0);
	for (const char *line = text.data; *line && r.count < 400; line = strchr(line, '\n') + 1)
		if (++number % 300 == 0 && sscanf(line, "%lx %c", &value, &type) == 2 && strchr("tT", type) &&
		    value)
			at[r.count++] = value;
	r.fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	r.modules_fd = open("/proc/modules", O_RDONLY | O_CLOEXEC);
	if (r.count) {
		assert_int_equal(symbolizer__resolve(s, &r, symbols), 0);
		for (size_t i = 0; i < r.count; i++) {
			snprintf(needle, sizeof(needle), "%016lx ", at[i]);
			named += symbols[i].name != NULL;
			if (symbols[i].name)
				assert_true(!symbols[i].offset &&
					    is_listed(text.data, needle, symbols[i].name));
		}
		assert_true(named >= r.count - 4); /* the marks of the text's ends are no names */
	}
	buf__free(&text);
	symbolizer__free(s);
	close(r.fd);
	if (r.modules_fd >= 0)
		close(r.modules_fd);
	if (!r.count) {
		print_message("the kernel hides its addresses: needs CAP_SYSLOG\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nearest_text),	    cmocka_unit_test(modules),
		cmocka_unit_test(no_modules),	    cmocka_unit_test(scheduler_text),
		cmocka_unit_test(hidden_addresses), cmocka_unit_test(junk),
		cmocka_unit_test(running_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
