# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests of uprobes: tests/workloads/unwind/calls.c. Loaded after common and unwind.
program=$workloads/unwind/calls

# probed SONDE-ARGS... -- COUNT MS: sonde profile starts the program
probed() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	"$sonde" profile "${options[@]}" -o "$out" -- "$program" --now "${@:2}" >"$tmp/said" 2>"$err" || { cat "$err" >&2; return 1; }
}

# calls_are FUNCTION FUNCTION: every call was counted, with its whole stack; the innermost functions are these, of the main thread and of the
# three others
calls_are() {
	local calls
	calls=$(said calls)
	nothing_lost
	same "$(samples_of)" "$calls"
	same_as_truth calls --exact 100 --wrong 0 --min "$calls"
	same "$(samples_by leaf "$1") $(samples_by b2 "$2")" "$((calls / 4)) $((calls / 4 * 3))"
}

# samples_by CALLER INNERMOST: the value of stacks that have the one, below the other
samples_by() {
	json -n --arg c "$1" --arg f "$2" '[inputs | select(.type == "stack" and .frames[0].name == $f and any(.frames[]; .name == $c)).value] | add // 0' \
		"$out"
}
