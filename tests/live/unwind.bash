# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests of stacks of programs without frame pointers: tests/workloads/unwind, and how to compare with their truth. Loaded after common.

# together SONDE-ARGS... -- PROGRAM ARGS... [-- PROGRAM ARGS...]: programs of tests/workloads/unwind beside one sonde that watches all of them
# until they end; sets $pids in their order
together() {
	local options=() program=() word list
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	pids=()
	for word in "${@:2}" --; do
		[ "$word" = -- ] || { program+=("$word"); continue; }
		start_workload "unwind/${program[0]}" "${program[@]:1}"
		pids+=("$pid")
		program=()
	done
	list=$(IFS=,; echo "${pids[*]}")
	attach "${options[@]}" -p "$list" -o "$out"
	for pid in "${pids[@]}"; do
		go "$pid"
	done
	for pid in "${pids[@]}"; do
		finish "$pid"
	done
	finish "$probe"
}

# busy PROGRAM ARG...: a program that works on and on; sets $pid and adds it to $pids
busy() {
	start "$@"
	pids+=("$pid")
}

# watch JIFFIES SONDE-ARGS...: $pids, until each has used so much more CPU time; they live on, so that their memory can be asked for their code
watch() {
	local before=() i
	attach "${@:2}" -p "$(IFS=,; echo "${pids[*]}")" -o "$out"
	for pid in "${pids[@]}"; do
		before+=("$(jiffies "$pid")")
	done
	for i in "${!pids[@]}"; do
		wait_until 60 has_run "${pids[i]}" $((before[i] + $1))
	done
	stop INT
}

# same_as_truth TRUTH OPTION...: see chains.py
same_as_truth() {
	"$python" "$root/tests/live/chains.py" "$1" "$out" "${@:2}" >&2
}

# callers_called OPTION...: of all of $pids, see callsites.py
callers_called() {
	[ "$(uname -m)" = x86_64 ] || return 0
	"$python" "$root/tests/live/callsites.py" "$out" "${pids[@]}" "$@" >&2
}

# jiffies PID: the CPU time that it has used
jiffies() {
	awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"
}

# has_run PID JIFFIES: whether it has used that much
has_run() {
	[ "$(jiffies "$1")" -ge "$2" ]
}

# Loops over functions began with 5.13; lockdown=confidentiality lets no BPF program read user memory.
walks_by_tables() {
	[ -z "${SONDE_LOCKDOWN:-}" ] && [ "$(printf '%s\n' 5.13 "$(uname -r)" | sort -V | head -n 1)" = 5.13 ]
}
