#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde wall: every nanosecond of every watched thread in one state.
load common

# phase NAME: its wall time as the workload measured it
phase() {
	said "phase $1" | cut -d' ' -f2
}

thread_id() {
	said "thread $1" | cut -d' ' -f1
}

# Blocks of 300 ms in each phase, and what the workload measured around them, way to the CPU included.
phase_is() {
	local state_ns=$1 phase_ns=0 name n=0
	shift
	for name in "$@"; do
		phase_ns=$((phase_ns + $(phase "$name")))
		n=$((n + 1))
	done
	between "$state_ns" $((n * 300000000 * 99 / 100)) $((phase_ns * 101 / 100))
}

known_phases() {
	local main tid sum elapsed state
	run_command wall "$@" -- phases "$(in_vm && echo 60 || echo 300)" --tty
	nothing_lost
	main=$(thread_id main)
	elapsed=$(elapsed_ns)
	# every thread that lived all the time: the sum of its states is the elapsed time
	for tid in $main $(thread_id blocked) $(thread_id spinner); do
		sum=$(all_states_ns "$tid")
		in_vm || within "$sum" "$elapsed" 1
		[ "$sum" -le "$elapsed" ]
	done
	[ $(($(state_ns unknown) * 1000)) -le "$(all_states_ns)" ]
	for state in sleep lock pipe network idle child ipc tty; do
		[ "$(state_ns $state "$main")" -gt 0 ]
	done
	in_vm && return
	phase_is "$(state_ns sleep "$main")" sleep
	phase_is "$(state_ns lock "$main")" futex
	phase_is "$(state_ns pipe "$main")" pipe
	phase_is "$(state_ns network "$main")" socket poll
	phase_is "$(state_ns idle "$main")" epoll
	phase_is "$(state_ns child "$main")" child
	phase_is "$(state_ns ipc "$main")" ipc
	phase_is "$(state_ns tty "$main")" tty
	# on the CPU: exact, by the thread's own clock
	within "$(($(state_ns user "$main") + $(state_ns sys "$main")))" "$(said 'thread main' | cut -d' ' -f2)" 1 5000000
	within "$(($(state_ns user "$(thread_id spinner)") + $(state_ns sys "$(thread_id spinner)")))" "$(said 'thread spinner' | cut -d' ' -f2)" 1 5000000
}

@test "wall: each phase of known kind has its state and its time" {
	exactly known_phases
}

# bats test_tags=host
@test "wall: the same holds with raw tracepoints" {
	exactly known_phases --force-raw
}

# bats test_tags=host
@test "wall: the same holds summed over intervals of 100 ms" {
	exactly known_phases -i 100ms
	[ "$(json -n '[inputs | select(.type == "interval")] | length' "$out")" -gt 15 ]
}

# The first line: what the points of the only interval sum to, to the millisecond
headline_is_the_sum() {
	local unknown
	unknown=$(state_ns unknown)
	within "$(in_headline 'N s elapsed')" "$(awk -v ns="$1" 'BEGIN { print ns / 1e9 }')" 0 0.002
	# unknown is a state, too
	within "$(in_headline 'accounted N s')" "$(awk -v ns="$(all_states_ns)" 'BEGIN { print ns / 1e9 }')" 0 0.002
	within "$(in_headline 'unknown N s')" "$(awk -v ns="$unknown" 'BEGIN { print ns / 1e9 }')" 0 0.002
}

# bats test_tags=host
@test "wall: with -p the states of each thread sum to the elapsed time, threads that never switch included" {
	local tid elapsed raw variants
	few "" -- --force-raw
	for raw in "${variants[@]}"; do
		start_workload phases 2000 # ends long after sonde does, also where everything is slow
		go "$pid"
		"$sonde" wall -q $raw -p "$pid" -d 500ms -o "$out"
		nothing_lost
		elapsed=$(elapsed_ns)
		same "$(json -n '[inputs | select(.type == "counter").who.tid] | unique | length' "$out")" 3
		for tid in $(json -n '[inputs | select(.type == "counter").who.tid] | unique[]' "$out"); do
			within "$(all_states_ns "$tid")" "$elapsed" 0.1
		done
		[ $(($(state_ns unknown) * 1000)) -le "$elapsed" ]
	done
}

