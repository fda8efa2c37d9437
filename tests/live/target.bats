#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Who is watched: exactly the target, from the first to the last instruction.
load common

# A burn outside of every target, in the way of whoever attributes too much.
start_outsider() {
	start_workload burn 600
	outsider=$pid
	go "$pid"
}

@test "target: -G sees a cgroup's processes, its grandchildren's and nobody else" {
	local top parent child grandchild
	start_outsider
	make_cgroup top/middle/leaf
	top=${cgroup%/middle/leaf}
	start_workload tree 1 --early --cgroup "$cgroup"
	parent=$pid child=$(value "$pid" child) grandchild=$(value "$pid" grandchild)
	echo "$child" >"${cgroup%/leaf}/cgroup.procs"
	enter_cgroup "$top" "$parent"
	attach profile -q -F 499 "${walk[@]}" -G "$top" -o "$out"
	go "$parent"
	finish "$parent"
	stop INT
	nothing_lost
	only_pids "$parent" "$child" "$grandchild"
	seen burn_parent
	seen burn_child
	seen burn_grandchild
	unseen burn_60
}

# bats test_tags=host
@test "target: --container and --pod find the cgroup by the container's id and by Kubernetes' names" {
	local id link logs=/var/log/containers by
	id=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
	make_cgroup "kubepods/pod$$/$id"
	start_workload burn 600
	enter_cgroup "$cgroup" "$pid"
	go "$pid"
	mkdir -p "$logs"
	link=$logs/web-$$_shop_nginx$$-$id.log
	ln -s /nonexistent "$link"
	for by in "--container ${id:0:12}" "--container $id" "--container nginx$$" "--pod shop/web-$$"; do
		# shellcheck disable=SC2086 # words
		"$sonde" wall -q $by -d 200ms -o "$tmp/${by//[^a-z0-9]/_}.json" || break
	done
	rm -f "$link" # before anything can fail
	for by in "--container ${id:0:12}" "--container $id" "--container nginx$$" "--pod shop/web-$$"; do
		out=$tmp/${by//[^a-z0-9]/_}.json
		only_pids "$pid"
	done
	run "$sonde" wall -q --pod "shop/nobody-$$" -d 200ms
	[ "$status" = 4 ]
}

# bats test_tags=host
@test "target: -G on the leaf sees the leaf alone, by path and by id, in every command" {
	local command grandchild variants
	make_cgroup top/leaf
	start_workload tree 600 --early --cgroup "$cgroup"
	grandchild=$(value "$pid" grandchild)
	go "$pid"
	few "profile -F 499" "runq --by pid" -- offcpu wall
	for command in "${variants[@]}"; do
		# shellcheck disable=SC2086 # words
		"$sonde" $command -q -G "$cgroup" -d 1s -o "$out"
		nothing_lost
		[ "$command" = offcpu ] || only_pids "$grandchild"
	done
	"$sonde" wall -q -G "$(stat -c %i "$cgroup")" -d 200ms -o "$out"
	only_pids "$grandchild"
}

# bats test_tags=host
@test "target: -G sees a process from the moment it is moved into the cgroup until it is moved out" {
	local raw variants
	few "" -- --force-raw
	for raw in "${variants[@]}"; do
		make_cgroup target
		start_workload burn 600
		go "$pid"
		attach_stream wall -q $raw -i 200ms -G "$cgroup"
		wait_until 20 intervals_past 1
		same "$(pids_of)" ""
		enter_cgroup "$cgroup" "$pid"
		wait_until 20 seen_pid "$pid"
		enter_cgroup "$(cgroup2_mount)" "$pid"
		wait_until 20 quiet_intervals
		stop INT
		nothing_lost
		only_pids "$pid"
		kill "$pid"
	done
}

intervals_past() {
	[ "$(grep -c '"type":"interval"' "$out")" -ge "$1" ]
}

seen_pid() {
	grep -q "\"tgid\":$1," "$out"
}

# two intervals without a point behind those that had some
quiet_intervals() {
	[ "$(json -n '[inputs | select(.type == "counter" or .type == "interval")] | (map(select(.type == "counter").interval) | max) as $last
		| map(select(.type == "interval" and .interval > $last)) | length' "$out" 2>/dev/null || echo 0)" -ge 2 ]
}

@test "target: -p sees all threads of a process, those that start later too, and their whole CPU time" {
	local raw cpu_ns variants
	start_outsider
	few "" -- --force-raw
	for raw in "${variants[@]}"; do
		measure newthreads 5 100 -- wall -q $raw
		nothing_lost
		only_pids "$pid"
		same "$(json -n '[inputs | select(.type == "counter").who.tid] | unique | length' "$out")" 6
		cpu_ns=$(value "$pid" cpu_ns)
		in_vm || within "$(($(state_ns user) + $(state_ns sys)))" "$cpu_ns" 1 10000000
	done
	measure newthreads 5 100 -- profile -q -F 499 "${walk[@]}"
	nothing_lost
	only_pids "$pid"
	seen new_thread
	unseen burn_60
}

# bats test_tags=host
@test "target: -p with several processes sees each of them" {
	local first second
	start_workload burn 600
	first=$pid
	go "$first"
	start_workload getppid 600
	second=$pid
	go "$second"
	start_outsider
	"$sonde" profile -q -F 499 -p "$first,$second" -d 1s -o "$out"
	nothing_lost
	only_pids "$first" "$second"
}

@test "target: -t sees one thread of a process and no other" {
	local tid
	start_workload phases 4000 # outlives sonde where everything is slow, too
	tid=$(thread_named "$pid" spinner)
	go "$pid"
	if in_vm && ! "$sonde" wall -q -t "$tid" -d 100ms -o "$out" 2>"$err"; then
		# before Linux 6.9 a pidfd is a process's
		has_line "$err" 'this kernel knows pidfds of processes only'
		return
	fi
	"$sonde" profile -q -F 499 "${walk[@]}" -t "$tid" -d 1s -o "$out"
	nothing_lost
	seen spin_forever
	unseen phase_cpu
	same "$(json -n '[inputs | .who.tid // empty] | unique | join(" ")' "$out")" "$tid"
	"$sonde" wall -q -t "$tid" -d 300ms -o "$out"
	same "$(json -n '[inputs | .who.tid // empty] | unique | join(" ")' "$out")" "$tid"
	within "$(all_states_ns)" "$(elapsed_ns)" 0.1
}

@test "target: --comm sees a process that gets the name by exec, and not what it did before" {
	start_workload exec 300 after-exec
	attach profile -q -F 499 "${walk[@]}" --comm 'after-e?ec*' -o "$out"
	go "$pid"
	finish "$pid"
	stop INT
	nothing_lost
	seen after_exec
	unseen before_exec
	only_pids "$pid"
}

# bats test_tags=host
@test "target: --comm sees a process that renames itself, with its other threads, and not what it did before" {
	start_workload rename 300 'after[x]'
	attach profile -q -F 499 --comm 'after\[x\]' -o "$out"
	go "$pid"
	finish "$pid"
	stop INT
	nothing_lost
	seen after_rename
	seen bystander_thread
	unseen before_rename
	only_pids "$pid"
}

# bats test_tags=host
@test "target: --comm with a name that fits from the start sees it at once, in every command" {
	local command variants
	start_outsider
	start_workload spin 2 0 600
	go "$pid"
	few "runq --by pid" -- "profile -F 499" wall
	for command in "${variants[@]}"; do
		# shellcheck disable=SC2086 # words
		"$sonde" $command -q --comm 'sp[g-k]n' -d 1s -o "$out"
		nothing_lost
		only_pids "$pid"
	done
}

# bats test_tags=host
@test "target: -u sees a user's processes, by name and by number" {
	local user variants
	start_outsider
	start setpriv --reuid nobody --regid nogroup --clear-groups "$workloads/burn" 600
	wait_ready "$pid"
	go "$pid"
	few nobody -- "$(id -u nobody)"
	for user in "${variants[@]}"; do
		"$sonde" profile -q -F 499 -u "$user" -d 1s -o "$out"
		nothing_lost
		only_pids "$pid"
		seen burn_60
	done
}

# bats test_tags=host
@test "target: --follow sees the descendants that exist, without it they are not seen" {
	local parent child grandchild
	start_workload tree 2 --early
	parent=$pid child=$(value "$pid" child) grandchild=$(value "$pid" grandchild)
	go "$parent"
	"$sonde" profile -q -F 499 -p "$parent" -d 1s -o "$out"
	only_pids "$parent"
	"$sonde" profile -q -F 499 -p "$parent" --follow -d 1s -o "$out"
	nothing_lost
	only_pids "$parent" "$child" "$grandchild"
}

# bats test_tags=host
@test "target: --follow sees the descendants to come, without it they are not seen" {
	measure tree 1 -- profile -q -F 499
	only_pids "$pid"
	measure tree 1 -- profile -q -F 499 --follow
	nothing_lost
	only_pids "$pid" "$(value "$pid" child)" "$(value "$pid" grandchild)"
	seen burn_grandchild
}

# bats test_tags=host
@test "target: a COMMAND is followed from its first instruction on" {
	local self
	run_command wall -- tree 1
	nothing_lost
	self=$(said ready)
	only_pids "$self" "$(said child)" "$(said grandchild)"
	run_command profile -F 499 -- tree 1
	nothing_lost
	seen burn_parent
	seen burn_child
	seen burn_grandchild
}

# bats test_tags=host
@test "target: conditions hold together: a cgroup's processes of that name only" {
	make_cgroup both
	start_outsider
	enter_cgroup "$cgroup" "$outsider"
	start_workload spin 2 0 600
	enter_cgroup "$cgroup" "$pid"
	go "$pid"
	"$sonde" profile -q -F 499 -G "$cgroup" --comm spin -d 1s -o "$out"
	nothing_lost
	only_pids "$pid"
}

@test "target: in a PID namespace -p means that namespace's PID, and others' are not found" {
	start_workload getppid 600
	go "$pid"
	# a process that has the same number outside does not matter: numbers inside begin at 1
	SONDE_TEST=$test_tag unshare --pid --fork --mount-proc --kill-child bash -c '
		$4 "$1/burn" 600 --now >/dev/null &
		inside=$!
		[ "$inside" -lt 100 ] || exit 9
		"$2" profile -q -F 499 "${@:5}" -p "$inside" -d 500ms -o "$3" || exit 10
		"$2" wall -q -p "$inside" -d 200ms -o "$3.wall.json" || exit 11
		"$2" profile -q -F 499 "${@:5}" -d 500ms -o "$3.all.json" || exit 13
		"$2" wall -q -d 300ms -o "$3.allwall.json" || exit 14
		"$2" profile -q -p 99999 -d 100ms -o "$3.none.json"
		[ $? = 4 ] || exit 12' inside "$workloads" "$sonde" "$out" "${yielding[*]}" "${walk[@]}"
	nothing_lost
	seen burn_60
	same "$(json -n '[inputs | select(.type == "stack").who.comm] | unique | join(" ")' "$out")" burn
	nothing_lost "$out.wall.json"
	json -n -e '[inputs | select(.type == "counter").who.tid] | unique | length == 1' "$out.wall.json"
	[ ! -e "$out.none.json" ]
	# without a target, too, it is the namespace: nobody outside is seen, everybody inside has a number
	nothing_lost "$out.all.json"
	nothing_lost "$out.allwall.json"
	seen burn_60 "$out.all.json"
	unseen getppid_loop "$out.all.json"
	json -n -e '[inputs | select(.type == "counter").who] | any(.comm == "burn") and all(.comm != "getppid" and .tid > 0)' "$out.allwall.json"
	json -n -e '[inputs | select(.type == "interval").subject] | all(startswith("this PID namespace"))' "$out.allwall.json"
}

# bats test_tags=host
@test "target: a reused PID gets nothing of its predecessor's, and the predecessor's target nothing of it" {
	local old other
	start_workload deadlock 2 --now
	other=$pid
	start_workload deadlock 2 --now
	old=$pid
	attach profile -q -F 499 -p "$old,$other" -o "$out"
	local samples=$probe
	attach wall -q -p "$old,$other" -o "$tmp/wall.json"
	kill -KILL "$old"
	wait "$old" || true
	wait_until 10 test ! -e "/proc/$old"
	start "$workloads/withpid" "$old" "$workloads/burn" 1 --now
	finish "$pid"
	same "$(value "$pid" ready)" "$old"
	kill -INT "$samples"
	finish "$samples"
	stop INT
	nothing_lost
	nothing_lost "$tmp/wall.json"
	unseen burn_60
	# the burn had a second of CPU time
	[ "$(json -n '[inputs | select(.type == "counter" and (.labels.state == "user" or .labels.state == "sys")).value] | add // 0' "$tmp/wall.json")" -lt 500000000 ]
}

# bats test_tags=host
@test "target: two processes that had the same PID in one run are two" {
	local old
	make_cgroup reused
	start_workload spin 2 0 1
	old=$pid
	enter_cgroup "$cgroup" "$old"
	attach runq -q -G "$cgroup" --by pid -o "$out"
	go "$old"
	finish "$old"
	wait_until 10 test ! -e "/proc/$old"
	# shellcheck disable=SC2016 # of the inner shell
	start bash -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' enter "$cgroup" "$workloads/withpid" "$old" "$workloads/spin" 2 0 1 --now
	finish "$pid"
	stop INT
	nothing_lost
	same "$(json -n --argjson p "$old" '[inputs | select(.type == "histogram" and .who.tgid == $p).who.start_ns] | unique | length' "$out")" 2
}

@test "target: a process stays it when another thread than its first executes a program" {
	cat >"$tmp/exec.py" <<-'END'
		import os, sys, threading, time
		threading.Thread(target=lambda: os.execv(sys.argv[1], [sys.argv[1], "--now", "1", "0", "1"])).start()
		time.sleep(60)
	END
	"$sonde" profile -q "${walk[@]}" -f folded -o "$tmp/folded" -- "$python" "$tmp/exec.py" "$workloads/spin" 2>"$err" >/dev/null
	[ "$(folded_weight "$tmp/folded" spin_thread)" -gt 0 ]
}
