#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# System calls: each is counted, with its error and its time.
load common
load syscalls

@test "syscalls: prime numbers of calls by eight threads are counted one by one, with their errors" {
	for args in "" --force-raw --classic-tracepoints; do
		measured 8 20 2 3 -- $args
		counts_are openat getppid nanosleep
		errors_are openat=ENOENT read=EBADF
		nothing_lost
		all_timed openat getppid nanosleep
	done
}

@test "syscalls: those of a command are counted from its exec to its exit" {
	run_command syscalls -- calls 3 5 0 0 --children 7
	counts_are getppid getpgid
	errors_are read=EBADF
	nothing_lost
	# 4 threads of the workload, of which the first exits the process, and 7 children
	same "$(calls_of exit) $(calls_of exit_group)" "3 8"
	same "$(untimed exit 'never returns') $(untimed exit_group 'never returns')" "3 8"
	# what they say is only what ended
	same "$(calls_of clone3) $(calls_of clone)" "3 7"
	same "$(untimed clone)" 0
}

@test "syscalls: a sleep is in the bucket of its length, and none is shorter" {
	measured 4 1 10 7 --
	counts_are nanosleep
	between "$(hist_of nanosleep .sum)" $((40 * 7000000)) $((40 * 60000000))
	between "$(hist_of nanosleep .p50)" 6700000 12000000
	same "$(json -n '[inputs | select(.metric == "sonde_syscall_duration" and .labels.syscall == "nanosleep")
		| .offset as $o | .bucket_counts | to_entries[] | select(.value > 0)
		| pow(2; (.key + 1 + $o) / 8) * 1e9 | select(. < 7000000)] | length' "$out")" 0
	histograms_agree
}

@test "syscalls: -e leaves out the others, and does not miss those that return elsewhere" {
	for args in "" --force-raw --classic-tracepoints; do
		measured 8 20 0 0 --children 3 -- -e getppid,openat,getpgid,clone --follow $args
		counts_are openat getppid getpgid
		same "$(names)" "clone getpgid getppid openat"
		same "$(calls_of clone)" 3
		nothing_lost
	done
	# more names than have tracepoints of their own
	measured 8 20 0 0 -- -e getppid,openat,getpgid,clone,mkdir
	counts_are openat getppid
	errors_are openat=ENOENT
	nothing_lost
}

@test "syscalls: calls of 32-bit code have names of their own" {
	start_workload calls 1 1 0 0 --compat 1
	go "$pid"
	finish "$pid" || skip "this kernel has no 32-bit calls"
	[ "$(value "$pid" compat)" = 1 ] || skip "not on this CPU"
	measured 1 1 0 0 --compat 211 --children 1 -- --follow
	same "$(calls_of 'getpgid (32-bit)') $(calls_of getpgid)" "211 101"
	nothing_lost
	# of few names each has a tracepoint of its own, which 32-bit code does not meet
	measured 1 1 0 0 --compat 211 -- -e getpgid,getsid,uname,umask,chroot
	same "$(calls_of 'getpgid (32-bit)')" 211
}

@test "syscalls: what seccomp refuses has no begin, what a signal interrupts says so" {
	measured 1 1 0 0 --refused 307 --interrupted 11 --
	counts_are getsid ppoll
	errors_are getsid=EPERM ppoll=ERESTARTNOHAND
	same "$(untimed getsid 'no begin') $(untimed ppoll)" "307 0"
	nothing_lost
}

@test "syscalls: by process, by name, by cgroup: each has its own, and no other" {
	local first second cgroup
	start_workload calls 2 3 0 0
	first=$pid
	start_workload calls 2 5 0 0
	second=$pid
	attach syscalls --by pid -p "$first,$second" -o "$out"
	both
	for pid in $first $second; do
		same "$(of_process "$pid" getppid)" "$(value "$pid" getppid)"
	done
	only_pids "$first" "$second"
	start_workload calls 2 3 0 0
	first=$pid
	start_workload calls 2 5 0 0
	second=$pid
	make_cgroup cgroup
	echo "$first" >"$cgroup/cgroup.procs"
	attach syscalls --by cgroup -G "$cgroup" -o "$out"
	both stop
	same "$(json -n -r '[inputs | select(.metric == "sonde_syscall_calls" and .labels.syscall == "getppid") | "\(.labels.cgroup_path) \(.value)"] | join(" ")' "$out")" \
		"${cgroup#"$(cgroup2_mount)"} $(value "$first" getppid)"
}

