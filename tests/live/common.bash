# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the live tests share, on top of ../lib. Data goes to files by -o, so that stdout stays the command's.
load ../lib
bats_require_minimum_version 1.5.0

# $walk: for tests that do not ask how stacks are walked. On an emulated CPU most of a start is the check of the walk by tables, for which
# there is tests/vm/unwind.bats.
# shellcheck disable=SC2034 # by those who load this
setup() {
	lib__setup
	need_root
	out=$tmp/out.json
	err=$tmp/err
	walk=()
	! in_vm || walk=(--unwind fp)
}

teardown() {
	lib__cleanup
}

# Its timers are armed last: programs are attached, the interval has begun.
is_attached() {
	readlink "/proc/$1/fd/"* 2>/dev/null | grep -q 'anon_inode:\[timerfd\]'
}

# attach ARG...: sonde in the background, up to the moment from which it counts; sets $probe
attach() {
	local workload=$pid
	start_sonde "$@"
	probe=$pid
	pid=$workload
	wait_until 30 attached_or_ended "$probe"
	! ended "$probe" || finish "$probe"
}

# attach_stream ARG...: likewise, with JSON lines on its stdout; sets $out
attach_stream() {
	attach "$@" --json
	out=$tmp/$probe.out
}

attached_or_ended() {
	is_attached "$1" || ended "$1"
}

# stop [SIGNAL]: ends the sonde that attach() started; returns its status
stop() {
	kill -"${1:-INT}" "$probe"
	finish "$probe"
}

# measure SECONDS WORKLOAD-ARGS... -- SONDE-ARGS...: a workload beside a sonde that watches it by PID until it ends
measure() {
	local workload=()
	while [ "$1" != -- ]; do
		workload+=("$1")
		shift
	done
	shift
	start_workload "${workload[@]}"
	attach "$@" -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
}

# command SONDE-ARGS... -- WORKLOAD ARGS...: sonde starts the workload; what the workload says goes to $tmp/said
run_command() {
	local args=()
	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	"$sonde" "${args[@]}" -o "$out" -- "$workloads/$1" --now "${@:2}" >"$tmp/said" 2>"$err" || { cat "$tmp/said" "$err" >&2; return 1; }
}

# said KEY: the rest of the first line "KEY ..." of the workload that run_command started; said_sum: the last words of all of them, added
said() {
	sed -n "s/^$1 //p" "$tmp/said" | head -n 1
}

said_sum() {
	awk -v key="$1" '$1 == key { sum += $NF; n++ } END { if (n) printf "%.0f\n", sum }' "${2:-$tmp/said}"
}

said_lines() {
	grep -c "^$1 " "${2:-$tmp/said}"
}

# fields_of TYPE FIELDS [FILE]: sets $lines, a file of its points' fields, by tabs, for awk: jq needs a hundred times as long to start, and is
# asked once a file.
fields_of() {
	local file=${3:-$out}
	lines=$file.$1.tsv
	[ "$lines" -nt "$file" ] || json "select(.type == \"$1\") | [$2] | @tsv" "$file" >"$lines" || { rm -f "$lines"; return 1; }
}

# sum_of_stacks FIELD CONDITION FUNCTION [FILE]: fields: 1 occurrences, 2 value, 3 reason, 4 the first user frame, 5 all, in semicolons
stack_fields='.occurrences, .value, .labels.reason, (first(.frames[] | select(.kind != "kernel")).name // ""), ";\([.frames[].name] | join(";"));"'
sum_of_stacks() {
	local lines
	fields_of stack "$stack_fields" "${4:-$out}" && awk -F'\t' -v f="$3" "$2 { n += \$$1 } END { printf \"%.0f\n\", n }" "$lines"
}

# waits_in FUNCTION [FILE], time_in FUNCTION [FILE]: completed occurrences, and the value, of the stacks with this function
waits_in() {
	sum_of_stacks 1 'index($5, ";" f ";")' "$@"
}

time_in() {
	sum_of_stacks 2 'index($5, ";" f ";")' "$@"
}

# self_in FUNCTION [FILE]: the value of the stacks whose first user frame is this function
self_in() {
	sum_of_stacks 2 '$4 == f' "$@"
}

# reasons_of FUNCTION: the distinct reasons of its waits
reasons_of() {
	local lines
	fields_of stack "$stack_fields" && awk -F'\t' -v f=";$1;" 'index($5, f) { print $3 }' "$lines" | sort -u | paste -sd' '
}

# pids_of: the distinct processes of all points, but for those that kept others waiting: they may be anybody
pids_of() {
	json -n '[inputs | select(.metric != "sonde_runq_ran_instead").who.tgid // empty] | unique | map(tostring) | join(" ")' "$out"
}

# runq_count [PID]: waits over all histograms of all intervals, of one process or all
runq_count() {
	json -n --argjson p "${1:-0}" '[inputs | select(.type == "histogram" and ($p == 0 or .who.tgid == $p)).count] | add // 0' "$out"
}

