#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What comes out: formats, files, streams.
load common

# bats file_tags=host

setup_file() {
	export SCHEMA=$BATS_FILE_TMPDIR/schema.json
	"$BATS_TEST_DIRNAME/../../build/sonde" schema >"$SCHEMA"
}

commands=(profile "profile -U" offcpu "offcpu --waker --reason" "offcpu --sample" runq "runq --by pid" "runq --by comm" "runq --by cgroup" wall)

# Something of every kind: on the CPU, blocked, waiting for the CPU.
start_mixture() {
	start_workload phases 1500
	go "$pid"
}

@test "output: every JSON line of every command satisfies the schema, over several intervals" {
	local command files=()
	start_mixture
	for command in "${commands[@]}"; do
		# shellcheck disable=SC2086 # words
		"$sonde" $command -q -p "$pid" -i 100ms -d 250ms --json >"$tmp/${command// /_}.json"
		files+=("$tmp/${command// /_}.json")
	done
	check json "${files[@]}"
	for out in "${files[@]}"; do
		nothing_lost
		# one start line first; each interval ends with its loss line and its interval line; the last one says so
		json -n -e '[inputs] | .[0].type == "start" and (map(select(.type == "start")) | length) == 1 and .[-1].type == "interval" and .[-1].last
			and (map(select(.type == "interval" and .last)) | length) == 1
			and ([.[] | select(.type == "interval").interval] == [range(1; 1 + ([.[] | select(.type == "interval")] | length))])
			and ([.[] | select(.type == "loss").interval] == [.[] | select(.type == "interval").interval])' "$out"
	done
}

@test "output: intervals follow each other without a gap" {
	start_mixture
	"$sonde" wall -q -p "$pid" -i 100ms -d 500ms -o "$out"
	json -n -e '[inputs | select(.type == "interval")] | length >= 4 and . as $all
		| all(range(1; length); $all[.].start_ns == $all[. - 1].end_ns)' "$out"
}

@test "output: a machine's JSON satisfies the schema, too" {
	"$sonde" offcpu -q -a -d 300ms --json >"$tmp/all.json"
	"$sonde" wall -q -a -d 200ms --json >"$tmp/wall.json"
	check json "$tmp/all.json" "$tmp/wall.json"
}

@test "output: a pipe gets folded stacks from profile and offcpu, with one note" {
	local command
	start_mixture
	for command in "profile -F 499" offcpu; do
		# shellcheck disable=SC2086 # words
		"$sonde" $command -p "$pid" -d 300ms 2>"$err" | cat >"$tmp/stacks"
		check folded "$tmp/stacks"
		same "$(grep -c 'stdout is no terminal' "$err")" 1
	done
}

@test "output: a pipe gets a plain table from runq and wall" {
	local command
	start_mixture
	for command in runq wall; do
		"$sonde" $command -p "$pid" -d 300ms 2>"$err" | cat >"$tmp/table"
		check table "$tmp/table"
		head -n 1 "$tmp/table" | grep -qE "^phases\[$pid\] [0-9.]+ s"
	done
}

@test "output: -o takes the format from the extension, and the top lines go to stderr" {
	local extension
	start_mixture
	for extension in svg html folded json txt; do
		"$sonde" profile -F 499 -p "$pid" -d 300ms -o "$tmp/x.$extension" >"$tmp/stdout" 2>"$err"
		check "${extension/txt/table}" "$tmp/x.$extension"
		same "$(cat "$tmp/stdout")" ""
		[ $extension = txt ] || grep -qE "^phases\[$pid\] [0-9.]+ s" "$err"
	done
	# the file came whole: nothing of another name is left
	same "$(find "$tmp" -maxdepth 1 -name '*x.*' | wc -l)" 5
}

@test "output: --json, --folded, --svg, --html and -f agree with the extensions" {
	local format
	start_mixture
	for format in json folded svg html; do
		"$sonde" profile -q -F 499 -p "$pid" -d 200ms --$format >"$tmp/short" 2>"$err"
		check $format "$tmp/short"
		"$sonde" profile -q -F 499 -p "$pid" -d 200ms -f $format >"$tmp/long" 2>"$err"
		check $format "$tmp/long"
	done
}

