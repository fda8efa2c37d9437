// SPDX-License-Identifier: Apache-2.0
/* Folded, SVG and HTML from points, byte by byte against golden files; and what is inside comes out again. */
#include <errno.h>
#include <unistd.h>

#include "sink/flamegraph.h"
#include "sink/picture.h"
#include "sink_fixture.h"

static const struct who api = {.tgid = 812, .tid = 814, .comm = "api"};
static const struct who nasty = {.tgid = 9, .tid = 9, .comm = "# lost: 0;\n\"<"};

static void emit_profile(struct outlet *out)
{
	static const struct frame hash[] = {U("hash_search"), U("ExecScan"), U("main")};
	static const struct frame syscall[] = {K("vfs_read"), K("do_syscall_64"), LIB("read"), U("main")};
	static const struct frame jit[] = {{.name = "py::f x", .object = "", .kind = FRAME_JIT},
					   {.name = "twice", .object = "api", .kind = FRAME_INLINED},
					   MARK("[truncated: no unwind table]")};
	static const struct frame hostile[] = {U(HOSTILE), U("</script><script>alert(1)</script>"),
					       U("]]>' onload='x")};

	emit_stack(out, &metric_samples, api, "", (struct sample){hash, 3, .value = 414, .occurrences = 414});
	emit_stack(out, &metric_samples, api, "",
		   (struct sample){syscall, 4, .value = 207, .occurrences = 207});
	emit_stack(out, &metric_samples, api, "",
		   (struct sample){jit, 3, .value = 31, .occurrences = 31, .incomplete = "no unwind table"});
	emit_stack(out, &metric_samples, nasty, "",
		   (struct sample){hostile, 3, .value = 7, .occurrences = 7});
}

static void emit_waits(struct outlet *out)
{
	static const struct frame futex[] = {K("futex_wait"), LIB("pthread_cond_wait"), U("cache_get"),
					     U("main")};
	static const struct frame waker[] = {K("try_to_wake_up"), U("cache_evict"), U("start_thread")};
	static const struct frame irq[] = {K("try_to_wake_up"), K("net_rx_action")};

	emit_stack(out, &metric_waits, api, "lock",
		   (struct sample){futex, 4, waker, 3, "evictor", NULL, 19400 * MS, 27000, 1, NULL});
	emit_stack(out, &metric_waits, api, "lock",
		   (struct sample){futex, 4, irq, 2, "", NULL, 3 * MS + 499, 2, 0, NULL});
	emit_stack(out, &metric_waits, nasty, "lock",
		   (struct sample){futex, 2, .value = 1499, .occurrences = 1});
	/* Another unit does not belong into the picture; other kinds are none of its business. */
	emit_stack(out, &metric_samples, api, "", (struct sample){futex, 4, .value = 1, .occurrences = 1});
	emit_count(out, &metric_counter, api, "", "", 5);
}

/* What the sink writes for one interval, as text. */
static void write_picture(const struct sink_type *type, void (*emit_points)(struct outlet *), bool inverted,
			  struct buf *text)
{
	static const struct loss_row loss[] = {{"cpu", "aggregated", 659, false},
					       {"cpu", "ring full", 3, true}};
	char path[] = "/tmp/sonde-test-XXXXXX";
	struct interval interval = an_interval("api[812]", "1.89 CPUs, 659 samples at 99 Hz (cpu-clock)");
	struct sink_options options = {.path = path,
				       .command_line = "sonde profile -p 812 --comm '<x>'",
				       .min_width = 0,
				       .inverted = inverted};
	struct outlet out;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	interval.loss = loss;
	interval.loss_count = 2;
	interval.lost = 3;
	interval.coverage = (struct coverage){659, 628, "no unwind table", "libfoo.so"};
	out.sink = type->open(&options);
	assert_non_null(out.sink);
	assert_int_equal(type->begin(out.sink, &interval), 0);
	emit_points(&out);
	assert_int_equal(type->end(out.sink, &interval), 0);
	assert_int_equal(type->close(out.sink, true), 0);
	assert_int_equal(buf__read_file(text, path, 1 << 24), 0);
	unlink(path);
}

/* A new version of sonde is no reason for new golden files. */
static void hide_version(struct buf *text)
{
	static const char line[] = "# sonde: " SONDE_VERSION "\n";
	char *at = strstr(buf__text(text), line);
	struct buf out = {0};

	if (!at)
		return;
	buf__add(&out, text->data, (size_t)(at - text->data));
	buf__puts(&out, at + sizeof(line) - 1);
	buf__free(text);
	*text = out;
}

