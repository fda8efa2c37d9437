#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The kernel's own numbers, on every kernel of the matrix: a device that nobody else uses, and cgroups of version 2.
# shellcheck disable=SC2154 # bats, lib.bash and common.bash set the variables that seem unset
load ../live/common

number() {
	json -n --arg m "$1" "[inputs | select(.metric == \$m and (${2:-true})).value] | add // 0" "$out"
}

@test "resources: bytes and operations of a block device are exact" {
	local device
	for device in nullb0 ram0; do
		[ ! -b /dev/$device ] || break
	done
	[ -b /dev/$device ] || modprobe -q null_blk || skip "no block device to fill"
	dd if=/dev/$device of=/dev/null bs=64k count=1 iflag=direct status=none # one that was never used is left out
	attach resources -o "$out"
	dd if=/dev/zero of=/dev/$device bs=64k count=31 oflag=direct status=none
	stop
	nothing_lost
	same "$(number system.disk.io ".labels[\"system.device\"] == \"$device\" and .labels[\"disk.io.direction\"] == \"write\"")" $((31 * 65536))
	same "$(number system.disk.operations ".labels[\"system.device\"] == \"$device\" and .labels[\"disk.io.direction\"] == \"write\"")" 31
}

@test "resources: a cgroup's CPU time, memory and threads are there" {
	make_cgroup resources
	start_workload burn 600
	echo "$pid" >"$cgroup/cgroup.procs"
	attach resources -G "$cgroup" -o "$out"
	go "$pid"
	wait_until 60 has_run "$pid" 40
	stop
	[ "$(number container.cpu.time)" -gt 0 ]
	between "$(number container.cpu.time '.labels["cpu.mode"] == "user"')" 0 "$((100 * $(elapsed_ns)))"
	kill -KILL "$pid"
}