# bats test_tags=host
@test "wall: a client that polls one socket is in network, one that polls several kinds is idle" {
	local main
	run_command wall -- phases 50
	main=$(thread_id main)
	[ "$(state_ns network "$main")" -gt $(($(phase poll) / 2)) ]
	[ "$(state_ns idle "$main")" -gt $(($(phase epoll) / 2)) ]
}

# bats test_tags=host
@test "wall: threads of a deadlock that began before are in lock all the time" {
	start_workload deadlock 4 --now
	wait_until 20 has_line "$tmp/$pid.out" '^blocked 4'
	"$sonde" wall -q -p "$pid" -d 200ms -o "$out"
	nothing_lost
	same "$(state_ns lock)" $((5 * $(elapsed_ns)))
	same "$(all_states_ns)" $((5 * $(elapsed_ns)))
	headline_is_the_sum $((5 * $(elapsed_ns)))
}

# bats test_tags=host
@test "wall: a wait on a descriptor that another thread closed before is unknown, and the first line says so" {
	start_workload closed --now
	wait_until 20 has_line "$tmp/$pid.out" '^closed '
	"$sonde" wall -q -p "$pid" -d 200ms -o "$out"
	nothing_lost
	same "$(state_ns unknown)" "$(state_ns unknown "$(value "$pid" closed)")"
	same "$(state_ns unknown)" "$(elapsed_ns)"
	headline_is_the_sum $((2 * $(elapsed_ns)))
}

# bats test_tags=host
@test "wall: each way to wait, through libc, has its state" {
	exactly known_states wall '.type == "counter" and .labels.state == $s and .who.tgid == $pid'
}

# The truth is the kernel's own account of the whole process. The split is an estimate, from which side a loop stands on is known.
system_calls() {
	run_command wall -- getppid 1
	nothing_lost
	within $((100 * $(state_ns sys) / ($(state_ns user) + $(state_ns sys)))) \
		$((100 * $(said system_ns) / ($(said user_ns) + $(said system_ns)))) 0 15
	within $(($(state_ns user) + $(state_ns sys))) $(($(said user_ns) + $(said system_ns))) 2 20000000
}

# Hardly a system call in this one: a look at the clock each 20 us.
hardly_any_system_call() {
	run_command wall -- burn 1
	nothing_lost
	between $((100 * $(state_ns sys) / ($(state_ns user) + $(state_ns sys)))) 0 15
}

# bats test_tags=host
@test "wall: user and sys divide as the kernel's account of the process does" {
	exactly system_calls
	exactly hardly_any_system_call
}

# bats test_tags=host
@test "wall: each interval of the machine's threads sums to thread time, and unknown stays below 0.1 per cent" {
	start_workload pingpong 1 100000000
	go "$pid"
	attach wall -q -i 200ms -d 1s -p "$pid" -o "$out"
	finish "$probe"
	nothing_lost
	json -n -e '[inputs] | (map(select(.type == "interval")) | map({key: (.interval | tostring), value: (.end_ns - .start_ns)}) | from_entries) as $elapsed
		| [.[] | select(.type == "counter")] | group_by([.interval, .who.tid]) | length > 0 and
		all(.[]; (map(.value) | add) as $sum | $elapsed[.[0].interval | tostring] as $e | ($sum - $e | fabs) <= $e / 1000)' "$out"
	[ $(($(state_ns unknown) * 1000)) -le "$(all_states_ns)" ]
}

