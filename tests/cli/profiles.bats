#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Profiles of other tools and for other tools: pprof, speedscope, JSON lines.
load common

GOLDEN=$BATS_TEST_DIRNAME/../golden
SEEDS=$BATS_TEST_DIRNAME/../fuzz/corpus

setup() {
	mkdir "$BATS_TEST_TMPDIR/files"
	cd "$BATS_TEST_TMPDIR/files"
	printf 'main;read_row;hash_[k] 60\nmain;write_row 40\n' > cpu.folded
	{
		echo '{"type":"start","schema":1,"sonde":"1","command":"sonde profile","subject":"api[8]","time":"2023-11-14T22:13:20.000000005Z","start_ns":7}'
		stack 3 '{"name":"hash","object":"api","kind":"inlined","address":"0x1010","file":"src/hash.c","line":12},
			{"name":"read_row","object":"api","kind":"user","address":"0x1010","file":"src/row.c","line":40},'
		stack 2 '{"name":"futex_wait","object":"[kernel]","kind":"kernel","address":"0xffffffff81000010"},
			{"name":"lock","object":"libc.so.6","kind":"library","address":"0x7f0000001234"},'
		stack 1 ''
		echo '{"type":"loss","interval":1,"lost":4,"accounted":true,"rows":[{"part":"cpu","reason":"hits","count":6,"drop":false}],
			"coverage":{"stacks":6,"complete":6}}' | tr -d '\n\t'
		echo
		echo '{"type":"interval","interval":1,"last":true,"time":"2023-11-14T22:13:20.000000005Z","start_ns":7,"end_ns":2000000007,
			"subject":"api[8]","headline":"six samples","lost":4,"own_cost":0.01}' | tr -d '\n\t'
		echo
	} > cpu.json
}

# stack SAMPLES FRAMES: a line of JSON; each of the samples stands for 10 ms, `main` calls the frames
stack() {
	echo '{"type":"stack","interval":1,"metric":"sonde_cpu_samples","unit":"{sample}","who":{"tgid":8,"tid":9,"comm":"worker"},
		"value":'"$1"',"occurrences":'"$1"',"open":0,"period_ns":10000000,
		"frames":['"$2"'{"name":"main","object":"api","kind":"user","address":"0x2020","file":"src/main.c","line":7}]}' | tr -d '\n\t'
	echo
}

need_go() {
	command -v go > /dev/null || skip "no go here: tools/setup test"
	export HOME=${HOME:-$BATS_TEST_TMPDIR} PPROF_TMPDIR=$BATS_TEST_TMPDIR # its cache may be in use: newer ones build pprof once
}

# row FILE OPTIONS TEXT: `go tool pprof -top` has this row: flat, share, cumulative share and what follows, blanks as one
row() {
	go tool pprof -top $2 "$1" > top 2> said || { cat said; return 1; }
	sed 's/^ *//; s/  */ /g; s/ *$//' top | grep -qxF "$3" || { cat top; return 1; }
}

@test "go tool pprof reads the profile: functions, lines, inlined ones, times, labels" {
	need_go
	"$SONDE" convert cpu.json cpu.pb.gz
	row cpu.pb.gz "" "30ms 50.00% 50.00% 30ms 50.00% hash (inline)"
	row cpu.pb.gz "" "0 0% 100% 30ms 50.00% read_row"
	row cpu.pb.gz "" "10ms 16.67% 100% 60ms 100% main"
	row cpu.pb.gz -lines "30ms 50.00% 50.00% 30ms 50.00% hash src/hash.c:12 (inline)"
	row cpu.pb.gz -lines "0 0% 100% 30ms 50.00% read_row src/row.c:40"
	row cpu.pb.gz -lines "20ms 33.33% 83.33% 20ms 33.33% futex_wait"
	row cpu.pb.gz "-lines -sample_index=samples" "3 50.00% 50.00% 3 50.00% hash src/hash.c:12 (inline)"
	grep -qx 'Type: samples' top
	grep -qx 'File: api' top
	grep -qF 'subject: api[8]' top
	grep -qF 'Duration: 2s' top
	row cpu.pb.gz "-lines -tagfocus=comm=worker" "10ms 16.67% 100% 60ms 100% main src/main.c:7"
	go tool pprof -raw cpu.pb.gz > raw
	grep -qF 'pid:[8] tid:[9]' raw
	grep -qF 'Period: 10000000' raw
}

@test "go tool pprof reads what was folded, and times of waits" {
	need_go
	printf '# metric: sonde_offcpu_time\n# unit: us\nmain;wait 1500\nmain;[truncated: no frame pointers];read 500\n' > waits.folded
	"$SONDE" convert waits.folded waits.pb.gz
	row waits.pb.gz -lines "1500us 75.00% 75.00% 1500us 75.00% wait"
	row waits.pb.gz "" "0 0% 100% 500us 25.00% [truncated: no frame pointers]"
	grep -qx 'Type: offcpu' top
}

# Written by runtime/pprof: 90 samples at 100 Hz of a loop in main.spin.
@test "profiles of Go's own runtime: the same shares and lines" {
	need_go
	cp "$SEEDS/pprof/go.pb.gz" .
	"$SONDE" convert go.pb.gz go.folded
	same "$(cat go.folded)" "runtime.main (proc.go:250);main.main (spin.go:24);main.spin (spin.go:10) 10000
runtime.main (proc.go:250);main.main (spin.go:24);main.spin (spin.go:11) 180000
runtime.main (proc.go:250);main.main (spin.go:24);main.spin (spin.go:12) 710000"
	"$SONDE" convert --value samples go.pb.gz samples.folded
	same "$(awk '{ s += $NF } END { print s }' samples.folded)" 90
	"$SONDE" convert go.pb.gz again.pb.gz
	go tool pprof -top -lines go.pb.gz > before
	go tool pprof -top -lines again.pb.gz > after
	diff before after
	grep -q '710ms 78.89% .* main.spin spin.go:12' after
	"$SONDE" diff --value samples go.pb.gz again.pb.gz > said
	grep -q '^no significant difference' said
}

