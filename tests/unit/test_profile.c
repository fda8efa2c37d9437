// SPDX-License-Identifier: Apache-2.0
/*
 * pprof, speedscope and JSON lines: what a sink writes, field by field and byte by byte; what comes back when
 * it is read; and what is said of files that are broken.
 */
#include "sink_fixture.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "sink/json.h"
#include "sink/picture.h"
#include "sink/pprof.pb-c.h"
#include "sink/profile.h"

extern char **environ;

static const struct image libc_image = {0x7f0000000000, 0x7f0000200000, 0x1000, "/usr/lib/libc.so.6",
					"c0ffee11"};
static const struct image api_image = {0x55d0c0de0000, 0x55d0c0df0000, 0, "/opt/api \xff", ""};

static const struct frame stack[] = {
	K("futex_wait"),
	{.name = "mutex_lock",
	 .object = "libc.so.6",
	 .address = 0x7f0000001234,
	 .kind = FRAME_LIBRARY,
	 .image = &libc_image},
	{.name = "hash",
	 .object = "api",
	 .address = 0x55d0c0de1000,
	 .kind = FRAME_INLINED,
	 .image = &api_image,
	 .file = "src/hash.c",
	 .line = 12},
	{.name = "cache_get",
	 .object = "api",
	 .address = 0x55d0c0de1000,
	 .kind = FRAME_USER,
	 .image = &api_image,
	 .file = "src/cache.c",
	 .line = 99},
	{.name = "api+0x77", .object = "api", .address = 0x55d0c0de0077, .kind = FRAME_USER},
	MARK("[truncated: no frame pointers]")};
static const struct frame waker_stack[] = {K("try_to_wake_up"), LIB("pthread_cond_signal")};

static const struct who api = {.tgid = 812, .tid = 814, .comm = "api", .cgroup = 4711, .start_ns = 77 * S};

static struct sample samples_of(size_t first, uint64_t value)
{
	return (struct sample){.frames = stack + first,
			       .count = COUNT(stack) - first,
			       .value = value,
			       .occurrences = value,
			       .period_ns = 10101010,
			       .incomplete = "no frame pointers"};
}

static void cpu(struct outlet *out)
{
	emit_stack(out, &metric_samples, api, NULL, samples_of(0, 7));
	emit_stack(out, &metric_samples, api, NULL, samples_of(2, 5));
	emit_stack(out, &metric_samples, (struct who){.comm = "a;\177\n"}, NULL,
		   (struct sample){.frames = stack + 2,
				   .count = 2,
				   .value = 1,
				   .occurrences = 1,
				   .period_ns = 10101010});
}

static void waits(struct outlet *out)
{
	emit_stack(out, &metric_waits, api, "lock",
		   (struct sample){.frames = stack,
				   .count = 4,
				   .value = 19400 * MS,
				   .occurrences = 27000,
				   .open = 3,
				   .waker_frames = waker_stack,
				   .waker_count = COUNT(waker_stack),
				   .waker_comm = "feeder"});
	emit_stack(out, &metric_waits, api, "disk",
		   (struct sample){.frames = stack, .count = 4, .value = 1000, .occurrences = 1});
	emit_stack(out, &metric_waits, api, "lock",
		   (struct sample){.frames = stack + 1,
				   .count = 3,
				   .value = 5 * US,
				   .occurrences = 2,
				   .waker_frames = waker_stack,
				   .waker_count = 1,
				   .waker_comm = ""});
}

/* The file of one interval. */
static void write_file(struct buf *bytes, const struct sink_type *type, filler fill)
{
	struct interval i = an_interval("api[812]", "what it did");
	char path[] = "/tmp/sonde-profile-XXXXXX";
	struct outlet out;

	i.coverage = (struct coverage){100, 94, "no frame pointers", "libfoo.so"};
	assert_int_equal(close(mkstemp(path)), 0);
	out.sink = type->open(&(struct sink_options){.path = path, .command_line = "sonde profile"});
	assert_non_null(out.sink);
	assert_int_equal(type->begin(out.sink, &i), 0);
	if (fill)
		fill(&out);
	assert_int_equal(type->end(out.sink, &i), 0);
	assert_int_equal(type->close(out.sink, true), 0);
	assert_int_equal(buf__read_file(bytes, path, 1 << 24), 0);
	assert_int_equal(unlink(path), 0);
}

/* --- pprof */

