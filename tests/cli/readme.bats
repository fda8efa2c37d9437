#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# README.md is kept by hand, but for its option tables (tools/readme); what it points to must be there.
load common

README=$BATS_TEST_DIRNAME/../../README.md

@test "the option tables of the README are those of the binary" {
	sed '1,/^<!-- begin: sonde document readme -->$/d; /^<!-- end: sonde document readme -->$/,$d' "$README" >"$BATS_TEST_TMPDIR/readme"
	"$SONDE" document readme >"$BATS_TEST_TMPDIR/binary"
	diff "$BATS_TEST_TMPDIR/readme" "$BATS_TEST_TMPDIR/binary"
	[ "$(grep -c '^| ' "$BATS_TEST_TMPDIR/binary")" -gt 40 ]
}

@test "the files that the README points to exist" {
	grep -oE '\]\([^)#]+\)' "$README" | tr -d '])(' >"$BATS_TEST_TMPDIR/links"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/links")" -gt 5 ]
	while read -r link; do
		[ -e "${README%/*}/$link" ] || { echo "no $link"; return 1; }
	done <"$BATS_TEST_TMPDIR/links"
}

# Each `$ sonde ...` that measures, with --dry-run: its words are understood, and nothing is started.
@test "the commands of the README are understood" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	cd "$BATS_TEST_TMPDIR"
	grep '^\$ sonde ' "$README" | cut -c9- | grep -E ' (--|-d) ' >words
	[ "$(wc -l <words)" -gt 5 ]
	while read -r line; do
		if [[ $line == *" -- "* ]]; then line=${line/ -- / --dry-run -- }; else line+=" --dry-run"; fi
		eval "timeout 20 '$SONDE' $line" </dev/null >out 2>&1 || { echo "$line: $?"; cat out; return 1; }
		grep -q '^target: ' out
	done <words
}
