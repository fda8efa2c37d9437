#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde block: I/O of known number, size and order, beside what the kernel itself counts for the device. On loop devices of this test's own.
# shellcheck disable=SC2154,SC2034,SC2016 # bats, lib.bash, common.bash and block.bash set and read the variables that seem unset or unused
load common
load block

setup() {
	lib__setup
	need_root
	out=$tmp/out.json
	err=$tmp/err
	has_loop || skip "no loop devices here"
	make_loop 64M
}

teardown() {
	lib__cleanup
	remove_loop
}

# known_counts ARG...: every operation is there as often and as large as it was asked for, and the kernel's own count is the same
known_counts() {
	before=$(stat_of)
	run_command block "$@" -- blockio "$device" write:101:4096 read:53:8192:down flush:7 discard:5:65536
	nothing_lost
	same "$(requests write)" 101
	same "$(bytes write)" $((101 * 4096))
	same "$(requests read)" 53
	same "$(bytes read)" $((53 * 8192))
	same "$(requests flush)" 7
	same "$(requests discard)" 5
	same "$(bytes discard)" $((5 * 65536))
	same "$(failed)" 0
	same_as_kernel
	histograms_agree
}

@test "block: requests and bytes of each operation are exact, and those that the kernel counts for the device" {
	exactly known_counts
}

@test "block: the same holds with raw tracepoints" {
	[ "${SONDE_LOCKDOWN:-none}" != confidentiality ] || skip "raw tracepoints read by copying, which lockdown refuses"
	exactly known_counts --force-raw
}

@test "block: the same holds by process, and the process is the one that submitted" {
	exactly known_counts --by pid
	same "$(json -n -c '[inputs | select(.type == "histogram").who.tgid] | unique' "$out")" "[$(said pid)]"
}

large_requests() {
	before=$(stat_of)
	run_command block -- blockio "$device" write:3:4194304 read:2:8388608
	nothing_lost
	same "$(bytes write)" $((3 * 4194304))
	same "$(bytes read)" $((2 * 8388608))
	same_as_kernel
}

@test "block: what is larger than the device takes is counted in parts, as the kernel does" {
	exactly large_requests
}

many_threads() {
	before=$(stat_of)
	run_command block -- blockio "$device" --threads 8 write:211:4096 read:97:4096 flush:13
	nothing_lost
	same "$(requests flush)" $((8 * 13))
	same "$(bytes write)" $((8 * 211 * 4096))
	same "$(bytes read)" $((8 * 97 * 4096))
	same_as_kernel
}

# bats test_tags=host
@test "block: the first choice of programs loads where it can" {
	[ "$(uname -r | cut -d. -f1)" -ge 6 ] || skip "older kernels have other choices"
	"$sonde" block --dry-run >"$tmp/dry"
	grep -q 'tp_btf/block_rq_issue' "$tmp/dry"
}

@test "block: eight threads at once lose no request" {
	exactly many_threads
}

# The first one follows nothing.
@test "block: sequential and random are told apart" {
	run_command block -- blockio "$device" write:101:4096 read:64:4096:down
	same "$(share write)" 99
	same "$(share read)" 0
	run_command block -- blockio "$device" write:101:4096:down read:64:4096
	same "$(share write)" 0
	same "$(share read)" 98
}

@test "block: --slow tells each request with its device, place and size, --by comm its name" {
	run_command block --slow 1ns --by comm -- blockio "$device" write:11:8192:down
	nothing_lost
	same "$(json -n '[inputs | select(.type == "event")] | length' "$out")" 11
	json -n -e --arg d "${device#/dev/}" --argjson pid "$(said pid)" '[inputs | select(.type == "event")]
		| all(.[]; .event == "slow request" and .who.tgid == $pid and .fields.device == $d and .fields.operation == "write sync"
			and .fields.size == 8192 and .duration_ns == .fields.queue + .fields.in_device)
		and ([.[].fields.sector] == [range(10; -1; -1) * 16])' "$out" >/dev/null
	same "$(json -n -c '[inputs | select(.type == "histogram").who.comm] | unique' "$out")" '["blockio"]'
}

@test "block: who is no target is not counted" {
	start_workload blockio "$device" sleep:600000
	attach block -p "$pid" -o "$out"
	"$workloads/blockio" "$device" --now write:31:4096 >/dev/null
	stop
	same "$(requests .)" 0
	json -n -e '[inputs | select(.type == "loss").rows[] | select(.part == "block" and .reason == "filtered").count] | add >= 31' "$out"
}

# A file system full of holes that cannot be filled: the device has more room than what it stands on.
@test "block: requests that fail are counted by their error" {
	local small=$tmp/small
	remove_loop
	mkdir "$small"
	device=$(unshare -m --propagation private sh -c \
		'mount -t tmpfs -o size=1M small "$1" && truncate -s 8M "$1/image" && losetup -f --show "$1/image"' sh "$small")
	run_command block -- blockio "$device" write:16:262144
	nothing_lost
	[ "$(said "failed write")" -ge 12 ]
	same "$(failed)" "$(said "failed write")"
	same "$(requests write)" 16
}
