#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde offcpu: waits whose number, length, place and reason are known.
load common

# The workload's threads know how often the kernel blocked them: that is the truth, however the machine is loaded.
block_truth() {
	local row name reason waits
	in_vm || within "$(said sleep_thread_blocks)" 101 3
	for row in sleep_thread:sleep futex_thread:lock read_thread:pipe feed_thread:sleep; do
		name=${row%:*} reason=${row#*:}
		waits=$(said "${name}_blocks")
		same "$name $(waits_in "$name")" "$name $waits"
		same "$name $(reasons_of "$name")" "$name $reason"
		in_vm || is_blocked_time "$(time_in "$name")" "$name"
	done
	in_vm || quantiles_are sleep_thread 20000000
	in_vm || quantiles_are read_thread 40000000
	histograms_agree
	coverage_is_that_of_the_stacks
	# no stack belongs to two of them
	json -n -e '[inputs | select(.type == "stack") | [.frames[].name | select(endswith("_thread") and . != "start_thread")]] | all(.[]; length <= 1)' "$out"
}

# quantiles_are FUNCTION NS: of its waits, which are all as long. Some were longer, as long as its longest at most; and who came late to its CPU had less to
# wait for (the pipe). The middle of a bucket is 4.4 % off at most.
quantiles_are() {
	json -n -e --arg f "$1" --argjson ns "$2" --argjson most "$(said "$1_longest")" --argjson late "$(said "$1_delay")" '
		[inputs | select(.type == "stack" and .occurrences > 1 and any(.frames[]; .name == $f))]
		| length > 0 and all(.[]; .histogram.p50 >= ($ns - $late) * 0.956 and .histogram.p99 >= .histogram.p50 and .histogram.p99 <= $most * 1.044
			and (.occurrences < 20 or .histogram.p50 <= $ns * 1.044 + 500000))' \
		"$out" >/dev/null || fail "quantiles of $1: $(grep "\"$1\"" "$out" | grep -o '"p50":.*"p99":[0-9]*')"
}

# The first line of the only interval: time as durations are printed, waits exactly.
headline_is_the_sum() {
	local waits ns
	waits=$(json -n '[inputs | select(.type == "stack") | .occurrences + .open] | add' "$out")
	ns=$(samples_of)
	same "$(in_headline 'in N wait')" "$waits"
	within "$(in_ns "$(in_headline 'blocked N in')")" "$ns" 5
	# what the workload counted and timed, and a few waits of its main thread
	[ "$waits" -ge "$(said_all blocks)" ]
	in_vm || within "$waits" "$(said_all blocks)" 0 20
	in_vm || [ "$ns" -ge $(($(said_all ns) * 98 / 100)) ]
}

# said_all blocks|ns: the sum over the threads
said_all() {
	awk -v key="_thread_$1\$" '$1 ~ key { sum += $2 } END { printf "%.0f\n", sum }' "$tmp/said"
}

known_blocks() {
	run_command offcpu "$@" -- block
	nothing_lost
	same "unseen: $(json -n '[inputs | select(.type == "loss").rows[] | select(.part == "offcpu" and .reason == "unseen").count] | add // 0' "$out")" "unseen: 0"
	block_truth
	# of many intervals each has its own
	[ "$(json -n '[inputs | select(.type == "interval")] | length' "$out")" -gt 1 ] || headline_is_the_sum
}

# bats test_tags=host
@test "offcpu: 101 x 20 ms of sleep, 53 x 30 ms of futex, 29 x 40 ms of pipe: exact counts, time, stack, reason" {
	exactly known_blocks
}

# bats test_tags=host
@test "offcpu: the same holds with raw tracepoints" {
	exactly known_blocks --force-raw
}

# bats test_tags=host
@test "offcpu: the same holds in intervals of 100 ms, in which most waits are open at both ends" {
	exactly known_blocks -i 100ms
	[ "$(json -n '[inputs | select(.type == "interval")] | length' "$out")" -gt 10 ]
}

known_blocks_by_pid() {
	local name
	measure block -- offcpu -q
	nothing_lost
	for name in sleep_thread futex_thread read_thread feed_thread; do
		same "$name $(waits_in "$name")" "$name $(value "$pid" "${name}_blocks")"
	done
}

# bats test_tags=host
@test "offcpu: with -p, attached before the waits begin, the counts are the same" {
	exactly known_blocks_by_pid
}

@test "offcpu: waits of a deadlock that began long before show with every thread's stack, open at the end" {
	local raw
	start_workload deadlock 6 --now
	wait_until 20 has_line "$tmp/$pid.out" '^blocked 6'
	for raw in "" --force-raw; do
		"$sonde" offcpu "${walk[@]}" $raw -q -p "$pid" -d 300ms -o "$out"
		nothing_lost
		same "$(json -n -c '[inputs | select(.type == "stack")] | [(map(.occurrences) | add), (map(.open) | add), (map(.labels.reason) | unique)]' "$out")" \
			'[0,7,["lock"]]'
		same "$(json -n '[inputs | select(.type == "stack" and any(.frames[]; .name == "lock_ab")).open] | add' "$out")" 3
		same "$(json -n '[inputs | select(.type == "stack" and any(.frames[]; .name == "lock_ba")).open] | add' "$out")" 3
		# every wait fills the interval
		json -n -e '[inputs] | (map(select(.type == "interval"))[0] | .end_ns - .start_ns) as $elapsed
			| all(.[] | select(.type == "stack"); .value == .open * $elapsed)' "$out"
	done
}

# bats test_tags=host
@test "offcpu: a deadlock that happens while sonde looks shows every thread with its stack" {
	start_workload deadlock 4
	attach offcpu -q -p "$pid" -o "$out"
	go "$pid"
	wait_until 20 has_line "$tmp/$pid.out" '^blocked 4'
	stop INT
	nothing_lost
	same "$(json -n '[inputs | select(.type == "stack" and any(.frames[]; .name == "lock_ab")).open] | add' "$out")" 2
	same "$(json -n '[inputs | select(.type == "stack" and any(.frames[]; .name == "lock_ba")).open] | add' "$out")" 2
	same "$(json -n '[inputs | select(.type == "stack").open] | add' "$out")" 5
}

long_waits() {
	run_command offcpu --min 35ms -- block
	nothing_lost
	same "$(waits_in read_thread)" "$(said read_thread_blocks)"
	in_vm || same "$(waits_in sleep_thread)" 0
}

# bats test_tags=host
@test "offcpu: --min leaves out shorter waits and keeps the others" {
	exactly long_waits
	run_command offcpu --min 1h -- block
	nothing_lost
	same "$(json -n '[inputs | select(.type == "stack").occurrences] | add // 0' "$out")" 0
}

woken_waits() {
	run_command offcpu "${walk[@]}" --waker -- block
	nothing_lost
	same "$(waits_in read_thread)" "$(said read_thread_blocks)"
	json -n -e '[inputs | select(.type == "stack" and any(.frames[]; .name == "read_thread"))]
		| length > 0 and all(.[]; any(.waker.frames[]; .name == "feed_thread"))' "$out"
	# a timer ends the sleeps: interrupts have no user stack
	json -n -e '[inputs | select(.type == "stack" and any(.frames[]; .name == "sleep_thread"))]
		| length > 0 and all(.[]; all(.waker.frames[]; .kind == "kernel" or .kind == "mark"))' "$out"
}

@test "offcpu: --waker joins the stack of the one who wrote to the pipe" {
	exactly woken_waits
}

# The estimate beside the threads' exact accounts, of the same waits: two of sonde watch one workload.
sampled_ping_pong() {
	local rounds=40000 accounts=$tmp/accounts.json exact
	in_vm && rounds=2000
	start_workload pingpong 1 $rounds --cpu "$(last_cpu)"
	attach wall -q -p "$pid" -o "$accounts"
	local watching=$probe
	attach offcpu "${walk[@]}" -q --sample -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	finish "$watching"
	nothing_lost
	within "$(waits_in play_thread)" "$(said_sum blocks "$tmp/$pid.out")" 15
	exact=$(json -n --argjson main "$pid" \
		'[inputs | select(.type == "counter" and .labels.state == "pipe" and .who.tid != $main).value] | add // 0' "$accounts")
	in_vm || within "$(time_in play_thread)" "$exact" 5
	json -n -e '[inputs | select(.type == "loss").rows[] | select(.part == "offcpu" and .reason == "sampled_out").count] | add > 0' "$out" >/dev/null
}

@test "offcpu: --sample estimates the number of waits of a ping-pong, and knows their time" {
	exactly sampled_ping_pong
}

# bats test_tags=host
@test "offcpu: each way to wait, through libc, has its reason" {
	exactly known_states offcpu '.type == "stack" and .labels.reason == $s and .who.tgid == $pid'
}