static void check(const struct sink_type *type, void (*emit_points)(struct outlet *), bool inverted,
		  const char *golden)
{
	struct buf text = {0}, again = {0};

	write_picture(type, emit_points, inverted, &text);
	write_picture(type, emit_points, inverted, &again);
	assert_string_equal(buf__text(&text), buf__text(&again));
	hide_version(&text);
	check_golden(golden, buf__text(&text));
	buf__free(&text);
	buf__free(&again);
}

static void samples_are_drawn(void **state)
{
	(void)state;
	check(&sink_folded, emit_profile, false, "tests/golden/flame/profile.folded");
	check(&sink_svg, emit_profile, false, "tests/golden/flame/profile.svg");
	check(&sink_svg, emit_profile, true, "tests/golden/flame/profile-inverted.svg");
	check(&sink_html, emit_profile, false, "tests/golden/flame/profile.html");
}

static void waits_are_drawn_in_microseconds(void **state)
{
	(void)state;
	check(&sink_folded, emit_waits, false, "tests/golden/flame/waits.folded");
	check(&sink_svg, emit_waits, false, "tests/golden/flame/waits.svg");
}

static void read_graph(struct flamegraph *g, const struct buf *text)
{
	size_t line;

	flamegraph__init(g);
	assert_int_equal(flamegraph__read(g, buf__text(text), text->len, &line), 0);
}

/* Folded out of a picture is the folded sink's own output; a picture out of a picture is the same picture. */
static void pictures_convert_back(const struct sink_type *type, void (*emit_points)(struct outlet *))
{
	struct flamegraph_style style = {.min_width = 0, .width = FLAMEGRAPH_WIDTH};
	struct buf picture = {0}, folded = {0}, back = {0};
	struct flamegraph g;

	write_picture(type, emit_points, false, &picture);
	write_picture(&sink_folded, emit_points, false, &folded);
	read_graph(&g, &picture);
	assert_int_equal(flamegraph__number(&g, "lost"), 3);
	assert_int_equal(flamegraph__number(&g, "complete"), 628);
	assert_string_equal(flamegraph__get(&g, "command"), "sonde profile -p 812 --comm '<x>'");
	flamegraph__write_folded(&back, &g, false);
	assert_string_equal(buf__text(&back), buf__text(&folded));
	buf__clear(&back);
	if (type == &sink_svg)
		flamegraph__write_svg(&back, &g, &style);
	else
		flamegraph__write_html(&back, &g, &style);
	assert_string_equal(buf__text(&back), buf__text(&picture));
	flamegraph__free(&g);
	buf__free(&picture);
	buf__free(&folded);
	buf__free(&back);
}

static void what_is_inside_comes_out_again(void **state)
{
	(void)state;
	pictures_convert_back(&sink_svg, emit_profile);
	pictures_convert_back(&sink_html, emit_profile);
	pictures_convert_back(&sink_svg, emit_waits);
	pictures_convert_back(&sink_html, emit_waits);
}

static size_t count_of(const char *text, const char *word)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, word)); p += strlen(word))
		n++;
	return n;
}

/* The markup is ours alone: one script, one style, nothing fetched, no byte of a name as it was. */
static void names_do_not_become_markup(void **state)
{
	const struct sink_type *types[] = {&sink_svg, &sink_html};

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct buf text = {0};

		write_picture(types[i], emit_profile, false, &text);
		assert_int_equal(count_of(buf__text(&text), "<script"), 1);
		assert_int_equal(count_of(buf__text(&text), "</script"), 1);
		assert_int_equal(count_of(buf__text(&text), "]]>"), types[i] == &sink_svg);
		assert_null(strstr(buf__text(&text), "' onload"));
		assert_null(strchr(buf__text(&text), '\033'));
		assert_null(strchr(buf__text(&text), '\377'));
		assert_null(strstr(buf__text(&text), "href"));
		assert_null(strstr(buf__text(&text), "url("));
		assert_null(strstr(buf__text(&text), "innerHTML"));
		assert_int_equal(strlen(buf__text(&text)), text.len);
		buf__free(&text);
	}
}

