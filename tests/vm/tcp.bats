#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Connections on every kernel of the matrix; and on networks that are slow and lose packets, which only guests have.
# shellcheck disable=SC2154 # bats, lib.bash and common.bash set the variables that seem unset
load ../live/common
load ../live/tcp

talked() {
	run_command tcp "${@:3}" -- tcp talk --serve "$1" "$2" 17 30000
	nothing_lost
	same "$(total connections '$l.side == "connect"') $(total connections '$l.side == "accept"')" "17 17"
	same "$(total sent '$l.side == "connect"') $(total received '$l.side == "accept"')" "$(said sent) $(said sent)"
	same "$(total received '$l.side == "connect"') $(total sent '$l.side == "accept"')" "$(said received) $(said received)"
	same "$(total sent ".who.tgid == $(said server)")" "$(said received)"
}

@test "tcp: connections, their bytes and their processes are the programs' own, with both kinds of hooks" {
	exactly talked 127.0.0.1 17001
	# what is not allowed to read the kernel's memory needs the other kind
	[ "${SONDE_LOCKDOWN:-}" = confidentiality ] || exactly talked ::1 17002 --force-raw -i 100ms
	run_command tcp -- tcp refused 127.0.0.1 1 13
	nothing_lost
	same "$(failures refused) $(total failures)" "13 13"
}

# slow ARGS...: what leaves either end
slow() {
	tc -n "$a" qdisc replace dev veth0 root netem "$@" 2>/dev/null || skip "this guest has no netem"
	tc -n "$b" qdisc replace dev veth0 root netem "$@"
}

@test "tcp: round trips and handshakes take as long as the network; what is sent again is what the kernel says" {
	networks s
	inside "$b" tcp serve 10.9.0.2 17011
	slow delay 100ms
	inside "$a" tcp talk 10.9.0.2 17011 3 20000
	attach tcp -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	nothing_lost
	within "$(p50 rtt)" "$(median rtt_ns "$tmp/$pid.out")" 5
	between "$(p50 rtt)" 190000000 "$(($(median rtt_ns "$tmp/$pid.out") * 105 / 100))"
	between "$(p50 connect_duration)" 190000000 "$(($(median connect_ns "$tmp/$pid.out") * 105 / 100))"
	slow delay 5ms loss 8%
	inside "$a" tcp talk 10.9.0.2 17011 3 400000
	attach tcp -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	nothing_lost
	[ "$(total retransmits)" -gt 0 ]
	same "$(total retransmits)" "$(ip netns exec "$a" nstat -asz TcpRetransSegs | awk '/RetransSegs/ { print $2 }')"
	same "$(total sent) $(total received)" "$(value "$pid" sent) $(value "$pid" received)"
}

# The server sleeps before each accept(), and the client comes back at once. A call that waits already when sonde comes is not seen.
@test "tcp: how long connections wait for accept() is told where functions can be traced" {
	"$sonde" tcp --dry-run | grep -q fexit/inet_csk_accept || skip "this kernel lets nobody trace functions"
	start "$workloads/tcp" serve 127.0.0.1 17021 --slow 300
	wait_ready "$pid"
	attach tcp -p "$pid" -o "$out"
	"$workloads/tcp" talk --now 127.0.0.1 17021 3 1000 >"$tmp/said"
	stop
	nothing_lost
	same "$(total connections)" 3
	between "$(total accept_wait)" 2 3
	[ "$(json -n '[inputs | select(.metric == "sonde_tcp_accept_wait").p50][0] >= 280000000' "$out")" = true ]
}
