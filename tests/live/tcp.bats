#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sonde tcp: what programs that know it have done, in networks of their own.
# shellcheck disable=SC2154 # bats, lib.bash and common.bash set the variables that seem unset
load common
load tcp

# bats file_tags=host

# Each end says what the other one says: 31 connections with known bytes.
talked() {
	run_command tcp "${@:3}" -- tcp talk --serve "$1" "$2" 31 100000
	nothing_lost
	same "$(said connections) $(total connections '$l.side == "connect"') $(total connections '$l.side == "accept"')" "31 31 31"
	same "$(total sent '$l.side == "connect"') $(total received '$l.side == "accept"')" "$(said sent) $(said sent)"
	same "$(total received '$l.side == "connect"') $(total sent '$l.side == "accept"')" "$(said received) $(said received)"
	same "$(total connect_duration) $(total connection_duration)" "31 62"
}

@test "tcp: connections and their bytes are those that both programs counted, by IPv4 and IPv6" {
	exactly talked 127.0.0.1 17001
	same "$(total connections '$l.peer == "127.0.0.1:17001"') $(total connections '$l.peer == "127.0.0.1 on :17001"')" "31 31"
	within "$(p50 rtt)" "$(median rtt_ns)" 10
	exactly talked ::1 17002
	same "$(total connections '$l.peer == "[::1]:17002"') $(total connections '$l.peer == "::1 on :17002"')" "31 31"
	exactly talked ::ffff:127.0.0.1 17003
	same "$(total connections '$l.peer == "127.0.0.1:17003"')" 31
}

@test "tcp: the same with raw tracepoints, in intervals, and by other keys" {
	exactly talked 127.0.0.1 17011 --force-raw
	exactly talked 127.0.0.1 17012 -i 100ms
	exactly talked 127.0.0.1 17013 --by process
	same "$(json -n '[inputs | select(.metric == "sonde_tcp_sent").who.tgid] | unique | length' "$out")" 2
	exactly talked 127.0.0.1 17014 --by cgroup
	exactly talked 127.0.0.1 17015 --by none --force-raw -i 100ms
}

@test "tcp: each end belongs to its process" {
	local server
	talked 127.0.0.1 17021
	server=$(said server)
	same "$(total connections "\$l.side == \"accept\" and .who.tgid == $server")" 31
	same "$(total sent "\$l.side == \"accept\" and .who.tgid == $server")" "$(said received)"
	same "$(total connections "\$l.side == \"connect\" and .who.tgid == $server")" 0
}

@test "tcp: failures are counted by class, and told" {
	networks f
	run_command tcp -- tcp refused 127.0.0.1 1 13
	nothing_lost
	same "$(failures refused) $(total failures)" "13 13"
	same "$(json -n '[inputs | select(.type == "event" and .fields.error == "refused")] | length' "$out")" 13
	inside "$b" tcp serve 10.9.0.2 17031
	attach tcp --comm tcp -o "$out"
	inside "$a" tcp reset 10.9.0.2 17031 11
	go "$pid"
	finish "$pid"
	stop
	nothing_lost
	same "$(failures "reset sent" '$l.side == "connect"') $(failures "reset by peer" '$l.side == "accept"')" "11 11"
}

@test "tcp: who does not answer has timed out, or was given up" {
	networks t
	ip -n "$b" addr del 10.9.0.2/24 dev veth0
	ip -n "$a" neigh add 10.9.0.2 lladdr 02:00:00:00:00:01 dev veth0
	inside "$a" tcp timeout 10.9.0.2 17041 7
	attach tcp -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	nothing_lost
	same "$(failures "timed out") $(total failures)" "7 7"
	same "$(total retransmits)" "$(ip netns exec "$a" nstat -asz TcpRetransSegs | awk '/RetransSegs/ { print $2 }')"
	inside "$a" tcp giveup 10.9.0.2 17041 5
	attach tcp -p "$pid" -o "$out"
	go "$pid"
	finish "$pid"
	finish "$probe"
	same "$(failures unanswered) $(total failures)" "5 5"
	same "$(json -n '[inputs | select(.metric == "sonde_tcp_peer_timed_out")][-1] | "\(.labels.state) \(.value)"' "$out")" "open 100"
}

# The kernel's own counters of a namespace: those of its listeners.
@test "tcp: what a full listener drops is what the kernel says" {
	local drops
	networks o
	inside "$a" tcp overflow 127.0.0.1 17051 4 20
	attach_stream tcp -p "$pid" -i 100ms
	go "$pid"
	wait_until 30 has_line "$tmp/$pid.out" '^waiting '
	wait_until 10 queue_is_told
	drops=$(ip netns exec "$a" nstat -asz TcpExtListenDrops | awk '/ListenDrops/ { print $2 }')
	[ "$drops" -gt 0 ]
	go "$pid"
	finish "$pid"
	finish "$probe"
	nothing_lost
	between "$(total listen_drops)" "$drops" $((drops + 40))
	same "$(json -n '[inputs | select(.metric == "sonde_tcp_listen_queue_limit").value] | max' "$out")" 4
}

