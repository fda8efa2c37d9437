#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What holds for every command that measures, on every kernel.
load common

# They take a target. In guests those that other files there test are left out: each start takes seconds.
measuring_commands() {
	local command
	for command in $("$sonde" list commands | cut -d' ' -f1); do
		! in_vm || [[ $command != @(profile|offcpu|runq|wall) ]] || continue
		! "$sonde" help "$command" | grep -q '^ *-G, --cgroup' || echo "$command"
	done
}

# starts_and_ends ARG...: whatever it counts of a command, its account is whole and its words are what the schema says
starts_and_ends() {
	local command status=0
	for command in $(measuring_commands); do
		if "$sonde" "$command" "$@" -q -o "$out" -- sh -c 'cat /proc/self/status; true' >"$tmp/said" 2>"$err" && nothing_lost &&
			json -e -n '[inputs | .type] | first == "start" and last == "interval"' "$out" >/dev/null; then
			grep -q '^Name:' "$tmp/said" && continue
		fi
		echo "sonde $command $*: $(cat "$err")"
		status=1
	done
	return $status
}

@test "commands: each measures a command from its start to its end, and accounts for every event" {
	starts_and_ends
}

@test "commands: the same holds with raw tracepoints" {
	[ "${SONDE_LOCKDOWN:-none}" != confidentiality ] || skip "raw tracepoints read by copying, which lockdown refuses"
	starts_and_ends --force-raw
}

# bats test_tags=host
@test "commands: the intervals of each are whole, and what it writes satisfies the schema" {
	local command
	python3 -c 'import jsonschema' || skip "python3-jsonschema is not installed"
	"$sonde" schema >"$tmp/schema.json"
	for command in $(measuring_commands); do
		start_workload block 40
		attach "$command" -p "$pid" -i 100ms -d 300ms --json
		go "$pid"
		finish "$probe"
		same "$command $(json -n '[inputs | select(.type == "interval")] | length' "$tmp/$probe.out")" "$command 3"
		same "$command $(json -n '[inputs | select(.type == "loss") | select(.accounted | not)] | length' "$tmp/$probe.out")" "$command 0"
		python3 - "$tmp/schema.json" "$tmp/$probe.out" <<-'PYTHON'
			import json, sys
			import jsonschema
			check = jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))
			for line in open(sys.argv[2]):
			    check.validate(json.loads(line))
		PYTHON
		kill "$pid"
		wait "$pid" || true
	done
}

# bats test_tags=host
@test "commands: --dry-run attaches nothing and says what it would" {
	local command
	for command in $(measuring_commands); do
		run -0 --separate-stderr "$sonde" "$command" --dry-run
		[[ $output == *"probe "* && $output == *"privileges: "* ]]
	done
}
