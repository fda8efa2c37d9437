#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The same samples, walked by the BPF program, by user space over a snapshot of the same moment, and by libdwfl: the same frames.
load common
load unwind

# compare LEAST SONDE-ARGS...: $pids, for 60 jiffies of each; libdwfl must have seen at least LEAST walks
compare() {
	local walks=$tmp/walks least=$1
	mkdir "$walks"
	watch 60 "${@:2}" -f table --compare-walks "$walks"
	grep -E 'walks compared' "$out"
	grep -qE '[1-9][0-9]* walks compared, 0 differ' "$out"
	"$root/build/oracle/walks" "$walks" >"$tmp/oracle" || { cat "$tmp/oracle"; return 1; }
	cat "$tmp/oracle"
	[ "$(sed -nE 's/.* ([0-9]+) compared, .*/\1/p' "$tmp/oracle")" -ge "$least" ]
}

# bats test_tags=host
@test "oracle: samples of a running chain without frame pointers are the same three times" {
	pids=()
	start_workload unwind/chain 600
	pids+=("$pid")
	go "$pid"
	compare 100 profile -F 499
}

# bats test_tags=host
@test "oracle: samples of python and of openssl are the same three times" {
	pids=()
	busy "$python" -c 'import json
while True: json.loads(json.dumps([{"a": i, "b": str(i)} for i in range(300)]))'
	busy openssl speed -seconds 600 rsa2048
	compare 150 profile -F 499
}
