#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What must hold on every kernel of the matrix, the oldest included. Runs inside the guests of tools/vm.
bats_require_minimum_version 1.5.0
load ../lib

setup() {
	lib__setup
}

teardown() {
	lib__cleanup
}

# 5.10 has none: thread state lies in a hash there.
has_task_storage() {
	[ "$(bpftool -j feature probe kernel | json .map_types.have_task_storage_map_type)" = true ]
}

# measures COMMAND: exit 0 with output, on the oldest kernel too
measures() {
	run --separate-stderr "$sonde" "$1" -a -d 1s -f table
	# shellcheck disable=SC2154 # bats sets it
	echo "status $status: $stderr"
	[ "$status" = 0 ] && [ -n "$output" ]
}

@test "the guest is what the tests assume" {
	in_vm
	[ "$(id -u)" = 0 ]
	[ -r /sys/kernel/btf/vmlinux ]
	[ "$(cgroup2_mount)" = /sys/fs/cgroup ]
	grep -q ' /sys/fs/bpf bpf ' /proc/mounts
	[ "$(nproc)" -ge 1 ]
	if [ -n "${SONDE_LOCKDOWN:-}" ]; then
		mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security
		grep -q "\[$SONDE_LOCKDOWN\]" /sys/kernel/security/lockdown
	fi
}

@test "sampling works on every kernel" {
	start_workload burn 60
	go "$pid"
	run --separate-stderr "$sonde" profile -p "$pid" -d 2s -f folded
	echo "status $status: $stderr"
	[ "$status" = 0 ]
	grep -q burn_60 <<<"$output"
}

@test "runq measures on every kernel" {
	measures runq
}

@test "offcpu measures on every kernel" {
	measures offcpu
}

@test "wall measures on every kernel" {
	measures wall
}

@test "check says what this kernel allows" {
	run --separate-stderr "$sonde" check
	echo "status $status: $stderr"
	[ "$status" = 0 ]
	if ! has_task_storage; then
		grep -qi 'task storage' <<<"$output"
	fi
}

@test "nothing is left behind" {
	"$sonde" profile -a -d 1s -f folded >/dev/null 2>&1 || true
	run bpftool prog show
	[ "$status" = 0 ]
	[[ $output != *"name on_"* ]]
	[ -z "$(ls -A /sys/fs/bpf)" ]
}
