#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Calls of a function on every kernel of the matrix, also where programs are preempted: each is counted; stacks are exact where there are
# unwind tables, and say that they are short where there are none.
load ../live/common
load ../live/unwind
load ../live/uprobe

# The kernel probes files that it can read pages of: a copy in memory.
copied() {
	cp "$workloads/unwind/calls" "$tmp/calls"
	program=$tmp/calls
}

# counted KIND INNERMOST-OF-MAIN INNERMOST-OF-THREADS SONDE-ARGS...
counted() {
	echo "$*" >&2
	probed -e "$1:$program:called" "${@:4}" -- 1511 3000
	nothing_lost
	same "$(samples_of)" "$(said calls)"
	same "$(said calls)" 6044
	if walks_by_tables; then
		# emulated CPUs may take longer for the tables than there are snapshots for
		same_as_truth calls --exact 97 --wrong 0 --min 6044
		between "$(samples_by leaf "$2")" 1460 1511
		between "$(samples_by b2 "$3")" 4380 4533
	fi
}

@test "uprobe: each call and each return is counted, in both loops and with both kinds of hooks" {
	copied
	counted uprobe called called
	counted uretprobe leaf b2
	! walks_by_tables || counted uprobe called called --force-raw --force-each
}