# Between all formats: each input gives the same folded stacks, through each format in between.
@test "every format becomes every other, and the stacks stay" {
	formats="folded svg html pb.gz speedscope.json json"
	"$SONDE" convert cpu.json want.folded
	same "$(cat want.folded)" "worker;main (main.c:7) 1
worker;main (main.c:7);lock;futex_wait_[k] 2
worker;main (main.c:7);read_row (row.c:40);hash (hash.c:12)_[i] 3"
	for format in $formats; do
		"$SONDE" convert cpu.json x.$format
	done
	for from in $formats; do
		for to in $formats; do
			"$SONDE" convert x.$from $from.$to
			"$SONDE" convert $from.$to back.folded
			# speedscope has no inlined functions
			sed 's/_\[i\]//' back.folded | diff - <(sed 's/_\[i\]//' want.folded) || { echo "$from -> $to"; return 1; }
		done
	done
	"$SONDE" convert -f table cpu.json - | grep -q 'six samples'
	"$SONDE" convert x.pb.gz table.txt
	grep -q 'hash' table.txt
}

@test "pprof and JSON lines keep addresses, lines, labels, losses and completeness" {
	"$SONDE" convert cpu.json cpu.pb.gz
	"$SONDE" convert cpu.pb.gz back.json
	same "$(jq -cS 'select(.type == "stack")' back.json)" "$(jq -cS 'select(.type == "stack")' cpu.json)"
	same "$(jq -c 'select(.type == "interval") | [.headline, .subject, .lost, .end_ns - .start_ns, .time]' back.json)" \
		"$(jq -c 'select(.type == "interval") | [.headline, .subject, .lost, .end_ns - .start_ns, .time]' cpu.json)"
	same "$(jq -c 'select(.type == "loss").coverage | [.stacks, .complete]' back.json)" '[6,6]'
	"$SONDE" schema > schema.json
	/usr/bin/python3 "$GOLDEN/json/check.py" schema.json back.json || [ $? = 77 ]
	"$SONDE" convert cpu.json cpu.svg
	"$SONDE" convert cpu.pb.gz too.svg
	grep -q '# headline: six samples' too.svg
	grep -q '# loss: cpu/hits 6' too.svg
	"$SONDE" convert -f speedscope cpu.json - > cpu.speedscope.json
	/usr/bin/python3 "$GOLDEN/speedscope/check.py" cpu.speedscope.json || [ $? = 77 ]
}

@test "the format of the input is seen, whatever its name; standard input, too" {
	"$SONDE" convert cpu.json cpu.pb.gz
	cp cpu.pb.gz odd.svg
	"$SONDE" convert odd.svg one.folded
	gzip -dc cpu.pb.gz | "$SONDE" convert -f folded - - | cmp - one.folded
	"$SONDE" convert -f speedscope - - < cpu.json | "$SONDE" convert -f folded - - > two.folded
	same "$(sed 's/_\[i\]//' two.folded)" "$(sed 's/_\[i\]//' one.folded)"
}

@test "evented profiles of speedscope: what is open gets the time" {
	"$SONDE" convert "$SEEDS/profile/evented.speedscope.json" out.folded
	same "$(cat out.folded)" "main (a.c:3) 2500
main (a.c:3);f 500"
}

@test "profiles that are broken: one line with the file, and nothing is written" {
	"$SONDE" convert cpu.json cpu.pb.gz
	head -c 100 cpu.pb.gz > cut.pb.gz
	fails 1 "sonde: cut.pb.gz: the gzip data ends too early" convert cut.pb.gz out.svg
	printf 'hello\n' | gzip > text.pb.gz
	fails 1 "sonde: text.pb.gz: not a pprof profile, or damaged" convert text.pb.gz out.svg
	printf '{"type":"start"}\n{"type":"nothing"}\n' > bad.json
	fails 1 "sonde: bad.json:2: not a type of line that sonde knows (sonde schema)" convert bad.json out.svg
	printf '{"a":1}\n' > bad.json
	fails 1 "sonde: bad.json: JSON, but neither lines of sonde nor a profile of speedscope" convert bad.json out.pb.gz
	fails 2 "sonde: --value heap: cpu.pb.gz has samples, cpu" convert --value heap cpu.pb.gz out.svg
	printf 'main;a 6 9\n' > change.folded
	fails 1 "sonde: change.folded: a difference, which only folded, SVG and HTML can hold" convert change.folded out.pb.gz
	head -n 1 cpu.json > start.json
	fails 1 "sonde: start.json: no stacks inside" convert start.json out.svg
}

# A mapping as the kernel has it, with the build id as readelf says it.
@test "profiles of a run have mappings with build ids" {
	need_go
	[ "$(id -u)" = 0 ] || skip "needs root"
	timeout 30 "$SONDE" profile -F 997 -q -o run.pb.gz -- perl -e '$n{$_ % 99}++ for 1 .. 2000000'
	go tool pprof -raw run.pb.gz > raw
	id=$(readelf -n "$(realpath "$(command -v perl)")" | sed -n 's/.*Build ID: //p')
	[ -n "$id" ]
	grep -q "^[0-9]*: 0x[0-9a-f]*/0x[0-9a-f]*/0x[0-9a-f]* /.*perl.* $id" raw
	go tool pprof -top -lines run.pb.gz 2> /dev/null | grep -qx 'File: perl.*'
}
