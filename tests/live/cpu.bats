#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde profile: shares of CPU time whose truth is known.
load common

# share FUNCTION OF...: per cent of the samples in FUNCTION among those in all that follow
share() {
	local f sum=0
	for f in "${@:2}"; do
		sum=$((sum + $(self_in "$f")))
	done
	awk -v a="$(self_in "$1")" -v b="$sum" 'BEGIN { if (b) printf "%.2f\n", 100 * a / b }'
}

# bats test_tags=host
@test "cpu: a burn of 60/30/10 per cent shows within 2 points at 997 Hz over 10 s" {
	run_command profile -F 997 -- burn 10
	nothing_lost
	between "$(share burn_60 burn_60 burn_30 burn_10)" 58 62
	between "$(share burn_30 burn_60 burn_30 burn_10)" 28 32
	between "$(share burn_10 burn_60 burn_30 burn_10)" 8 12
	# 10 s of CPU time, whoever had the CPU meanwhile
	within "$(samples_of)" 9970 2
	same "$(in_headline 'N samples')" "$(samples_of)"
	within "$(in_headline 'N CPUs')" "$(awk -v n="$(samples_of)" -v ns="$(elapsed_ns)" 'BEGIN { print n / 997 / (ns / 1e9) }')" 0 0.006
	coverage_is_that_of_the_stacks
}

# bats test_tags=host
@test "cpu: three functions appear in the order of their shares, each called by main" {
	run_command profile -F 499 -- burn 1
	nothing_lost
	[ "$(self_in burn_60)" -gt "$(self_in burn_30)" ]
	[ "$(self_in burn_30)" -gt "$(self_in burn_10)" ]
	[ "$(self_in burn_10)" -gt 0 ]
	# a frame-pointer walk misses the caller of a function that has not set its frame up yet
	json -n -e '[inputs | select(.type == "stack") | {value, names: [.frames[] | select(.kind != "kernel").name]} | select(.names[0] // "" | startswith("burn_"))]
		| (map(.value) | add) as $all | (map(select(.names[1] == "main").value) | add) > 0.95 * $all' "$out"
}

@test "cpu: the kernel time of a getppid loop appears as kernel frames above the loop" {
	local kernel user
	run_command profile -F 499 "${walk[@]}" -- getppid 1
	nothing_lost
	kernel=$(json -n '[inputs | select(.type == "stack" and .frames[0].kind == "kernel" and any(.frames[]; .name == "getppid_loop")).value] | add // 0' "$out")
	user=$(json -n '[inputs | select(.type == "stack" and .frames[0].name == "getppid_loop").value] | add // 0' "$out")
	[ "$kernel" -gt 0 ]
	# in the kernel a leaf without a frame of its own hides its caller: on arm64 nearly all of them do
	[ "$(uname -m)" = aarch64 ] || json -n -e '[inputs | select(.type == "stack") | .frames[].name] | any(test("getppid$|task_pid_nr_ns$"))' "$out"
	# Samples and the kernel's own split agree roughly: entry and exit of the system call are charged to either side.
	in_vm || all_of_its_time
	in_vm || within $((100 * kernel / (kernel + user))) $((100 * $(said system_ns) / ($(said system_ns) + $(said user_ns)))) 0 20
}

# A sample each 1/499 s of CPU time, in the kernel or not
all_of_its_time() {
	within "$(samples_of)" $((($(said user_ns) + $(said system_ns)) * 499 / 1000000000)) 5 5
}

# bats test_tags=host
@test "cpu: -U leaves out kernel frames, -K leaves out user frames, both keep every sample" {
	run_command profile -F 499 -U -- getppid 1
	all_of_its_time
	json -n -e '[inputs | select(.type == "stack").frames[].kind] | length > 0 and all(. != "kernel")' "$out"
	run_command profile -F 499 -K -- getppid 1
	all_of_its_time
	json -n -e '[inputs | select(.type == "stack").frames[].kind] | length > 0 and all(. != "user" and . != "library")' "$out"
	nothing_lost
}

# The kernel is in exec for most of such a life; what a sample finds there belongs to no program yet.
short_lives() {
	local i
	attach profile -q -F 9999 --comm 'short-live*' -o "$out"
	for i in $(seq 100); do
		"$workloads/exec" 10 short-lived --now >/dev/null
	done
	stop INT
	nothing_lost
	seen after_exec
	unseen before_exec
	unseen "[unknown: process gone]"
}

# bats test_tags=host
@test "cpu: a hundred lives of 10 ms after an exec are all named" {
	exactly short_lives
}
