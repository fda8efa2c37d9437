#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What memory does when there is too little of it, on every kernel of the matrix: in a cgroup of our own with a limit.
# shellcheck disable=SC2154,SC2016 # bats, lib.bash and common.bash set the variables that seem unset
load ../live/common

of_process() {
	json -n --arg m "$1" --argjson p "$2" '[inputs | select(.metric == $m and .who.tgid == $p) | .value // .sum] | add // 0' "$out"
}

# limited MIB: a cgroup with so much memory; sets $cgroup
limited() {
	local root
	root=$(cgroup2_mount)
	echo +memory >"$root/cgroup.subtree_control"
	make_cgroup limited
	echo +memory >"${cgroup%/*}/cgroup.subtree_control"
	echo "$1M" >"$cgroup/memory.max"
	[ ! -e "$cgroup/memory.swap.max" ] || echo 0 >"$cgroup/memory.swap.max"
}

counted() {
	local pid minor major
	run_command memory "${walk[@]}" "$@"
	nothing_lost
	while read -r _ pid minor major; do
		same "$pid $(of_process sonde_memory_minor_faults "$pid") $(of_process sonde_memory_major_faults "$pid")" "$pid $minor $major"
	done < <(grep '^child ' "$tmp/said")
}

@test "memory: faults are those of getrusage, with both kinds of hooks" {
	exactly counted -- faults 503 --children 3 --threads 2
	[ -n "${SONDE_LOCKDOWN:-}" ] || exactly counted --force-raw -- faults 503 --children 3 --threads 2
}

# Since 7.2 a program that was preempted keeps other threads' runs of it from their CPU; what the kernel leaves out is a loss, and counted.
growth() {
	local lost missing
	run_command memory --stacks "${walk[@]}" "$@" -- faults 1009 --threads 2 --linger
	lost=$(json -n '[inputs | select(.type == "loss").rows[] | select(.part == "program" and .reason == "recursion").count] | add // 0' "$out")
	[ "$lost" != 0 ] || nothing_lost
	missing=$((2 * 1009 - $(time_in grow) * 2 * 1009 / $(said bytes))) # pages
	between "$missing" 0 "$lost"
}

@test "memory: growth is what was touched, by the function that did it; what is missing is known" {
	exactly growth
}

# 32 MiB; asks for 120.
killed() {
	local event root
	limited 32
	root=$(cgroup2_mount)
	start_workload faults 30000
	echo "$pid" >"$cgroup/cgroup.procs"
	attach memory "${walk[@]}" "$@" -o "$out"
	go "$pid"
	finish "$pid" || true
	stop
	nothing_lost
	event=$(json 'select(.event == "oom kill")' "$out")
	same "$(echo "$event" | jq -r '[.who.comm, .fields.reason, .fields.limited, .fields.limit, .fields.cgroup] | map(tostring) | join(" ")')" \
		"faults cgroup ${cgroup#"$root"} 33554432 ${cgroup#"$root"}"
	between "$(echo "$event" | jq .fields.anon)" 30000000 33554432
	same "$(json -n --arg c "${cgroup#"$root"}" '[inputs | select(.metric == "sonde_cgroup_memory_kills" and .labels.cgroup_path == $c).value] | add' "$out")" 1
	[ "$(json -n '[inputs | select(.metric == "sonde_memory_reclaim" and .who.comm == "faults").count] | add // 0' "$out")" -gt 0 ]
}

@test "memory: who is killed for want of memory is told, with the cgroup whose limit it was and what it had" {
	killed
	[ -n "${SONDE_LOCKDOWN:-}" ] || killed --force-raw # raw tracepoints copy memory
}

# The victim is gone when its names are asked for; the kernel's are there.
@test "memory: with --slow each slow reclaim is told at once, with its stack" {
	killed --slow 1us
	json 'select(.event == "slow reclaim" and .fields.for == "cgroup" and .duration_ns >= 1000) | [.frames[].name] | join(" ")' "$out" >"$tmp/stacks"
	grep -q 'try_charge_memcg\|try_charge' "$tmp/stacks"
}
