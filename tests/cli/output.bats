#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
load common

printing=("help" "help profile" "profile --help" "version" "version -v" "schema" "list probes" "list metrics --json"
	"document man" "document bash")

@test "a full disk is exit 1 with one line" {
	for words in "${printing[@]}"; do
		run -1 --separate-stderr bash -c "exec \"$SONDE\" $words > /dev/full"
		[[ $stderr == "sonde: standard output: No space left on device"* ]]
		same "${#stderr_lines[@]}" 1
	done
}

@test "a reader that has gone is no failure" {
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	for words in "${printing[@]}"; do
		exec 5<> "$BATS_TEST_TMPDIR/pipe" 6> "$BATS_TEST_TMPDIR/pipe" 5<&-
		run -0 --separate-stderr bash -c "exec \"$SONDE\" $words >&6"
		exec 6>&-
		same "$stderr" ""
	done
}

@test "lists name what is there" {
	"$SONDE" list sinks | grep -q '^table  '
	"$SONDE" list sinks | grep -q '^svg  '
	"$SONDE" list probes | grep -q '^sched  '
	"$SONDE" list metrics | grep -q '^sonde_'
	"$SONDE" list commands | grep -q "^profile  "
}

@test "lists as JSON hold the same names, and all fields" {
	for kind in probes metrics sinks commands; do
		same "$("$SONDE" list $kind --json | jq -r '.[].name')" "$("$SONDE" list $kind | sed 's/  .*//')"
		"$SONDE" list $kind --json | jq -e 'all(.[]; (.name | length > 0) and (.summary | length > 0))'
	done
	"$SONDE" list metrics --json | jq -e 'all(.[]; (.unit | type == "string") and (.kind | length > 0) and (.probe | length > 0))'
	"$SONDE" list probes --json | jq -e 'all(.[]; (.metrics | length > 0) and (.hooks | length > 0))'
	"$SONDE" list probes --json | jq -e 'all(.[].hooks[]; (.alternatives | length > 0) and (.without | length > 0))'
}
