#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde memory: faults as getrusage has them, growth by stack, what the page cache had, and the kernel's files of cgroups.
# shellcheck disable=SC2154,SC2016 # bats, lib.bash and common.bash set the variables that seem unset
load common

# of_process METRIC PID: the sum of its numbers
of_process() {
	json -n --arg m "$1" --argjson p "$2" '[inputs | select(.metric == $m and .who.tgid == $p) | .value // .sum] | add // 0' "$out"
}

# Each child's account at its end, by wait4.
as_the_kernel_says() {
	local pid minor major
	[ "$(said_lines child)" -gt 0 ]
	while read -r _ pid minor major; do
		same "$pid $(of_process sonde_memory_minor_faults "$pid") $(of_process sonde_memory_major_faults "$pid")" "$pid $minor $major"
	done < <(grep '^child ' "$tmp/said")
}

faults() {
	run_command memory "$@"
	nothing_lost
	as_the_kernel_says
}

# make_file PAGES: a file on a disk; sets $file
make_file() {
	file=$BATS_FILE_TMPDIR/file.$$
	dd if=/dev/urandom of="$file" bs="$(getconf PAGESIZE)" count="$1" status=none
	[ "$(stat -f -c %T "$file")" != tmpfs ] || skip "the temporary directory is in memory"
}

# bats test_tags=host
@test "memory: faults of processes and threads that come and go are those of getrusage" {
	exactly faults -- faults 1009 --children 5 --threads 4
	exactly faults -i 100ms -- faults 4001 --children 3
	exactly faults --force-raw -- faults 1009 --children 5 --threads 4
}

# bats test_tags=host
@test "memory: a page of a file that is not in memory is a major fault, and the time in it counts" {
	local child
	make_file 1009
	exactly faults -- faults 1009 --file "$file"
	child=$(said child)
	same "$(of_process sonde_memory_major_faults "${child%% *}")" 1009
	[ "$(of_process sonde_memory_fault_blocked "${child%% *}")" -gt 0 ]
}

# The reads of a pipe that has something do not block, so whatever does is a fault.
# bats test_tags=host
@test "memory: so it is where the kernel touches it, in a system call" {
	local child addresses
	addresses=$(awk '$3 == "handle_mm_fault" { print $1 }' /proc/kallsyms)
	[ "${addresses:-0}" != 0000000000000000 ] || skip "addresses of the kernel are hidden"
	make_file 1009
	exactly faults -- faults 1009 --file "$file" --by-call
	child=$(said child)
	same "$(of_process sonde_memory_major_faults "${child%% *}")" 1009
	between "$(json -n --argjson p "${child%% *}" '[inputs | select(.metric == "sonde_memory_fault_blocked" and .who.tgid == $p).count] | add // 0' "$out")" 500 2018
}

# bats test_tags=host
@test "memory: of a file that is read twice the page cache has half" {
	local child
	make_file 2003
	for child in "" --force-raw; do
		run_command memory ${child:+"$child"} -- faults 2003 --read "$file"
		nothing_lost
		child=$(said child)
		child=${child%% *}
		same "$(of_process sonde_memory_cache_read "$child")" $((2 * 2003 * $(getconf PAGESIZE)))
		between "$(of_process sonde_memory_cache_fetched "$child")" $((2003 * $(getconf PAGESIZE))) $((2010 * $(getconf PAGESIZE)))
		between "$(of_process sonde_memory_cache_hit_ratio "$child" | cut -d. -f1)" 49 50
	done
}

growth() {
	run_command memory --stacks "$@" -- faults 1009 --children 3 --threads 2 --linger
	nothing_lost
	same "$(time_in grow)" "$(said bytes)"
	same "$(waits_in grow)" $((6 * 1009))
}

# bats test_tags=host
@test "memory: the function that touches fresh memory has grown by it, and by no byte more" {
	exactly growth
	exactly growth --force-raw
}

@test "memory: only the target counts" {
	start_workload faults 1009 --children 3
	attach memory -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	nothing_lost
	same "$(json -n '[inputs | select(.metric == "sonde_memory_minor_faults").who.tgid] | unique | map(tostring) | join(" ")' "$out")" "$pid"
}

total_of() {
	awk -v kind="$2" '$1 == kind { sub("total=", "", $NF); printf "%.0f\n", $NF * 1000 }' "$1"
}

# The files are read a moment before and after.
@test "memory: pressure is what the files say" {
	local before after
	[ -r /proc/pressure/cpu ] || skip "PSI is off"
	before=$(total_of /proc/pressure/cpu some)
	run_command memory -- faults 50021 --children 4
	after=$(total_of /proc/pressure/cpu some)
	between "$(json -n '[inputs | select(.metric == "sonde_pressure_some" and .labels.resource == "cpu" and (.labels.cgroup_path // "") == "").value] | add' "$out")" 0 $((after - before))
}
