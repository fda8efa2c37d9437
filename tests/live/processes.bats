#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde processes: every start, exec and end, by programs that know how many they made.
# shellcheck disable=SC2154 # bats, lib.bash and common.bash set the variables that seem unset
load common

# total METRIC [CONDITION]: the sum of its numbers, of a histogram the counts
total() {
	json -n --arg m "sonde_process_$1" "[inputs | select(.metric == \$m and (${2:-true})) | .value // .count] | add // 0" "$out"
}

# What the workload did, and no more but for its own exec and end.
as_family_says() {
	local status
	same "started $(total started)" "started $(said started)"
	same "executed $(total executed)" "executed $(($(said executed) + 1))"
	same "ended $(total lifetime)" "ended $(($(said ended) + 1))"
	same "threads $(total threads_started)" "threads $(said threads_started)"
	same "threads ended $(total threads_ended)" "threads ended $(said threads_ended)"
	same "0 $(total exit '.labels.status == "0"')" "0 $(($(said status_0) + 1))"
	for status in 1 2 3 4 8 9; do
		same "$status $(total exit ".labels.status == \"$status\"")" "$status $(said status_$status)"
	done
	same "SIGUSR1 $(total exit '.labels.status == "SIGUSR1"')" "SIGUSR1 $(said SIGUSR1)"
	[[ $* = *-i* ]] || same "$(total alive)" 0
}

family() {
	run_command processes "$@" -- family 310 --sleep 1
	nothing_lost
	as_family_says "$@"
}

# bats test_tags=host
@test "processes: starts, execs, ends, statuses and threads are those that the program made, however it made them" {
	exactly family
	exactly family --by pid
	exactly family --by cgroup -i 100ms
}

# bats test_tags=host
@test "processes: the same holds with raw tracepoints" {
	exactly family --force-raw
	exactly family --force-raw --by comm
}

two_thousand() {
	run_command processes -- forks 2000 1 0
	nothing_lost
	same "$(total started) $(total executed) $(total lifetime)" "2000 2001 2001"
}

@test "processes: 2 000 short lives are 2 000 starts, execs and ends" {
	exactly two_thousand
}

# Lives in the test's own cgroup, or under its own name, with everybody else's beside them.
@test "processes: only those of a cgroup, or of a name, count" {
	local dir
	make_cgroup processes
	dir=$cgroup
	start_workload family 310
	echo "$pid" >"$dir/cgroup.procs"
	attach processes -G "$dir" -o "$out"
	go "$pid"
	finish "$pid"
	stop
	nothing_lost
	same "$(total started) $(total lifetime)" "$(value "$pid" started) $(($(value "$pid" ended) + 1))"

	ln -s "$workloads/family" "$tmp/k5$$"
	start "$tmp/k5$$" 310
	wait_ready "$pid"
	attach processes --comm "k5$$" -o "$out"
	go "$pid"
	finish "$pid"
	stop
	nothing_lost
	same "$(total started) $(total lifetime)" "$(value "$pid" started) $(($(value "$pid" ended) + 1 - $(value "$pid" executed)))"
}

ages() {
	local own
	start_workload family 9 --sleep 60
	attach processes -p "$pid" --follow --by pid -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	nothing_lost
	own=".who.tgid == $pid"
	same "$(total lifetime "$own")" 9
	between "$(json -n "[inputs | select(.metric == \"sonde_process_lifetime\" and $own).sum] | add" "$out")" \
		"$(value "$pid" slept_ns)" "$(value "$pid" lived_ns)"
}

@test "processes: ages are between what was slept and what the parent measured" {
	exactly ages
}

@test "processes: without --follow a target's starts count and its own end, with its age since its birth" {
	local born_ms
	born_ms=$(($(date +%s%N) / 1000000))
	start_workload family 9
	attach processes -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	nothing_lost
	same "$(total started) $(total executed) $(total lifetime)" "9 0 1"
	between "$(json -n '[inputs | select(.metric == "sonde_process_lifetime").sum] | add / 1000000 | floor' "$out")" \
		1 $(($(date +%s%N) / 1000000 - born_ms))
}

@test "processes: who has not ended is alive, by the name that it has now" {
	start sh -c 'read -r go; sleep 600 & sleep 600 & sleep 600 & read -r end; kill $!; wait $!; echo "ready $$"; read -r never'
	attach processes -p "$pid" --follow -o "$out"
	send "$pid" go
	wait_until 20 sleepers 3
	send "$pid" end
	wait_ready "$pid"
	stop
	nothing_lost
	same "$(total alive '.labels.command == "sleep"') $(total alive)" "2 2"
	same "$(total exit '.labels.status == "SIGTERM"') $(total lifetime)" "1 1"
}

sleepers() {
	[ "$(pgrep -c -P "$pid" -x sleep)" = "$1" ]
}

# event TYPE COMMAND FIELD: of its events
event() {
	json -n "[inputs | select(.type == \"event\" and .event == \"$1\" and .who.comm == \"$2\") | $3] | join(\" \")" "$out"
}

@test "processes: --each tells of every exec and every end, with its parent" {
	"$sonde" processes --each -o "$out" -- sh -c '/bin/false; kill -9 $$' 2>"$err" || true
	nothing_lost
	same "$(event exec sh .fields.program)" "$(command -v sh)"
	same "$(event exec false .fields.program)" /bin/false
	same "$(event exit false .fields.status)" 1
	same "$(event exit false .fields.parent)" "$(event exit sh .who.tgid)"
	same "$(event exit false .fields.parent_comm)" sh
	same "$(event exit sh .fields.status)" SIGKILL
	between "$(event exit false .fields.maxrss)" 100000 10000000
	between "$(event exit false .duration_ns)" "$(($(event exec false .duration_ns)))" 60000000000
}

# A name that is longer than what crosses keeps its end.
@test "processes: of a long name of a program the end is told" {
	local dir
	dir=$tmp/$(printf 'long%.0s' {1..40})
	mkdir "$dir"
	cp /bin/true "$dir/program"
	"$sonde" processes --each -o "$out" -- "$dir/program" 2>"$err"
	[[ $(event exec program .fields.program) = …*long/program ]]
}
