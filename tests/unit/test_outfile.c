// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/outfile.h"

/* Each test runs in an empty directory of its own. */
static int enter(void **state)
{
	char path[] = "/tmp/test_outfile.XXXXXX";

	*state = mkdtemp(path) ? strdup(path) : NULL;
	return !*state || chdir(*state);
}

static int leave(void **state)
{
	DIR *dir = opendir(".");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlink(entry->d_name);
	closedir(dir);
	if (chdir("/") || rmdir(*state))
		return -1;
	free(*state);
	return 0;
}

static int entries(void)
{
	DIR *dir = opendir(".");
	struct dirent *entry;
	int count = 0;

	while ((entry = readdir(dir)))
		count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	closedir(dir);
	return count;
}

static void has_content(const char *path, const char *expected)
{
	struct buf b = {0};

	assert_int_equal(buf__read_file(&b, path, 1 << 20), 0);
	assert_string_equal(buf__text(&b), expected);
	buf__free(&b);
}

static void appears_whole_on_commit(void **state)
{
	struct outfile *f = outfile__open("x.svg");
	mode_t mask = umask(0);
	struct stat st;

	(void)state;
	umask(mask);
	assert_non_null(f);
	fputs("text", outfile__stream(f));
	fflush(outfile__stream(f));
	assert_int_equal(access("x.svg", F_OK), -1);
	assert_int_equal(outfile__commit(f), 0);
	outfile__close(f);
	has_content("x.svg", "text");
	assert_int_equal(entries(), 1);
	stat("x.svg", &st);
	assert_int_equal(st.st_mode & 07777, 0666 & ~mask);
}

static void nothing_is_left_without_commit(void **state)
{
	struct outfile *f = outfile__open("x.svg");

	(void)state;
	fputs("text", outfile__stream(f));
	outfile__close(f);
	assert_int_equal(entries(), 0);
	outfile__close(NULL);
}

static void old_file_stays_until_commit(void **state)
{
	struct outfile *f = outfile__open("x");

	(void)state;
	fputs("old", outfile__stream(f));
	assert_int_equal(outfile__commit(f), 0);
	outfile__close(f);
	f = outfile__open("x");
	fputs("new", outfile__stream(f));
	fflush(outfile__stream(f));
	has_content("x", "old");
	assert_int_equal(outfile__commit(f), 0);
	outfile__close(f);
	has_content("x", "new");
}

static void bad_places_fail_at_open(void **state)
{
	char name[400];

	(void)state;
	assert_null(outfile__open("missing/x.svg"));
	assert_int_equal(errno, ENOENT);
	assert_null(outfile__open("/proc/x.svg"));
	assert_null(outfile__open("."));
	assert_int_equal(errno, EISDIR);
	assert_null(outfile__open("new/"));
	assert_int_equal(errno, EISDIR);
	assert_null(outfile__open(""));
	assert_int_equal(errno, ENOENT);
	memset(name, 'n', 255);
	name[255] = '\0';
	struct outfile *f = outfile__open(name); /* the longest name that a directory holds */
	assert_non_null(f);
	assert_int_equal(outfile__commit(f), 0);
	outfile__close(f);
	assert_int_equal(entries(), 1);
}

static void a_link_is_replaced_not_followed(void **state)
{
	struct outfile *f;
	struct stat st;

	(void)state;
	f = outfile__open("victim");
	fputs("precious", outfile__stream(f));
	assert_int_equal(outfile__commit(f), 0);
	outfile__close(f);
	assert_int_equal(symlink("victim", "x.svg"), 0);
	f = outfile__open("x.svg");
	fputs("picture", outfile__stream(f));
	assert_int_equal(outfile__commit(f), 0);
	outfile__close(f);
	has_content("victim", "precious");
	has_content("x.svg", "picture");
	assert_int_equal(lstat("x.svg", &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void devices_and_pipes_are_written_straight(void **state)
{
	struct outfile *f = outfile__open("/dev/null");
	char text[8] = "";
	int reader;

	(void)state;
	assert_int_equal(outfile__commit(f), 0);
	outfile__close(f);
	f = outfile__open("/dev/full");
	fputs("text", outfile__stream(f));
	assert_int_equal(outfile__commit(f), -ENOSPC);
	outfile__close(f);
	assert_int_equal(mkfifo("pipe", 0600), 0);
	reader = open("pipe", O_RDONLY | O_NONBLOCK);
	f = outfile__open("pipe");
	fputs("text", outfile__stream(f));
	assert_int_equal(outfile__commit(f), 0);
	outfile__close(f);
	assert_int_equal(read(reader, text, sizeof(text)), 4);
	assert_string_equal(text, "text");
	close(reader);
	assert_int_equal(entries(), 1);
}

/* The error of an earlier write, whose errno is long gone, is still told apart. */
static void gone_reader_is_told(void **state)
{
	struct outfile *f;
	int reader;

	(void)state;
	assert_int_equal(mkfifo("pipe", 0600), 0);
	reader = open("pipe", O_RDONLY | O_NONBLOCK);
	f = outfile__open("pipe");
	setvbuf(outfile__stream(f), NULL, _IONBF, 0);
	close(reader);
	assert_int_equal(fputc('x', outfile__stream(f)), EOF);
	assert_int_equal(outfile__commit(f), -EPIPE);
	outfile__close(f);
}

static void belongs_to_the_user_behind_sudo(void **state)
{
	struct outfile *f;
	struct stat st;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give files away\n");
		skip();
	}
	setenv("SUDO_UID", "12345", 1);
	setenv("SUDO_GID", "54321", 1);
	f = outfile__open("x");
	assert_int_equal(outfile__commit(f), 0);
	outfile__close(f);
	unsetenv("SUDO_UID");
	unsetenv("SUDO_GID");
	assert_int_equal(stat("x", &st), 0);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 54321);
}

static void numbers_stand_before_the_extension(void **state)
{
	static const struct {
		const char *path, *expected;
	} rows[] = {
		{"x.svg", "x.0003.svg"},     {"x", "x.0003"},
		{"dir.d/x", "dir.d/x.0003"}, {"/a.b/c.d.html", "/a.b/c.d.0003.html"},
		{".hidden", ".hidden.0003"},
	};
	char *name;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		name = outfile__numbered(rows[i].path, NULL, 3);
		assert_string_equal(name, rows[i].expected);
		free(name);
	}
	name = outfile__numbered("x.svg", NULL, 12345);
	assert_string_equal(name, "x.12345.svg");
	free(name);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(appears_whole_on_commit),
		IN_DIRECTORY(nothing_is_left_without_commit),
		IN_DIRECTORY(old_file_stays_until_commit),
		IN_DIRECTORY(bad_places_fail_at_open),
		IN_DIRECTORY(a_link_is_replaced_not_followed),
		IN_DIRECTORY(devices_and_pipes_are_written_straight),
		IN_DIRECTORY(gone_reader_is_told),
		IN_DIRECTORY(belongs_to_the_user_behind_sudo),
		cmocka_unit_test(numbers_stand_before_the_extension),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
