#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Calls of a function: each is counted, and each stack is the known one.
load common
load unwind
load uprobe

# bats file_tags=host

# The tables are on disk then: the first calls of each program have no time to lose.
setup_file() {
	local program=$BATS_TEST_DIRNAME/../../build/workloads/unwind/calls
	[ "$(id -u)" != 0 ] || "$BATS_TEST_DIRNAME/../../build/sonde" profile -q -e "uprobe:$program:called" -o "$BATS_FILE_TMPDIR/warm.json" -- \
		"$program" --now 99 1500 >/dev/null 2>&1 || true
}

@test "uprobe: calls by four threads are counted one by one, their stacks exact" {
	probed -e "uprobe:$program:called" -- 5003 1500
	calls_are called called
}

@test "uprobe: so are returns, by the callers, also while others take the CPUs away" {
	for ((i = 0; i < 2 * $(nproc); i++)); do
		start_workload spin 1 $((i % $(nproc))) 60
		go "$pid"
	done
	probed -e "uretprobe:$program:called" -- 5003 1500
	calls_are leaf b2
	probed -e "uprobe:$program:called" -- 5003 1500
	calls_are called called
}

@test "uprobe: an instruction of it, a library by its name, one process among others" {
	local offset
	# of its second instruction
	offset=$(objdump -d --no-show-raw-insn "$program" | sed -n '/<leaf>:$/ { n; s/^ *\([0-9a-f]*\):.*/-0x\1/p; n; s/^ *\([0-9a-f]*\):.*/+0x\1/p; q }')
	offset=$((offset))
	[ "$offset" -gt 0 ]
	probed -e "uprobe:$program:leaf+$offset" -- 501 1500
	same "$(self_in leaf) $(samples_of)" "501 501"
	start_workload unwind/calls 501 1500
	attach profile -e uprobe:calls:called -p "$pid" -o "$out"
	"$program" --now 501 0 >/dev/null
	go "$pid"
	finish "$pid"
	finish "$probe"
	cp "$tmp/$pid.out" "$tmp/said"
	only_pids "$pid"
	calls_are called called
	start_workload unwind/calls 5 400
	attach profile -e uprobe:libc.so.6:pthread_create -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	nothing_lost
	same "$(self_in pthread_create)" 3
}

@test "uprobe: a CPU profile of the same process at the same time stays exact" {
	local cpu
	start_workload unwind/chain 40
	attach profile -F 997 -p "$pid" -o "$tmp/cpu.json"
	cpu=$probe
	attach profile -e "uretprobe:$workloads/unwind/chain:a7" -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	finish "$cpu"
	nothing_lost
	[ "$(self_in a6)" -ge 100 ]
	same_as_truth chain --min 100
	out=$tmp/cpu.json
	nothing_lost
	same_as_truth chain --min 450
}

@test "uprobe: without a place for its stack a call is lost, and counted as that" {
	local lost
	probed --stack-places 1 -e "uprobe:$program:called" -- 30011 1500
	json -n -e '[inputs | select(.type == "loss")] | all(.accounted)' "$out"
	lost=$(json -n '[inputs | select(.type == "loss").rows[] | select(.part == "uprobe" and .reason == "no_place").count] | add // 0' "$out")
	[ "$lost" -gt 0 ] || [ "$(nproc)" = 1 ] # four threads and one place
	same "$(($(samples_of) + lost))" "$(said calls)"
	same "$(json -n '[inputs | select(.type == "loss").lost] | add' "$out")" "$lost"
}

@test "uprobe: all formats say calls" {
	local format
	for format in json folded svg html pprof speedscope; do
		"$sonde" profile -q -e "uprobe:$program:called" -f $format -o "$tmp/x.$format" -- "$program" --now 7 0 >/dev/null
		"$sonde" convert "$tmp/x.$format" "$tmp/y.folded" 2>/dev/null
		same "$(awk '{ n += $NF } END { print n }' "$tmp/y.folded")" 28
	done
	grep -q '28 calls' "$tmp/x.svg"
	"$sonde" profile -q -e "uretprobe:$program:called" -f table -o "$tmp/x.txt" -- "$program" --now 7 0 >/dev/null
	head -n 1 "$tmp/x.txt" | grep -q ' 28 returns of called, 0 lost, '
	"$sonde" convert "$tmp/x.pprof" "$tmp/y.svg"
	grep -q '28 calls' "$tmp/y.svg"
}

# cannot STATUS WORDS ARG...: one line, that status
cannot() {
	local got=0
	"$sonde" profile "${@:3}" >"$tmp/stdout" 2>"$err" </dev/null || got=$?
	same "$got $(cat "$err")" "$1 sonde: $2"
}

@test "uprobe: what cannot be probed is said in one line, exit 2" {
	cannot 2 "$program has no function nothing, nor have its debug files" -e "uprobe:$program:nothing" -- true
	cannot 2 "$program: called has $((16#$(nm -S "$program" | awk '$4 == "called" { print $2 }'))) bytes" -e "uprobe:$program:called+900" -- true
	cannot 2 "cannot probe /nowhere: No such file or directory" -e uprobe:/nowhere:f -- true
	cannot 2 "cannot look for f in /etc/passwd: no ELF file" -e uprobe:/etc/passwd:f -- true
	cannot 2 "process $$ has no file of the name libnone.so mapped: give its path" -e uprobe:libnone.so:f -p $$
	cannot 2 "libc.so.6: strlen is chosen at run time (IFUNC), its symbol only chooses" -e uprobe:libc.so.6:strlen -p $$
	cannot 2 "$workloads/unwind/busy-go is a Go program: it moves its stacks, and a uretprobe would end it" \
		-e "uretprobe:$workloads/unwind/busy-go:main.inner" -- true
}

# The first come before there are mappings: the walk by frame pointers, which begins with the caller's caller there, finds the caller, too.
@test "uprobe: functions of Go have their callers, by tables and by frame pointers" {
	local way
	for way in tables fp; do
		"$sonde" profile --unwind $way -e "uprobe:$workloads/unwind/busy-go:main.inner" -d 2s -o "$out" -- "$workloads/unwind/busy-go" 1
		nothing_lost
		same "$(self_in main.inner)" "$(samples_of)"
		json -n -e '[inputs | select(.type == "stack" and (.incomplete | not)).frames[1].name] | unique == ["main.middle"]' "$out"
	done
}

@test "uprobe: two capabilities are enough where the kernel has the link for it" {
	local list=-all,+bpf,+perfmon,+sys_ptrace,+dac_read_search
	"$sonde" check uprobe_multi >/dev/null || skip "no such links"
	setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps="$list" --ambient-caps="$list" \
		"$sonde" profile -q -e "uretprobe:$program:called" --json -- "$program" --now 101 1500 >"$out" 2>"$err"
	sed -i '/^[^{]/d' "$out"
	nothing_lost
	same "$(self_in leaf) $(self_in b2)" "101 303"
}
