#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Under load: nothing is lost, nothing counted twice, memory is bounded, and nothing stays behind.
load common

peak_kib() {
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}

@test "storm: profile -a keeps up with 2,000 short processes in 5 s, in at most 64 MB" {
	local n=2000 seconds=5 ms=1 peak
	in_vm && n=40 seconds=3 ms=50
	attach profile -q -a -F 199 -o "$out"
	start_workload forks $n $seconds $ms
	go "$pid"
	finish "$pid"
	peak=$(peak_kib "$probe")
	stop INT
	nothing_lost
	same "$(value "$pid" reaped)" $n
	seen burn_child
	[ "$peak" -gt 0 ] && [ "$peak" -le 65536 ]
}

every_short_process() {
	local n=1000 seconds=2
	in_vm && n=60
	run_command wall "$@" -- forks $n $seconds 0
	nothing_lost
	same "$(json -n '[inputs | select(.type == "counter").who | [.tgid, .start_ns]] | unique | length' "$out")" $((n + 1))
}

@test "storm: wall has an account of each of 1,000 short processes" {
	exactly every_short_process
}

@test "storm: the same holds with raw tracepoints and in intervals of 100 ms" {
	exactly every_short_process --force-raw -i 100ms
}

@test "storm: runq counts each switch of a ping-pong once, however often the intervals flip" {
	local rounds=60000
	in_vm && rounds=500
	exactly whole_life 7 -- pingpong 3 $rounds
	exactly whole_life 7 -i 100ms -- pingpong 3 $rounds
	in_vm || [ "$(json -n '[inputs | select(.type == "interval")] | length' "$out")" -gt 2 ]
	exactly whole_life 7 -i 100ms --force-raw -- pingpong 3 $rounds
}

count_blocks() {
	local rounds=30000
	in_vm && rounds=500
	run_command offcpu "$@" -- pingpong 3 $rounds
	nothing_lost
	same "$(waits_in play_thread)" "$(said_sum blocks)"
}

@test "storm: offcpu counts each block of a ping-pong once, however often the intervals flip" {
	exactly count_blocks
	exactly count_blocks -i 100ms
	exactly count_blocks -i 100ms --force-raw
}

# Of stacks beyond counting, for which jq would be too slow: all waits, and those whose stack was lost
waits_of_all() {
	grep -o '"occurrences":[0-9]*' "$out" | awk -F: '{ sum += $2 } END { printf "%.0f\n", sum }'
}

waits_without_stack() {
	grep -F '"[stack lost]"' "$out" | grep -o '"occurrences":[0-9]*' | awk -F: '{ sum += $2 } END { printf "%.0f\n", sum }'
}

# But for switches of which the kernel told nothing: no room would have helped.
lost_of_all() {
	grep '"type":"loss"' "$out" | json -n '[inputs | .lost - ([.rows[] | select(.drop and .reason == "missed").count] | add // 0)] | add' -
}

# The workload blocks a few times more than it counts: when it starts, says "ready" and ends.
many_stacks_in_intervals() {
	run_command offcpu -U -i 200ms -- many 30000
	between "$(waits_of_all)" "$(said blocks)" "$(($(said blocks) + 5))"
	same "$(waits_without_stack)" 0
	same "$(lost_of_all)" 0
}

many_stacks_at_once() {
	run_command offcpu -U -- many 30000
	[ "$(lost_of_all)" -gt 0 ]
	between "$(($(waits_of_all) + $(lost_of_all)))" "$(said blocks)" "$(($(said blocks) + 5))"
	json -n -e '[inputs.accounted] | all' <(grep '"type":"loss"' "$out") >/dev/null
}

# bats test_tags=host
@test "storm: of 30,000 stacks none is lost in short intervals" {
	exactly many_stacks_in_intervals
}

# bats test_tags=host
@test "storm: of 30,000 stacks in one interval each wait is reported or lost, and none is both" {
	exactly many_stacks_at_once
}

@test "storm: offcpu, runq and wall at once over a ping-pong: every interval is accounted, nothing is lost" {
	local command probes=() p
	start_workload pingpong 3 100000000
	for command in offcpu "runq --by pid" wall; do
		# shellcheck disable=SC2086 # words
		attach $command -q -v -i 200ms -d 2s --json -p "$pid"
		probes+=("$probe")
	done
	go "$pid"
	for p in "${probes[@]}"; do
		finish "$p"
		nothing_lost "$tmp/$p.out"
		[ "$(grep -c '"type":"interval"' "$tmp/$p.out")" -ge 3 ]
	done
}

# bats test_tags=host
@test "storm: hundreds of threads that message each other are accounted in every interval" {
	local command
	command -v perf >/dev/null || skip "needs perf"
	for command in offcpu "runq --by comm" wall; do
		# shellcheck disable=SC2086 # words
		"$sonde" $command -q -i 200ms -o "$out" -- perf bench -f simple sched messaging -g 8 -l 300 >"$tmp/said" 2>"$err"
		all_accounted
	done
}

# The ids of what a process holds in the kernel: kind and id
held_by() {
	sed -n 's/^\(prog\|map\|link\)_id:[[:space:]]*\([0-9]*\)/\1 \2/p' /proc/"$1"/fdinfo/* 2>/dev/null | sort -u
}

none_left() {
	local kind id
	while read -r kind id; do
		! bpftool "$kind" show id "$id" >/dev/null 2>&1 || return 1
	done <"$1"
}

# What is pinned stays, whoever dies: so that nothing stays means that nothing was pinned.
@test "storm: SIGKILL of sonde leaves no program, map or link behind" {
	local command variants
	few "offcpu --waker" -- "profile -F 99" runq wall "wall --force-raw"
	for command in "${variants[@]}"; do
		# shellcheck disable=SC2086 # words
		attach $command -q -a --json
		held_by "$probe" >"$tmp/held"
		grep -q '^prog ' "$tmp/held"
		grep -q '^map ' "$tmp/held"
		! none_left "$tmp/held" || fail "held by nobody while it runs"
		kill -KILL "$probe"
		wait "$probe" || true
		wait_until 20 none_left "$tmp/held"
	done
}

@test "storm: a run that ends leaves no program, map or link behind" {
	attach offcpu -q -a --json
	held_by "$probe" >"$tmp/held"
	stop INT
	wait_until 20 none_left "$tmp/held"
}