/* A script or style that ended its own element would spill into the page. */
static void assets_stay_in_their_elements(void **state)
{
	const struct asset *assets[] = {&asset_keys_js, &asset_svg_css, &asset_svg_js, &asset_html_css,
					&asset_html_js};

	(void)state;
	for (size_t i = 0; i < COUNT(assets); i++) {
		size_t len = (size_t)(assets[i]->end - assets[i]->start);

		assert_true(len > 500);
		assert_null(memmem(assets[i]->start, len, "]]>", 3));
		assert_null(memmem(assets[i]->start, len, "</", 2));
	}
	/* The style of an SVG is parsed as XML. */
	assert_null(memchr(asset_svg_css.start, '&', (size_t)(asset_svg_css.end - asset_svg_css.start)));
	assert_null(memchr(asset_svg_css.start, '<', (size_t)(asset_svg_css.end - asset_svg_css.start)));
}

static void emit_nothing(struct outlet *out)
{
	(void)out;
}

/* An interval without stacks is a picture too: it says so and can be read. */
static void nothing_is_drawn_as_nothing(void **state)
{
	struct buf text = {0};
	struct flamegraph g;

	(void)state;
	write_picture(&sink_svg, emit_nothing, false, &text);
	assert_non_null(
		strstr(buf__text(&text),
		       "<title>all (0 samples, 0%)</title><rect x=\"10.0\" y=\"79\" width=\"1180.0\""));
	read_graph(&g, &text);
	assert_int_equal(g.tree.root.total, 0);
	assert_int_equal(flamegraph__number(&g, "lost"), 3);
	flamegraph__free(&g);
	buf__free(&text);
}

static void foreign_pictures_are_refused(void **state)
{
	static const char foreign[] =
		"<?xml version=\"1.0\"?><svg><g><title>all (1 samples)</title></g></svg>";
	static const char cut[] = "<svg><metadata id=\"sonde-folded\">\na;b 1\n";
	struct flamegraph g;
	size_t line;

	(void)state;
	flamegraph__init(&g);
	assert_int_equal(flamegraph__read(&g, foreign, sizeof(foreign) - 1, &line), -ENODATA);
	assert_int_equal(flamegraph__read(&g, cut, sizeof(cut) - 1, &line), -ENODATA);
	flamegraph__free(&g);
}

static void differences_are_coloured_both_ways(void **state)
{
	static const char text[] = "# negate: %s\nm;up 10 60\nm;down 90 40\n";
	struct flamegraph_style style = {.min_width = 0, .width = FLAMEGRAPH_WIDTH};
	const char *negate[] = {"no", "yes"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct buf in = {0}, out = {0};
		struct flamegraph g;

		buf__printf(&in, text, negate[i]);
		read_graph(&g, &in);
		flamegraph__write_svg(&out, &g, &style);
		assert_non_null(strstr(buf__text(&out), i ? "class=\"b9\" data-w=\"40,60\""
							  : "class=\"r9\" data-w=\"40,60\""));
		assert_non_null(strstr(buf__text(&out), i ? "40.00%; +50.00%)" : "60.00%; +50.00%)"));
		flamegraph__free(&g);
		buf__free(&in);
		buf__free(&out);
	}
}

static void sinks_are_found(void **state)
{
	(void)state;
	assert_ptr_equal(sink__find("svg"), &sink_svg);
	assert_null(sink__find("sv"));
	assert_ptr_equal(sink__by_extension("a/b.SVG"), &sink_svg);
	assert_ptr_equal(sink__by_extension("x.htm"), &sink_html);
	assert_ptr_equal(sink__by_extension("x.collapsed"), &sink_folded);
	assert_string_equal(sink__by_extension("x.txt")->name, "table");
	assert_string_equal(sink__by_extension("x.jsonl")->name, "json");
	assert_null(sink__by_extension("dir.svg/x"));
	assert_null(sink__by_extension("svg"));
	assert_null(sink__by_extension("x."));
	assert_null(sink__by_extension("x.pdf"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_are_drawn),
		cmocka_unit_test(waits_are_drawn_in_microseconds),
		cmocka_unit_test(what_is_inside_comes_out_again),
		cmocka_unit_test(names_do_not_become_markup),
		cmocka_unit_test(assets_stay_in_their_elements),
		cmocka_unit_test(nothing_is_drawn_as_nothing),
		cmocka_unit_test(foreign_pictures_are_refused),
		cmocka_unit_test(differences_are_coloured_both_ways),
		cmocka_unit_test(sinks_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
