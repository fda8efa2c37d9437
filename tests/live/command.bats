#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# COMMAND, endings and exit codes.
load common

# bats file_tags=host

has_error() {
	grep -q -- "$1" "$err" || fail "no '$1' in: $(cat "$err")"
}

@test "command: sonde exits 0 whatever COMMAND returns, and says what it returned" {
	"$sonde" runq -o "$out" -- sh -c 'exit 7' 2>"$err"
	has_error '^sonde: the command exited with status 7$'
	nothing_lost
	# shellcheck disable=SC2016 # the inner shell's PID
	"$sonde" runq -o "$out" -- sh -c 'kill -KILL $$' 2>"$err"
	has_error '^sonde: the command was ended by signal 9'
}

@test "command: --pass-status returns COMMAND's status" {
	run -7 "$sonde" runq -q --pass-status -o "$out" -- sh -c 'exit 7'
	# shellcheck disable=SC2016 # the inner shell's PID
	run -143 "$sonde" runq -q --pass-status -o "$out" -- sh -c 'kill -TERM $$'
	run -0 "$sonde" runq -q --pass-status -o "$out" -- true
}

@test "command: COMMAND's streams are its own" {
	echo in | "$sonde" runq -q -o "$out" -- sh -c 'read -r word; echo "$word put"; echo complaint >&2' >"$tmp/said" 2>"$err"
	same "$(cat "$tmp/said")" "in put"
	has_error '^complaint$'
}

@test "command: one that is missing or no program is exit 4 with one line, and no file is left" {
	local command
	: >"$tmp/data"
	for command in /nonexistent/command no-such-command-anywhere "$tmp/data" "$tmp"; do
		run -4 --separate-stderr "$sonde" runq -o "$out" -- "$command"
		same "${#stderr_lines[@]}" 1
		[[ $stderr == "sonde: cannot start "* ]]
		[ ! -e "$out" ]
	done
}

