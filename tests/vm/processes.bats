#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Starts, execs and ends on every kernel of the matrix: whether the kernel says which thread was the last, or not.
# shellcheck disable=SC2154 # bats, lib.bash and common.bash set the variables that seem unset
load ../live/common

total() {
	json -n --arg m "sonde_process_$1" '[inputs | select(.metric == $m) | .value // .count] | add // 0' "$out"
}

family() {
	run_command processes "$@" -- family 100
	# where sonde itself hardly gets to run, the ring may be too small for events; the counts are whole all the same
	[[ $* = *--each* ]] || nothing_lost
	same "$(total started) $(total executed) $(total lifetime)" "$(said started) $(($(said executed) + 1)) $(($(said ended) + 1))"
	same "$(total threads_started) $(total threads_ended)" "$(said threads_started) $(said threads_ended)"
}

# Threads that end at the same time may all find that nobody is left: that is a matter of luck, and one end too many is no miss.
@test "processes: no process ends twice" {
	for _ in 1 2 3 4 5 6 7 8; do
		run_command processes -- family 100
		[ "$(total lifetime)" -le $(($(said ended) + 1)) ]
	done
}

@test "processes: each start, exec and end of processes and threads counts, with both kinds of hooks" {
	exactly family
	exactly family --each
	# these read kernel memory by address
	[ "${SONDE_LOCKDOWN:-}" = confidentiality ] || exactly family --force-raw --each
}