# whole_life THREADS SONDE-ARGS... -- WORKLOAD ARGS...: from the fork to the last instruction each wait for a CPU ends with a turn on it, and
# each turn with a switch; the kernel's final account of switches is the truth. It lacks the last switch of each thread but the first, and,
# since it is drawn up a little before, whoever interrupts the thread on its last steps: one a thread at most.
whole_life() {
	local threads=$1 args=() expected
	shift
	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	run_command runq --by pid "${args[@]}" -- lifetime "$workloads/$2" "${@:3}" --now
	nothing_lost
	expected=$(($(said_sum lifetime) + threads - 1))
	between "$(runq_count "$(said lifetime | cut -d' ' -f1)")" $((expected - 1)) $((expected + threads))
}

# sum_of_counters CONDITION: of fields 1 value, 2 state, 3 tid; over all intervals
sum_of_counters() {
	local lines
	fields_of counter '.value, .labels.state, .who.tid' && awk -F'\t' "$1 { n += \$1 } END { printf \"%.0f\n\", n }" "$lines"
}

# state_ns STATE [TID], all_states_ns [TID]: a state's time, or that of all, of one thread or all
state_ns() {
	sum_of_counters "\$2 == \"$1\" ${2:+&& \$3 == $2}"
}

all_states_ns() {
	sum_of_counters "${1:+\$3 == $1}"
}

# elapsed_ns: of all intervals together
elapsed_ns() {
	json -n '[inputs | select(.type == "interval") | .end_ns - .start_ns] | add // 0' "$out"
}

# Every interval has a loss account whose laws hold, and nothing was lost.
# shellcheck disable=SC2120 # the tests name other files
nothing_lost() {
	json -n -e '[inputs | select(.type == "loss")] | length > 0 and all(.[]; .accounted and .lost == 0)' "${1:-$out}" >/dev/null ||
		fail "not accounted, or lost: $(grep '"type":"loss"' "${1:-$out}" | grep -v '"lost":0,"accounted":true' | head -n 3)"
}

# Every interval has a loss account whose laws hold; what was lost is a number, and a small one.
all_accounted() {
	json -n -e '[inputs | select(.type == "loss")] | length > 0 and all(.[]; .accounted)
		and (map(.lost) | add) * 1000 <= (map(.rows[] | select(.reason == "hits").count) | add)' "$out" >/dev/null ||
		fail "not accounted: $(grep '"type":"loss"' "$out" | head -n 3)"
}

same() {
	[ "$1" = "$2" ] || fail "got: $1, expected: $2"
}

# is_blocked_time NS THREAD: what a thread of the workload `block` measured around its waits, from user space: longer by its waits for a CPU, which the
# kernel knows, and by the calls themselves
is_blocked_time() {
	local measured
	measured=$(said "$2_ns")
	between "$1" $(((measured - $(said "$2_delay")) * 99 / 100 - $(said "$2_blocks") * 150000)) "$measured"
}

# check KIND FILE...: see check.py
check() {
	"$python" "$BATS_TEST_DIRNAME/check.py" "$@" >&2
}

# What the kernel holds of BPF, whoever owns it: kind and id, one a line.
bpf_objects() {
	local kind
	for kind in prog map link; do
		bpftool "$kind" show 2>/dev/null | sed -n "s/^\([0-9]\+\):.*/$kind \1/p"
	done
}

# exactly COMMAND...: some kernels run no tracepoint program at all for some microseconds now and then (an empty program of anybody's misses
# the same events, and the kernel counts no miss). A truth to the last event is therefore tried up to five times; each miss is printed, as
# a comment in the TAP (descriptor 3, where there is one), for what else a test says is dropped when it passes.
exactly() {
	local attempt missed
	for attempt in 1 2 3 4 5; do
		missed=0
		(set -e; "$@") >"$tmp/attempt" 2>&1 &
		wait $! || missed=1
		cat "$tmp/attempt" >&2
		[ $missed = 1 ] || return 0
		missed="attempt $attempt missed: $* ($(tail -n 1 "$tmp/attempt" | tr -cd '[:print:]' | cut -c -200))"
		echo "$missed" >&2
		{ true >&3; } 2>/dev/null && echo "# $missed" >&3
	done
	return 1
}

last_cpu() {
	echo $(($(nproc --all) - 1))
}

# seen FUNCTION [FILE]: whether any stack has it
seen() {
	local lines
	fields_of stack "$stack_fields" "${2:-$out}" && grep -qF ";$1;" "$lines"
}

unseen() {
	! seen "$@" || fail "there are stacks with $1"
}

# only_pids PID...: the points are about these processes, all of them and no other
only_pids() {
	same "$(pids_of)" "$(printf '%s\n' "$@" | sort -n | paste -sd' ')"
}

# thread_named PID NAME
thread_named() {
	local task
	for task in /proc/"$1"/task/*; do
		[ "$(cat "$task/comm")" != "$2" ] || echo "${task##*/}"
	done
}

# few FEW... -- MORE...: what to loop over: FEW under emulation, where each start of sonde takes seconds; else all
few() {
	local few=()
	while [ "$1" != -- ]; do
		few+=("$1")
		shift
	done
	shift
	variants=("${few[@]}")
	in_vm || variants+=("$@")
}

