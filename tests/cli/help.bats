#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
load common

@test "help lists every command and no hidden one" {
	run -0 --separate-stderr "$SONDE" help
	[ -z "$stderr" ]
	for command in $(commands) help; do
		[[ $output == *$'\n'"  $command "* ]]
	done
	[[ $output != *document* ]]
	for command in profile offcpu runq wall check list schema convert diff version; do
		commands | grep -qx $command
	done
}

@test "help, --help and -h are the same" {
	same "$("$SONDE" --help)" "$("$SONDE" help)"
	same "$("$SONDE" -h)" "$("$SONDE" help)"
}

@test "no command at all: the list on stderr, exit 2" {
	run -2 --separate-stderr "$SONDE"
	[ -z "$output" ]
	same "$stderr" "$("$SONDE" help)"
}

@test "help of every command: usage first, 80 columns, the same by all ways" {
	for command in $(commands); do
		run -0 --separate-stderr "$SONDE" help $command
		[ -z "$stderr" ]
		[[ ${lines[0]} == "Usage: sonde $command"* ]]
		[[ $output == *"-h, --help "* ]]
		same "$(printf %s "$output" | LC_ALL=C.UTF-8 awk 'length > 80')" ""
		same "$("$SONDE" $command --help)" "$output"
		same "$("$SONDE" $command -h)" "$output"
	done
}

@test "help wins over other words, but not behind --" {
	run -0 --separate-stderr "$SONDE" profile -d 10 --help
	[[ ${lines[0]} == "Usage: sonde profile "* ]]
	refuses "sonde profile: -d 10: needs a unit: \`-d 10s\`" profile -d 10 -- true --help
}

@test "an unknown command is answered with the nearest one" {
	refuses "sonde: no command prfile; did you mean profile?" prfile
	refuses "sonde: no command of-cpu; did you mean offcpu?" of-cpu
	refuses "sonde: no command prfile; did you mean profile?" help prfile
	refuses "sonde: no command frobnicate; \`sonde help\` lists them" frobnicate
	refuses $'sonde: no command \\x1b[31m; `sonde help` lists them' $'\e[31m'
}

@test "an option before the command is explained" {
	refuses "sonde: -p: a command comes first: \`sonde profile -p\`; \`sonde help\` lists them" -p 1
}

@test "version by three names" {
	same "$("$SONDE" version)" "sonde $(cat "$BATS_TEST_DIRNAME/../../VERSION")"
	same "$("$SONDE" --version)" "$("$SONDE" version)"
	same "$("$SONDE" -V)" "$("$SONDE" version)"
	run -0 "$SONDE" version -v
	for word in libbpf libelf json-c architecture compiler; do
		grep -Eq "^$word +[^ ]" <<< "$output"
	done
}
