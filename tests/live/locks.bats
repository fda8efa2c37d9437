#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde locks: waits whose number, time, lock and holder are known by construction.
load common

# of_lock FIELD KIND [METRIC]: of the histograms of this kind of lock, the sum of a field
of_lock() {
	json -n --arg k "$2" --arg m "${3:-sonde_lock_wait_time}" \
		"[inputs | select(.type == \"histogram\" and .metric == \$m and .labels.kind == \$k).$1] | add // 0" "$out"
}

# names_of METRIC: the distinct locks
names_of() {
	json -n --arg m "$1" '[inputs | select(.metric == $m and .labels.lock).labels.lock] | unique | join(" ")' "$out"
}

# contended WHAT KIND LOCK [SONDE-ARGS...]: 11 waits of about 10 ms, of this kind and for this lock, which `holder` held and let go
contended() {
	run_command locks --futex "${@:4}" -- locks "$1" 11 10
	nothing_lost
	same "$(of_lock count "$2")" 11
	# the wait began before what the holder measured, and ended before what the waiter did
	between "$(of_lock sum "$2")" "$(said kept_ns)" "$(said waited_ns)"
	same "$(names_of sonde_lock_wait_time)" "${3:-$(said lock)}"
	same "$(names_of sonde_futex_other_time)" ""
	same "$(waits_in want_it)" 11
	same "$(json -n '[inputs | select(.type == "stack" and any(.frames[]; .name == "want_it")) | select(any(.waker.frames[]; .name == "let_go")).occurrences] | add' "$out")" 11
}

# held_by_holder: the thread that held it is known by name for each wait
held_by_holder() {
	json -n -e '[inputs | select(.metric == "sonde_lock_holder_waits")] | (map(.value) | add) == 11
		and all(.[]; .labels.holder | startswith("holder["))' "$out" >/dev/null || fail "$(grep holder_waits "$out")"
}

# bats test_tags=host
@test "locks: each contended wait for a mutex counts, with its time, its variable, who held it and where it was let go" {
	exactly contended mutex mutex "cache_lock (locks)"
	held_by_holder
}

# bats test_tags=host
@test "locks: the same holds with raw tracepoints" {
	exactly contended mutex mutex "cache_lock (locks)" --force-raw
	held_by_holder
}

# bats test_tags=host
@test "locks: a lock on the heap is known by its address" {
	exactly contended_on_heap
}

contended_on_heap() {
	run_command locks --futex -- locks heap 11 10
	same "$(of_lock count mutex)" 11
	same "$(names_of sonde_lock_wait_time)" "[heap] $(said lock)"
}

# bats test_tags=host
@test "locks: mutexes of several kinds, and locks for reading and writing, are told apart" {
	exactly contended timed mutex "cache_lock (locks)"
	held_by_holder
	exactly contended pi pi "pool+0x8 (locks)"
	held_by_holder
	exactly contended rwlock rwlock "table_lock+0xc (locks)"
}

# idle WHAT KIND: 11 waits for work, and none for a lock
idle() {
	run_command locks --futex -- locks "$1" 11 10
	nothing_lost
	same "$(of_lock count "$2" sonde_futex_other_time)" 11
	between "$(of_lock sum "$2" sonde_futex_other_time)" "$(said kept_ns)" "$(said waited_ns)"
	same "$(names_of sonde_lock_wait_time)" ""
	same "$(waits_in await_work)" 11
	same "$(reasons_of await_work)" idle
}

# bats test_tags=host
@test "locks: waits for work are no waits for a lock" {
	local kind
	for kind in condition semaphore barrier join; do
		exactly idle "$kind" "$kind"
	done
}

# bats test_tags=host
@test "locks: a deadlock is shown by its open waits, with who holds what" {
	start_workload deadlock 4
	go "$pid"
	wait_until 30 has_line "$tmp/$pid.out" "^blocked"
	"$sonde" locks -q -p "$pid" --futex -i 1s -d 2s -o "$out"
	json -n -e '[inputs | select(.metric == "sonde_lock_waits_open")] | group_by(.interval)
		| length >= 2 and all(.[]; (map(.value) | add) == 4 and length == 2)' "$out" >/dev/null || fail "$(grep waits_open "$out")"
	# each interval is filled by each of the four
	json -n -e '[inputs] | (map(select(.type == "interval") | .end_ns - .start_ns) | add) as $ns
		| (map(select(.metric == "sonde_lock_wait_time").sum) | add) == 4 * $ns' "$out" >/dev/null || fail "$(grep lock_wait_time "$out")"
	json -n -e '[inputs | select(.metric == "sonde_lock_holder_waits").labels.holder] | unique | length == 2' "$out" >/dev/null ||
		fail "$(grep holder_waits "$out")"
	seen lock_ab
	seen lock_ba
}

# bats test_tags=host
@test "locks: --slow tells of each long wait at once, with lock and holder; --min leaves short ones out" {
	run_command locks --futex --slow 5ms -- locks mutex 11 10
	same "$(json -n '[inputs | select(.type == "event" and .event == "slow lock" and .fields.lock == "cache_lock (locks)"
		and .fields.kind == "mutex" and (.fields.holder | startswith("holder[")) and .fields.released_by == "holder let_go"
		and .duration_ns >= 10000000 and any(.frames[]; .name == "want_it"))] | length' "$out")" 11
	run_command locks --futex --min 5s -- locks mutex 3 10
	nothing_lost
	same "$(names_of sonde_lock_wait_time)" ""
	same "$(json -n '[inputs | select(.type == "loss").rows[] | select(.part == "locks" and .reason == "filtered").count] | add' "$out")" 3
}

# bats test_tags=host
@test "locks: the kernel's own locks, by who wants them" {
	run_command locks --kernel -- locks memory 1 500
	nothing_lost
	between "$(json -n '[inputs | select(.metric == "sonde_kernel_lock_wait_time" and (.labels.caller | endswith("(mmap_lock)"))
		and (.labels.kind | startswith("rwsem"))).count] | add // 0' "$out")" 1 100000000
	seen map_and_unmap
	same "$(names_of sonde_lock_wait_time)" ""
	histograms_agree
}

# bats test_tags=host
@test "locks: --by chooses what a row is about" {
	local by
	for by in pid comm cgroup lock stack; do
		run_command locks --futex --by "$by" -- locks mutex 3 10
		nothing_lost
		case $by in
		stack) same "$(waits_in want_it) $(of_lock count mutex)" "3 0" ;;
		pid | lock) same "$(json -n '[inputs | select(.type == "histogram" and .who.tgid == '"$(said ready)"').count] | add' "$out") $(waits_in want_it)" "3 0" ;;
		comm) same "$(json -n '[inputs | select(.type == "histogram" and .who.comm == "waiter").count] | add' "$out")" 3 ;;
		cgroup) same "$(json -n '[inputs | select(.type == "histogram" and .labels.cgroup_path).count] | add' "$out")" 3 ;;
		esac
	done
}

# bats test_tags=host
@test "locks: of a cgroup only what its threads wait for counts" {
	local inside
	make_cgroup locks
	start_workload locks mutex 7 10
	inside=$pid
	echo "$inside" >"$cgroup/cgroup.procs"
	attach locks --futex -G "$cgroup" -o "$out"
	"$workloads/locks" --now mutex 5 10 >/dev/null
	go "$inside"
	finish "$inside"
	stop
	nothing_lost
	same "$(of_lock count mutex) $(waits_in want_it)" "7 7"
}
