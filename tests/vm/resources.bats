#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The kernel's own numbers, on every kernel of the matrix, where cgroups are of version 2.
# shellcheck disable=SC2154 # bats, lib.bash and common.bash set the variables that seem unset
load ../live/common

number() {
	json -n --arg m "$1" "[inputs | select(.metric == \$m and (${2:-true})).value] | add // 0" "$out"
}

@test "resources: a cgroup's CPU time is that of the program in it, and the machine's CPUs have no more" {
	make_cgroup resources
	start_workload spin 1 0 1
	echo "$pid" >"$cgroup/cgroup.procs"
	attach resources -G "$cgroup" -o "$out"
	go "$pid"
	finish "$pid"
	stop
	nothing_lost
	between "$(json -n --argjson ns "$(elapsed_ns)" '[inputs | select(.metric == "container.cpu.usage").value * $ns] | add | floor' "$out")" \
		"$(value "$pid" cpu_ns | awk '{ print int($NF * 0.9) }')" "$(value "$pid" cpu_ns | awk '{ print int($NF * 1.2 + 1e8) }')"
	"$sonde" resources -q -d 1s -o "$out"
	between "$(number system.cpu.time)" 1 "$(($(nproc) * $(elapsed_ns) * 12 / 10))"
	same "$(number system.memory.usage)" "$(awk '/^MemTotal/ { printf "%.0f", $2 * 1024 }' /proc/meminfo)"
}
