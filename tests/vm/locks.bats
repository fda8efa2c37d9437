#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Waits for locks on every kernel of the matrix: with and without tracepoints of the kernel's own locks (5.19).
# shellcheck disable=SC2154 # bats, lib.bash and common.bash set the variables that seem unset
load ../live/common

# Each of 5 waits for the mutex, with its holder unless user memory cannot be read.
contended() {
	run_command locks --futex --unwind fp "$@" -- locks mutex 5 20
	nothing_lost
	same "$(json -n '[inputs | select(.type == "histogram" and .labels.kind == "mutex").count] | add' "$out")" 5
	between "$(json -n '[inputs | select(.type == "histogram" and .labels.kind == "mutex").sum] | add' "$out")" "$(said kept_ns)" "$(said waited_ns)"
	[ -n "${SONDE_LOCKDOWN:-}" ] ||
		same "$(json -n '[inputs | select(.metric == "sonde_lock_holder_waits" and (.labels.holder | startswith("holder["))).value] | add' "$out")" 5
}

@test "locks: each wait for a mutex counts, with both kinds of hooks" {
	exactly contended
	[ -n "${SONDE_LOCKDOWN:-}" ] || exactly contended --force-raw # that reads kernel memory by a helper
}

@test "locks: waits for mmap_lock are seen where the kernel tells of them, and said to be missing where not" {
	local has
	has=$(bpftool btf dump file /sys/kernel/btf/vmlinux | grep -c "'btf_trace_contention_begin'") || true
	run_command locks --unwind fp -- locks memory 1 500
	nothing_lost
	if [ "$has" = 0 ]; then
		grep -q "does not tell of waits for its own locks" "$err"
		"$sonde" locks --kernel -d 100ms && return 1 || [ $? = 3 ]
	else
		between "$(json -n '[inputs | select(.metric == "sonde_kernel_lock_wait_time" and (.labels.caller | endswith("(mmap_lock)"))).count] | add // 0' "$out")" 1 10000000
	fi
}