# headline [FILE]: what the last interval says of itself, spaces between digits left out
headline() {
	json -n '[inputs | select(.type == "interval")][-1].headline' "${1:-$out}" | sed 's/\([0-9]\) \([0-9]\)/\1\2/g'
}

# in_headline FORMAT [FILE]: the number that stands for N in FORMAT
in_headline() {
	headline "${2:-$out}" | sed -nE "s/^(|.*[^0-9.a-z])${1/N/([0-9.]+[a-z]*)}.*/\2/p"
}

# in_ns DURATION: 1.5s, 20ms, 3us, 5ns
in_ns() {
	awk -v t="$1" 'BEGIN { u = t; sub(/[0-9.]+/, "", u); f["s"] = 1e9; f["ms"] = 1e6; f["us"] = 1e3; f["ns"] = 1
		if (!(u in f)) exit 1; printf "%.0f\n", t * f[u] }'
}

# samples_of [FILE]: the sum of the values of all stacks
samples_of() {
	sum_of_stacks 2 1 "" "$@"
}

# counter_sum METRIC: over all points and intervals
counter_sum() {
	json -n --arg m "$1" '[inputs | select(.type == "counter" and .metric == $m).value] | add // 0' "$out"
}

# Coverage is what the stacks say one by one: how many there are, and how many of them reach the start of their thread.
coverage_is_that_of_the_stacks() {
	json -n -e '[inputs] | (map(select(.type == "loss").coverage // empty)) as $said
		| [.[] | select(.type == "stack") | {n: (if .unit == "ns" then .occurrences + .open else .value end), whole: (.incomplete | not)}]
		| (map(.n) | add // 0) == ($said | map(.stacks) | add // 0)
		and (map(select(.whole).n) | add // 0) == ($said | map(.complete) | add // 0)' "$out" >/dev/null ||
		fail "the coverage is not that of the stacks: $(grep -o '"coverage":{[^}]*}' "$out" | head -n 3)"
}

# Each histogram of the file in itself: the buckets hold the count, the maximum lies in the highest that is occupied, no quantile lies above
# it, and the sum lies between the buckets' bounds (not with stacks: a wait gives its time to the intervals that it spans).
histograms_agree() {
	json -n -e "def bound(\$h; \$i): pow(2; (\$h.offset + \$i) / 8) * (if \$h.bucket_unit == \"s\" then 1e9 else 1 end);"'
		[inputs | select(.type == "histogram" or .type == "stack") | (.type == "stack") as $stack | (if $stack then .histogram // empty else . end)
			| . + {$stack} | select(.count > .zero_count)] | length > 0 and all(.[]; . as $h | .zero_count as $zero
			| [.bucket_counts | to_entries[] | select(.value > 0)] as $b
			| ($b[-1].key) as $top
			| (($b | map(.value) | add) + $zero) == .count
			and .max >= (bound($h; $top) | floor) and .max <= (bound($h; $top + 1) | ceil)
			and ([.p50, .p99, .p999 | . <= $h.max] | all)
			and (.stack or .sum <= ($b | map(.value * bound($h; .key + 1)) | add) + 1000 * .count
				and .sum >= ($b | map(.value * bound($h; .key)) | add) - 1000 * .count))' "${1:-$out}" >/dev/null ||
		fail "a histogram contradicts itself: $(grep -o '"count":[0-9]*,"sum":[0-9]*,"max":[0-9]*.*"offset":[-0-9]*' "${1:-$out}" | head -n 3)"
}

# The state of each way to wait of tests/workloads/states.c, as docs/probes/sched.md has it
states_of_waits="nanosleep:sleep clock_nanosleep:sleep pause:sleep sigsuspend:sleep sigtimedwait:sleep timerfd:sleep signalfd:sleep
	poll_none:sleep select_none:sleep poll_sockets:network ppoll_socket:network select_socket:network pselect_socket:network poll_mixed:idle
	epoll:idle accept:network connect:network recvfrom:network recvmsg:network read_pipe:pipe eventfd:pipe tty:tty inotify:other flock:lock
	futex:lock semaphore:lock condition:lock wait4:child waitid:child vfork:child clone_vfork:child mq:ipc msgrcv:ipc semop:ipc semtimedop:ipc
	io_uring:io_uring stopped:stopped"

# known_states COMMAND FILTER: every process of `states` has the 100 ms of its wait in its state; FILTER selects its points ($pid, $s)
known_states() {
	local row name ns waited_ns
	run_command "$1" -- states
	nothing_lost
	for row in $states_of_waits; do
		name=${row%:*}
		[ "$name" != io_uring ] || [ "$(said skipped)" != io_uring ] || continue
		waited_ns=$(said "wait $name" | cut -d' ' -f2)
		ns=$(json -n --arg s "${row#*:}" --argjson pid "$(said "wait $name" | cut -d' ' -f1)" "[inputs | select($2).value] | add // 0" "$out")
		# what ends it from outside may begin to count before it does
		between "$ns" 85000000 "${waited_ns:-0}" || fail "$row"
	done
}
