# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of `sonde syscalls` share, on top of common. The truth is what the workload `calls` says: "openat 1234".

nanosleep=$(printf '#include <sys/syscall.h>\nSYS_nanosleep\n' | cpp -P 2>/dev/null | tail -n 1)
[ -n "$nanosleep" ] || nanosleep=35

# measured WORKLOAD-ARGS... -- SONDE-ARGS...: beside a sonde that watches it by PID, until it ends
measured() {
	local workload=()
	while [ "$1" != -- ]; do
		workload+=("$1")
		shift
	done
	shift
	start_workload calls "${workload[@]}"
	attach syscalls "$@" -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	cp "$tmp/$pid.out" "$tmp/said"
}

# sum_of METRIC SYSCALL [LABEL-VALUE]: over all points and intervals
sum_of() {
	json -n --arg m "sonde_syscall_$1" --arg s "$2" --arg v "${3:-}" '[inputs | select(.metric == $m and .labels.syscall == $s)
		| select($v == "" or .labels.error == $v or .labels.why == $v).value] | add // 0' "$out"
}

calls_of() {
	sum_of calls "$1"
}

untimed() {
	sum_of untimed "$@"
}

of_process() {
	json -n --argjson p "$1" --arg s "$2" '[inputs | select(.metric == "sonde_syscall_calls" and .labels.syscall == $s and .who.tgid == $p).value] | add // 0' "$out"
}

# hist_of SYSCALL FIELD: of the last point
hist_of() {
	json -n --arg s "$1" "[inputs | select(.metric == \"sonde_syscall_duration\" and .labels.syscall == \$s)][-1]$2" "$out"
}

names() {
	json -n -r '[inputs | select(.metric == "sonde_syscall_calls").labels.syscall] | unique | join(" ")' "$out"
}

# counts_are SYSCALL...: as many as the workload says it made
counts_are() {
	local name
	[ -s "$tmp/said" ] || cp "$tmp/$pid.out" "$tmp/said"
	for name; do
		same "$name $(calls_of "$name")" "$name $(said "$name")"
	done
}

# errors_are SYSCALL=ERROR...: all its calls failed so
errors_are() {
	local pair
	for pair; do
		same "$pair $(sum_of errors "${pair%=*}" "${pair#*=}") $(sum_of errors "${pair%=*}")" "$pair $(said "${pair%=*}") $(said "${pair%=*}")"
	done
}

# all_timed SYSCALL...: each call has a duration
all_timed() {
	local name
	for name; do
		same "$name $(hist_of "$name" .count) $(untimed "$name")" "$name $(calls_of "$name") 0"
	done
}