@test "command: at the end of -d sonde reports and waits for COMMAND, which nobody looks at any more" {
	start_sonde runq -d 300ms -o "$out" -- "$workloads/burn" 1
	probe=$pid
	wait_until 20 has_line "$tmp/$probe.out" '^ready'
	wait_until 20 test -e "$out"
	# the results are there, the command waits for its word to go, nothing is attached
	nothing_lost
	! ended "$probe" || fail "it did not wait"
	! grep -q '^prog_id' /proc/"$probe"/fdinfo/* || fail "programs are still held"
	send "$probe" go
	finish "$probe"
	has_line "$tmp/$probe.out" '^burn_60_ns'
	has_line "$tmp/$probe.err" '^sonde: the command exited with status 0$'
}

@test "command: under sudo it runs as the calling user with that user's groups" {
	SUDO_UID=65534 SUDO_GID=65534 SUDO_USER=nobody "$sonde" runq -q -o "$out" -- sh -c 'id -u; id -g; id -G; grep CapEff /proc/self/status' >"$tmp/said"
	same "$(sed -n 1p "$tmp/said")" 65534
	same "$(sed -n 2p "$tmp/said")" 65534
	same "$(sed -n 3p "$tmp/said")" "$(id -G nobody)"
	same "$(sed -n 4p "$tmp/said" | tr -d '[:space:]')" CapEff:0000000000000000
	# what sonde wrote is the user's own
	same "$(stat -c %u "$out")" 65534
}

@test "command: its first instruction and its last are seen" {
	# a program that does nothing but start and end: one thread, from exec to exit
	"$sonde" wall -q -o "$out" -- true
	nothing_lost
	same "$(json -n '[inputs | select(.type == "counter").who.tid] | unique | length' "$out")" 1
	[ "$(($(state_ns user) + $(state_ns sys)))" -gt 0 ]
}

@test "ending: Ctrl-C ends a run without -d with its results and exit 0, SIGTERM likewise" {
	local signal
	start_workload burn 600
	go "$pid"
	for signal in INT TERM; do
		attach profile -F 199 -p "$pid" -o "$out"
		sleep 0.3
		stop $signal
		nothing_lost
		seen burn_60
		rm "$out"
	done
}

@test "ending: Ctrl-C and SIGTERM that cut -d short are 130 and 143, results flushed all the same" {
	local row status
	start_workload burn 600
	go "$pid"
	for row in INT:130 TERM:143; do
		attach profile -q -F 199 -d 1h -p "$pid" -o "$out"
		sleep 0.3
		kill -"${row%:*}" "$probe"
		status=0
		wait "$probe" || status=$?
		same "$status" "${row#*:}"
		nothing_lost
		seen burn_60
		rm "$out"
	done
}

@test "ending: with -p sonde ends with its target, exit 0, results complete" {
	start_workload burn 1
	attach profile -F 199 -p "$pid" -o "$out"
	go "$pid"
	finish "$probe"
	ended "$pid"
	seen burn_60
	nothing_lost
}

@test "ending: a reader that goes away ends sonde quietly, exit 0" {
	local status=0
	start_workload burn 600
	go "$pid"
	mkfifo "$tmp/pipe"
	SONDE_TEST=$test_tag "$sonde" profile -q -F 199 -i 200ms --json -p "$pid" >"$tmp/pipe" 2>"$err" &
	probe=$!
	head -n 1 "$tmp/pipe" >/dev/null
	wait_until 20 ended "$probe"
	wait "$probe" || status=$?
	same "$status" 0
	same "$(cat "$err")" ""
}

# map_memory PID: bytes of the maps of its descriptors, each once, in the kernel's words; without the shards of unwind tables, which come by and by
map_memory() {
	grep -hs '^value_size\|^memlock\|^map_id' /proc/"$1"/fdinfo/* |
		awk '$1 == "value_size:" { shard = $2 == 262144 + 64 } $1 == "memlock:" { held = shard ? 0 : $2 } $1 == "map_id:" { bytes[$2] = held } END { for (id in bytes) sum += bytes[id]; printf "%.0f\n", sum }'
}

@test "memory: what --dry-run promises for the maps is what the kernel says, or up to 10 per cent more" {
	local row args promise held
	[ "$(printf '%s\n' 6.4 "$(uname -r)" | sort -V | head -n 1)" = 6.4 ] || skip "the kernel does not say what maps take (before 6.4)"
	for row in profile offcpu 'runq --by pid' wall 'wall -f svg' 'wall --force-raw'; do
		read -ra args <<<"$row"
		promise=$("$sonde" "${args[@]}" --dry-run -a -o "$tmp/x.json" | sed -n 's/^maps: at most \([0-9.]*\)MiB of kernel memory$/\1/p')
		promise=$(awk -v mib="$promise" 'BEGIN { printf "%.0f\n", mib * 1048576 }')
		attach "${args[@]}" -q -a -o "$tmp/x.json"
		held=$(map_memory "$probe")
		stop
		echo "$row: promise $promise, held $held" >&2
		between "$held" $((promise * 9 / 10)) "$promise"
	done
}

@test "incomplete: the object named is the one that most walks stopped in, in each interval" {
	# a program without frame pointers that also stops in libraries: no single stack tells which object leads
	# shellcheck disable=SC2016 # the program's variables
	"$sonde" profile -q --unwind fp -F 1999 -i 100ms -o "$out" -- \
		perl -e '$t = "where the time goes " x 9; for (1 .. 300000) { $n{$_}++ for split / /, $t }'
	json -n -e '[inputs | select(.type == "stack" or .type == "loss")] | group_by(.interval) | map(
		([.[] | select(.type == "stack" and .incomplete) | {occurrences, object: ([.frames[] | select(.kind != "mark")] | last
			| if . == null or .kind == "kernel" or .object == "" then null else .object end)}]
			| group_by(.object) | map({key: (.[0].object // "none"), value: (map(.occurrences) | add)}) | from_entries) as $walks
		| (.[] | select(.type == "loss").coverage // empty) as $said
		| {walks: $walks, ok: ($said.complete == $said.stacks or $walks[$said.worst_object // "none"] == ($walks | [.[]] | max))})
		| all(.[]; .ok) and any(.[]; .walks | length > 1)' "$out"
}