@test "output: -i with svg, html or folded numbers the files, each whole" {
	local extension n
	start_mixture
	for extension in svg html folded; do
		mkdir "$tmp/$extension"
		"$sonde" profile -q -F 499 -p "$pid" -i 200ms -d 500ms -o "$tmp/$extension/x.$extension"
		n=$(find "$tmp/$extension" -type f | wc -l)
		[ "$n" -ge 2 ]
		[ ! -e "$tmp/$extension/x.$extension" ]
		check $extension "$tmp/$extension"/*
	done
}

# Two runs of workloads that are the same each time: threads that wait so often for so long, and a second of CPU time.
folded_and_json() {
	local name
	run_command offcpu -- block
	for name in sleep_thread futex_thread read_thread feed_thread; do
		is_blocked_time "$(time_in $name)" $name
	done
	"$sonde" offcpu -q -o "$tmp/x.folded" -- "$workloads/block" --now >"$tmp/said"
	check folded "$tmp/x.folded"
	for name in sleep_thread futex_thread read_thread feed_thread; do
		is_blocked_time "$(folded_weight "$tmp/x.folded" "(^|;)$name(;|\$)")000" $name
	done
	run_command profile -F 499 -- burn 1
	"$sonde" profile -F 499 -q -o "$tmp/x.folded" -- "$workloads/burn" 1 --now >"$tmp/said"
	check folded "$tmp/x.folded"
	within "$(folded_weight "$tmp/x.folded")" 499 3
	within "$(samples_of)" 499 3
}

@test "output: the weights of folded stacks are the samples of JSON, and microseconds of blocked time" {
	exactly folded_and_json
}

@test "output: pictures hold what the folded stacks hold" {
	local format
	start_mixture
	for format in svg html; do
		"$sonde" profile -q -F 499 -p "$pid" -d 300ms -o "$tmp/x.$format"
		"$sonde" convert "$tmp/x.$format" "$tmp/back.folded"
		check folded "$tmp/back.folded"
		"$sonde" convert "$tmp/back.folded" "$tmp/again.$format"
		"$sonde" convert "$tmp/again.$format" "$tmp/again.folded"
		cmp "$tmp/back.folded" "$tmp/again.folded"
		[ "$(folded_weight "$tmp/back.folded" spin_forever)" -gt 0 ]
	done
}

@test "output: a terminal gets colours, and with NO_COLOR none" {
	start_mixture
	script -qec "TERM=xterm COLUMNS=100 '$sonde' wall -q -p $pid -d 200ms" "$tmp/colour" >/dev/null </dev/null
	grep -q $'\e\\[' "$tmp/colour"
	script -qec "TERM=xterm COLUMNS=100 NO_COLOR=1 '$sonde' wall -p $pid -d 200ms" "$tmp/plain" >/dev/null </dev/null
	grep -q 'spinner' "$tmp/plain"
	! grep -q $'\e\\[[0-9;]*m' "$tmp/plain" || fail "colours in spite of NO_COLOR"
}

@test "output: -q is silent on stderr, -v adds the loss account" {
	start_mixture
	"$sonde" offcpu -q -p "$pid" -d 200ms -f table >"$tmp/table" 2>"$err"
	same "$(cat "$err")" ""
	"$sonde" offcpu -v -p "$pid" -d 200ms -f table >"$tmp/both" 2>&1
	grep -q 'every event is accounted for' "$tmp/both"
	! grep -q 'every event is accounted for' "$tmp/table" || fail "the account without -v"
}

@test "output: --dry-run says maps, bytes and privileges" {
	local command
	for command in profile offcpu runq wall; do
		"$sonde" $command -a --dry-run >"$tmp/said" 2>"$err"
		has_line "$tmp/said" '^maps: .*B of kernel memory'
		has_line "$tmp/said" 'CAP_BPF'
	done
	"$sonde" profile -a --dry-run --unwind-memory 8MiB >"$tmp/said"
	has_line "$tmp/said" '^unwind tables: up to 8[.][0-9]MiB more'
	"$sonde" profile -a --dry-run --unwind fp -o "$out" >"$tmp/said"
	! grep -q 'unwind tables' "$tmp/said" || fail "tables that --unwind fp does not have"
	[ ! -e "$out" ]
}

writes_to_pipe() {
	grep -q pipe_write "/proc/$1/wchan" || grep -q '^1 0x1 ' "/proc/$1/syscall"
}

# With a full pipe for its stdout it stops right where it says what it would do: what it holds there can be looked at.
@test "output: --dry-run attaches nothing" {
	local command
	mkfifo "$tmp/full"
	exec 7<>"$tmp/full"
	head -c 65536 /dev/zero >&7
	for command in profile offcpu runq wall; do
		SONDE_TEST=$test_tag "$sonde" $command -a --dry-run >&7 2>"$err" &
		probe=$!
		wait_until 20 writes_to_pipe "$probe"
		! readlink "/proc/$probe/fd/"* | grep -E 'bpf.link|perf_event|timerfd' || fail "$command is attached"
		kill -KILL "$probe"
		wait "$probe" || true
	done
	exec 7>&-
}

@test "output: --dry-run does not start COMMAND, and ends" {
	timeout -k 1 20 "$sonde" profile --dry-run -- touch "$tmp/touched" >/dev/null
	[ ! -e "$tmp/touched" ]
}

@test "output: folded stacks of -i reach a pipe at each interval's end, and its reader's end is the run's" {
	local first
	start_mixture
	exec 6< <(exec timeout -k 1 60 "$sonde" profile -q -F 499 -p "$pid" -i 100ms 2>"$err")
	probe=$!
	read -r -t 30 first <&6
	grep -qE '^[^ ].* [0-9]+$' <<<"$first"
	! ended "$probe" || fail "the run is over"
	exec 6<&-
	wait_until 30 ended "$probe"
	same "$(cat "$err")" ""
}

@test "output: one picture per interval does not go to standard output" {
	local format
	for format in svg html; do
		run -2 --separate-stderr "$sonde" profile -a -i 100ms -d 300ms --$format
		same "$output" ""
		same "$stderr" "sonde: -i: standard output cannot hold one $format per interval: say -o FILE.$format, which numbers them"
	done
}

@test "output: a broken stderr costs the words, not the result" {
	local n
	start_mixture
	"$sonde" profile -F 499 -p "$pid" -d 200ms -o "$tmp/full.svg" 2>/dev/full
	check svg "$tmp/full.svg"
	"$sonde" profile -F 499 -p "$pid" -d 200ms -o "$tmp/closed.svg" 2>&-
	check svg "$tmp/closed.svg"
	mkdir "$tmp/gone"
	mkfifo "$tmp/pipe"
	exec 5<>"$tmp/pipe" 6>"$tmp/pipe" 5<&-
	"$sonde" profile -F 499 -p "$pid" -i 100ms -d 2s -o "$tmp/gone/x.svg" 2>&6
	exec 6>&-
	n=$(find "$tmp/gone" -type f | wc -l)
	[ "$n" -ge 3 ] || fail "$n files"
	check svg "$tmp/gone"/*
}

@test "output: a result that cannot be written is exit 1 and one line that names it" {
	local format
	start_mixture
	for format in folded table json; do
		run -1 --separate-stderr bash -c 'exec "$@" >/dev/full' _ "$sonde" profile -q -p "$pid" -d 100ms -f $format
		same "$stderr" "sonde: cannot write standard output: No space left on device"
		run -1 --separate-stderr bash -c 'exec "$@" >&-' _ "$sonde" profile -q -p "$pid" -d 100ms -f $format
		same "$stderr" "sonde: cannot write standard output: Bad file descriptor"
	done
}

@test "output: files that may not be read are a note that names the capability" {
	local user=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps "+bpf,+perfmon" --ambient-caps "+bpf,+perfmon")
	command -v setpriv >/dev/null || skip "needs setpriv"
	[ "$(cat /proc/sys/kernel/perf_event_paranoid)" -lt 3 ] || skip "perf_event_paranoid asks for CAP_SYS_ADMIN"
	"${user[@]}" "$sonde" version || skip "another user cannot reach the program"
	start_mixture
	"${user[@]}" "$sonde" profile -q -F 499 -p "$pid" -d 300ms -f table >"$tmp/few"
	grep -q '^some files could not be read: CAP_SYS_PTRACE (and CAP_DAC_READ_SEARCH) would allow it' "$tmp/few"
	"$sonde" profile -q -F 499 -p "$pid" -d 300ms -f table >"$tmp/all"
	! grep -q 'could not be read' "$tmp/all" || fail "a note although all could be read"
}

# The kernel's walk of a thread that sleeps leaves out all of the scheduler's text; the walk at the switch must, too.
@test "output: a wait that was found open and one that was seen to begin have one stack" {
	local raw
	start_workload block 100 --now
	wait_until 20 sh -c "grep -q '^sleep_thread$' /proc/$pid/task/*/comm"
	for raw in "" --force-raw; do
		# shellcheck disable=SC2086 # one word or none
		"$sonde" offcpu $raw -q -p "$pid" -i 100ms -d 550ms -o "$out"
		nothing_lost
		same "$(json -n -c '[inputs | select(.type == "stack" and .who.comm == "sleep_thread" and .labels.reason == "sleep")]
			| (map(.occurrences) | add > 9), (map([.frames[].name]) | unique | length)' "$out" | paste -sd ' ')" "true 1"
	done
}
