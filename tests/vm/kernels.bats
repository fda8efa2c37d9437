#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What must hold on every kernel of the matrix, the oldest included. Runs inside the guests of tools/vm.
# shellcheck disable=SC2154 # bats, lib.bash and common.bash set the variables that seem unset
load ../live/common
load ../live/unwind

# 5.10 has none: thread state lies in a hash there.
has_task_storage() {
	[ "$(bpftool -j feature probe kernel | json .map_types.have_task_storage_map_type)" = true ]
}

# The workload's threads know how often the kernel blocked them.
counted_blocks() {
	local row name waits
	run_command offcpu "${walk[@]}" -- block
	nothing_lost
	for row in sleep_thread:sleep futex_thread:lock read_thread:pipe feed_thread:sleep; do
		name=${row%:*}
		waits=$(said "${name}_blocks")
		[ "$waits" -gt 0 ]
		same "$name $(waits_in "$name")" "$name $waits"
		same "$name $(reasons_of "$name")" "$name ${row#*:}"
	done
}

# thread_ns NAME STATE
thread_ns() {
	json -n --arg n "$1" --arg s "$2" \
		'[inputs | select(.type == "counter" and .who.comm == $n and .labels.state == $s).value] | add // 0' "$out"
}

# A sleep is not shorter than what was asked for, but for the way into it, nor longer than measured around it: also where time is slow.
timed_blocks() {
	local row name each_ns
	run_command wall -- block
	nothing_lost
	for row in sleep_thread:20 feed_thread:40; do
		name=${row%:*} each_ns=$((${row#*:} * 1000000))
		between "$(thread_ns "$name" sleep)" $(($(said "${name}_blocks") * each_ns * 95 / 100)) "$(said "${name}_ns")"
	done
	between "$(thread_ns futex_thread lock)" $(($(said futex_thread_blocks) * 30000000 * 95 / 100)) "$(said futex_thread_ns)"
	between "$(thread_ns read_thread pipe)" 1 "$(said read_thread_ns)"
	same "$(json -n '[inputs | select(.type == "counter" and .labels.state == "sleep").who.comm] | unique | join(" ")' "$out")" \
		"feed_thread sleep_thread"
}

has_threads() {
	[ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l)" = "$2" ]
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

# What is watched begins when sonde is ready: beside it an emulated CPU needs twice as long to check programs.
@test "sampling works on every kernel" {
	start_workload burn 600
	attach profile -q "${walk[@]}" -p "$pid" -o "$tmp/burn.folded"
	go "$pid"
	wait_until 60 has_run "$pid" 40
	kill -STOP "$pid"
	stop INT
	kill -KILL "$pid"
	[ "$(folded_weight "$tmp/burn.folded" burn_60)" -gt 0 ]
}

@test "runq counts the context switches of spinning threads on every kernel" {
	exactly whole_life 5 -- spin 4 0 1
}

@test "offcpu counts every wait, with its place and reason, on every kernel" {
	exactly counted_blocks
}

@test "wall measures the time slept on every kernel" {
	exactly timed_blocks
}

@test "wall's states of each thread sum to the elapsed time on every kernel" {
	local tid tids
	start_workload block 100 # outlives sonde where everything is slow, too
	go "$pid"
	wait_until 30 has_threads "$pid" 5
	"$sonde" wall -q -p "$pid" -d 1s -o "$out"
	nothing_lost
	tids=$(json -n '[inputs | select(.type == "counter").who.tid] | unique[]' "$out")
	same "$(wc -w <<<"$tids")" 5
	for tid in $tids; do
		within "$(all_states_ns "$tid")" "$(elapsed_ns)" 0.1
	done
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
	"$sonde" profile -a "${walk[@]}" -d 300ms -f folded >/dev/null 2>&1 || true
	run bpftool prog show
	[ "$status" = 0 ]
	[[ $output != *"name on_"* ]]
	[ -z "$(ls -A /sys/fs/bpf)" ]
}
