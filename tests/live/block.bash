# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # the tests set what seems unset
# What the tests of block I/O share. $device is the device under test, $out what sonde wrote of it.

has_loop() {
	[ -e /dev/loop-control ] && command -v losetup >/dev/null
}

# make_loop SIZE: a loop device on a file in memory; sets $device
make_loop() {
	image=$(mktemp /dev/shm/sonde-test.XXXXXX)
	truncate -s "$1" "$image"
	device=$(losetup -f --show "$image")
}

remove_loop() {
	[ -z "${device:-}" ] || losetup -d "$device" 2>/dev/null || true
	[ -z "${image:-}" ] || rm -f "$image"
	device=""
}

# points METRIC OPERATION FIELD: of the device's points whose operation begins with this word ("." for all), the sum
sum_of() {
	json -n --arg d "${device##*/}" --arg m "$1" --arg o "$2" "[inputs | select(.metric == \$m and .labels.device == \$d
		and (.labels.operation | test(\"^\" + \$o))) | $3] | add // 0" "$out"
}

requests() {
	sum_of sonde_block_size "$1" .count
}

bytes() {
	sum_of sonde_block_size "$1" .sum
}

failed() {
	sum_of sonde_block_errors . .value
}

# share OPERATION: per cent that were sequential, a whole number
share() {
	sum_of sonde_block_sequential "$1" .value | cut -d. -f1
}

stat_of() {
	cat "/sys/block/${device##*/}/stat"
}

# same_as_kernel: since $before. Reads, sectors read; writes, among which the kernel counts what only waits for a flush, and sectors written;
# discards and sectors (since 4.18).
same_as_kernel() {
	local -a old new
	read -ra old <<<"$before"
	read -ra new <<<"$(stat_of)"
	same "reads $(requests read) $(bytes read)" "reads $((new[0] - old[0])) $(((new[2] - old[2]) * 512))"
	same "writes $(($(requests write) + $(requests flush))) $(bytes write)" "writes $((new[4] - old[4])) $(((new[6] - old[6]) * 512))"
	same "discards $(requests discard) $(bytes discard)" "discards $((new[11] - old[11])) $(((new[13] - old[13]) * 512))"
}
