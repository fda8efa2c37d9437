#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What cannot be is said in one clear line, with the right exit code, before anything is attached or written.
load common

# bats file_tags=host

# refuses STATUS PATTERN COMMAND...: one line on stderr that matches, nothing on stdout
refuses() {
	local status=$1 pattern=$2 got=0
	shift 2
	"$@" >"$tmp/stdout" 2>"$err" </dev/null || got=$?
	same "$got" "$status"
	same "$(wc -l <"$err")" 1
	[[ $(cat "$err") == "sonde"*": "* ]] || fail "not sonde's words: $(cat "$err")"
	grep -qE -- "$pattern" "$err" || fail "no '$pattern' in: $(cat "$err")"
	same "$(cat "$tmp/stdout")" ""
}

commands=(profile offcpu runq wall)

@test "refuse: an unknown option is exit 2 and names the nearest one" {
	for command in "${commands[@]}"; do
		refuses 2 '--duration' "$sonde" "$command" --durations 5s
		refuses 2 'unknown option' "$sonde" "$command" --bogus
	done
}

@test "refuse: a bad duration is exit 2 and says what a time is" {
	for time in 5x 1 -1s 0s 1e9s 99999999999999999999s ''; do
		refuses 2 '-d' "$sonde" runq -d "$time"
	done
}

@test "refuse: a bare number is exit 2 and asks which of two things it is" {
	refuses 2 '-d 5s.*-p 5' "$sonde" offcpu 5
}

@test "refuse: a PID that is not there is exit 4" {
	for command in "${commands[@]}"; do
		refuses 4 "$(unused_pid)" "$sonde" "$command" -p "$(unused_pid)" -d 100ms -f table
	done
	refuses 4 "$(unused_pid)" "$sonde" runq -t "$(unused_pid)" -d 100ms
	refuses 2 '-p' "$sonde" runq -p 0 -d 100ms
	refuses 2 '-p' "$sonde" runq -p 12x -d 100ms
}

@test "refuse: a cgroup that is not there is exit 4, one of version 1 is exit 2 and names version 2" {
	refuses 4 'cgroup' "$sonde" runq -G /no/such/cgroup -d 100ms
	refuses 4 'cgroup' "$sonde" runq -G "$(cgroup2_mount)/no-such-group" -d 100ms
	make_cgroup_v1 cpu
	refuses 2 'v(ersion )?2' "$sonde" runq -G "$cgroup" -d 100ms
}

@test "refuse: a user that is not there is exit 4" {
	refuses 4 'no-such-user' "$sonde" runq -u no-such-user -d 100ms
}

@test "refuse: contradictory targets are exit 2" {
	refuses 2 '-a' "$sonde" runq -a -p $$ -d 100ms
	refuses 2 '-p' "$sonde" runq -p $$ -t $$ -d 100ms
	refuses 2 '--' "$sonde" runq -p $$ -- true
}

@test "refuse: an unwritable output is said before anything is attached, and leaves no file" {
	refuses 2 '/no/such/place' "$sonde" profile -a -d 1h -o /no/such/place/x.svg
	refuses 2 'format|extension' "$sonde" profile -a -d 1h -o "$tmp/x.unknown"
	refuses 2 "$tmp" "$sonde" profile -a -d 1h -o "$tmp/"
	mkdir "$tmp/folder.json"
	refuses 2 'folder.json' "$sonde" profile -a -d 1h -o "$tmp/folder.json"
	[ ! -e "$tmp/x.unknown" ]
	same "$(find "$tmp" -name '*.unknown*' -o -name '.*' -type f | wc -l)" 0
}

@test "refuse: a run that fails leaves no partial output file" {
	refuses 4 'no process' "$sonde" profile -p "$(unused_pid)" -d 100ms -o "$tmp/x.svg"
	same "$(find "$tmp" -name '*x.svg*' | wc -l)" 0
}

@test "refuse: a full disk is exit 1, and no partial file is left" {
	command -v mount >/dev/null
	local status=0
	start_workload hostile 600
	go "$pid"
	# shellcheck disable=SC2016 # of the inner shell
	unshare -m bash -c 'mount -t tmpfs -o size=4k none "$1" && cd "$1" && "$2" profile -q -F 997 -p "$3" -d 500ms -o "$1/x.html"
		status=$?; ls -A "$1" >"$4"; exit $status' full "$(mktemp -d "$tmp/full.XXX")" "$sonde" "$pid" "$tmp/left" 2>"$err" || status=$?
	same "$status" 1
	same "$(cat "$tmp/left")" ""
	same "$(wc -l <"$err")" 1
	has_line "$err" 'No space left'
}

@test "refuse: without privileges it is exit 3, and the capability is named" {
	for command in "${commands[@]}"; do
		refuses 3 'CAP_BPF' setpriv --reuid nobody --regid nogroup --clear-groups "$sonde" "$command" -d 100ms -f table
		refuses 3 'CAP_BPF' setpriv --bounding-set -bpf,-sys_admin "$sonde" "$command" -d 100ms -f table
		refuses 3 'CAP_PERFMON' setpriv --bounding-set -perfmon,-sys_admin "$sonde" "$command" -d 100ms -f table
	done
}

@test "refuse: no note stands beside an error" {
	refuses 3 'CAP_BPF' setpriv --reuid nobody --regid nogroup --clear-groups "$sonde" profile -d 100ms
	refuses 4 'no process' "$sonde" profile -p "$(unused_pid)" -d 100ms
}

@test "refuse: a kernel without BTF is exit 3 and says which option it lacks" {
	for command in "${commands[@]}"; do
		refuses 3 'CONFIG_DEBUG_INFO_BTF' unshare -m bash -c 'mount --bind /dev/null /sys/kernel/btf/vmlinux && exec "$@"' no-btf \
			"$sonde" "$command" -d 100ms -f table
	done
}
