#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde resources: the kernel's own numbers, against what programs did and what /proc says around.
# shellcheck disable=SC2154 # bats, lib.bash and common.bash set the variables that seem unset
load common

# number METRIC [CONDITION]: the sum of its values
number() {
	json -n --arg m "$1" "[inputs | select(.metric == \$m and (${2:-true})).value] | add // 0" "$out"
}

# watch PROGRAM ARG...: beside it
watch() {
	attach resources -o "$out"
	"$@" >"$tmp/said" 2>"$err" || fail "$(cat "$err")"
	stop
	nothing_lost
}

# apart KIND COMMANDS: sonde in a namespace of its own, after these shell commands; `in_there KIND PROGRAM ARG...` goes there, too
apart() {
	printf '#!/bin/sh\n%s\nexec "%s" "$@"\n' "$2" "$sonde" >"$tmp/inner"
	printf '#!/bin/sh\nexec unshare "%s" sh "%s" "$@"\n' "$1" "$tmp/inner" >"$tmp/apart"
	chmod +x "$tmp/apart"
	sonde=$tmp/apart
}

in_there() {
	nsenter -t "$probe" "$@"
}

# ticks_of CPU: user nice system idle iowait irq softirq steal
ticks_of() {
	awk -v cpu="cpu$1" '$1 == cpu { print $2, $3, $4, $5, $6, $7 + $8, $9 }' /proc/stat
}

# bats test_tags=host
@test "resources: a CPU with a busy thread has no idle time, and each mode's time is what /proc/stat has counted" {
	local cpu before after i=0 mode ns
	cpu=$(last_cpu)
	before=$(ticks_of "$cpu")
	watch "$workloads/spin" --now 1 "$cpu" 2
	after=$(ticks_of "$cpu")
	between "$(number system.cpu.utilization ".labels[\"cpu.logical_number\"] == \"$cpu\" and .labels[\"cpu.mode\"] == \"idle\"")" 0 0.05
	between "$(number system.cpu.utilization ".labels[\"cpu.logical_number\"] == \"$cpu\"")" 0.9999 1.0001
	for mode in user nice system idle iowait interrupt steal; do
		: $((++i))
		ns=$(number system.cpu.time ".labels[\"cpu.logical_number\"] == \"$cpu\" and .labels[\"cpu.mode\"] == \"$mode\"")
		between "$ns" 0 "$(awk -v i=$i -v hz="$(getconf CLK_TCK)" '{ v[NR] = $i } END { printf "%.0f", (v[2] - v[1] + 1) * 1e9 / hz }' <<<"$before"$'\n'"$after")"
	done
	within "$(number system.cpu.time ".labels[\"cpu.logical_number\"] == \"$cpu\"")" "$(elapsed_ns)" 3 30000000
}

@test "resources: memory is that of /proc/meminfo, and its states are all of it" {
	watch true
	same "$(number system.memory.limit)" "$(awk '/^MemTotal/ { printf "%.0f\n", $2 * 1024 }' /proc/meminfo)"
	same "$(number system.memory.usage)" "$(number system.memory.limit)"
	same "$(number system.paging.usage)" "$(awk '/^SwapTotal/ { printf "%.0f\n", $2 * 1024 }' /proc/meminfo)"
}

# 1511 datagrams of 100 bytes, with 28 bytes of headers each: those of Ethernet do not count on the loopback
@test "resources: bytes and packets of an interface are exact" {
	cat >"$tmp/send.py" <<-'END'
		import socket
		to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		to.bind(("127.0.0.1", 0))
		by = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		for i in range(1511):
		    by.sendto(b"x" * 100, to.getsockname())
	END
	apart -n 'ip link set lo up'
	watch in_there -n "$python" "$tmp/send.py"
	for direction in receive transmit; do
		same "$(number system.network.io ".labels[\"network.io.direction\"] == \"$direction\"")" $((1511 * 128))
		same "$(number system.network.packet.count ".labels[\"network.io.direction\"] == \"$direction\"")" 1511
	done
}

