#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Stacks of programs without frame pointers, on every kernel of the matrix: whole where there are unwind tables, by both loops and both
# kinds of hooks; where there are none, short, and said to be.
load ../live/common
load ../live/unwind

# ways_of OPTIONS OPTIONS: both loops, both kinds of hooks, in two runs; without tables there is one way.
ways_of() {
	ways=("$1")
	! walks_by_tables || ways+=("$2")
}

# Everything that is not whole says the one reason, and what is shown of it is right.
short_and_said() {
	same_as_truth "$1" --min "$2" --exact 0 --wrong "$3"
	same "$(json -n -c '[inputs | select(.type == "stack").incomplete // empty] | unique' "$out")" '["no frame pointers"]'
}

# The chain begins when sonde is ready for it, and is there until sonde has read what it is made of: emulated CPUs have no time to lose.
@test "unwind: samples of a chain of twelve are exact in both loops, or are short and say so" {
	local way ways
	ways_of "" "--force-raw --force-each"
	for way in "${ways[@]}"; do
		echo "profile $way" >&2
		start_workload unwind/chain 1000000
		# shellcheck disable=SC2086 # words
		attach profile -q -F 299 $way -p "$pid" -o "$out"
		go "$pid"
		wait_until 60 has_run "$pid" 100 # an emulated CPU that has to wait loses samples, but no ticks; tables come late
		kill -STOP "$pid"
		stop INT
		kill -KILL "$pid"
		nothing_lost
		coverage_is_that_of_the_stacks
		if walks_by_tables; then
			# main itself asks for the time now and then
			same_as_truth chain --min 10 --late-tables --exact 97 --wrong 3
		else
			# what a walk by frame pointers makes of registers that hold none
			short_and_said chain 30 20
		fi
	done
}

# How many are whole depends on how soon user space gets to read the mappings.
@test "unwind: of libraries that take each other's place none is taken for the other, with both kinds of hooks" {
	local way
	walks_by_tables || skip "no unwind tables on this kernel"
	for way in "" "--force-raw --force-each"; do
		# shellcheck disable=SC2086 # words
		"$sonde" profile -q -F 299 $way -o "$out" -- "$workloads/unwind/reload" 3000 100 "$workloads/unwind/plug-a.so" \
			"$workloads/unwind/plug-b.so" --now >"$tmp/said"
		[ "$(said same)" -ge 15 ]
		nothing_lost
		same_as_truth reload --within 'plug_|reload_burn' --min 100 --each 10 --of plug_a_1,plug_b_1 --exact 30 --wrong 0
	done
}

whole_waits() {
	local name
	# shellcheck disable=SC2086 # words
	run_command offcpu $1 -- unwind/blocked
	nothing_lost
	if ! walks_by_tables; then
		short_and_said blocked 142 0
		return
	fi
	same_as_truth blocked --min 142 --exact 100 --wrong 0
	for name in sleep semaphore pipe poll condition; do
		same "$name $(waits_in "do_$name")" "$name $(said "${name}_blocks")"
	done
}

@test "unwind: each wait is known to its last frame in both loops and with both kinds of hooks, or is short and says so" {
	local way ways
	ways_of --force-each --force-raw
	for way in "${ways[@]}"; do
		exactly whole_waits "$way"
	done
}

# has_whole_chain FUNCTION: all of its weight has main and all twelve above it, in their order
has_whole_chain() {
	local chain='(^|;)_start;[^ ]*;main;a1;a2;a3;a4;a5;a6;a7;a8;a9;a10;a11;a12;leaf;'
	[ "$(folded_weight "$tmp/wall.folded" "$1")" -gt 0 ]
	grep "$1" "$tmp/wall.folded" >&2
	same "$1 $(folded_weight "$tmp/wall.folded" "$chain$1(;|\$)")" "$1 $(folded_weight "$tmp/wall.folded" ";$1(;|\$)")"
}

@test "unwind: stacks of wall are whole, too, on the CPU and off it" {
	local way name
	walks_by_tables || skip "no unwind tables on this kernel: what its stacks say, offcpu and profile have shown"
	for way in "" "--force-raw --force-each"; do
		# shellcheck disable=SC2086 # words
		"$sonde" wall -q $way -o "$tmp/wall.folded" -- "$workloads/unwind/blocked" --now >"$tmp/said"
		for name in sleep semaphore pipe poll condition; do
			has_whole_chain "do_$name"
		done
	done
}

# probe_returns PROGRAM FUNCTION...: uretprobes of the kernel's own, which count
probe_returns() {
	local program=$1 function at
	for function in "${@:2}"; do
		at=$(nm "$program" | sed -n "s/^\([0-9a-f]*\) [tT] $function\$/\1/p")
		echo "r:sonde_test/$function $program:0x$at" >>/sys/kernel/tracing/uprobe_events
		echo 1 >"/sys/kernel/tracing/events/sonde_test/$function/enable"
	done
}

drop_probes() {
	local switch
	for switch in /sys/kernel/tracing/events/sonde_test/*/enable; do
		[ ! -e "$switch" ] || echo 0 >"$switch"
	done
	echo >/sys/kernel/tracing/uprobe_events
}

teardown() {
	[ ! -d /sys/kernel/tracing/events/sonde_test ] || drop_probes
	lib__cleanup
}

# The kernel probes files that it can read pages of: a copy in memory.
@test "unwind: uretprobes on the way change nothing" {
	command -v nm >/dev/null || skip "no nm here to find the functions with"
	local hits program=$tmp/blocked
	walks_by_tables || skip "no unwind tables on this kernel"
	cp "$workloads/unwind/blocked" "$program"
	probe_returns "$program" a3 a9 leaf
	"$sonde" offcpu -q -o "$out" -- "$program" --now >"$tmp/said"
	nothing_lost
	hits=$(awk '$2 == "a9" { print $3 }' /sys/kernel/tracing/uprobe_profile)
	[ "$hits" -ge 119 ] || fail "the probes were not hit: $(cat /sys/kernel/tracing/uprobe_profile)"
	same_as_truth blocked --min 142 --exact 100 --wrong 0
	same "$(waits_in do_sleep)" "$(said sleep_blocks)"
}

# While the kernel sets a handler up, its registers belong together only half; and a snapshot of an alternate stack ends with that.
@test "unwind: on arm64, too, signals, code made at run time, threads, children and signed return addresses are known" {
	[ "$(uname -m)" = aarch64 ] || skip "the live suite shows it on the host's CPU"
	together profile -q -F 199 -- chain-signed 100
	nothing_lost
	same_as_truth chain --min 100 --late-tables --exact 97 --wrong 1
	together profile -q -F 199 -- signals 3000
	nothing_lost
	same_as_truth signals --min 150 --late-tables --exact 90 --wrong 1
	together profile -q -F 199 -- jit 2000
	nothing_lost
	same_as_truth jit --min 150 --late-tables --exact 97 --wrong 1
	together profile -q -F 199 --follow -- starts 600
	nothing_lost
	same_as_truth starts --min 150 --late-tables --exact 97 --wrong 1
}
