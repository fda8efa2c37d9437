# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # bats, lib.bash and common.bash set the variables that seem unset
# Networks of a test's own: network namespaces that a pair of interfaces connects, and questions to what was measured.

spaces=()

# networks NAME: two network namespaces, NAME.a with 10.9.0.1 and fd09::1, NAME.b with ...2; sets $a and $b
networks() {
	command -v ip >/dev/null || skip "this root has no iproute2"
	a=$test_tag.$1a b=$test_tag.$1b
	ip netns add "$a"
	spaces+=("$a")
	ip netns add "$b"
	spaces+=("$b")
	ip -n "$a" link add veth0 type veth peer name veth0 netns "$b" || skip "this kernel has no veth"
	up "$a" 1
	up "$b" 2
}

up() {
	ip -n "$1" link set lo up
	ip -n "$1" addr add "10.9.0.$2/24" dev veth0
	ip -n "$1" addr add "fd09::$2/64" dev veth0 nodad
	ip -n "$1" link set veth0 up
}

teardown() {
	lib__cleanup
	for space in "${spaces[@]}"; do
		ip netns del "$space" 2>/dev/null || true
	done
}

# inside SPACE WORKLOAD ARG...: in the background up to "ready"; sets $pid
inside() {
	start ip netns exec "$1" "$workloads/${2}" "${@:3}"
	wait_ready "$pid"
}

# total METRIC [CONDITION] [FILE]: the sum of its values, of a histogram its counts; CONDITION on the point, its labels are $l
total() {
	json -n --arg m "sonde_tcp_$1" "[inputs | select(.metric == \$m) | .labels as \$l | select(${2:-true}) | .value // .count] | add // 0" "${3:-$out}"
}

# p50 METRIC: of all that connected, in ns; median KEY [FILE]: of what the workload said
p50() {
	json -n --arg m "sonde_tcp_$1" '[inputs | select(.metric == $m and .labels.side == "connect").p50][0]' "$out"
}

median() {
	awk -v key="$1" '$1 == key { print $2 }' "${2:-$tmp/said}" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# failures ERROR [CONDITION]
failures() {
	total failures "\$l.error == \"$1\" and (${2:-true})"
}