@test "resources: a file system that fills shows, at its mount point" {
	local here=".labels[\"system.filesystem.mountpoint\"] == \"$tmp/a b\""
	mkdir "$tmp/a b"
	apart -m "mount -t tmpfs -o size=8m,nr_inodes=100 fill '$tmp/a b'"
	watch in_there -m dd if=/dev/zero "of=$tmp/a b/file" bs=1M count=3
	same "$(number system.filesystem.limit "$here")" 8388608
	same "$(number system.filesystem.usage "$here and .labels[\"system.filesystem.state\"] == \"used\"")" 3145728
	same "$(number system.filesystem.utilization "$here")" 0.375
	same "$(number sonde_filesystem_inodes "$here and .labels[\"system.filesystem.state\"] == \"used\"")" 2
}

disk_written() {
	awk '{ sum += $10 } END { printf "%.0f", sum * 512 }' /proc/diskstats
}

@test "resources: what is written to disks is between what the program wrote and what /proc/diskstats has counted" {
	local before file
	[ "$(stat -f -c %T /var/tmp)" != tmpfs ] && [ "$(stat -f -c %T /var/tmp)" != overlayfs ] || skip "/var/tmp is on no disk"
	file=/var/tmp/$test_tag
	before=$(disk_written)
	watch dd if=/dev/urandom "of=$file" bs=1M count=8 conv=fsync
	rm -f "$file"
	between "$(number system.disk.io '.labels["disk.io.direction"] == "write"')" 8388608 $(($(disk_written) - before))
}

@test "resources: of a process its memory, threads, files and CPU time" {
	local me
	cat >"$tmp/has.py" <<-'END'
		import os, sys, threading, time
		held = bytearray(os.urandom(1 << 20)) * 64
		files = [open("/dev/null") for i in range(100)]
		for i in range(7):
		    threading.Thread(target=sys.stdin.read, daemon=True).start()
		print("ready", os.getpid(), flush=True)
		sys.stdin.readline()
		end = time.process_time() + 0.5
		while time.process_time() < end:
		    pass
		print("burned", flush=True)
		time.sleep(600)
	END
	sed -i 's/target=sys.stdin.read/target=time.sleep, args=(600,)/' "$tmp/has.py"
	start "$python" "$tmp/has.py"
	wait_ready "$pid"
	attach resources -p "$pid" -o "$out"
	go "$pid"
	wait_until 30 has_line "$tmp/$pid.out" '^burned'
	stop
	nothing_lost
	me=".who.tgid == $pid"
	same "$(number process.thread.count "$me")" 8
	between "$(number process.unix.file_descriptor.count "$me")" 103 110
	between "$(number process.memory.usage "$me")" $((64 << 20)) $((200 << 20))
	between "$(number process.cpu.time "$me")" 470000000 600000000
}

@test "resources: with --follow, children count" {
	start sh -c 'sleep 600 & read -r end'
	wait_until 20 pgrep -P "$pid" -x sleep
	attach resources -p "$pid" --follow -o "$out"
	stop
	same "$(json -n '[inputs | select(.metric == "process.thread.count").who.comm] | sort | join(" ")' "$out")" "sh sleep"
}

@test "resources: a cgroup's CPU time is that of the programs in it" {
	make_cgroup resources
	start_workload spin 1 "$(last_cpu)" 2
	echo "$pid" >"$cgroup/cgroup.procs"
	attach resources -G "$cgroup" -o "$out"
	go "$pid"
	finish "$pid"
	stop
	nothing_lost
	between "$(json -n --argjson ns "$(elapsed_ns)" '[inputs | select(.metric == "container.cpu.usage").value * $ns] | add | floor' "$out")" \
		"$(value "$pid" cpu_ns | awk '{ print int($NF * 0.97) }')" "$(value "$pid" cpu_ns | awk '{ print int($NF * 1.05 + 2e7) }')"
}

@test "resources: threads are refused" {
	run -2 --separate-stderr "$sonde" resources -t $$
	[ "$stderr" = "sonde: -t: resources are those of whole processes: -p" ]
}
