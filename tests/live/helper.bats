#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The process that reads foreign files: confined, not measured, replaced when it dies, gone when sonde is.
load common

# bats file_tags=host

# helper_of PID: prints the PID of the helper of that sonde
helper_of() {
	local child
	for child in $(pgrep -P "$1"); do
		[ "$(cat "/proc/$child/comm")" != sonde-helper ] || echo "$child"
	done
}

has_helper() {
	[ -n "$(helper_of "$1")" ]
}

has_intervals_after() {
	[ "$(wc -l <"$out")" -gt "$1" ]
}

@test "helper: it has no capability, a filter, and nothing open but its socket and files to read" {
	local helper fd files=0
	start_workload burn 600
	attach profile -p "$pid" -o "$out"
	helper=$(helper_of "$probe")
	grep -q '^Seccomp:	2$' "/proc/$helper/status"
	grep -q '^NoNewPrivs:	1$' "/proc/$helper/status"
	same "$(grep -c '^Cap.*:	0000000000000000$' "/proc/$helper/status")" 5
	same "$(grep '^Groups:' "/proc/$helper/status" | tr -d '[:space:]')" Groups:
	for fd in "/proc/$helper/fd"/*; do
		[ -f "$fd" ] || continue
		files=$((files + 1))
		case $(readlink "$fd") in
			/memfd:*) ;; # the copy of the vdso
			*) grep -q '^flags:.*0$' "/proc/$helper/fdinfo/${fd##*/}" ;;
		esac
	done
	same "$(find "/proc/$helper/fd" -mindepth 1 | wc -l)" $((4 + files))
	# shared with sonde: nothing
	same "$(awk '$2 ~ /s$/' "/proc/$helper/maps" | wc -l)" 0
	stop
}

@test "helper: it is killed in the middle of a run, and the next interval has its names again" {
	local helper
	start_workload burn 600
	go "$pid"
	attach_stream profile -F 199 -p "$pid" -i 500ms
	wait_until 30 grep -q '"type":"stack"' "$out"
	helper=$(helper_of "$probe")
	kill -9 "$helper"
	has_other() { has_helper "$probe" && [ "$(helper_of "$probe")" != "$helper" ]; }
	wait_until 30 has_other
	stop
	grep -q burn "$out"
}

@test "helper: a profile of the machine has neither sonde nor its helper in it, also when it was started anew" {
	local first second
	start_workload burn 600
	go "$pid"
	attach_stream profile -F 999 -i 500ms
	wait_until 30 grep -q '"type":"stack"' "$out"
	first=$(helper_of "$probe")
	kill -9 "$first"
	has_other() { second=$(helper_of "$probe") && [ -n "$second" ] && [ "$second" != "$first" ]; }
	wait_until 30 has_other
	wait_until 30 has_intervals_after "$(wc -l <"$out")"
	stop
	# helpers of other sondes may be in it
	json -n -e --argjson own "[$probe, $first, $second]" \
		'[inputs | select(.type == "stack") | .who.tgid] | (map(numbers) | length > 0) and all(. as $pid | $own | index($pid) == null)' "$out"
}

@test "helper: it ends with sonde, whatever ended that" {
	local helper
	start_workload burn 600
	attach profile -p "$pid" -o "$out"
	helper=$(helper_of "$probe")
	kill -INT "$helper"
	kill -TERM "$helper"
	kill -9 "$probe"
	wait_until 10 ended "$helper"
}