both() {
	go "$first"
	go "$second"
	finish "$first"
	finish "$second"
	if [ "${1:-}" = stop ]; then stop; else finish "$probe"; fi
	nothing_lost
}

@test "syscalls: --slow tells of the calls above the limit, of these all, and of no other" {
	measured 4 3 5 20 -- --slow 15ms
	# the first thread waits for the others (futex)
	json -n -e '[inputs | select(.type == "event")] | (map(select(.fields.call == "nanosleep")) | length == 20 and all(.[]; .duration_ns >= 20000000))
		and all(.[]; .duration_ns >= 15000000)' "$out"
	in_vm || json -n -e '[inputs | select(.type == "event").fields.call | IN("nanosleep", "futex")] | all' "$out"
	nothing_lost
}

@test "syscalls: --slow names the file, socket or pipe, and the result" {
	mkfifo "$tmp/fifo"
	attach syscalls --slow 50ms -o "$out" --comm sonde-reader
	"$python" - "$tmp/fifo" <<-'PYTHON'
		import ctypes, os, socket, sys, threading, time
		ctypes.CDLL(None).prctl(15, b"sonde-reader")
		fifo = os.open(sys.argv[1], os.O_RDWR)
		pair = socket.socketpair()
		pipe = os.pipe()
		for write in (lambda: os.write(fifo, b"abc"), lambda: pair[1].send(b"abcd"), lambda: os.write(pipe[1], b"abcde")):
		    threading.Timer(0.1, write).start()
		    if write.__code__.co_consts[-1] == b"abc": os.read(fifo, 9)
		    elif write.__code__.co_consts[-1] == b"abcd": pair[0].recv(9)
		    else: os.read(pipe[0], 9)
		time.sleep(0.5)
	PYTHON
	stop
	json -n -r 'inputs | select(.type == "event") | .fields | "\(.call) \(.file) \(.result)"' "$out" >"$tmp/told"
	grep -qx "read $tmp/fifo 3" "$tmp/told"
	grep -qx 'recvfrom socket:\[[0-9]*\] 4' "$tmp/told"
	grep -qx 'read pipe:\[[0-9]*\] 5' "$tmp/told"
}

@test "syscalls: --stacks says who made the calls; the times of the stacks are those of the calls" {
	measured 4 10 100 5 -- --stacks # it must live until its mappings were read
	counts_are openat getppid nanosleep
	for pair in open_missing:openat ask_parent:getppid sleep_often:nanosleep; do
		same "$(json -n --arg f "${pair%:*}" '[inputs | select(.type == "stack") | select(.frames[1].name == $f).occurrences] | add' "$out")" "$(value "$pid" "${pair#*:}")"
		same "$(json -n --arg s "${pair#*:}" '[inputs | select(.type == "stack") | select(.labels.syscall == $s).value] | add' "$out")" "$(hist_of "${pair#*:}" .sum)"
	done
	nothing_lost
	coverage_is_that_of_the_stacks
}

@test "syscalls: what is open at the end, or began before, is said" {
	start_workload calls 1 1 0 0
	attach syscalls -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	same "$(untimed read 'began before')" 1 # that of the word to go
	start_workload calls 1 1 1 100000
	attach syscalls -p "$pid" -o "$out"
	go "$pid"
	wait_until 10 sleeping "$pid"
	stop
	same "$(calls_of nanosleep) $(untimed nanosleep open)" "0 1"
	nothing_lost
}

sleeping() {
	grep -qs "^$nanosleep " /proc/"$1"/task/*/syscall
}

@test "syscalls: intervals add up, whatever the load" {
	start_workload calls 8 400 0 0
	attach syscalls -p "$pid" -i 100ms --json
	go "$pid"
	finish "$pid"
	finish "$probe"
	cp "$tmp/$probe.out" "$out"
	counts_are openat getppid
	errors_are openat=ENOENT read=EBADF
	nothing_lost
}

@test "syscalls: an unknown name is wrong usage, and the nearest is named" {
	run -2 --separate-stderr "$sonde" syscalls -e read,opennat -a
	same "$stderr" "sonde syscalls: -e: no system call opennat; did you mean openat?"
	run -2 --separate-stderr "$sonde" syscalls -e read, -a
	same "$stderr" "sonde syscalls: -e: no system call ''"
}