# bats test_tags=host
@test "wall: direct writes to a disk are in disk" {
	local file main wall cpu delay
	file=$(mktemp "$root/build/disk.XXXXXX")
	run_command wall -- phases 200 --disk "$file"
	rm -f "$file"
	nothing_lost
	main=$(thread_id main)
	# what was neither on a CPU nor on its way to one
	read -r _ wall cpu delay <<<"$(said 'phase disk')"
	between "$(state_ns disk "$main")" $(((wall - cpu - delay) * 80 / 100)) $((wall - cpu))
}

# A fifth of a CPU, by whichever version of the controller there is.
limit_cpu() {
	if in_vm; then
		make_cgroup limited
		echo +cpu >"$(dirname "$(dirname "$cgroup")")/cgroup.subtree_control"
		echo +cpu >"$(dirname "$cgroup")/cgroup.subtree_control"
		echo "20000 100000" >"$cgroup/cpu.max"
	else
		make_cgroup_v1 cpu
		echo 100000 >"$cgroup/cpu.cfs_period_us"
		echo 20000 >"$cgroup/cpu.cfs_quota_us"
	fi
}

# What the controller says itself, in ns
throttled_ns() {
	awk '$1 == "throttled_time" { printf "%.0f\n", $2 } $1 == "throttled_usec" { printf "%.0f\n", $2 * 1000 }' "$cgroup/cpu.stat"
}

@test "wall: a spinner with a CPU quota of a fifth is throttled for as long as its cgroup says" {
	local elapsed raw throttled
	limit_cpu
	start_workload spin 1 "$(last_cpu)" 600
	enter_cgroup "$cgroup" "$pid"
	go "$pid"
	for raw in "" --force-raw; do
		throttled=$(throttled_ns)
		"$sonde" wall -q $raw -p "$pid" -d 1500ms -o "$out"
		throttled=$(($(throttled_ns) - throttled))
		nothing_lost
		elapsed=$(elapsed_ns)
		[ "$(state_ns throttled)" -gt 0 ]
		# the controller's account moves once a period of 100 ms, and goes on while sonde starts and writes
		in_vm || within "$(state_ns throttled)" "$throttled" 10 200000000
		in_vm || [ "$(($(state_ns user) + $(state_ns sys)))" -le $((elapsed * 28 / 100)) ]
	done
}

# bats test_tags=host
@test "wall: the flame graph's width is the elapsed time of the threads" {
	start_workload phases 3000 # longer than a slow guest needs to attach
	go "$pid"
	"$sonde" wall -q -p "$pid" -d 1s -o "$tmp/wall.folded"
	check folded "$tmp/wall.folded"
	# three threads, in microseconds
	in_vm || within "$(folded_weight "$tmp/wall.folded")" 3000000 2
	[ "$(folded_weight "$tmp/wall.folded" block_forever)" -gt 0 ]
	[ "$(folded_weight "$tmp/wall.folded" spin_forever)" -gt 0 ]
	within "$(folded_weight "$tmp/wall.folded" block_forever)" "$(($(folded_weight "$tmp/wall.folded") / 3))" 2
}

# 4 threads ready for 1 s, all on one CPU, and a main thread that waits for them
wall_of_spinners() {
	local folded=$tmp/spin.folded ready_ns
	"$sonde" wall -q -o "$folded" -- "$workloads/spin" 4 "$(last_cpu)" 1 --now >"$tmp/said"
	check folded "$folded"
	ready_ns=$((4000000000 - $(said_sum cpu_ns)))
	within "$(folded_weight "$folded" '\[run queue\]')" $((ready_ns / 1000)) 3
	within "$(folded_weight "$folded" spin_thread)" $(($(said_sum cpu_ns) / 1000)) 3
	run_command wall -- spin 4 "$(last_cpu)" 1
	ready_ns=$((4000000000 - $(said_sum cpu_ns)))
	within "$(state_ns runq)" "$ready_ns" 3
}

# bats test_tags=host
@test "wall: the flame graph's run queue is the threads' run queue" {
	exactly wall_of_spinners
}
