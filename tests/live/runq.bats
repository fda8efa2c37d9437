#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde runq: waits for a CPU, counted by the kernel itself and timed by construction.
load common

# bats test_tags=host
@test "runq: over the whole life of spinning threads the count equals their context switches" {
	exactly whole_life 5 -- spin 4 0 1
}

# bats test_tags=host
@test "runq: the same holds with raw tracepoints" {
	exactly whole_life 5 --force-raw -- spin 4 0 1
}

# bats test_tags=host
@test "runq: the same holds for threads that block and wake each other" {
	local rounds=20000
	in_vm && rounds=500
	exactly whole_life 5 -- pingpong 2 $rounds
}

# bats test_tags=host
@test "runq: the same holds for each thread by its own account, read a moment before its end" {
	run_command runq --by pid -- spin 4 0 1
	nothing_lost
	between "$(runq_count)" "$(($(said_sum switches) - $(said_lines switches)))" "$(($(said_sum switches) + 3 * $(said_lines switches)))"
}

# The slice is what each thread ran between two switches; one waits while three others run one each. Whoever else wants this CPU cuts
# slices short: waits shorter than one slice are waits for somebody else.
spinners() {
	local slice_ns mode_ns switches
	run_command runq --by "$1" -- spin 4 "$(last_cpu)" 2
	nothing_lost
	slice_ns=$(awk '$1 == "cpu_ns" { ns += $3; cpu[$2] = 1 } $1 == "switches" { n[$2] = $3 }
		END { for (tid in cpu) sum += n[tid]; printf "%.0f\n", ns / sum }' "$tmp/said")
	# upper edge of a bucket: 2^((offset + i + 1) / 8) seconds
	mode_ns=$(json -n --argjson slice "$slice_ns" 'first(inputs | select(.type == "histogram")) | .offset as $o
		| .bucket_counts | to_entries | map({ns: (pow(2; ($o + .key + 1) / 8) * 1e9), count: .value})
		| map(select(.ns > $slice)) | max_by(.count).ns | floor' "$out")
	between "$mode_ns" $((3 * slice_ns / 2)) $((3 * slice_ns * 2))
	switches=$(said_sum switches)
	between "$(runq_count)" $((switches - $(said_lines switches))) $((switches + 3 * $(said_lines switches)))
	same "$(in_headline 'N wait')" "$(runq_count)"
	histograms_agree
}

# bats test_tags=host
@test "runq: of four spinners on one CPU each waits about three slices" {
	exactly spinners pid
	exactly spinners none
}

# 4 threads ready for 2 s, all on one CPU: what they did not run they waited
ready_time() {
	local waited_ns
	run_command runq --by "$1" -- spin 4 "$(last_cpu)" 2
	nothing_lost
	waited_ns=$(json -n '[inputs | select(.type == "histogram").sum] | add' "$out")
	within "$waited_ns" $((8000000000 - $(said_sum cpu_ns))) 2
	# while one of them waits another one runs: hardly any of these waits is short, and none of them has more than 32 runs
	within "$(counter_sum sonde_runq_ran_instead)" "$waited_ns" 3
	histograms_agree
}

# bats test_tags=host
@test "runq: the sum of the waits is the time in which the threads were ready but did not run" {
	exactly ready_time pid
	exactly ready_time none
}

# Spinners wait for milliseconds; who sleeps afterwards, on another CPU, hardly waits, and has intervals of its own.
calm_after_spinners() {
	run_command runq -i 200ms -- spin 3 "$(last_cpu)" 1 800
	nothing_lost
	[ "$(json -n '[inputs | select(.type == "histogram" and .count > 0)] | length' "$out")" -ge 6 ]
	histograms_agree
}

# bats test_tags=host
@test "runq: in every interval the maximum is one of its own waits" {
	exactly calm_after_spinners
}

@test "runq: who ran instead of spinners are the spinners" {
	run_command runq -- spin 4 "$(last_cpu)" 1
	nothing_lost
	json -n -e '[inputs | select(.type == "counter" and .metric == "sonde_runq_ran_instead")] | max_by(.value).who.comm == "spin"' "$out"
}

# bats test_tags=host
@test "runq: --by comm and --by cgroup count the same waits as one histogram" {
	local by variants
	start_workload spin 2 0 600
	go "$pid"
	few comm -- none cgroup pid
	for by in "${variants[@]}"; do
		"$sonde" runq -q --by "$by" -p "$pid" -d 200ms -o "$out"
		nothing_lost
		[ "$(runq_count)" -gt 0 ]
		# no wait of the target outside of its histograms
		same "$(runq_count)" "$(json -n '[inputs | select(.type == "loss").rows[] | select(.part == "runq" and .reason == "aggregated").count] | add' "$out")"
	done
}
