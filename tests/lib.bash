# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the bats files share. In a test file:
#
#   load ../lib
#   setup() { lib__setup; }
#   teardown() { lib__cleanup; }
#
# Everything that a test starts carries a tag of its own in its environment; cleanup kills by that tag and nothing else.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
sonde=$root/build/sonde
workloads=$root/build/workloads
# shellcheck disable=SC2034 # for those who load this: the interpreter that python3-jsonschema belongs to
python=/usr/bin/python3

# Sets $tmp, a directory of this test's own; and $yielding, before a program: on an emulated CPU it lets others go first. Sonde, which has
# programs checked there, would need a multiple of the time beside it.
lib__setup() {
	yielding=()
	! in_vm || yielding=(nice -n 19)
	tmp=${BATS_TEST_TMPDIR:-$(mktemp -d)}
	test_tag=sonde-test-$$-$RANDOM$RANDOM
	cgroups=()
}

lib__cleanup() {
	local file dir
	while read -r file; do
		file=${file#/proc/}
		kill -KILL "${file%/environ}" 2>/dev/null || true
	done < <(grep -lsz "^SONDE_TEST=$test_tag\$" /proc/[0-9]*/environ)
	wait
	for dir in "${cgroups[@]}"; do
		remove_cgroup "$dir"
	done
	[ -n "${BATS_TEST_TMPDIR:-}" ] || rm -rf "$tmp"
}

# fail MESSAGE...: end the test
fail() {
	echo "$@" >&2
	return 1
}

# Guests under emulation keep counts and order, but no durations.
in_vm() {
	[ -n "${SONDE_VM:-}" ]
}

need_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

# wait_until SECONDS COMMAND...: until the command succeeds; fails when the time is up. In a VM three times as much, and it looks less often:
# each look takes CPU time from what is waited for.
wait_until() {
	local end=$((SECONDS + 1 + $1 * (${SONDE_VM:+2} + 1)))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || { fail "waited in vain for: $*"; return 1; }
		sleep "0.${SONDE_VM:+3}02"
	done
}

has_line() {
	grep -q -- "$2" "$1" 2>/dev/null
}

ended() {
	[ ! -e "/proc/$1" ] || grep -q '^State:[[:space:]]*[ZX]' "/proc/$1/status" 2>/dev/null
}

# start COMMAND...: in the background, tagged; sets $pid. Its streams: $tmp/PID.out, $tmp/PID.err; standard input is a pipe that send() writes to.
start() {
	local files
	files=$(mktemp -d "$tmp/job.XXXXXX")
	mkfifo "$files/in"
	# the program itself gets the PID; the inner shell makes the names that go with it
	# shellcheck disable=SC2016
	SONDE_TEST=$test_tag bash -c 'ln -s "$1/out" "$2/$$.out"; ln -s "$1/err" "$2/$$.err"; ln -s "$1/in" "$2/$$.in"; shift 2; exec "$@"' \
		start "$files" "$tmp" "$@" <>"$files/in" >"$files/out" 2>"$files/err" 3>&- &
	pid=$!
	wait_until 10 test -p "$tmp/$pid.in"
}

# send PID LINE: one line to its standard input
send() {
	echo "$2" >"$tmp/$1.in"
}

# finish PID: waits for its end and returns its status; shows what it said if it failed
finish() {
	local status=0
	wait "$1" || status=$?
	[ $status = 0 ] || cat "$tmp/$1.out" "$tmp/$1.err" >&2
	return $status
}

# start_workload NAME [ARG...]: a program of tests/workloads, up to its "ready"; sets $pid. It begins with: go $pid
start_workload() {
	local name=$1
	shift
	[ -x "$workloads/$name" ] || { fail "$workloads/$name is not built: make workloads"; return 1; }
	start "${yielding[@]}" "$workloads/$name" "$@"
	wait_ready "$pid"
}

wait_ready() {
	wait_until 30 has_line "$tmp/$1.out" '^ready '
}

go() {
	send "$1" go
}

# value PID KEY: what a workload said about itself, the rest of the first line "KEY ..."
value() {
	sed -n "s/^$2 //p" "$tmp/$1.out" | head -n 1
}

# start_sonde ARG...: sonde in the background; sets $pid
start_sonde() {
	start "$sonde" "$@"
}

# json FILTER FILE: jq, raw
json() {
	jq -r "$@"
}

# within A B PERCENT [SLACK]: |A - B| <= B * PERCENT / 100 + SLACK
within() {
	awk -v a="$1" -v b="$2" -v p="$3" -v s="${4:-0}" 'BEGIN {
		d = a - b; if (d < 0) d = -d
		exit !(a != "" && b != "" && d <= b * p / 100 + s) }' || fail "$1 is not within $3 % (+ ${4:-0}) of $2"
}

# between VALUE LOW HIGH
between() {
	awk -v v="$1" -v l="$2" -v h="$3" 'BEGIN { exit !(v != "" && v + 0 >= l && v + 0 <= h) }' || fail "$1 is not in $2..$3"
}

# folded_weight FILE REGEX: the sum of the weights of the folded stacks that match; without REGEX of all
folded_weight() {
	awk -v re="${2:-.}" '{ w = $NF; sub(/ [^ ]*$/, "") } $0 ~ re { sum += w } END { printf "%.0f\n", sum }' "$1"
}

# A PID that nobody has: beyond pid_max there is none, so the largest that is free below it.
unused_pid() {
	local n
	n=$(cat /proc/sys/kernel/pid_max)
	while [ -e "/proc/$((--n))" ]; do :; done
	echo "$n"
}

cgroup2_mount() {
	awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts
}

# make_cgroup NAME: a cgroup v2 directory of this test's own (NAME may have slashes); sets $cgroup
make_cgroup() {
	local mount
	mount=$(cgroup2_mount)
	[ -n "$mount" ] || skip "no cgroup v2 hierarchy is mounted"
	cgroup=$mount/$test_tag/$1
	mkdir -p "$cgroup"
	cgroups+=("$mount/$test_tag")
}

# make_cgroup_v1 CONTROLLER: likewise in a v1 hierarchy; sets $cgroup
make_cgroup_v1() {
	local mount
	mount=$(awk -v c="$1" '$3 == "cgroup" && $4 ~ "(^|,)" c "(,|$)" { print $2; exit }' /proc/mounts)
	[ -n "$mount" ] || skip "no cgroup v1 hierarchy with $1 is mounted"
	cgroup=$mount/$test_tag
	mkdir -p "$cgroup"
	cgroups+=("$cgroup")
}

enter_cgroup() {
	echo "$2" >"$1/cgroup.procs"
}

# The dead leave a cgroup a moment after they were reaped.
remove_cgroup() {
	local dir
	for _ in $(seq 100); do
		find "$1" -depth -type d 2>/dev/null | while read -r dir; do rmdir "$dir" 2>/dev/null; done
		[ -d "$1" ] || return 0
		sleep 0.02
	done
}
