#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Processes that live for one or two samples: as many samples as their CPU time demands, and whole stacks, from the first one on.
load common
load unwind

# expected NS: samples at 99 Hz
expected() {
	awk -v ns="$1" 'BEGIN { printf "%.2f\n", ns * 99 / 1e9 }'
}

# enough GOT NS: 0.95 of what the CPU time demands
enough() {
	awk -v got="$1" -v ns="$2" 'BEGIN { exit !(got >= 0.95 * ns * 99 / 1e9) }'
}

# A clock that ticks every 10.1 ms sees a life of 16 ms once or twice: 60 of them give 95 samples +- 4. So four rounds are added, always four, and
# their sum decides.
# lives COUNT MS: the samples of the chain, whole and named, beside the CPU time that was spent in it, all samples beside all CPU time
lives() {
	local round own=0 own_ns=0 all=0 all_ns=0
	for round in 1 2 3 4; do
		run_command profile -F 99 -- unwind/lives "$1" "$workloads/unwind/brief-a" "$2"
		nothing_lost
		same_as_truth brief --comm brief-a --min "$(($1 * $2 * 99 / 1000 / 2))" --exact 0
		own=$((own + $(same_count brief_a_burn)))
		own_ns=$((own_ns + $(said_sum burned)))
		all=$((all + $(samples_of)))
		all_ns=$((all_ns + $(said cpu)))
		echo "round $round: $own of $(expected $own_ns) in the chain, $all of $(expected $all_ns) in all" >&2
	done
	enough $own $own_ns && enough $all $all_ns
}

# same_count FUNCTION: how many samples with it are exact
same_count() {
	"$python" "$BATS_TEST_DIRNAME/chains.py" brief "$out" --comm 'brief-[ab]' --count "$1"
}

# bats test_tags=host
@test "short lives: 60 of 16 ms of CPU time have 0.95 of their samples, whole and named" {
	lives 60 16
}

# bats test_tags=host
@test "short lives: 25 of 43 ms" {
	lives 25 43
}

# bats test_tags=host
@test "short lives: 8 of 170 ms" {
	lives 8 170
}

# bats test_tags=host
@test "short lives: chosen by name, 60 of 16 ms" {
	local round own=0 own_ns=0
	for round in 1 2 3 4; do
		attach profile -q -F 99 --comm brief-a -o "$out"
		"$workloads/unwind/lives" --now 60 "$workloads/unwind/brief-a" 16 >"$tmp/said"
		stop INT
		nothing_lost
		same_as_truth brief-a --min 40 --exact 0
		own=$((own + $(same_count brief_a_burn)))
		own_ns=$((own_ns + $(said_sum burned)))
		echo "round $round: $own of $(expected $own_ns)" >&2
	done
	enough $own $own_ns
}

# new_file PROGRAM FILE: a copy that nobody has seen before, its build id included
new_file() {
	local id
	id=$(readelf -n "$1" | sed -n 's/.*Build ID: //p')
	"$python" -c 'import os, sys; sys.stdout.buffer.write(sys.stdin.buffer.read().replace(bytes.fromhex(sys.argv[1]), os.urandom(20)))' "$id" \
		<"$1" >"$2"
	chmod +x "$2"
	[ "$(readelf -n "$2" | sed -n 's/.*Build ID: //p')" != "$id" ]
}

# bats test_tags=host
@test "short lives: the first life of a file that nobody has seen is whole" {
	local i
	mkdir "$tmp/new"
	for i in $(seq 20); do
		new_file "$workloads/unwind/brief-a" "$tmp/new/brief-a$i"
	done
	attach profile -q -F 499 --comm 'brief-a*' -o "$out"
	for i in $(seq 20); do
		"$tmp/new/brief-a$i" 40 >/dev/null
	done
	stop INT
	nothing_lost
	same_as_truth brief-a --min 300 --exact 99
}

# bats test_tags=host
@test "short lives: a storm of execs of two programs has no wrong stack" {
	run_command profile -F 1999 -- unwind/lives 400 --other "$workloads/unwind/brief-b" "$workloads/unwind/brief-a" 4
	same_as_truth brief --comm 'brief-[ab]' --min 1500 --each 50 --of brief_a_burn,brief_b_burn --exact 0 --wrong 0.1
}

# bats test_tags=host
@test "short lives: programs that follow each other under one PID are not taken for each other" {
	run_command profile -F 1999 -- unwind/lives 100 --reuse --other "$workloads/unwind/brief-b" "$workloads/unwind/brief-a" 10
	same "$(json -n '[inputs | select(.type == "stack" and (.who.comm | startswith("brief-"))).who.tgid] | unique | length' "$out")" 1
	same_as_truth brief --comm 'brief-[ab]' --min 1200 --each 50 --of brief_a_burn,brief_b_burn --exact 0 --wrong 0.1
	same "$(json -n '[inputs | select(.type == "stack" and .who.comm == "brief-a" and any(.frames[]; .name == "brief_b_1"))] | length' "$out")" 0
}
