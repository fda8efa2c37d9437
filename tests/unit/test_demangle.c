/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "object/demangle.h"

static void known_names(void **state)
{
	static const struct {
		const char *symbol, *readable;
	} rows[] = {
		{"_Z3addii", "add"},
		{"_ZN2ns5Class6methodEPKc", "ns::Class::method"},
		{"_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int> >::push_back"},
		{"_ZZN2ns1fEvENKUlvE_clEv", "ns::f()::{lambda()#1}::operator()"},
		{"_ZL6helperi.cold", "helper"},
		{"_ZN4core3fmt5write17h01b7f5e5d46b6a7aE", "core::fmt::write"},
		{"_ZN50_$LT$std..io..Stdout$u20$as$u20$std..io..Write$GT$5flush17h0123456789abcdefE",
		 "<std::io::Stdout as std::io::Write>::flush"},
		{"_RNvCs15kBYyAo9fc_7mycrate7example", "mycrate::example"},
		{"_RNvMNtCs1_5alloc3vecINtB2_3VecpE4push", "<alloc::vec::Vec<_>>::push"},
	};
	struct buf b = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		buf__clear(&b);
		assert_true(demangle__add(&b, rows[i].symbol));
		assert_string_equal(buf__text(&b), rows[i].readable);
	}
	buf__free(&b);
}

static void plain_names(void **state)
{
	static const char *const rows[] = {"",
					   "main",
					   "_start",
					   "_Z",
					   "_R",
					   "_Zzzzz",
					   "_ZN",
					   "_ZN3ab",
					   "__libc_start_main",
					   "_Register",
					   "_GLOBAL_OFFSET_TABLE_",
					   "Z3addii"};
	struct buf b = {0};

	(void)state;
	buf__puts(&b, "kept");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_false(demangle__add(&b, rows[i]));
		assert_string_equal(buf__text(&b), "kept");
	}
	buf__free(&b);
}

/* Each pair of back references doubles what they stand for: 400 bytes would fill the disk. */
static void exploding_name(void **state)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct buf name = {0}, b = {0};

	(void)state;
	/* f< A<int, int>, A< A<int, int>, A<int, int> >, ...> */
	buf__puts(&name, "_Z1fI1AIiiE");
	for (int i = 1; i < 31; i++)
		buf__printf(&name, "S0_IS%c_S%c_E", digits[i], digits[i]);
	buf__puts(&name, "Evv");
	assert_false(demangle__add(&b, buf__text(&name)));
	assert_int_equal(b.len, 0);
	buf__clear(&name);
	buf__puts(&name, "_RIC1a");
	for (int i = 0; i < 25; i++)
		buf__printf(&name, "TB%xB%xE", 6 + i, 6 + i);
	buf__puts(&name, "E");
	demangle__add(&b, buf__text(&name));
	assert_true(b.len <= 8192);
	buf__free(&name);
	buf__free(&b);
}

static void deep_name(void **state)
{
	static const char *const parts[] = {"P",  "N",	"F", "I", "S_", "XadL",
					    "_Z", "u3", "T", "R", "A",	"DpT"};
	struct buf name = {0}, b = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		for (size_t length = 100; length < 100000; length *= 6) {
			for (int rust = 0; rust < 2; rust++) {
				buf__clear(&name);
				buf__clear(&b);
				buf__puts(&name, rust ? "_RNvC1a" : "_Z1f");
				while (name.len < length)
					buf__puts(&name, parts[i]);
				demangle__add(&b, buf__text(&name));
				assert_true(b.len <= 8192);
			}
		}
	}
	buf__free(&name);
	buf__free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_names),
		cmocka_unit_test(plain_names),
		cmocka_unit_test(exploding_name),
		cmocka_unit_test(deep_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