queue_is_told() {
	[ "$(json -n '[inputs | select(.metric == "sonde_tcp_listen_queue").value] | max' "$out" 2>/dev/null)" = 5 ]
}

@test "tcp: a connection from before counts from the start on, with its process" {
	inside_host serve 127.0.0.1 17061
	local server=$pid
	start_workload tcp hold 127.0.0.1 17061 50000
	attach_stream tcp -i 100ms --comm tcp
	go "$pid"
	wait_until 10 has_line "$tmp/$pid.out" '^sent '
	wait_until 10 bytes_are_told "$pid" sent
	go "$pid"
	finish "$pid"
	wait_until 10 bytes_are_told "$server" received
	stop
	nothing_lost
	same "$(total sent ".who.tgid == $pid") $(total received ".who.tgid == $server")" "100000 100000"
	same "$(total connections ".who.tgid == $pid or .who.tgid == $server")" 0
	same "$(json -n --argjson p "$server" '[inputs | select(.metric == "sonde_tcp_received" and .who.tgid == $p).labels.side] | unique | join(" ")' "$out")" accept
}

inside_host() {
	start "$workloads/tcp" "$@"
	wait_ready "$pid"
}

bytes_are_told() {
	[ "$(total "$2" ".who.tgid == $1" 2>/dev/null)" = 100000 ]
}

@test "tcp: two namespaces with the same addresses are two" {
	local first second
	networks m
	first=$a
	inside "$b" tcp serve 10.9.0.2 17071
	networks n
	second=$a
	inside "$b" tcp serve 10.9.0.2 17071
	attach tcp --comm tcp -o "$out"
	ip netns exec "$first" "$workloads/tcp" talk --now 10.9.0.2 17071 5 1000
	ip netns exec "$second" "$workloads/tcp" talk --now 10.9.0.2 17071 7 1000
	stop
	nothing_lost
	same "$(connects_in "$first") $(connects_in "$second")" "5 7"
}

connects_in() {
	total connections "\$l.side == \"connect\" and \$l.netns == \"$(ip netns exec "$1" stat -Lc %i /proc/self/ns/net)\""
}

@test "tcp: what is not the target's does not count" {
	inside_host serve 127.0.0.1 17081
	local server=$pid
	attach tcp -p "$server" -o "$out"
	"$workloads/tcp" talk --now 127.0.0.1 17081 9 1000 >/dev/null
	stop
	nothing_lost
	only_pids "$server"
	same "$(total connections '$l.side == "accept"') $(total connections)" "9 9"
}

@test "tcp: slow handshakes are told, fast ones are not" {
	run_command tcp --slow 1us -- tcp talk --serve 127.0.0.1 17091 6 10
	same "$(json -n '[inputs | select(.type == "event")] | length' "$out")" 6
	run_command tcp --slow 10s -- tcp talk --serve 127.0.0.1 17092 6 10
	same "$(json -n '[inputs | select(.type == "event")] | length' "$out")" 0
}

@test "tcp: more peers than there is room for share a row, and lose nothing" {
	run_command tcp --peers 16 -- tcp talk --serve 127.0.0.1 17101 3 10
	nothing_lost
	inside_host serve 0.0.0.0 17102
	attach tcp --peers 16 --comm tcp -o "$out"
	for i in $(seq 40); do
		"$workloads/tcp" talk --now "127.0.0.$i" 17102 1 1000 >/dev/null
	done
	stop
	nothing_lost
	same "$(total connections) $(total sent) $(total received)" "80 60000 60000"
	[ "$(total connections '$l.peer == "__other__"')" -ge 20 ]
}

@test "tcp: of a cgroup only what its processes open counts" {
	local inside
	inside_host serve 127.0.0.1 17082
	local server=$pid
	make_cgroup tcp
	start_workload tcp talk 127.0.0.1 17082 7 1000
	inside=$pid
	echo "$inside" >"$cgroup/cgroup.procs"
	attach tcp -G "$cgroup" -o "$out"
	"$workloads/tcp" talk --now 127.0.0.1 17082 5 1000 >/dev/null
	go "$inside"
	finish "$inside"
	stop
	nothing_lost
	only_pids "$inside"
	same "$(total connections '$l.side == "connect"') $(total connections)" "7 7"
}

# The writer asks for its numbers when all is written, and not yet acknowledged: what comes then is less than it had waited.
@test "tcp: a writer that waits for its reader is stalled, as long as the kernel tells it" {
	local limited
	"$sonde" tcp -q -o "$out" -- "$BATS_TEST_DIRNAME/stall.py" >"$tmp/said" 2>"$err"
	nothing_lost
	limited=$(json -n '[inputs | select(.metric == "sonde_tcp_receive_window_limited" and .labels.side == "connect").value] | add' "$out")
	[ "$(said rwnd_us)" -ge 300000 ]
	between "$limited" $(($(said rwnd_us) * 1000)) $(($(said rwnd_us) * 1250))
}
