#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde all: the probes on the kernel's paths beside each other in one session, each as exact as alone.
# shellcheck disable=SC2154 # bats, lib.bash and common.bash set the variables that seem unset
load common

# total METRIC [CONDITION]: the sum of its numbers, of a histogram the counts
total() {
	json -n --arg m "$1" "[inputs | select(.metric == \$m and (${2:-true})) | .value // .count] | add // 0" "$out"
}

storm() {
	run_command all -- storm "$1" "$2"
	nothing_lost
}

# bats test_tags=host
@test "all: calls, processes, faults and waits are counted exactly while every probe is on" {
	storm calls 100003
	same "$(total sonde_syscall_calls '.labels.syscall == "getppid"')" 100003
	storm processes 307
	same "$(total sonde_process_started)" 307
	same "$(total sonde_process_executed)" 308
	storm faults 10007
	[ "$(total sonde_memory_minor_faults)" -ge 10007 ] || fail "faults: $(total sonde_memory_minor_faults)"
	storm waits 499
	[ "$(total sonde_syscall_calls '.labels.syscall == "clock_nanosleep"')" -ge 499 ] || fail "too few sleeps"
	[ "$(total sonde_lock_wait_time)" -ge 1 ] || fail "no waits for locks"
}
