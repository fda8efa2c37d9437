#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Names that others chose: quotes, separators, markup, newlines, escape sequences, bytes that are not UTF-8. Harmless in every output.
load common

# bats file_tags=host

setup_file() {
	export SCHEMA=$BATS_FILE_TMPDIR/schema.json
	"$BATS_TEST_DIRNAME/../../build/sonde" schema >"$SCHEMA"
}

# Fifteen bytes: ESC [ 3 1 m " ; newline < s > ' backslash 0xff ;
hostile_comm=1b5b33316d223b0a3c733e275cff3b

start_hostile() {
	start_workload hostile 600 $hostile_comm
	go "$pid"
}

@test "hostile: every format of profile holds an evil symbol and name harmlessly" {
	local format
	start_hostile
	for format in json folded svg html txt; do
		"$sonde" profile -F 499 -p "$pid" -d 300ms -o "$tmp/evil.$format" 2>"$err"
		check table "$err"
		grep -aq 'evil' "$tmp/evil.$format"
	done
	check json "$tmp/evil.json"
	check folded "$tmp/evil.folded"
	check table "$tmp/evil.txt"
	check svg "$tmp/evil.svg"
	check html "$tmp/evil.html"
	# one process, one root: no name makes two stacks of one
	same "$(cut -d';' -f1 "$tmp/evil.folded" | sort -u | wc -l)" 1
	# no script that the page does not have without it
	start_workload burn 600
	go "$pid"
	"$sonde" profile -q -F 499 -p "$pid" -d 300ms -o "$tmp/good.html"
	same "$(grep -o '<script' "$tmp/evil.html" | wc -l)" "$(grep -o '<script' "$tmp/good.html" | wc -l)"
}

@test "hostile: pictures of evil names convert back to their folded stacks" {
	local format
	start_hostile
	for format in svg html; do
		"$sonde" profile -q -F 499 -p "$pid" -d 300ms -o "$tmp/evil.$format"
		"$sonde" convert "$tmp/evil.$format" "$tmp/back.folded"
		check folded "$tmp/back.folded"
		[ "$(folded_weight "$tmp/back.folded")" -gt 0 ]
		"$sonde" convert "$tmp/back.folded" "$tmp/again.svg"
		check svg "$tmp/again.svg"
	done
}

@test "hostile: the tables and lines of every command hold an evil name harmlessly" {
	local command
	start_hostile
	for command in profile offcpu "runq --by pid" "runq --by comm" wall; do
		# shellcheck disable=SC2086 # words
		"$sonde" $command -p "$pid" -d 200ms -f table >"$tmp/table" 2>"$err"
		check table "$tmp/table" "$err"
		# shellcheck disable=SC2086 # words
		"$sonde" $command -p "$pid" -d 200ms --json >"$tmp/json" 2>"$err"
		check json "$tmp/json"
		check table "$err"
	done
}

@test "hostile: a terminal gets no escape sequence that is not sonde's own" {
	start_hostile
	NO_COLOR=1 COLUMNS=200 script -qec "'$sonde' wall -q -p $pid -d 200ms" "$tmp/terminal" >/dev/null </dev/null
	sed -i '/^Script \(started\|done\)/d' "$tmp/terminal"
	grep -aq '\[31m' "$tmp/terminal"
	check terminal "$tmp/terminal"
	NO_COLOR=1 script -qec "'$sonde' profile -q -F 499 -p $pid -d 200ms" "$tmp/terminal" >/dev/null </dev/null
	sed -i '/^Script \(started\|done\)/d' "$tmp/terminal"
	check terminal "$tmp/terminal"
}

@test "hostile: evil names of a cgroup, a command and a title are harmless, too" {
	local evil=$'evil\e[31m"<script>;\n\xff'
	make_cgroup "${evil/$'\n'/}" # the kernel refuses newlines here
	start_workload burn 600
	enter_cgroup "$cgroup" "$pid"
	go "$pid"
	"$sonde" profile -F 499 -G "$cgroup" -d 200ms --title "$evil" -o "$tmp/group.svg" 2>"$err"
	check svg "$tmp/group.svg"
	check table "$err"
	"$sonde" runq --by cgroup -G "$cgroup" -d 200ms --json >"$tmp/json" 2>"$err"
	check json "$tmp/json"
	ln -s "$workloads/burn" "$tmp/$evil"
	"$sonde" profile -F 499 -f html -o "$tmp/command.html" -- "$tmp/$evil" 1 --now >/dev/null 2>"$err"
	check html "$tmp/command.html"
	check table "$err"
	run -4 --separate-stderr "$sonde" runq -- "$tmp/$evil.missing"
	printf '%s\n' "$stderr" >"$err"
	check table "$err"
}

@test "hostile: a perf map's evil names are harmless" {
	start_workload hostile 600
	printf '%s\n' $'1000 10 evil\e[31m;"<script>\xff name' 'zzzz 12 x' '10 ffffffffffffffff huge' $'\xff\xfe' >"/tmp/perf-$pid.map"
	go "$pid"
	"$sonde" profile -F 499 -p "$pid" -d 200ms --json >"$tmp/json" 2>"$err"
	rm -f "/tmp/perf-$pid.map"
	check json "$tmp/json"
	check table "$err"
}
