#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# System calls on every kernel of the matrix, also where the programs on them are preempted and the kernel leaves out the runs of others
# meanwhile: each call is counted.
load ../live/common
load ../live/syscalls

# Where the kernel leaves runs out and lockdown refuses the tracepoints that are spared, calls are lost, and the loss account says how many.
not_spared() {
	[ "${SONDE_LOCKDOWN:-none}" != confidentiality ] || skip "lockdown refuses tracefs, and with it the hooks that miss nothing"
}

@test "syscalls: each call is counted, with its error, whatever the hooks" {
	local variants args
	not_spared
	few "" -- --force-raw --classic-tracepoints
	for args in "${variants[@]}"; do
		measured 8 20 2 3 -- $args
		counts_are openat getppid nanosleep
		errors_are openat=ENOENT read=EBADF
		nothing_lost
	done
}

@test "syscalls: --slow and what is open at the end" {
	not_spared
	measured 2 1 3 30 -- --slow 25ms
	between "$(json -n '[inputs | select(.type == "event" and .fields.call == "nanosleep")] | length' "$out")" 6 6
	nothing_lost
}
