#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde block on devices whose latency, depth and errors are known: null_blk, brd and device mapper.
# shellcheck disable=SC2154,SC2034,SC2016,SC2030,SC2031 # bats, lib.bash, common.bash and block.bash set and read the variables that seem unset or unused
load ../live/common
load ../live/block
load modules

# null_device NAME SETTING...: a null_blk device in memory; sets $device, and $null, where its settings are
null_device() {
	local setting name=$1
	shift
	need_module null_blk nr_devices=0
	mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
	null=/sys/kernel/config/nullb/$name
	mkdir "$null"
	for setting in memory_backed=1 queue_mode=2 submit_queues=1 "$@" power=1; do
		echo "${setting#*=}" >"$null/${setting%=*}"
	done
	device=/dev/$name
	[ -e "/sys/block/$name" ] || device=/dev/nullb$(cat "$null/index")
	wait_until 10 test -b "$device"
}

remove_null() {
	echo 0 >"$null/power"
	rmdir "$null"
}

# at_least METRIC OPERATION NS: no bucket of the device's histograms ends below that
at_least() {
	json -n -e --arg d "${device##*/}" --arg m "$1" --arg o "$2" --argjson ns "$3" '[inputs
		| select(.metric == $m and .labels.device == $d and (.labels.operation | startswith($o)))] | length > 0 and
		all(.[]; .zero_count == 0 and . as $h | (.bucket_counts | to_entries | map(select(.value > 0)) | first.key) as $first
			| pow(2; ($h.offset + $first + 1) / 8) * 1e9 >= $ns)' "$out" >/dev/null ||
		fail "$1 of $2 is shorter: $(grep "$1" "$out")"
}

time_of() {
	sum_of "sonde_block_$1_time" "$2" .sum
}

# Since 7.2 a program may be preempted, and then another thread's I/O on that CPU is not seen: a number, too.
all_accounted_or_missed() {
	same "$(requests read)" $((212 - $(json -n '[inputs | select(.type == "loss").lost] | add' "$out")))
	json -n -e '[inputs | select(.type == "loss")] | all(.[]; .accounted)' "$out" >/dev/null
}

# A device that takes one request at a time, 2 ms each: of four threads three wait, and none of them has a request yet.
waits_for_a_request() {
	run_command block "$@" -- blockio "$device" --threads 4 read:53:4096
	all_accounted_or_missed
	at_least sonde_block_device_time read 2000000
	between "$(time_of device read)" $(($(requests read) * 2000000)) $(($(requests read) * 8000000))
	between "$(time_of queue read)" "$(($(time_of device read) * 2))" "$(($(time_of device read) * 4))"
}

@test "block: the time in the device is the device's, and waiting for a free request is time in the queue" {
	null_device times size=16 irqmode=2 completion_nsec=2000000 hw_queue_depth=1
	echo none >"/sys/block/${device#/dev/}/queue/scheduler"
	waits_for_a_request
	[ "${SONDE_LOCKDOWN:-none}" = confidentiality ] || waits_for_a_request --force-raw
	remove_null
}

@test "block: numbers and bytes are the kernel's, flushes and discards among them" {
	null_device counts size=16 irqmode=2 completion_nsec=1000000 cache_size=8 discard=1
	before=$(stat_of)
	run_command block -- blockio "$device" write:101:4096 read:53:8192:down flush:7 discard:5:65536 write:2:4194304
	nothing_lost
	same "$(requests flush) $(requests discard) $(bytes discard)" "7 5 $((5 * 65536))"
	same_as_kernel
	at_least sonde_block_device_time flush 1000000
	remove_null
}

@test "block: errors are counted where they happen" {
	null_device bad size=16 irqmode=0
	echo +80-87 >"$null/badblocks"
	run_command block -- blockio "$device" read:16:4096
	nothing_lost
	same "$(requests read) $(failed) $(said "failed read")" "16 1 1"
	same "$(json -n '[inputs | select(.metric == "sonde_block_errors").labels.error] | join(" ")' "$out")" EIO
	remove_null
}

# The upper device delays writes, by 20 ms in ticks of up to 10; what stands below is asked by a kernel thread.
@test "block: devices without requests have their times, and what stands on another one is told apart" {
	need_module brd rd_nr=1 rd_size=16384
	need_module dm-delay
	dmsetup create delayed --noudevsync --table "0 32768 delay /dev/ram0 0 0 /dev/ram0 0 20"
	dmsetup mknodes
	start_workload blockio /dev/mapper/delayed write:11:4096 read:5:8192:down
	attach block -o "$out"
	go "$pid"
	finish "$pid"
	stop
	dmsetup remove delayed
	nothing_lost
	device=/dev/dm-0
	same "$(requests write) $(bytes write) $(requests read) $(bytes read)" "11 $((11 * 4096)) 5 $((5 * 8192))"
	same "$(time_of queue .)" 0
	at_least sonde_block_device_time write 10000000
	device=/dev/ram0
	same "$(requests write) $(bytes write) $(requests read) $(bytes read)" "11 $((11 * 4096)) 5 $((5 * 8192))"
	same "$(in_headline 'N requests')" 16
}

# written_back NAME N: N times 64 KiB of dirty pages, of a process in this cgroup, which then ends. In a new file: what replaces another one's
# content, ext4 writes back at once.
written_back() {
	mkdir -p "/sys/fs/cgroup/$1"
	rm -f "$tmp/mnt/$1"
	sh -c 'echo $$ >"/sys/fs/cgroup/$1/cgroup.procs"; exec dd if=/dev/zero of="$2/$1" bs=64k count="$3" status=none' sh "$1" "$tmp/mnt" "$2"
}

# Whoever waits for a file system's sync waits for what is written in its second pass.
bytes_of_cgroup() {
	json -n --arg c "/$1" '[inputs | select(.metric == "sonde_block_size" and .labels.cgroup_path == $c
		and (.labels.operation | test("^write (a?sync)$"))).sum] | add // 0' "$out"
}

@test "block: what is written back counts for the cgroup that made it dirty" {
	need_module ext4
	null_device pages size=64 irqmode=0
	mkdir "$tmp/mnt"
	mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$device"
	mount -t ext4 "$device" "$tmp/mnt"
	echo +io +memory >/sys/fs/cgroup/cgroup.subtree_control
	attach block --by cgroup -o "$out"
	written_back dirty 48
	written_back other 16
	sync -f "$tmp/mnt"
	stop
	same "$(bytes_of_cgroup dirty) $(bytes_of_cgroup other)" "$((48 << 16)) $((16 << 16))"
	nothing_lost
	out=$tmp/target.json
	attach block -G /dirty --by comm -o "$out"
	written_back dirty 48
	written_back other 16
	sync -f "$tmp/mnt"
	stop
	json -n -e --argjson bytes $((48 << 16)) '[inputs | select(.metric == "sonde_block_size" and (.labels.operation | test("^write (a?sync)$")))]
		| (map(.sum) | add) == $bytes and all(.[]; .who.comm == (if .labels.operation == "write async" then "writeback" else .who.comm end))' "$out"
	umount "$tmp/mnt"
	rmdir /sys/fs/cgroup/dirty /sys/fs/cgroup/other
	remove_null
}