static void gunzip(struct buf *out, const struct buf *bytes)
{
	z_stream z = {.next_in = (void *)bytes->data, .avail_in = (uInt)bytes->len};
	static unsigned char room[1 << 20];

	assert_int_equal(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
	z.next_out = room;
	z.avail_out = sizeof(room);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	buf__add(out, room, z.total_out);
	inflateEnd(&z);
}

static void gzip(struct buf *out, const void *bytes, size_t len)
{
	static unsigned char room[1 << 20];
	z_stream z = {
		.next_in = (void *)bytes, .avail_in = (uInt)len, .next_out = room, .avail_out = sizeof(room)};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf__add(out, room, z.total_out);
	deflateEnd(&z);
}

#define TEXT(index) (m->string_table[index])

static void dump_location(struct buf *out, const Pprof__Profile *m, uint64_t id)
{
	const Pprof__Location *l = m->location[id - 1];

	assert_int_equal(l->id, id);
	buf__printf(out, "  %llu: 0x%llx in %llu:", (unsigned long long)id, (unsigned long long)l->address,
		    (unsigned long long)l->mapping_id);
	for (size_t i = 0; i < l->n_line; i++) {
		const Pprof__Function *f = m->function[l->line[i]->function_id - 1];

		assert_int_equal(f->id, l->line[i]->function_id);
		assert_string_equal(TEXT(f->name), TEXT(f->system_name));
		buf__printf(out, " %s %s:%lld", TEXT(f->name), TEXT(f->filename),
			    (long long)l->line[i]->line);
	}
	buf__puts(out, "\n");
}

static void dump_samples(struct buf *out, const Pprof__Profile *m)
{
	for (size_t i = 0; i < m->n_sample; i++) {
		const Pprof__Sample *s = m->sample[i];

		buf__puts(out, "sample");
		for (size_t j = 0; j < s->n_value; j++)
			buf__printf(out, " %lld", (long long)s->value[j]);
		for (size_t j = 0; j < s->n_label; j++) {
			const Pprof__Label *l = s->label[j];

			if (l->str)
				buf__printf(out, " %s=%s", TEXT(l->key), TEXT(l->str));
			else
				buf__printf(out, " %s=%lld%s", TEXT(l->key), (long long)l->num,
					    TEXT(l->num_unit));
		}
		buf__puts(out, "\n");
		for (size_t j = 0; j < s->n_location_id; j++)
			dump_location(out, m, s->location_id[j]);
	}
}

/* What stands in the messages, as text. Versions and bytes of zlib change, this does not. */
static void dump(struct buf *out, const struct buf *bytes)
{
	struct buf plain = {0};
	Pprof__Profile *m;

	gunzip(&plain, bytes);
	m = pprof__profile__unpack(NULL, plain.len, (const uint8_t *)plain.data);
	assert_non_null(m);
	assert_string_equal(TEXT(0), "");
	for (size_t i = 0; i < m->n_sample_type; i++)
		buf__printf(out, "type %s/%s\n", TEXT(m->sample_type[i]->type),
			    TEXT(m->sample_type[i]->unit));
	buf__printf(out, "default %s, time %lld, duration %lld", TEXT(m->default_sample_type),
		    (long long)m->time_nanos, (long long)m->duration_nanos);
	if (m->period_type)
		buf__printf(out, ", period %lld %s/%s", (long long)m->period, TEXT(m->period_type->type),
			    TEXT(m->period_type->unit));
	buf__puts(out, "\n");
	dump_samples(out, m);
	for (size_t i = 0; i < m->n_mapping; i++) {
		const Pprof__Mapping *p = m->mapping[i];

		buf__printf(out, "mapping %llu: 0x%llx-0x%llx %llx %s %s%s%s%s%s\n",
			    (unsigned long long)p->id, (unsigned long long)p->memory_start,
			    (unsigned long long)p->memory_limit, (unsigned long long)p->file_offset,
			    TEXT(p->filename), TEXT(p->build_id), p->has_functions ? " functions" : "",
			    p->has_filenames ? " filenames" : "", p->has_line_numbers ? " lines" : "",
			    p->has_inline_frames ? " inlined" : "");
	}
	for (size_t i = 0; i < m->n_comment; i++)
		if (strncmp(TEXT(m->comment[i]), "sonde:", 6) != 0)
			buf__printf(out, "# %s\n", TEXT(m->comment[i]));
	pprof__profile__free_unpacked(m, NULL);
	buf__free(&plain);
}

static void check_pprof(const char *golden, filler fill)
{
	struct buf bytes = {0}, text = {0};

	write_file(&bytes, &sink_pprof, fill);
	dump(&text, &bytes);
	check_golden(golden, buf__text(&text));
	buf__free(&bytes);
	buf__free(&text);
}

static void test_pprof_of_samples(void **state)
{
	(void)state;
	check_pprof("tests/golden/pprof/cpu.txt", cpu);
}

static void test_pprof_of_waits(void **state)
{
	(void)state;
	check_pprof("tests/golden/pprof/waits.txt", waits);
}

static void test_pprof_of_nothing(void **state)
{
	(void)state;
	check_pprof("tests/golden/pprof/empty.txt", NULL);
}

/* --- speedscope */

static void check_speedscope(const char *golden, filler fill)
{
	struct buf bytes = {0};
	char *version;

	write_file(&bytes, &sink_speedscope, fill);
	version = strstr(buf__text(&bytes), "sonde " SONDE_VERSION);
	assert_non_null(version);
	memset(version + strlen("sonde "), '#', strlen(SONDE_VERSION));
	check_golden(golden, bytes.data);
	buf__free(&bytes);
}

static void test_speedscope(void **state)
{
	(void)state;
	check_speedscope("tests/golden/speedscope/cpu.speedscope.json", cpu);
	check_speedscope("tests/golden/speedscope/waits.speedscope.json", waits);
	check_speedscope("tests/golden/speedscope/empty.speedscope.json", NULL);
}

static void test_speedscope_is_sound(void **state)
{
	static const char *const argv[] = {"python3",
					   "tests/golden/speedscope/check.py",
					   "tests/golden/speedscope/cpu.speedscope.json",
					   "tests/golden/speedscope/waits.speedscope.json",
					   "tests/golden/speedscope/empty.speedscope.json",
					   NULL};
	int status;
	pid_t pid;

	(void)state;
	if (access("/usr/bin/python3", X_OK)) {
		print_message("skipped: no python3\n");
		skip();
	}
	assert_int_equal(posix_spawn(&pid, "/usr/bin/python3", NULL, NULL, (char *const *)argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- there and back */

static void fold_file(struct buf *folded, const struct buf *bytes, const char *value)
{
	struct buf why = {0};
	struct flamegraph g;
	struct profile p;
	bool is_tree;

	flamegraph__init(&g);
	profile__init(&p);
	assert_int_equal(profile__read(&p, &g, buf__text(bytes), bytes->len, &is_tree, &why), 0);
	assert_string_equal(buf__text(&why), "");
	if (!is_tree)
		assert_int_equal(profile__fold(&p, &g, value), 0);
	buf__clear(folded);
	flamegraph__write_folded(folded, &g, false);
	profile__free(&p);
	flamegraph__free(&g);
}

/* Whatever the format, the same picture is drawn as by the folded sink. */
static void check_same_picture(filler fill)
{
	static const struct sink_type *const types[] = {&sink_pprof, &sink_speedscope, &sink_json};
	struct buf expected = {0}, bytes = {0}, folded = {0};

	write_file(&expected, &sink_folded, fill);
	assert_true(expected.len > 0);
	for (size_t i = 0; i < COUNT(types); i++) {
		buf__clear(&bytes);
		write_file(&bytes, types[i], fill);
		fold_file(&folded, &bytes, NULL);
		/* speedscope has no kinds of frames but by their files */
		if (types[i] != &sink_speedscope)
			assert_string_equal(buf__text(&folded), buf__text(&expected));
		else
			assert_int_equal(folded.len > 0, 1);
	}
	buf__free(&expected);
	buf__free(&bytes);
	buf__free(&folded);
}

static void test_same_picture(void **state)
{
	(void)state;
	check_same_picture(cpu);
	check_same_picture(waits);
}

static void test_values(void **state)
{
	struct buf bytes = {0}, folded = {0};

	(void)state;
	write_file(&bytes, &sink_pprof, waits);
	fold_file(&folded, &bytes, "events");
	assert_non_null(strstr(buf__text(&folded), " 27003\n"));
	fold_file(&folded, &bytes, "offcpu");
	assert_non_null(strstr(buf__text(&folded), " 19400000\n"));
	buf__free(&bytes);
	buf__free(&folded);
}

/* Written again from what was read, all of it is the same. */
static void test_pprof_again(void **state)
{
	struct buf bytes = {0}, again = {0}, first = {0}, second = {0}, why = {0};
	struct flamegraph g;
	struct profile p;

	(void)state;
	write_file(&bytes, &sink_pprof, waits);
	flamegraph__init(&g);
	profile__init(&p);
	assert_int_equal(pprof__read(&p, &g, bytes.data, bytes.len, &why), 0);
	pprof__write(&again, &p, &g);
	dump(&first, &bytes);
	dump(&second, &again);
	assert_string_equal(first.data, second.data);
	profile__free(&p);
	flamegraph__free(&g);
	buf__free(&bytes);
	buf__free(&again);
	buf__free(&first);
	buf__free(&second);
}

/* Points out of a profile: who, labels, completeness and the waker come apart again as they were joined. */
static void test_points_again(void **state)
{
	struct buf bytes = {0}, why = {0};
	struct flamegraph g;
	struct profile p;
	struct sink *sink;
	char *text = NULL;
	size_t len;
	FILE *stream = open_memstream(&text, &len);

	(void)state;
	write_file(&bytes, &sink_pprof, waits);
	flamegraph__init(&g);
	profile__init(&p);
	assert_int_equal(pprof__read(&p, &g, bytes.data, bytes.len, &why), 0);
	sink = json_sink__to(stream, &(struct sink_options){0});
	assert_int_equal(profile__emit(&p, &g, sink), 0);
	assert_int_equal(sink->type->close(sink, true), 0);
	assert_int_equal(fclose(stream), 0);
	assert_non_null(strstr(text, "\"who\":{\"tgid\":812,\"tid\":814,\"comm\":\"api\",\"cgroup\":\"4711\","
				     "\"start_ns\":77000000000},\"labels\":{\"reason\":\"lock\"},"
				     "\"value\":19400000000,\"occurrences\":27003,"));
	assert_non_null(
		strstr(text, "\"waker\":{\"comm\":\"feeder\",\"frames\":[{\"name\":\"try_to_wake_up\","));
	assert_non_null(strstr(text, "\"waker\":{\"comm\":\"\",\"frames\":[{\"name\":\"try_to_wake_up\","));
	assert_non_null(strstr(text, "\"worst_object\":\"libfoo.so\""));
	free(text);
	profile__free(&p);
	flamegraph__free(&g);
	buf__free(&bytes);
}

/* --- broken files */

static void check_refused(const void *bytes, size_t len, const char *expected)
{
	struct buf why = {0};
	struct flamegraph g;
	struct profile p;
	bool is_tree;

	flamegraph__init(&g);
	profile__init(&p);
	assert_int_not_equal(profile__read(&p, &g, bytes, len, &is_tree, &why), 0);
	assert_string_equal(buf__text(&why), expected);
	profile__free(&p);
	flamegraph__free(&g);
	buf__free(&why);
}

static void test_broken_text(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"{\"type\":\"start\"}\n{\"type\":\"stack\"}", ":2: a stack without `frames`"},
		{"{\"type\":\"start\"}\n{\"type\":\"surprise\"}",
		 ":2: not a type of line that sonde knows (sonde schema)"},
		{"{\"type\":\"start\"}\n\n{\"type\":", ":3: not a line of sonde's JSON (sonde schema)"},
		{"{\"type\":\"start\"}\n7", ":2: not a line of sonde's JSON (sonde schema)"},
		{"{\"type\":\"stack\",\"value\":1,\"frames\":[7]}", ":1: a frame without `name`"},
		{"{\"a\":", ": not JSON, at byte 5"},
		{"{\"a\":1}", ": JSON, but neither lines of sonde nor a profile of speedscope"},
		{"{\"shared\":{\"frames\":[]}}", ": no list of `profiles`"},
		{"{\"shared\":{\"frames\":[{}]},\"profiles\":[]}", ": frame 0 has no name"},
		{"{\"shared\":{\"frames\":[]},\"profiles\":[{\"unit\":\"miles\"}]}",
		 ": profile 1: its unit is none that speedscope has"},
		{"{\"shared\":{\"frames\":[]},\"profiles\":[{\"unit\":\"none\",\"type\":\"x\"}]}",
		 ": profile 1: neither sampled nor evented"},
		{"{\"shared\":{\"frames\":[]},\"profiles\":[{\"unit\":\"none\",\"type\":\"sampled\","
		 "\"samples\":[[0]],\"weights\":[1]}]}",
		 ": profile 1: sample 0 refers to a frame that is not there"},
		{"{\"shared\":{\"frames\":[{\"name\":\"a\"}]},\"profiles\":[{\"unit\":\"none\",\"type\":"
		 "\"sampled\","
		 "\"samples\":[[0]],\"weights\":[-1]}]}",
		 ": profile 1: weight 0 is not a number from 0"},
		{"{\"shared\":{\"frames\":[{\"name\":\"a\"}]},\"profiles\":[{\"unit\":\"none\",\"type\":"
		 "\"evented\","
		 "\"events\":[{\"type\":\"C\",\"frame\":0,\"at\":0}]}]}",
		 ": profile 1: event 0 neither opens a frame nor closes the last one"},
		{"main;a", ":1: not a folded stack: want `frame;frame;frame NUMBER`"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_refused(rows[i].text, strlen(rows[i].text), rows[i].why);
}

static void check_message(const Pprof__Profile *m, const char *why)
{
	struct buf bytes = {0};
	uint8_t room[512];
	size_t len = pprof__profile__pack(m, room);

	assert_true(len <= sizeof(room));
	gzip(&bytes, room, len);
	check_refused(bytes.data, bytes.len, why);
	buf__free(&bytes);
}

static void test_broken_messages(void **state)
{
	char empty[] = "", *strings[] = {empty};
	uint64_t ids[] = {9};
	int64_t values[] = {1};
	Pprof__ValueType type = PPROF__VALUE_TYPE__INIT, *types[] = {&type};
	Pprof__Line line = PPROF__LINE__INIT, *lines[] = {&line};
	Pprof__Location location = PPROF__LOCATION__INIT, *locations[] = {&location};
	Pprof__Sample sample = PPROF__SAMPLE__INIT, *samples[] = {&sample};
	Pprof__Profile m = PPROF__PROFILE__INIT;

	(void)state;
	m.string_table = strings;
	m.sample = samples;
	m.sample_type = types;
	m.location = locations;
	location.id = 9;
	location.line = lines;
	sample.location_id = ids;
	sample.value = values;
	m.n_string_table = 1;
	check_message(&m, ": not a pprof profile");
	m.n_sample_type = 1;
	m.n_sample = 1;
	check_message(&m, ": sample 1 has 0 values of 1");
	sample.n_value = sample.n_location_id = 1;
	check_message(&m, ": sample 1 refers to location 9, which is not there");
	m.n_location = 1;
	location.n_line = 1;
	check_message(&m, ": location 9 refers to function 0, which is not there");
	location.n_line = 0;
	location.mapping_id = 3;
	check_message(&m, ": location 9 refers to mapping 3, which is not there");
	location.mapping_id = 0;
	values[0] = -1;
	check_message(&m, ": sample 1 has a negative value: this is a difference");
	type.type = 77;
	check_message(&m, ": refers to string 77, which is not there");
}

static void test_broken_bytes(void **state)
{
	static const unsigned char zeros[1 << 16];
	struct buf bytes = {0};

	(void)state;
	write_file(&bytes, &sink_pprof, cpu);
	check_refused(bytes.data, bytes.len / 2, ": the gzip data ends too early");
	buf__clear(&bytes);
	buf__add(&bytes, "\x1f\x8b\x08\0\0\0\0\0\0\3\xff\xff", 12);
	check_refused(bytes.data, bytes.len, ": the gzip data is damaged at byte 11");
	buf__clear(&bytes);
	gzip(&bytes, zeros, sizeof(zeros));
	check_refused(bytes.data, bytes.len, ": not a pprof profile, or damaged");
	buf__free(&bytes);
}

static void test_files_are_whole_or_absent(void **state)
{
	(void)state;
	check_whole_or_absent(&sink_pprof, NULL);
	check_whole_or_absent(&sink_speedscope, NULL);
}

static void test_extensions(void **state)
{
	static const struct {
		const char *path, *sink, *extension;
	} rows[] = {
		{"x.pb.gz", "pprof", ".pb.gz"}, {"a.b/x.y.PB.GZ", "pprof", ".PB.GZ"},
		{"x.pprof", "pprof", ".pprof"}, {"x.speedscope.json", "speedscope", ".speedscope.json"},
		{"x.json", "json", ".json"},	{"x.svg.json", "json", ".json"},
		{"x.gz", NULL, NULL},		{"x.svg/y", NULL, NULL},
		{".svg", "svg", ".svg"},	{"x.", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct sink_type *type = sink__by_extension(rows[i].path);

		assert_int_equal(type != NULL, rows[i].sink != NULL);
		if (!type)
			continue;
		assert_string_equal(type->name, rows[i].sink);
		assert_string_equal(sink__extension(rows[i].path), rows[i].extension);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pprof_of_samples),
		cmocka_unit_test(test_pprof_of_waits),
		cmocka_unit_test(test_pprof_of_nothing),
		cmocka_unit_test(test_speedscope),
		cmocka_unit_test(test_speedscope_is_sound),
		cmocka_unit_test(test_same_picture),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_pprof_again),
		cmocka_unit_test(test_points_again),
		cmocka_unit_test(test_broken_text),
		cmocka_unit_test(test_broken_messages),
		cmocka_unit_test(test_broken_bytes),
		cmocka_unit_test(test_files_are_whole_or_absent),
		cmocka_unit_test(test_extensions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
