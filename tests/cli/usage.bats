#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Wrong usage is refused before anything is opened or attached: none of this needs a privilege.
load common

@test "every command refuses an unknown option with one line" {
	for command in $(commands); do
		refuses "sonde $command: unknown option --frobnicate; \`sonde $command --help\` lists them" $command --frobnicate
		refuses "sonde $command: unknown option --hepl; did you mean --help?" $command --hepl
	done
}

@test "the nearest option is named" {
	refuses "sonde profile: unknown option --duratoin; did you mean --duration?" profile --duratoin 5s
	refuses "sonde profile: unknown option --duratoin; did you mean --duration?" profile --duratoin=5s
	refuses "sonde profile: unknown option -duration; did you mean --duration?" profile -duration 5s
	refuses "sonde wall: unknown option --folow; did you mean --follow?" wall --folow
}

@test "a bare number is answered with what it may have meant" {
	for command in profile offcpu runq wall; do
		refuses "sonde $command: unexpected word 5: \`-d 5s\` or \`-p 5\`?" $command 5
	done
}

@test "a time needs a unit" {
	refuses "sonde profile: -d 10: needs a unit: \`-d 10s\`" profile -d 10
	refuses "sonde profile: -d 10: needs a unit: \`-d 10s\`" profile -d10
	refuses "sonde offcpu: --min 10: needs a unit: \`--min 10ms\` or \`--min 10us\`" offcpu --min 10
}

@test "an option in the place of a value is seen" {
	run -2 --separate-stderr "$SONDE" profile -f -o x
	[[ $stderr == "sonde profile: -f needs a value ("*"), but the option -o stands in its place" ]]
	[ ! -e x ]
}

@test "values out of range name the range" {
	run -2 --separate-stderr "$SONDE" profile -F 0
	[[ $stderr =~ ^"sonde profile: -F 0: must be from "[0-9]+" to "[0-9]+$ ]]
	run -2 --separate-stderr "$SONDE" profile -n 99999999999999999999
	[[ $stderr =~ ^"sonde profile: -n 99999999999999999999: must be from "[0-9]+" to "[0-9]+$ ]]
}

@test "an event is a kind of probe, a file and a function" {
	for event in uprobe uprobe: uprobe:a uprobe:a: uprobe::b; do
		refuses "sonde profile: --event $event: uprobe:FILE:FUNCTION or uretprobe:FILE:FUNCTION is meant" profile -e $event
	done
	refuses "sonde profile: --event kprobe:a:b: there are uprobe and uretprobe" profile -e kprobe:a:b
	refuses "sonde profile: --event uretprobe:a:b+4: a function returns as a whole: no offset" profile -e uretprobe:a:b+4
	refuses "sonde profile: --event uprobe:a:b: every call is counted: there is no frequency" profile -F 99 -e uprobe:a:b
	refuses "sonde profile: --event uprobe:a:b: its stacks are of user space: not with -K" profile -K -e uprobe:a:b
}

@test "a command to run stands behind two dashes" {
	refuses "sonde profile: unexpected word xz; a command to run stands behind --: \`sonde profile -- xz\`" profile xz
	refuses "sonde profile: -- needs a command behind it: \`-- COMMAND [ARG...]\`" profile --
}

@test "missing and surplus words" {
	refuses "sonde list: a word is missing: \`sonde list [OPTION...] probes|metrics|sinks|commands\`" list
	run -2 --separate-stderr "$SONDE" convert a
	[[ $stderr == "sonde convert: a word is missing: \`sonde convert "*"\`" ]]
	run -2 --separate-stderr "$SONDE" convert a b c
	[[ $stderr == "sonde convert: unexpected word c; "* ]]
	refuses "sonde list: no list of probe; did you mean probes?" list probe
	refuses "sonde document: no document pdf: one of man, bash, zsh, fish, readme" document pdf
}

@test "hostile words stay one harmless line" {
	refuses $'sonde profile: unknown option --\\x1b[2J\\x0a; `sonde profile --help` lists them' profile $'--\e[2J\n'
	refuses $'sonde profile: -d \\x9b1m\\x0a: not a time: a number and ns, us, ms, s, m, h or d' profile -d $'\x9b1m\n'
	refuses $'sonde: --comm \\x1b[31m[: `[` without `]`' profile --comm $'\e[31m[' -d 1ms -o x.json
	refuses $'sonde: --pod \\x1b[31m: NAMESPACE/NAME is expected' profile --pod $'\e[31m' -d 1ms -o x.json
}

@test "options that would be ignored are refused" {
	refuses "sonde: -U and -K exclude each other: without them both kinds of frames are shown" profile -U -K -d 1ms -o x.json
	refuses "sonde: --pass-status wants \`-- COMMAND\`: whose status?" wall --pass-status -p $$ -d 1ms -o x.json
	refuses "sonde: --follow wants -p, -t or \`-- COMMAND\`: whose descendants?" wall --follow -G / -d 1ms -o x.json
}
