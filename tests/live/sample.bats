#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde offcpu --sample: what is estimated, and what is exact all the same.
load common

# Whether this kernel lets a program that may sleep read other threads' stacks: then long waits are visited.
has_visits() {
	"$sonde" offcpu --sample --dry-run "$@" 2>/dev/null | grep -q 'program  visit '
}

needs_visits() {
	has_visits || skip "no iterator that may sleep"
}

# The 320 ms waits each come after 300 of 60 us, so that next to none is taken when it begins.
long_waits() {
	run_command offcpu -q --sample "$@" -- mixed 2500 4
	nothing_lost
	same "$(waits_in long_wait)" "$(said long_blocks)"
	same "$(reasons_of long_wait)" sleep
	within "$(time_in long_wait)" "$(said long_ns)" 4 # measured around them: with the wait for a CPU
	within "$(waits_in short_wait)" "$(said short_blocks)" 40
	json -n -e '[inputs | select(.type == "loss").rows[] | select(.part == "offcpu" and .reason == "sampled_out").count] | add > 0' "$out" >/dev/null
}

# bats test_tags=host
@test "sample: waits of 320 ms that nobody could foresee: exact number and time, whole stacks" {
	needs_visits
	exactly long_waits
	json -n -e '[inputs | select(.type == "stack" and any(.frames[]; .name == "long_wait"))]
		| length > 0 and all(.[]; any(.frames[]; .name == "mixed_thread"))' "$out"
}

# bats test_tags=host
@test "sample: the same in intervals of 100 ms, at whose ends most of them are open" {
	needs_visits
	exactly long_waits -i 100ms
	[ "$(json -n '[inputs | select(.type == "interval")] | length' "$out")" -gt 15 ]
}

# bats test_tags=host
@test "sample: without scaling, too, long waits are exact and short ones about right" {
	needs_visits
	exactly long_waits --min 1us
}

# bats test_tags=host
@test "sample: visited waits have their wakers" {
	needs_visits
	run_command offcpu -q --sample --waker -- mixed 1500 2
	nothing_lost
	json -n -e '[inputs | select(.type == "stack" and .occurrences > 0 and any(.frames[]; .name == "long_wait"))]
		| length > 0 and all(.[]; .waker.frames | length > 0)' "$out"
}

# Nothing is visited; what was known of it stays true.
# bats test_tags=host
@test "sample: without visits the totals are those of the accounts" {
	has_visits --force-raw && fail "the raw variant has visits"
	run_command offcpu -q --sample --force-raw -- mixed 1500 4
	nothing_lost
	between "$(json -n '[inputs | select(.type == "stack" and .who.comm == "mixed" and .labels.reason == "sleep").value] | add' "$out")" \
		"$(($(said long_blocks) * 320000000))" "$(($(said long_ns) + $(said short_ns)))"
}

# bats test_tags=host
@test "sample: a deadlock that happens while sonde looks shows every thread with its stack" {
	needs_visits
	start_workload deadlock 4
	attach offcpu --sample -q -p "$pid" -o "$out"
	go "$pid"
	wait_until 20 has_line "$tmp/$pid.out" '^blocked 4'
	stop INT
	nothing_lost
	same "$(json -n '[inputs | select(.type == "stack" and any(.frames[]; .name == "lock_ab")).open] | add' "$out")" 2
	same "$(json -n '[inputs | select(.type == "stack" and any(.frames[]; .name == "lock_ba")).open] | add' "$out")" 2
}

# At 100 000 switches a second few stacks are taken; the headline says how few.
# bats test_tags=host
@test "sample: many short waits are few stacks, and the first line says the weight" {
	run_command offcpu -q --sample -- pingpong 2 60000
	nothing_lost
	within "$(waits_in play_thread)" "$(said_sum blocks)" 15
	json -n -e '[inputs | select(.type == "loss").rows[] | select(.part == "offcpu")] | (map(select(.reason == "sampled_out").count) | add)
		> (map(select(.reason == "hits").count) | add) * 3 / 4' "$out" >/dev/null
	json -n -e '[inputs | select(.type == "interval").headline | capture("stacks by sampling, mean weight (?<w>[0-9.]+)").w | tonumber]
		| all(.[]; . > 4 and . <= 33)' "$out"
}
